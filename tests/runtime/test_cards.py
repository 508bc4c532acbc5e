"""A card that staff scraps is in nobody's hand, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from hlrd.domain.errors import Conflict, NotFound
from hlrd.pool.allocator import Allocator
from hlrd.runtime.cards import CardDesk
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import Connection
from tests.runtime.stock import a_card, stock_up

pytestmark = pytest.mark.postgres

ICCID = a_card(1).iccid


@pytest.fixture
def allocator() -> Allocator:
    return Allocator(Random(1).random)


@pytest.fixture
async def epoch(dsn: str, database: Connection) -> AsyncIterator[int]:
    node = NodeLease(dsn, "n1")
    await stock_up(database, 5)
    yield await node.take()
    node.close()


@pytest.fixture
async def desk(dsn: str, epoch: int, allocator: Allocator) -> AsyncIterator[CardDesk]:
    desk = CardDesk(dsn, node="n1", epoch=epoch, allocator=allocator)
    yield desk
    desk.close()


async def held(database: Connection) -> list[tuple[str, str, str]]:
    rows = await database.fetch("SELECT iccid, state, cause FROM card_hold")
    return [tuple(row) for row in rows]


async def test_a_card_is_scrapped_once_for_one_cause(
    desk: CardDesk, database: Connection, allocator: Allocator
) -> None:
    await desk.scrap(ICCID, cause="bent", operator_id="zhang3")
    await desk.scrap(ICCID, cause="lost", operator_id="li4")

    assert await held(database) == [(ICCID, "scrapped", "bent (zhang3)")]
    assert not allocator.is_giving


async def test_a_reserved_or_leased_card_is_scrapped_too(
    desk: CardDesk, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO card_hold (iccid, lot_id, state, lease_id) VALUES ($1, 1, 'free', 9)", ICCID
    )

    await desk.scrap(ICCID, cause="bent", operator_id="zhang3")

    row = await database.fetchrow("SELECT state, lease_id FROM card_hold")
    assert row is not None
    assert tuple(row) == ("scrapped", None)


async def test_a_card_that_somebody_has_stays_as_it_is(
    desk: CardDesk, database: Connection, allocator: Allocator
) -> None:
    await database.execute(
        "INSERT INTO binding VALUES (1, 1, $1, '7', 1, 'hlr1', '200', 'k', '', now())", ICCID
    )
    other = a_card(2).iccid
    allocator.take(iccid=other)

    with pytest.raises(Conflict, match="not in stock but inUse"):
        await desk.scrap(ICCID, cause="bent", operator_id="zhang3")
    with pytest.raises(Conflict, match="an order is just taking it"):
        await desk.scrap(other, cause="bent", operator_id="zhang3")
    with pytest.raises(NotFound):
        await desk.scrap(a_card(99).iccid, cause="bent", operator_id="zhang3")

    assert await held(database) == []
    allocator.put_back(iccid=other)
    assert not allocator.is_giving


async def test_a_caller_that_is_gone_leaves_no_card_in_hand_or_half_scrapped(
    desk: CardDesk, database: Connection, allocator: Allocator
) -> None:
    scrapping = asyncio.create_task(desk.scrap(ICCID, cause="bent", operator_id="zhang3"))
    await asyncio.sleep(0)
    scrapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scrapping

    async with asyncio.timeout(30):
        while allocator.is_giving:  # noqa: ASYNC110 - what goes on behind the caller
            await asyncio.sleep(0.005)
    assert await held(database) == [(ICCID, "scrapped", "bent (zhang3)")]
