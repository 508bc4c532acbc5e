"""Which network elements each role takes, and what is said of a configuration that lacks them."""

from typing import Any

import pytest
from pydantic import ValidationError

from hlrd.assembly import network
from hlrd.config import ConfigError, Settings
from hlrd.domain.role import Role

HLR, DSMP, BOSS1 = ("hlr1", "huawei_hlr"), ("dsmp1", "dsmp"), ("boss1", "boss1_relay")
PLATFORM = ("platform1", "province_platform")


def settings(*elements: tuple[str, str], **groups: Any) -> Settings:
    document: dict[str, Any] = {
        "tokens": [{"source": "OPS", "token": "a-token-that-is-long"}],
        "keys": {"current": "k", "keys": {"k": "0" * 64}},
        "ne": [
            {"name": name, "dialect": dialect, "host": "h", "port": 1} for name, dialect in elements
        ],
        "groups": groups,
    }
    return Settings(**document)


def fault(*elements: tuple[str, str], **groups: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        network.routes(settings(*elements, **groups))
    return str(refused.value)


def test_both_roles_are_played_unless_it_says_otherwise() -> None:
    found = network.routes(settings(HLR, DSMP))

    assert found.groups.role_missing is None
    assert found.has_network


def test_a_province_needs_no_hlr_and_no_dsmp() -> None:
    alone = settings(BOSS1, PLATFORM, roles=["province"], homes=["hlr1", "hlr2"])

    found = network.routes(alone)

    assert (found.groups.role_missing, found.has_network, found.dsmp) == (Role.HQ, False, "")
    assert set(found.templates) == {"hlr1", "hlr2"}
    assert {"GPRS+SMS", "GPRS", "GPRS+SMS+VOICE"} <= set(found.templates["hlr1"])
    assert found.platforms == {"platform1"}


def test_numbers_and_cards_are_routed_to_headquarters_hlrs_by_name() -> None:
    alone = settings(BOSS1, roles=["province"], homes=["hlr1"])
    route = {"kind": "msisdn", "prefix": "1064900", "ne": "hlr1"}

    routing = network.homes(Settings(**{**alone.model_dump(), "route": [route]}))

    assert [one.hlr for one in routing.routes] == ["hlr1"]


def test_headquarters_needs_no_relay() -> None:
    found = network.routes(settings(HLR, DSMP, roles=["hq"]))

    assert found.groups.role_missing is Role.PROVINCE
    assert found.has_network


@pytest.mark.parametrize(
    ("elements", "groups", "said"),
    [
        ([PLATFORM], {"roles": ["province"], "homes": ["hlr1"]}, "configure boss1 or bboss"),
        ([BOSS1], {"roles": ["province"]}, "groups.homes: name the HLRs"),
        ([BOSS1, HLR, DSMP], {"roles": ["province"], "homes": ["h"]}, "leave out hlr1, dsmp1"),
        ([BOSS1], {"roles": ["province"], "homes": ["boss1"]}, "boss1 is a network element of"),
        ([HLR, DSMP], {"homes": ["hlr1"]}, "groups.homes: a daemon with the role hq"),
        ([HLR, DSMP, BOSS1], {"roles": ["hq"]}, "nothing is reported; boss1 is of no use"),
        ([DSMP], {"roles": ["hq"]}, "none is an HLR"),
        ([HLR], {}, "exactly one must have dialect dsmp, and 0 have"),
    ],
)
def test_what_does_not_fit_the_roles_is_said(
    elements: list[tuple[str, str]], groups: dict[str, Any], said: str
) -> None:
    assert said in fault(*elements, **groups)


def test_all_that_does_not_fit_is_said_at_once() -> None:
    said = fault(HLR, roles=["province"])

    assert said.count("groups.roles") == 2
    assert "groups.homes" in said


@pytest.mark.parametrize("roles", [[], ["HQ"], ["relay"]])
def test_a_role_that_there_is_not_is_refused(roles: list[str]) -> None:
    with pytest.raises(ValidationError, match="roles"):
        settings(HLR, DSMP, roles=roles)
