import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from hlrd import limits
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import Connection, Pool, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.proof import prove
from tests.runtime.proxy import proxied
from tests.runtime.records import until
from tests.runtime.stock import a_span, stock_up

pytestmark = pytest.mark.postgres

SIZE = 500


@pytest.fixture(autouse=True)
def small_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 64)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 16)
    monkeypatch.setattr(limits, "LEASE_LOOK_S", 0.001)
    monkeypatch.setattr(limits, "LEASE_SWEEP_S", 0.01)


@pytest.fixture
async def pools(dsn: str) -> AsyncIterator[NumberPools]:
    """A pool of SIZE numbers and a lot of as many cards."""
    pool: Pool = await open_pool(dsn, "test", 2)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(a_span(SIZE))
    async with pool.acquire() as connection:
        await stock_up(connection, SIZE)
    yield pools
    await pool.close()


class Node:
    """A run of a daemon, as far as numbers go."""

    def __init__(self, allocator: Allocator, keeper: LeaseKeeper, changed: asyncio.Event) -> None:
        self.allocator = allocator
        self.keeper = keeper
        self._changed = changed

    async def draw(self) -> Drawn | Exhausted:
        async with asyncio.timeout(10):
            while True:
                self._changed.clear()
                drawn = self.allocator.draw(pool="iot", province="200", digits=13)
                if not isinstance(drawn, Pending):
                    return drawn
                await self._changed.wait()

    async def draw_many(self, count: int) -> list[Drawn]:
        drawn = [await self.draw() for _ in range(count)]
        return [one for one in drawn if isinstance(one, Drawn)]


@asynccontextmanager
async def a_node(dsn: str, lease_dsn: str = "") -> AsyncIterator[Node]:
    """Leaving it is a crash: nothing is given back."""
    lease = NodeLease(lease_dsn or dsn, "node1")
    epoch = await lease.take()
    allocator, changed = Allocator(Random(7).random), asyncio.Event()
    keeper = LeaseKeeper(dsn, node="node1", epoch=epoch, allocator=allocator, on_leased=changed.set)
    await keeper.recover()
    running = asyncio.create_task(keeper.run())
    try:
        yield Node(allocator, keeper, changed)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        lease.close()


async def bind(database: Connection, node: Node, drawn: list[Drawn]) -> None:
    """As the journal does with an accept record, and the engine when it is durable."""
    for one in drawn:
        await database.execute(
            "INSERT INTO binding VALUES ($1, $2, $3, $4, 0, 'hlr1', '200', 'k1', '', now())",
            int(one.msisdn),
            int(one.card.imsi),
            one.card.iccid,
            one.msisdn,
        )
        node.allocator.bound(msisdn=one.msisdn, iccid=one.card.iccid)


async def until_in_database(database: Connection, question: str) -> None:
    async with asyncio.timeout(10):
        while not await database.fetchval(question):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_the_whole_pool_is_drawn_once_each_and_then_refused(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    async with a_node(dsn) as node:
        drawn = await node.draw_many(SIZE)
        assert await node.draw() == Exhausted(Lack.NUMBERS)
        await bind(database, node, drawn)
        await until_in_database(database, "SELECT count(*) = 0 FROM lease")

    assert len({one.msisdn for one in drawn}) == len({one.card.iccid for one in drawn}) == SIZE
    assert [one.msisdn for one in drawn] != sorted(one.msisdn for one in drawn)
    found = await prove(database)
    assert found.faults() == []
    assert found.numbers["inUse"] == found.bindings == SIZE


async def test_a_crash_loses_no_number_and_gives_none_twice(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    bound: list[Drawn] = []

    for _ in range(4):
        async with a_node(dsn) as node:
            drawn = await node.draw_many(70)
            await bind(database, node, drawn[:50])  # the other orders never became durable
            bound += drawn[:50]
        assert (await prove(database)).faults() == []
    async with a_node(dsn) as node:
        rest = await node.draw_many(SIZE - len(bound))
        assert await node.draw() == Exhausted(Lack.NUMBERS)
        await bind(database, node, rest)

    bound += rest
    assert len({one.msisdn for one in bound}) == len({one.card.iccid for one in bound}) == SIZE


async def test_numbers_rolled_back_come_again_once_each(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    async with a_node(dsn) as node:
        await bind(database, node, await node.draw_many(SIZE))
        await database.execute("""
            INSERT INTO number_hold (msisdn, range_id, state, cause)
                SELECT msisdn, 1, 'free', 'rolledBack' FROM binding ORDER BY msisdn LIMIT 100;
            INSERT INTO card_hold (iccid, lot_id, state)
                SELECT iccid, 1, 'free' FROM binding JOIN number_hold USING (msisdn);
            DELETE FROM binding USING number_hold h WHERE h.msisdn = binding.msisdn;
        """)
        node.keeper.freed()
        await node.keeper.refresh()
        again = await node.draw_many(60)
        await bind(database, node, again)
        assert (await prove(database)).faults() == []

    async with a_node(dsn) as node:  # after a crash in the middle of it
        again += await node.draw_many(40)
        assert await node.draw() == Exhausted(Lack.NUMBERS)
        await bind(database, node, again[60:])
        await until_in_database(database, "SELECT count(*) = 0 FROM lease")

    assert len({one.msisdn for one in again}) == 100
    assert await database.fetchval("SELECT count(*) FROM number_hold") == 0
    assert (await prove(database)).faults() == []


async def test_a_number_that_is_bound_or_held_is_passed_by(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    await database.execute("""
        UPDATE number_range SET has_named = true;
        INSERT INTO binding SELECT n, n, 'card' || n, 'u' || n, 0, 'hlr1', '200', 'k', '', now()
            FROM generate_series(1064800000000, 1064800000099) AS n;
        INSERT INTO number_hold (msisdn, range_id, state, cause)
            SELECT n, 1, 'locked', '' FROM generate_series(1064800000100, 1064800000199) AS n
    """)

    async with a_node(dsn) as node:
        drawn = await node.draw_many(SIZE - 200)
        assert await node.draw() == Exhausted(Lack.NUMBERS)

    assert min(one.msisdn for one in drawn) == "1064800000200"


async def test_what_a_lease_has_left_over_goes_to_the_free_list(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    async with a_node(dsn) as node:
        kept = await node.draw_many(SIZE)
        await bind(database, node, kept[1:])
        node.allocator.put_back(msisdn=kept[0].msisdn, iccid=kept[0].card.iccid)
        (again,) = await node.draw_many(1)

    assert again.msisdn == kept[0].msisdn
    assert (await prove(database)).faults() == []


async def test_a_lease_whose_answer_was_lost_is_found_and_used(
    dsn: str, pools: NumberPools, database: Connection
) -> None:
    async with proxied(dsn) as (proxy, through), a_node(through, dsn) as node:
        proxy.commits_to_swallow = 1
        drawn = await node.draw_many(SIZE)
        assert await node.draw() == Exhausted(Lack.NUMBERS)

    assert proxy.swallowed == 1
    assert len({one.msisdn for one in drawn}) == SIZE


async def test_a_range_imported_by_another_process_is_found(dsn: str, pools: NumberPools) -> None:
    async with a_node(dsn) as node:
        assert drawn_of(node, "other") == Exhausted(Lack.POOL)
        await pools.create_pool("other")
        await pools.add_range(a_span(10, pool="other", first=1064900000000))
        await until(lambda: drawn_of(node, "other") != Exhausted(Lack.POOL))

        assert not isinstance(drawn_of(node, "other"), Exhausted)


def drawn_of(node: Node, pool: str) -> Drawn | Pending | Exhausted:
    return node.allocator.draw(pool=pool, province="200", digits=13)
