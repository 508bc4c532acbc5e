from collections.abc import AsyncIterator

import pytest

from hlrd.domain.identity import ICCID, UserId
from hlrd.domain.lifecycle import CardState
from hlrd.ports import Wanted
from hlrd.store import facts, recount
from hlrd.store.connection import Connection, open_pool
from hlrd.store.stock import SIMStock
from tests.runtime.stock import a_card, stock_up

pytestmark = pytest.mark.postgres


@pytest.fixture
async def stock(dsn: str) -> AsyncIterator[SIMStock]:
    pool = await open_pool(dsn, "test", 2)
    yield SIMStock(pool)
    await pool.close()


@pytest.fixture
async def cards(database: Connection) -> list[ICCID]:
    """One of each state, in the order of CARD_STATES, and one in stock behind a lease."""
    lot_id = await stock_up(database, 7)
    await database.execute("UPDATE sim_lot SET counter = 5")
    await database.execute(
        "INSERT INTO lease (what, source_id, start, count, epoch) VALUES ('cards', $1, 3, 2, 1)",
        lot_id,
    )
    await database.execute(
        "INSERT INTO binding VALUES (1064800000001, $1, $2, '7', 1, 'hlr1', '200', 'k', '', now())",
        int(a_card(0).imsi),
        a_card(0).iccid,
    )
    for n, state in ((1, "scrapped"), (2, "reserved"), (6, "free")):
        await database.execute(
            "INSERT INTO card_hold (iccid, lot_id, state, cause) VALUES ($1, $2, $3, 'bent')",
            a_card(n).iccid,
            lot_id,
            state,
        )
    return [a_card(n).iccid for n in range(7)]


CARD_STATES = ["inUse", "scrapped", "reserved", "leased", "leased", "inStock", "inStock"]


async def test_a_card_an_export_and_the_count_of_a_lot_say_the_same(
    stock: SIMStock, cards: list[ICCID]
) -> None:
    shown = [await stock.card(iccid) for iccid in cards]
    pages = await stock.cards("lot1")
    assert pages is not None
    exported = [card async for page in pages for card in page]
    [lot] = await stock.count()

    assert [card and card.state for card in shown] == CARD_STATES
    assert [card.iccid for card in exported] == cards
    assert [card.state for card in exported] == CARD_STATES
    assert lot.cards == {state: CARD_STATES.count(state) for state in map(str, CardState)}


async def test_a_card_tells_who_has_it_or_why_it_was_scrapped(
    stock: SIMStock, cards: list[ICCID]
) -> None:
    bound, scrapped, reserved = [await stock.card(iccid) for iccid in cards[:3]]

    assert bound is not None
    assert (bound.msisdn, bound.user_id, bound.cause) == ("1064800000001", "7", None)
    assert scrapped is not None
    assert (scrapped.msisdn, scrapped.cause) == (None, "bent")
    assert reserved is not None
    assert reserved.cause is None
    assert bound.imsi == a_card(0).imsi
    assert await stock.card(a_card(99).iccid) is None
    assert await stock.cards("lot9") is None


async def test_a_large_stock_is_shown_as_it_was_counted_last(
    stock: SIMStock, cards: list[ICCID], database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "_FREE_S", 0.0)
    monkeypatch.setattr(recount, "_CHEAP_S", 0.0)
    [before] = await stock.lots()
    await database.execute("DELETE FROM binding")
    await stock_up(database, 5, name="lot2", first=100)

    stale, newer = await stock.lots()
    fresh, _ = await stock.count()

    assert stale == before
    assert newer.cards["inStock"] == 5
    assert fresh.cards["inUse"] == 0
    assert fresh.counted_at > stale.counted_at


async def test_a_small_stock_is_shown_as_it_is(
    stock: SIMStock, cards: list[ICCID], database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "_FREE_S", 60.0)
    await stock.lots()
    await database.execute("DELETE FROM binding")

    lot = await stock.lot("lot1")

    assert lot is not None
    assert lot.cards["inUse"] == 0


@pytest.mark.parametrize("is_ready", [True, False])
async def test_an_order_cannot_name_a_card_that_is_still_being_imported(
    database: Connection, is_ready: bool
) -> None:
    await stock_up(database, 2, is_ready=is_ready)

    [found] = await facts.resolve(
        database, [Wanted(1, "CRM", "A1", UserId("1"), iccid=a_card(1).iccid)]
    )

    assert (found.card is not None) == is_ready
