"""Pools, numbers, SIM lots and network elements: who may, what is checked, what is shown."""

import hashlib

import pytest

from hlrd.domain.order import Source
from tests.api.client import Reply, World

KI = "0123456789ABCDEF0123456789ABCDE"
RANGE = {"first": "1064900000000", "last": "1064900000099", "province": "200", "hlr": "hlr1"}


def a_lot(*lines: str, quantity: int | None = None, **header: str) -> str:
    block = {
        "VENDOR": "Test",
        "LOT": "L1",
        "QUANTITY": str(len(lines) if quantity is None else quantity),
        "K4SNO": "7",
        "ALGORITHM": "MILENAGE",
        "CARD_TYPE": "USIM",
        **header,
    }
    return "\n".join([*(f"{k},{v}" for k, v in block.items()), "ICCID,IMSI,KI", *lines, ""])


def a_card(number: int = 0, **values: str) -> str:
    row = {"iccid": f"898699{number:013d}", "imsi": f"46099{number:010d}", "ki": f"{KI}{number}"}
    return ",".join({**row, **values}.values())


async def post_lot(world: World, lot: str, query: str = "province=200&hlr=hlr1") -> Reply:
    return await world.ask(
        "POST",
        f"/v1/sim-lots?{query}",
        data=lot.encode(),
        headers={"Content-Type": "text/csv"},
        source=Source.OPS,
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
    assert world.inventory.ranges["iot"] == []


async def test_a_pool_that_is_not_there_or_there_already(world: World) -> None:
    await post(world, "/v1/pools", {"name": "iot"})

    assert (await post(world, "/v1/pools", {"name": "iot"})).status == 409
    assert (await post(world, "/v1/pools/other/ranges", RANGE)).status == 404
    assert (await world.ask("GET", "/v1/pools/other", source=Source.OPS)).status == 404
    assert (await world.ask("GET", "/v1/sim-lots/L9", source=Source.OPS)).status == 404


async def test_a_lot_is_imported_and_its_keys_are_never_shown(world: World) -> None:
    imported = await post_lot(world, a_lot(a_card(1), a_card(2)))

    shown = await world.ask("GET", "/v1/sim-lots/L1", source=Source.ESOP)
    listed = await world.ask("GET", "/v1/sim-lots", source=Source.ESOP)

    assert imported.status == 201
    assert imported.headers["Location"] == "/v1/sim-lots/L1"
    assert imported.json == shown.json == listed.json["lots"][0]
    assert shown.json == {
        "name": "L1", "vendor": "Test", "province": "200", "hlr": "hlr1", "quantity": 2,
        "cards": {"inStock": 2},
    }  # fmt: skip
    assert KI.encode() not in imported.body + shown.body + listed.body


async def test_keys_are_sealed_before_they_are_handed_on(world: World) -> None:
    lot = a_lot(a_card(1))
    await post_lot(world, lot)

    delivery = world.inventory.deliveries["L1"]
    assert delivery.file_hash == hashlib.sha256(lot.encode()).digest()
    (card,) = delivery.cards
    assert bytes.fromhex(f"{KI}1") not in card.key.ciphertext
    assert (card.hlr, card.province) == ("hlr1", "200")


async def test_every_bad_line_is_named_and_none_is_quoted(world: World) -> None:
    reply = await post_lot(
        world, a_lot(a_card(1), a_card(2, iccid="8986"), a_card(3, ki=KI), quantity=4)
    )

    assert (reply.status, reply.json["code"]) == (400, "LOT_INVALID")
    assert [error["field"] for error in reply.json["errors"]] == [
        "[3].QUANTITY",
        "[9].ICCID",
        "[10].KI",
    ]
    assert KI.encode() not in reply.body
    assert world.inventory.deliveries == {}


async def test_a_lot_larger_than_a_slice_is_whole(world: World) -> None:
    cards = [a_card(0, iccid=f"898699{n:013d}", imsi=f"46099{n:010d}") for n in range(1_200)]
    reply = await post_lot(world, a_lot(*cards))

    assert reply.json["quantity"] == 1_200


@pytest.mark.parametrize(
    ("lot", "query", "code"),
    [
        ("x", "province=200&hlr=hlr1", "LOT_INVALID"),
        (a_lot(), "province=200&hlr=hlr1", "LOT_INVALID"),
        (a_lot(a_card(), LOT="a b"), "province=200&hlr=hlr1", "LOT_INVALID"),
        (a_lot(a_card()), "province=999&hlr=hlr1", "PROVINCE_UNKNOWN"),
        (a_lot(a_card()), "province=200&hlr=hlr9", "HLR_UNKNOWN"),
        (a_lot(a_card()), "province=200", "FIELD_MISSING"),
    ],
)
async def test_a_lot_that_is_none_is_refused(world: World, lot: str, query: str, code: str) -> None:
    reply = await post_lot(world, lot, query)

    assert (reply.status, reply.json["code"]) == (400, code)
    assert world.inventory.deliveries == {}


async def test_network_elements_are_shown_to_staff(world: World) -> None:
    listed = await world.ask("GET", "/v1/network-elements", source=Source.OPS)
    shown = await world.ask("GET", "/v1/network-elements/hlr1", source=Source.OPS)
    unknown = await world.ask("GET", "/v1/network-elements/hlr9", source=Source.OPS)

    assert shown.json == {"name": "hlr1", "dialect": "huawei_hlr", "sessions": {"ready": 4}}
    assert listed.json == {"network_elements": [shown.json]}
    assert (unknown.status, unknown.json["code"]) == (404, "NE_UNKNOWN")


READS = ["/v1/pools", "/v1/pools/iot", "/v1/numbers/13800138000", "/v1/sim-lots", "/v1/sim-lots/L1"]
WRITES = ["/v1/pools", "/v1/pools/iot/ranges", "/v1/sim-lots?province=200&hlr=hlr1"]
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
