"""Which NE has which part in group business."""

from typing import Any

import pytest

from hlrd.config import ConfigError, Settings
from hlrd.ne.parts import group_places


def settings(*elements: tuple[str, str], **groups: str) -> Settings:
    document: dict[str, Any] = {
        "tokens": [{"source": "OPS", "token": "a-token-that-is-long"}],
        "keys": {"current": "k", "keys": {"k": "0" * 64}},
        "ne": [
            {"name": name, "dialect": dialect, "host": "h", "port": 1} for name, dialect in elements
        ],
        "groups": groups,
    }
    return Settings(**document)


def test_the_only_one_of_its_dialect_has_the_part() -> None:
    places = group_places(settings(("gw", "iot_gateway"), ("up", "boss1_relay")))

    assert (places.gateway, places.relays, places.nationwide) == ("gw", {"BOSS1": "up"}, "")


def test_of_several_the_one_that_is_named() -> None:
    both = ("video", "province_platform"), ("home", "province_platform")

    assert group_places(settings(*both)).province_platform == ""
    assert group_places(settings(*both, province_platform="home")).province_platform == "home"


def test_a_name_that_is_none_of_its_dialect_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="gateway: no network element 'video'"):
        group_places(settings(("video", "province_platform"), gateway="video"))


def test_who_has_a_relay_asks_the_registry_for_nothing_of_its_route() -> None:
    all_of_them = ("up", "boss1_relay"), ("hq", "pboss_registry")

    places = group_places(settings(*all_of_them))

    assert [places.upward(route) for route in ("BOSS1", "BBOSS")] == ["up", "hq"]
