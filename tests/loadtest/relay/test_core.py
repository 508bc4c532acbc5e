"""A registry with headquarters' hlrd behind it, without a socket: whatever comes in whatever order
and however it ends, the records agree with one another.
"""

import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.json_platform import Failure
from adapters.pboss_registry import PBOSSRegistry
from hlrd.codec.http import HTTPRequest
from loadtest.relay import journal
from loadtest.relay.core import Role, System
from loadtest.relay.records import FAILED, ON_ITS_WAY, Records
from loadtest.relay.resources import MEMBER, MEMBER_PRODUCT, member, subscription

KI: Final = "0123456789ABCDEF0123456789ABCDEF"
KEY: Final = {"value": KI, "index": 3, "algorithm": "MILENAGE", "card_type": "USIM"}
NUMBERS: Final = ("1064900000001", "1064900000002")
PRODUCTS: Final = ("A", "B")
REFUSED: Final = Failure("hlrd", "NE_REFUSED", "no template")


def a_subscription(version: int) -> dict[str, Any]:
    return {"ec_name": "EC", "version": version, "lead_province": "200"}


def a_member(user: int, card: int, product: str) -> dict[str, Any]:
    return {
        "user_id": str(user),
        "imsi": f"46099010000000{card}",
        "iccid": "89869901000000000019",
        "province": "200",
        "ec_code": "EC1",
        "product": product,
        "key": KEY,
    }


def a_product(user: int) -> dict[str, Any]:
    return {"user_id": str(user), "ec_code": "EC1", "version": 1, "attributes": {}}


few = st.integers(1, 2)
puts = (
    st.tuples(st.sampled_from([subscription("EC1", one) for one in PRODUCTS]),
              st.builds(a_subscription, few))
    | st.tuples(st.sampled_from([member(one) for one in NUMBERS]),
                st.builds(a_member, few, few, st.sampled_from(PRODUCTS)))
    | st.tuples(st.sampled_from([f"{member(one)}/products/{two}"
                                 for one in NUMBERS for two in PRODUCTS]),
                st.builds(a_product, few))
)  # fmt: skip
resources = puts.map(lambda put: put[0])
acts = (
    st.tuples(st.sampled_from(["PUT", "carried out", "carried out", "carried out"]), puts)
    | st.tuples(st.just("DELETE"), resources)
    | st.tuples(st.just("settle"), st.sampled_from([None, None, None, REFUSED]))
    | st.tuples(st.just("order"), st.none())
)


def a_registry() -> System:
    return System(Role.PBOSS, has_hlrd=True)


def act(registry: System, number: int, what: str, told: Any) -> None:
    pending = next(registry.pending(), None)
    if what in ("PUT", "carried out"):
        ask(registry, "PUT", told[0], json.dumps(told[1]).encode(), number)
    if what == "carried out":
        registry.settle(told[0], str(number), None)
    elif what == "DELETE":
        ask(registry, "DELETE", told, b"", number)
    elif pending is not None and what == "settle":
        registry.settle(pending.resource, pending.transaction, told)
    elif pending is not None:
        registry.ordered(pending.resource, pending.transaction, f"R-{number}")


def ask(registry: System, method: str, resource: str, body: bytes, number: int) -> int:
    target = PBOSSRegistry.path + resource
    return registry.handle(HTTPRequest(method, target, body, key=str(number))).status


@settings(max_examples=200, deadline=None)
@given(st.lists(acts, min_size=25, max_size=40))
def test_what_stands_is_allowed_and_what_is_counted_is_there(told: list[tuple[str, Any]]) -> None:
    registry = a_registry()

    for number, (what, one) in enumerate(told):
        act(registry, number, what, one)

        only_what_may_be_stands(registry)
        keys_are_those_on_their_way(registry)
        the_indexes_are_those_of_a_recount(registry)


def only_what_may_be_stands(registry: System) -> None:
    standing = {name: one.standing for name, one in registry.records.items() if one.standing}
    cards = []
    for name, content in standing.items():
        place = registry.records[name].place
        if place.kind is MEMBER:
            assert subscription("EC1", content["product"]) in standing
            cards.append(content["imsi"])
        if place.kind is MEMBER_PRODUCT:
            assert subscription("EC1", place.product) in standing
            assert standing[member(place.msisdn)]["user_id"] == content["user_id"]
    assert len(set(cards)) == len(cards)


def keys_are_those_on_their_way(registry: System) -> None:
    for name in registry.sealed:
        assert registry.records[name].state == ON_ITS_WAY
        assert registry.records[name].order_id == ""
    assert KI not in str(registry.records)


def the_indexes_are_those_of_a_recount(registry: System) -> None:
    recount = Records()
    for record in registry.records.values():
        recount.put(record)
    held = registry._held
    assert +held.counts == +recount.counts
    assert +held._users == +recount._users
    assert held._number_of == recount._number_of
    assert held._subscriptions == recount._subscriptions
    assert held._products == recount._products


@settings(max_examples=100, deadline=None)
@given(st.lists(acts, max_size=30))
def test_the_state_file_brings_back_all_but_keys_that_went_on(told: list[tuple[str, Any]]) -> None:
    before, after = a_registry(), a_registry()
    for number, (what, one) in enumerate(told):
        act(before, number, what, one)

    cursors = journal.recall(journal.lines_of(before, {"": "7", "280": "9"}), after, None)

    assert cursors == {"": "7", "280": "9"}
    assert after.records == before.records
    assert after.sealed == before.sealed
    the_indexes_are_those_of_a_recount(after)


def test_a_cancellation_takes_the_products_along_and_waits_for_one_on_its_way() -> None:
    registry = a_registry()
    product = f"{member(NUMBERS[0])}/products/A"
    for number, (resource, content) in enumerate(
        [
            (subscription("EC1", "A"), a_subscription(1)),
            (member(NUMBERS[0]), a_member(1, 1, "A")),
            (product, a_product(1)),
        ]
    ):
        assert ask(registry, "PUT", resource, json.dumps(content).encode(), number) == 202
        if resource != product:
            registry.settle(resource, str(number), None)

    assert ask(registry, "DELETE", member(NUMBERS[0]), b"", 10) == 409
    registry.settle(product, "2", None)
    assert ask(registry, "DELETE", member(NUMBERS[0]), b"", 11) == 202
    registry.settle(member(NUMBERS[0]), "11", None)

    assert set(registry.records) == {subscription("EC1", "A")}


def test_what_failed_stands_as_it_stood_and_the_same_again_costs_no_order() -> None:
    registry = a_registry()
    resource = subscription("EC1", "A")
    old, new = (json.dumps(a_subscription(version)).encode() for version in (1, 2))
    ask(registry, "PUT", resource, old, 1)
    registry.settle(resource, "1", None)
    ask(registry, "PUT", resource, new, 2)
    registry.settle(resource, "2", REFUSED)

    assert registry.records[resource].state == FAILED
    assert registry.records[resource].standing == a_subscription(1)
    assert ask(registry, "PUT", resource, old, 3) == 200
    assert next(registry.pending(), None) is None
