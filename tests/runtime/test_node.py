import asyncio
from collections.abc import AsyncIterator

import pytest

from hlrd import limits
from hlrd.config import ConfigError
from hlrd.domain.errors import Fenced
from hlrd.runtime.node import NodeLease, OpenOrder, first_order_id
from hlrd.store.connection import Connection
from tests.runtime.proxy import proxied
from tests.runtime.records import until

pytestmark = pytest.mark.postgres

ORDERS = """
    INSERT INTO work_order
    SELECT id, 'CRM', id::text, 'K', 'u' || id, 'op', '200', 2, '', '', now()
    FROM unnest($1::bigint[]) AS id
"""
RECEIPTS = """
    INSERT INTO receipt
    SELECT (SELECT count(*) FROM receipt) + n, id, 'CRM', 'u' || id, $2, 'x', '', '', now()
    FROM unnest($1::bigint[]) WITH ORDINALITY AS t (id, n)
"""
FALLOUT = """
    INSERT INTO fallout
    VALUES ($1, 'K', 'u', '200', 'hlr1', '', '', '', '', '', false, now(), now(), 1, $2)
"""

FOREIGN_EPOCH = "INSERT INTO epoch (node) VALUES ('node2') RETURNING number"


@pytest.fixture
async def lease(dsn: str) -> AsyncIterator[NodeLease]:
    lease = NodeLease(dsn, "node1")
    await lease.take()
    yield lease
    lease.close()


async def open_orders(lease: NodeLease) -> list[OpenOrder]:
    return [order async for page in lease.open_orders() for order in page]


async def low_water(database: Connection) -> int:
    mark: int = await database.fetchval("SELECT low_water FROM node WHERE name = 'node1'")
    return mark


async def test_each_start_takes_a_higher_epoch_and_its_own_order_ids(dsn: str) -> None:
    epochs = []
    for _ in range(2):
        lease = NodeLease(dsn, "node1")
        epochs.append(await lease.take())
        lease.close()

    assert epochs[0] < epochs[1]
    assert first_order_id(epochs[1]) - first_order_id(epochs[0]) >= 2**40


async def test_a_second_daemon_of_the_same_name_waits_for_the_first(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    second = NodeLease(dsn, "node1")
    taking = asyncio.create_task(second.take())

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(30):
        while not await database.fetchval(waiting):
            assert not taking.done()
    lease.close()

    async with asyncio.timeout(30):
        assert await taking > lease.epoch
    second.close()


async def test_the_database_of_another_node_is_refused(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    for _ in range(2):
        other = NodeLease(dsn, "node2")
        with pytest.raises(ConfigError, match="is of node 'node1'"):
            await other.take()
        other.close()

    lease.close()
    again = NodeLease(dsn, "node1")  # nothing of the refused one is left behind
    assert await again.take() > lease.epoch
    assert await database.fetchval("SELECT count(*) FROM node") == 1
    again.close()


async def test_open_orders_of_earlier_runs_are_found_and_no_others(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    mine = first_order_id(lease.epoch)
    theirs = first_order_id(await database.fetchval(FOREIGN_EPOCH))
    await database.execute(ORDERS, [mine + n for n in range(5)] + [theirs])
    await database.execute(RECEIPTS, [mine + 1, mine + 3], True)
    await database.execute(RECEIPTS, [mine + 2, mine + 4], False)
    await database.execute(FALLOUT, mine + 2, "resend")  # a person let it go
    await database.execute(FALLOUT, mine + 4, None)
    lease.close()

    after = NodeLease(dsn, "node1")
    await after.take()
    found = await open_orders(after)
    after.close()

    assert [(order.id - mine, order.in_fallout) for order in found] == [
        (0, False),
        (2, False),
        (4, True),
    ]
    assert found[0].user_id == f"u{mine}"
    assert found[0].priority == 2


async def test_the_mark_rises_to_the_first_open_order_and_never_above_one_in_memory(
    lease: NodeLease, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOW_WATER_INTERVAL_S", 0.001)
    first = first_order_id(lease.epoch)
    await database.execute(ORDERS, [first + n for n in range(10)])
    await database.execute(RECEIPTS, [first + n for n in range(6)], True)
    lowest: int | None = first + 3
    running = asyncio.create_task(lease.run(lambda: lowest))

    async def until_marked(mark: int) -> None:
        async with asyncio.timeout(30):
            while await low_water(database) != mark:
                assert not running.done()

    await until_marked(first + 3)  # an id in memory may not be durable yet
    lowest = None
    await until_marked(first + 6)  # the first that is open
    await database.execute(RECEIPTS, [first + n for n in range(6, 10)], True)
    await until_marked(first + 10)
    running.cancel()

    assert await open_orders(lease) == []


async def test_a_lost_lease_is_taken_again_under_the_same_epoch(
    dsn: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOW_WATER_INTERVAL_S", 0.001)
    monkeypatch.setattr(limits, "STORE_RETRY_DELAY_S_MAX", 0.01)
    async with proxied(dsn) as (proxy, through):
        lease = NodeLease(through, "node1")
        await lease.take()
        running = asyncio.create_task(lease.run(lambda: None))
        proxy.go_down()
        await until(lambda: proxy.refused > 2)
        assert not lease.is_held
        proxy.is_down = False

        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        async with asyncio.timeout(30):
            while not await database.fetchval(held):
                assert not running.done()
        assert await database.fetchval("SELECT epoch FROM node") == lease.epoch
        await until(lambda: lease.is_held)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        lease.close()


async def test_a_node_whose_epoch_has_moved_on_is_fenced(
    dsn: str, lease: NodeLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOW_WATER_INTERVAL_S", 0.001)
    running = asyncio.create_task(lease.run(lambda: None))
    lease.close()
    overtaker = NodeLease(dsn, "node1")
    async with asyncio.timeout(30):
        await overtaker.take()

    with pytest.raises(Fenced):
        async with asyncio.timeout(30):
            await running
    overtaker.close()


async def test_open_payment_resumes_are_told_by_age_without_those_for_a_later_day(
    lease: NodeLease, database: Connection
) -> None:
    first = first_order_id(lease.epoch)
    made = [
        (first, "PAYMENT_RESUME", b"{}", 10),
        (first + 1, "PAYMENT_RESUME", b"{}", 20),
        (first + 2, "ARREARS_SUSPEND", b"{}", 30),
        (first + 3, "PAYMENT_RESUME", b'{"effective_time": "20260101000000"}', 40),
        (first + 4, "PAYMENT_RESUME", b"{}", 50),
    ]
    for order_id, kind, payload, age_s in made:
        await database.execute(
            "INSERT INTO work_order VALUES ($1, 'CRM', $2, $3, '7', 'op', '200', 1, '', $4, "
            "now() - make_interval(secs => $5))",
            order_id, str(order_id), kind, payload, age_s,
        )  # fmt: skip
    await database.execute(RECEIPTS, [first + 4], True)
    await database.execute(RECEIPTS, [first], False)

    found = await lease.open_resumes()

    assert [order_id for order_id, _ in found] == [first + 1, first]
    assert found[0][1] < found[1][1]
