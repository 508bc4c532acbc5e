"""What is ordered of an hlrd is what hlrd takes, and from whom."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.orders import PROVINCES, Source
from hlrd.domain.orders.wire import decode
from loadtest.client import Line, Refusal
from loadtest.relay.orders import (
    ending_of,
    ending_of_line,
    order_id_of,
    order_of,
    publication_order,
)
from loadtest.relay.partners import Publication
from loadtest.relay.records import CONFIRMED, ON_ITS_WAY, Record
from loadtest.relay.resources import place_of

KI = "0123456789ABCDEF0123456789ABCDEF"
KEY = {"value": KI, "index": 3, "algorithm": "MILENAGE", "card_type": "USIM"}
MEMBER = "/members/1064900000001"
PRODUCT = f"{MEMBER}/products/TRACK"
SUBSCRIPTION = "/ecs/EC1/products/TRACK"
SERVICES = ["GPRS", "SMS", "VOICE"]

routes = st.fixed_dictionaries({}, optional={"route": st.sampled_from(["BBOSS", "BOSS1"])})
classes = st.fixed_dictionaries({}, optional={"product_class": st.integers(1, 3)})
provinces = st.sampled_from(sorted(PROVINCES))
members = st.fixed_dictionaries(
    {
        "user_id": st.integers(1, 10**18).map(str),
        "imsi": st.just("460990100000001"),
        "iccid": st.just("8986990100000000001"),
        "province": provinces,
        "ec_code": st.just("EC1"),
        "product": st.sampled_from(["", "TRACK"]),
        "key_index": st.just(3),
    },
    optional={"services": st.lists(st.sampled_from(SERVICES), min_size=1, unique=True)},
)
products = st.fixed_dictionaries(
    {
        "user_id": st.just("9001"),
        "ec_code": st.just("EC1"),
        "version": st.integers(0, 9),
        "attributes": st.dictionaries(st.sampled_from(["apn", "context"]), st.just("7")),
    }
)
subscriptions = st.fixed_dictionaries(
    {"ec_name": st.just("示例集团"), "version": st.integers(0, 9)},
    optional={"lead_province": st.just("200")},
)
across = st.fixed_dictionaries(
    {
        "partner_provinces": st.just(["280"]),
        "route": st.just("BBOSS"),
        "lead_province": st.just("200"),
    }
)


def merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda some: {name: each[name] for each in some for name in each})


def changes(
    resource: str, contents: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[Record]:
    state, key = st.just(ON_ITS_WAY), st.just("7")
    return st.builds(Record, st.just(resource), contents, state, key, st.booleans())


records = (
    changes(MEMBER, merged(members, classes, routes))
    | changes(PRODUCT, merged(products, routes))
    | changes(SUBSCRIPTION, merged(subscriptions, classes, routes))
    | changes(SUBSCRIPTION, merged(subscriptions, across))
)


@given(records, provinces | st.just(""), st.integers(0, 999))
def test_every_order_of_the_registry_is_one_that_hlrd_takes_from_pboss(
    record: Record, province: str, failures: int
) -> None:
    order_id = order_id_of(record.resource, "2" * 64, failures)
    order = {"order_id": order_id, "operator_id": "pboss", **order_of(record, province, KEY)}

    taken = decode(msgspec.json.encode(order))

    assert Source.PBOSS in BY_SHAPE[type(taken)].sources
    assert taken.province == (province or "000")


@given(provinces, subscriptions | merged(subscriptions, across), st.booleans())
def test_every_order_of_the_bboss_is_one_that_hlrd_takes_from_it(
    province: str, content: dict[str, Any], is_over: bool
) -> None:
    place = place_of(SUBSCRIPTION)
    assert place is not None
    news = Publication(province, SUBSCRIPTION, "7", None if is_over else content)
    order = {"order_id": "R-1", "operator_id": "bboss", **publication_order(news, place)}

    taken = decode(msgspec.json.encode(order))

    assert Source.BBOSS in BY_SHAPE[type(taken)].sources


def test_an_import_names_the_partner_and_goes_to_the_lead() -> None:
    place = place_of(MEMBER)
    assert place is not None
    news = Publication("200", MEMBER, "7", {"ec_code": "EC1", "province": "280"})
    order = {"order_id": "R-1", "operator_id": "bboss", **publication_order(news, place)}

    taken = decode(msgspec.json.encode(order))

    assert BY_SHAPE[type(taken)].name == "PARTNER_MEMBER_IMPORT"
    assert (order["province"], order["partner_province"]) == ("200", "280")


@given(st.lists(st.tuples(st.sampled_from([MEMBER, PRODUCT]), st.integers(0, 99).map(str),
                          st.integers(0, 9)), unique=True))  # fmt: skip
def test_an_order_id_is_one_changes_alone_and_always_the_same(
    changes: list[tuple[str, str, int]],
) -> None:
    ids = [order_id_of(*change) for change in changes]

    assert len(set(ids)) == len(ids)
    assert ids == [order_id_of(*change) for change in changes]
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,32}", each) for each in ids)


@pytest.mark.parametrize("code", ["USER_UNKNOWN", "USER_TERMINATED", "NOT_A_MEMBER"])
def test_a_removal_of_what_is_not_there_has_succeeded(code: str) -> None:
    refused = Line("R-1", "refused", refusal=Refusal(404, code, "it is not there"))

    assert ending_of_line({"type": "MEMBER_REMOVE"}, refused) is None
    assert ending_of({"type": "MEMBER_REMOVE", "result": "failed", "code": code}) is None
    assert ending_of_line({"type": "MEMBER_OPEN"}, refused) is not None


def test_a_standing_record_says_what_was_confirmed_whatever_is_on_its_way() -> None:
    old, new = {"version": 1}, {"version": 2}

    assert Record(SUBSCRIPTION, new, CONFIRMED, "7").standing == new
    assert Record(SUBSCRIPTION, new, ON_ITS_WAY, "7", held=old).standing == old
    assert Record(SUBSCRIPTION, new, ON_ITS_WAY, "7").standing is None
