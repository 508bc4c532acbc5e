"""Reservations over HTTP: what is read, who may, and what is answered."""

from typing import Any

import pytest

from hlrd.domain.orders import Source
from tests.api.client import Reply, World

WANTED: dict[str, Any] = {"operator_id": "op", "province": "200", "count": 250}


async def reserve(
    world: World, key: str = "K1", *, source: Source = Source.ESOP, **changes: Any
) -> Reply:
    wanted = {name: value for name, value in (WANTED | changes).items() if value is not None}
    headers = {"Idempotency-Key": key} if key else {}
    return await world.ask("POST", "/v1/reservations", json=wanted, headers=headers, source=source)


async def test_a_reservation_is_made_once_and_its_numbers_come_page_by_page(world: World) -> None:
    made = await reserve(world)
    again = await reserve(world)
    first = await world.ask("GET", made.headers["Location"] + "?limit=200")
    rest = await world.ask("GET", f"/v1/reservations/1?limit=200&after={first.json['next']}")

    assert (made.status, again.status) == (201, 200)
    assert made.json == again.json
    assert (made.json["id"], made.json["granted"], len(made.json["numbers"])) == ("1", 250, 100)
    numbers = [one["msisdn"] for one in first.json["numbers"] + rest.json["numbers"]]
    assert len(set(numbers)) == 250
    assert "next" not in rest.json


async def test_a_field_that_comes_twice_is_refused(world: World) -> None:
    twice = b'{"operator_id": "op", "province": "200", "count": 1, "count": 2}'
    headers = {"Idempotency-Key": "K1", "Content-Type": "application/json"}
    reply = await world.ask(
        "POST", "/v1/reservations", data=twice, headers=headers, source=Source.ESOP
    )

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, "FIELD_TWICE", "count")


async def test_what_is_asked_for_arrives_with_its_defaults(world: World) -> None:
    await reserve(world)
    await reserve(world, "K2", count=None, numbers=["8613900000001"], with_cards=True, lot="L1")

    drawn, given = world.reservations.asked
    assert (drawn.pool, drawn.digits, drawn.ttl_s, drawn.is_partial) == ("iot", 13, 1_800, False)
    assert (given.numbers, given.count, given.digits, given.lot) == (
        ("13900000001",), 1, 11, "L1",
    )  # fmt: skip
    assert drawn.content_hash != given.content_hash


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"count": None}, "RESERVATION_UNCLEAR", "count"),
        ({"numbers": ["13900000001"]}, "RESERVATION_UNCLEAR", "count"),
        ({"lot": "L1"}, "RESERVATION_UNCLEAR", "lot"),
        ({"count": None, "numbers": ["13900000001"], "grade": "A"}, "RESERVATION_UNCLEAR", "grade"),
        (
            {"count": None, "numbers": ["13900000001", "1064900000001"]},
            "RESERVATION_UNCLEAR",
            "numbers",
        ),
        ({"count": None, "numbers": ["13900000001"] * 2}, "NUMBER_TWICE", "numbers"),
        ({"count": None, "numbers": ["10649000000"]}, "MSISDN_INVALID", "numbers[0]"),
        ({"count": 0}, "FIELD_INVALID", "count"),
        ({"count": 100_001}, "FIELD_INVALID", "count"),
        ({"ttl_s": 90 * 86_400 + 1}, "FIELD_INVALID", "ttl_s"),
        ({"province": "999"}, "PROVINCE_UNKNOWN", "province"),
        ({"colour": "red"}, "FIELD_UNKNOWN", "colour"),
        ({"hlr": "hlr9"}, "HLR_UNKNOWN", "hlr"),
    ],
)
async def test_what_is_wrong_is_named(
    world: World, changes: dict[str, Any], code: str, field: str
) -> None:
    reply = await reserve(world, **changes)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)
    assert not world.reservations.rows


@pytest.mark.parametrize("key", ["", "x" * 65, "two words"])
async def test_no_reservation_without_a_key(world: World, key: str) -> None:
    reply = await reserve(world, key)

    assert (reply.status, reply.json["code"]) == (400, "KEY_INVALID")


async def test_only_its_source_and_staff_see_and_change_a_reservation(world: World) -> None:
    await reserve(world)

    for method, what, sent in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/extend", {"ttl_s": 9}),
        ("POST", "/choose", {"numbers": ["1064900000000"]}),
    ):
        path = f"/v1/reservations/1{what}"
        other = await world.ask(method, path, json=sent, source=Source.CRM)
        staff = await world.ask(method, path, json=sent, source=Source.OPS)
        nobody = await world.ask(method, path, json=sent, source=Source.BOSS)
        assert (other.status, staff.status, nobody.status) == (404, 200, 403), path
    listed = [
        len((await world.ask("GET", "/v1/reservations", source=source)).json["reservations"])
        for source in (Source.ESOP, Source.CRM, Source.OPS)
    ]
    assert listed == [1, 0, 1]


async def test_the_list_goes_on_behind_its_last(world: World) -> None:
    for key in "ABC":
        await reserve(world, key)

    page = await world.ask("GET", "/v1/reservations?limit=2")
    rest = await world.ask("GET", f"/v1/reservations?limit=2&before={page.json['next']}")

    found = [one["id"] for one in page.json["reservations"] + rest.json["reservations"]]
    assert found == ["3", "2", "1"]


@pytest.mark.parametrize("id", ["0", "x", "1" * 19, "%00"])
async def test_what_is_no_id_is_404(world: World, id: str) -> None:
    reply = await world.ask("GET", f"/v1/reservations/{id}")

    assert (reply.status, reply.json["code"]) == (404, "RESERVATION_UNKNOWN")
