"""SIM lots and cards: who may, what is shown, what goes out of the stock."""

import pytest

from hlrd.domain.orders import Source
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


def iccid(number: int) -> str:
    """With a letter in it, so without a check digit."""
    return f"8986A9{number:013d}"


def a_card(number: int = 0, **values: str) -> str:
    row = {"iccid": iccid(number), "imsi": f"46099{number:010d}", "ki": f"{KI}{number}"}
    return ",".join({**row, **values}.values())


async def post_lot(
    world: World, lot: str, query: str = "province=200&hlr=hlr1", prefer: str | None = None
) -> Reply:
    headers = {"Content-Type": "text/csv", **({"Prefer": prefer} if prefer else {})}
    return await world.ask(
        "POST",
        f"/v1/sim-lots?{query}",
        data=lot.encode(),
        headers=headers,
        source=Source.OPS,
    )


async def scrap(world: World, card: str, **body: str) -> Reply:
    wanted = {"cause": "bent", "operator_id": "zhang3", **body}
    return await world.ask("POST", f"/v1/sim-cards/{card}/scrap", json=wanted, source=Source.OPS)


async def test_a_lot_is_shown_and_its_keys_never_are(world: World) -> None:
    imported = await post_lot(world, a_lot(a_card(1), a_card(2)))

    shown = await world.ask("GET", "/v1/sim-lots/L1", source=Source.ESOP)
    listed = await world.ask("GET", "/v1/sim-lots", source=Source.ESOP)

    assert imported.status == 201
    assert imported.headers["Location"] == "/v1/sim-lots/L1"
    assert imported.json == shown.json == listed.json["lots"][0]
    assert shown.json == {
        "name": "L1", "vendor": "Test", "province": "200", "hlr": "hlr1", "quantity": 2,
        "cards": {"inStock": 2}, "counted_at": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    assert KI.encode() not in imported.body + shown.body + listed.body


async def test_a_lot_is_exported_card_by_card_without_a_key(world: World) -> None:
    await post_lot(world, a_lot(a_card(1), a_card(2)))

    exported = await world.ask("GET", "/v1/sim-lots/L1/cards.csv", source=Source.ESOP)

    assert exported.headers["Content-Type"] == "text/csv"
    assert exported.body.decode().splitlines() == [
        "iccid,imsi,state,msisdn",
        f"{iccid(1)},460990000000001,inStock,",
        f"{iccid(2)},460990000000002,inStock,",
    ]


async def test_a_card_is_shown_and_scrapped_with_its_cause(world: World) -> None:
    await post_lot(world, a_lot(a_card(1)))

    before = await world.ask("GET", f"/v1/sim-cards/{iccid(1).lower()}", source=Source.ESOP)
    scrapped = await scrap(world, iccid(1))
    after = await world.ask("GET", f"/v1/sim-cards/{iccid(1)}", source=Source.ESOP)

    assert (before.json["state"], before.json["lot"], before.json["hlr"]) == (
        "inStock", "L1", "hlr1",
    )  # fmt: skip
    assert scrapped.json == after.json
    assert (after.json["state"], after.json["cause"]) == ("scrapped", "bent (zhang3)")
    assert KI.encode() not in before.body + after.body


async def test_what_is_not_there_is_404(world: World) -> None:
    paths = ["/v1/sim-lots/L9", "/v1/sim-lots/L9/cards.csv", "/v1/sim-lots/a%00b"]
    codes = [(await world.ask("GET", path, source=Source.OPS)).json["code"] for path in paths]
    card = await world.ask("GET", f"/v1/sim-cards/{iccid(1)}", source=Source.OPS)
    none = await world.ask("GET", "/v1/sim-cards/12", source=Source.OPS)

    assert codes == ["LOT_UNKNOWN"] * 3
    assert (card.status, card.json["code"]) == (404, "CARD_UNKNOWN")
    assert (none.status, none.json["code"]) == (400, "ICCID_INVALID")
    assert (await scrap(world, iccid(1))).json["code"] == "CARD_UNKNOWN"


@pytest.mark.parametrize("body", [{"cause": ""}, {"cause": "a\nb"}, {"operator_id": "a b"}])
async def test_a_card_is_scrapped_by_somebody_and_for_a_cause(
    world: World, body: dict[str, str]
) -> None:
    await post_lot(world, a_lot(a_card(1)))

    reply = await scrap(world, iccid(1), **body)

    assert (reply.status, reply.json["field"]) == (400, *body)
    assert world.stock.card_rows[iccid(1)].state == "inStock"


READS = [
    "/v1/sim-lots",
    "/v1/sim-lots/L1",
    "/v1/sim-lots/L1/cards.csv",
    f"/v1/sim-cards/{iccid(1)}",
]


@pytest.mark.parametrize("source", list(Source))
async def test_who_may_see_and_who_may_change_the_stock(world: World, source: Source) -> None:
    for path in READS:
        reply = await world.ask("GET", path, source=source)
        assert (reply.status == 403) == (source not in (Source.OPS, Source.ESOP))
    reply = await world.ask("POST", f"/v1/sim-cards/{iccid(1)}/scrap", source=source, data=b"")
    assert (reply.status == 403) == (source is not Source.OPS)
