"""Pools, numbers and network elements: who may, what is checked, what is shown."""

import csv
from typing import Any

import pytest

from hlrd.domain.orders import Source
from tests.api.client import Reply, World

RANGE = {"first": "1064900000000", "last": "1064900000099", "province": "200", "hlr": "hlr1"}


async def post(world: World, path: str, body: object) -> Reply:
    return await world.ask("POST", path, json=body, source=Source.OPS)


async def test_a_pool_is_created_filled_and_shown(world: World) -> None:
    created = await post(world, "/v1/pools", {"name": "iot"})
    filled = await post(world, "/v1/pools/iot/ranges", RANGE)

    shown = await world.ask("GET", "/v1/pools/iot", source=Source.ESOP)
    listed = await world.ask("GET", "/v1/pools", source=Source.ESOP)

    assert (created.status, filled.status) == (201, 201)
    assert created.headers["Location"] == "/v1/pools/iot"
    assert shown.json == {
        "name": "iot",
        "ranges": [{**RANGE, "is_share": False}],
        "numbers": {"idle": 100},
        "low_water": None,
        "counted_at": None,
    }
    assert filled.json == shown.json
    assert listed.json == {"pools": [shown.json]}


async def test_a_number_is_shown_with_its_home(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    await post(world, "/v1/pools/iot/ranges", RANGE)

    known = await world.ask("GET", "/v1/numbers/861064900000007", source=Source.ESOP)
    unknown = await world.ask("GET", "/v1/numbers/1064900000100", source=Source.ESOP)
    none = await world.ask("GET", "/v1/numbers/12", source=Source.ESOP)

    assert known.json["msisdn"] == "1064900000007"
    assert (known.json["hlr"], known.json["state"]) == ("hlr1", "idle")
    assert (unknown.status, unknown.json["code"]) == (404, "NUMBER_UNKNOWN")
    assert (none.status, none.json["code"]) == (400, "MSISDN_INVALID")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"last": "1064899999999"}, "RANGE_REVERSED", "last"),
        ({"last": "13800138000"}, "RANGE_LENGTHS_DIFFER", "last"),
        ({"first": "1164900000000"}, "MSISDN_INVALID", "first"),
        ({"first": "+861064900000000"}, "MSISDN_INVALID", "first"),
        ({"first": "1" * 21}, "FIELD_INVALID", "first"),
        ({"province": "999"}, "PROVINCE_UNKNOWN", "province"),
        ({"hlr": "hlr9"}, "HLR_UNKNOWN", "hlr"),
        ({"colour": "red"}, "FIELD_UNKNOWN", "colour"),
    ],
)
async def test_a_range_is_checked_before_anything_is_stored(
    world: World, change: dict[str, str], code: str, field: str
) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    reply = await post(world, "/v1/pools/iot/ranges", {**RANGE, **change})

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)
    assert world.pools.ranges["iot"] == []


async def test_a_pool_that_is_not_there_or_there_already(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})

    assert (await post(world, "/v1/pools", {"name": "iot"})).status == 409
    assert (await post(world, "/v1/pools/other/ranges", RANGE)).status == 404
    assert (await world.ask("GET", "/v1/pools/other", source=Source.OPS)).status == 404


async def test_network_elements_are_shown_to_staff(world: World) -> None:
    listed = await world.ask("GET", "/v1/network-elements", source=Source.OPS)
    shown = await world.ask("GET", "/v1/network-elements/hlr1", source=Source.OPS)
    unknown = await world.ask("GET", "/v1/network-elements/hlr9", source=Source.OPS)

    assert shown.json == {"name": "hlr1", **world.element.show()}
    assert listed.json == {"network_elements": [shown.json], "homes": []}
    assert (unknown.status, unknown.json["code"]) == (404, "NE_UNKNOWN")


READS = ["/v1/pools", "/v1/pools/iot", "/v1/numbers/13800138000"]
WRITES = ["/v1/pools", "/v1/pools/iot/ranges"]
STAFF = ["/v1/network-elements", "/v1/network-elements/hlr1"]


@pytest.mark.parametrize("source", list(Source))
async def test_who_may_see_and_who_may_change_the_pools(world: World, source: Source) -> None:
    for path in READS:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source not in (Source.OPS, Source.ESOP))
    for path in STAFF:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source is not Source.OPS)
    for path in WRITES:
        reply = await world.ask("POST", path, source=source, data=b"")
        assert (reply.status == 403) == (source is not Source.OPS)


async def test_a_range_that_is_there_exactly_alike_changes_nothing(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})

    replies = [await post(world, "/v1/pools/iot/ranges", RANGE) for _ in range(2)]

    assert [reply.status for reply in replies] == [201, 200]
    assert replies[0].json == replies[1].json


async def test_a_low_water_mark_is_set_and_lifted(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})

    marks = []
    for numbers in (500, None):
        reply = await world.ask(
            "PUT", "/v1/pools/iot/low-water", source=Source.OPS, json={"numbers": numbers}
        )
        marks.append(reply.json["low_water"])
    unknown = await world.ask(
        "PUT", "/v1/pools/none/low-water", source=Source.OPS, json={"numbers": 1}
    )

    assert marks == [500, None]
    assert (unknown.status, unknown.json["code"]) == (404, "POOL_UNKNOWN")


async def test_report_and_forecast_are_of_all_pools_or_of_one(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    await post(world, "/v1/pools/iot/ranges", RANGE)

    async def rows(path: str) -> list[Any]:
        reply = await world.ask("GET", path, source=Source.ESOP)
        found: list[Any] = reply.json["rows"]
        return found

    assert [row["pool"] for row in await rows("/v1/stock/report")] == ["iot"]
    assert [row["pool"] for row in await rows("/v1/stock/forecast")] == ["iot", "other"]
    (row,) = await rows("/v1/stock/forecast?pool=iot")
    assert (row["days_left"], row["is_low"]) == (2.5, True)
    for path in ("/v1/stock/report", "/v1/stock/forecast"):
        unknown = await world.ask("GET", f"{path}?pool=none", source=Source.ESOP)
        assert (unknown.status, unknown.json["code"]) == (404, "POOL_UNKNOWN")


async def test_a_share_is_given_to_a_province_and_taken_back(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    wanted = {"province": "200", "numbers": 10, "operator_id": "anna"}

    given = await post(world, "/v1/pools/iot/shares", wanted)
    back = await post(
        world, "/v1/pools/iot/shares/1064800000000/take-back", {"operator_id": "anna"}
    )
    national = await post(world, "/v1/pools/iot/shares", {**wanted, "province": "000"})

    assert given.json["shares"][0]["is_share"]
    assert back.json["province"] == "000"
    assert (national.status, national.json["code"]) == (400, "PROVINCE_UNKNOWN")
    assert [what for what, *_ in world.numbers.done] == ["share", "unshare"]


async def test_an_export_is_csv_of_the_state_asked_for(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})
    await post(world, "/v1/pools/iot/ranges", RANGE)

    reply = await world.ask("GET", "/v1/pools/iot/numbers.csv?state=locked", source=Source.OPS)
    bad = await world.ask("GET", "/v1/pools/iot/numbers.csv?state=lost", source=Source.OPS)
    unknown = await world.ask("GET", "/v1/pools/none/numbers.csv", source=Source.OPS)

    assert reply.headers["Content-Type"] == "text/csv"
    (row,) = csv.DictReader(reply.body.decode().splitlines())
    assert (row["msisdn"], row["state"]) == (RANGE["first"], "locked")
    assert row["cause"] == 'a "cause", and more'
    assert (bad.status, unknown.status) == (400, 404)
