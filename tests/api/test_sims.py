"""SIM lots: who may, what is checked, what is shown."""

import hashlib

import pytest

from hlrd.domain.order import Source
from tests.api.client import Reply, World

KI = "0123456789ABCDEF0123456789ABCDE"


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

    delivery = world.stock.deliveries["L1"]
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
    assert world.stock.deliveries == {}


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
    assert world.stock.deliveries == {}


async def test_a_lot_that_is_not_there_is_404(world: World) -> None:
    assert (await world.ask("GET", "/v1/sim-lots/L9", source=Source.OPS)).status == 404


READS = ["/v1/sim-lots", "/v1/sim-lots/L1"]
WRITES = ["/v1/sim-lots?province=200&hlr=hlr1"]


@pytest.mark.parametrize("source", list(Source))
async def test_who_may_see_and_who_may_change_the_stock(world: World, source: Source) -> None:
    for path in READS:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source not in (Source.OPS, Source.ESOP))
    for path in WRITES:
        reply = await world.ask("POST", path, source=source, data=b"")
        assert (reply.status == 403) == (source is not Source.OPS)
