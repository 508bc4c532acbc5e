"""Pools, numbers, SIM lots and network elements: who may, what is checked, what is shown."""

import pytest

from hlrd import limits
from hlrd.api import lots
from hlrd.domain.order import Source
from tests.api.client import Reply, World

KI = "0123456789ABCDEF0123456789ABCDE"
HEADER = "iccid,imsi,ki,keyid,algorithm,card_type"
RANGE = {"first": "1064900000000", "last": "1064900000099", "province": "200", "hlr": "hlr1"}


def a_line(number: int = 0, **values: str) -> str:
    row = {
        "iccid": f"898699{number:013d}",
        "imsi": f"46099{number:010d}",
        "ki": f"{KI}{number % 10}",
        "keyid": "1",
        "algorithm": "MILENAGE",
        "card_type": "USIM",
        **values,
    }
    return ",".join(row[name] for name in lots.COLUMNS)


async def post_lot(world: World, *lines: str, query: str = "", **rest: Source) -> Reply:
    return await world.ask(
        "POST",
        f"/v1/sim-lots?name=L1&{query or 'province=200&hlr=hlr1'}",
        data="\n".join(lines).encode(),
        headers={"Content-Type": "text/csv"},
        source=rest.get("source", Source.OPS),
    )


async def post(world: World, path: str, body: object) -> Reply:
    return await world.ask("POST", path, json=body, source=Source.OPS)


async def test_a_pool_is_created_filled_and_shown(world: World) -> None:
    created = await post(world, "/v1/pools", {"name": "iot"})
    filled = await post(world, "/v1/pools/iot/ranges", RANGE)

    shown = await world.ask("GET", "/v1/pools/iot", source=Source.ESOP)
    listed = await world.ask("GET", "/v1/pools", source=Source.ESOP)

    assert (created.status, filled.status) == (201, 201)
    assert created.headers["Location"] == "/v1/pools/iot"
    assert shown.json == {"name": "iot", "ranges": [RANGE], "numbers": {"idle": 100}}
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
        ({"last": "1064899999999"}, "RANGE_INVALID", "last"),
        ({"last": "13800138000"}, "RANGE_INVALID", "last"),
        ({"first": "1164900000000"}, "MSISDN_INVALID", "first"),
        ({"first": "x"}, "FIELD_INVALID", "first"),
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
    assert world.inventory.ranges["iot"] == []


async def test_a_pool_that_is_not_there_or_there_already(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})

    assert (await post(world, "/v1/pools", {"name": "iot"})).status == 409
    assert (await post(world, "/v1/pools/other/ranges", RANGE)).status == 404
    assert (await world.ask("GET", "/v1/pools/other", source=Source.OPS)).status == 404
    assert (await world.ask("GET", "/v1/sim-lots/L9", source=Source.OPS)).status == 404


async def test_a_lot_is_imported_and_its_keys_are_never_shown(world: World) -> None:
    imported = await post_lot(world, HEADER, a_line(1), "", a_line(2), "")

    shown = await world.ask("GET", "/v1/sim-lots/L1", source=Source.ESOP)
    listed = await world.ask("GET", "/v1/sim-lots", source=Source.ESOP)

    assert imported.status == 201
    assert imported.headers["Location"] == "/v1/sim-lots/L1"
    assert imported.json == shown.json == listed.json["lots"][0]
    assert shown.json["cards"] == {"inStock": 2}
    assert [card.key.value for card in world.inventory.cards["L1"]] == [f"{KI}1", f"{KI}2"]
    assert KI.encode() not in imported.body + shown.body + listed.body


async def test_columns_come_in_any_order_and_lines_end_in_any_way(world: World) -> None:
    columns = sorted(lots.COLUMNS)
    values = dict(zip(lots.COLUMNS, a_line(1).split(","), strict=True))
    reply = await post_lot(
        world, "\ufeff" + ",".join(columns).upper() + "\r", ",".join(values[c] for c in columns)
    )

    assert reply.status == 201


async def test_every_bad_line_is_named_and_none_is_quoted(world: World) -> None:
    reply = await post_lot(
        world,
        HEADER,
        a_line(1),
        a_line(2, iccid="8986"),
        a_line(1, imsi="460990000000009"),
        a_line(4, ki="0" * 32),
        a_line(5, ki=KI),
        a_line(6, keyid="256"),
        a_line(7, keyid="１"),
        a_line(8, algorithm="ROT13"),
        a_line(9, card_type="ESIM"),
        a_line(10) + ",",
        a_line(11, imsi="46099000000001\u0661"),
    )

    assert (reply.status, reply.json["code"]) == (400, "LOT_INVALID")
    assert [(error["field"], error["code"]) for error in reply.json["errors"]] == [
        ("[3].iccid", "ICCID_INVALID"),
        ("[4].iccid", "CARD_TWICE"),
        ("[5].ki", "KI_TRIVIAL"),
        ("[6].ki", "KI_INVALID"),
        ("[7].keyid", "CARD_INVALID"),
        ("[8].keyid", "CARD_INVALID"),
        ("[9].algorithm", "CARD_INVALID"),
        ("[10].card_type", "CARD_INVALID"),
        ("[11]", "CSV_INVALID"),
        ("[12].imsi", "IMSI_INVALID"),
    ]
    assert KI.encode() not in reply.body
    assert world.inventory.cards == {}


async def test_a_thousand_bad_lines_do_not_make_a_thousand_faults(world: World) -> None:
    reply = await post_lot(world, HEADER, *["x"] * (2 * limits.LOT_PROBLEMS_MAX))

    assert len(reply.json["errors"]) == limits.LOT_PROBLEMS_MAX


@pytest.mark.parametrize(
    ("lines", "query", "code"),
    [
        ([""], "", "CSV_INVALID"),
        (["iccid,imsi"], "", "CSV_INVALID"),
        ([HEADER], "", "LOT_EMPTY"),
        ([HEADER, a_line()], "province=999&hlr=hlr1", "PROVINCE_UNKNOWN"),
        ([HEADER, a_line()], "province=200&hlr=hlr9", "HLR_UNKNOWN"),
        ([HEADER, a_line()], "province=200", "FIELD_MISSING"),
    ],
)
async def test_a_lot_that_is_none_is_refused(
    world: World, lines: list[str], query: str, code: str
) -> None:
    reply = await post_lot(world, *lines, query=query)

    assert (reply.status, reply.json["code"]) == (400, code)


async def test_network_elements_are_shown_to_staff(world: World) -> None:
    listed = await world.ask("GET", "/v1/network-elements", source=Source.OPS)
    shown = await world.ask("GET", "/v1/network-elements/hlr1", source=Source.OPS)
    unknown = await world.ask("GET", "/v1/network-elements/hlr9", source=Source.OPS)

    assert shown.json == {"name": "hlr1", "dialect": "huawei_hlr", "sessions": {"ready": 4}}
    assert listed.json == {"network_elements": [shown.json]}
    assert (unknown.status, unknown.json["code"]) == (404, "NE_UNKNOWN")


READS = ["/v1/pools", "/v1/pools/iot", "/v1/numbers/13800138000", "/v1/sim-lots", "/v1/sim-lots/L1"]
WRITES = ["/v1/pools", "/v1/pools/iot/ranges", "/v1/sim-lots?name=L1&province=200&hlr=hlr1"]
STAFF = ["/v1/network-elements", "/v1/network-elements/hlr1"]


@pytest.mark.parametrize("source", list(Source))
async def test_who_may_see_and_who_may_change_the_inventory(world: World, source: Source) -> None:
    for path in READS:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source not in (Source.OPS, Source.ESOP))
    for path in STAFF:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source is not Source.OPS)
    for path in WRITES:
        reply = await world.ask("POST", path, source=source, data=b"")
        assert (reply.status == 403) == (source is not Source.OPS)
