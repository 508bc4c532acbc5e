"""Orders that fall due, are called off and urged on, over a real journal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count

import pytest
from msgspec import structs

from hlrd.domain.errors import Conflict
from hlrd.domain.identity import UserId
from hlrd.domain.turn import Note
from hlrd.ports import StoredOrder
from hlrd.runtime.calendar import Calendar
from hlrd.runtime.node import NodeLease
from hlrd.store.batch import Batch, write
from hlrd.store.connection import Connection, connect, count_moments, writing_as
from tests.runtime.records import NOW, an_acceptance, until

pytestmark = pytest.mark.postgres


class Engine:
    """Closes what is called off at once, or never."""

    def __init__(self) -> None:
        self.due: list[int] = []
        self.cancelled: list[StoredOrder | None] = []
        self.chased: list[tuple[int, int]] = []
        self.has_room = True
        self.is_slow = False
        self.refusal: Conflict | None = None
        self.waiters: dict[int, Callable[[bytes], None]] = {}
        self._places = count(1_000)

    def next_place(self) -> int:
        return next(self._places)

    def has_room_for_due(self) -> bool:
        return self.has_room

    def on_due(self, due: Sequence[tuple[int, UserId, int, str]]) -> None:
        self.due += [one[0] for one in due]

    def is_in_memory(self, order_id: int) -> bool:
        return order_id == 99

    def cancel(self, order_id: int, stored: StoredOrder | None) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.cancelled.append(stored)
        if not self.is_slow:
            self.waiters[order_id](b"")

    def chase(self, order_id: int, before: int) -> None:
        self.chased.append((order_id, before))

    def when_closed(self, order_id: int, on_receipt: Callable[[bytes], None]) -> Callable[[], None]:
        self.waiters[order_id] = on_receipt
        return lambda: void(self.waiters.pop(order_id, None))


def void(_: object) -> None:
    pass


@pytest.fixture
async def epoch(dsn: str) -> AsyncIterator[int]:
    lease = NodeLease(dsn, "node1")
    yield await lease.take()
    lease.close()


@pytest.fixture
async def writer(dsn: str, epoch: int) -> AsyncIterator[Connection]:
    connection = await connect(dsn, "test", **writing_as("node1", epoch))
    await count_moments(connection)
    yield connection
    connection.terminate()


async def date(writer: Connection, *order_ids: int, due_at: datetime = NOW) -> None:
    accepts = [structs.replace(an_acceptance(id), turn=Note(due_at, 0, None)) for id in order_ids]
    await write(Batch(accepts=accepts), 90, writer)


@asynccontextmanager
async def a_calendar(
    dsn: str, epoch: int, engine: Engine, *, runs: bool = True
) -> AsyncIterator[Calendar]:
    calendar = Calendar(dsn, node="node1", epoch=epoch, engine=engine, wall=lambda: NOW)
    running = asyncio.create_task(calendar.run()) if runs else None
    try:
        yield calendar
    finally:
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        calendar._link.drop()


async def test_what_is_due_is_taken_up_and_the_rest_stays(
    dsn: str, epoch: int, writer: Connection
) -> None:
    engine = Engine()
    await date(writer, 1, 2)
    await date(writer, 3, due_at=NOW + timedelta(seconds=1))

    async with a_calendar(dsn, epoch, engine):
        await until(lambda: len(engine.due) == 2)

    assert engine.due == [1, 2]


async def test_a_full_daemon_leaves_them_on_disk(
    dsn: str, epoch: int, writer: Connection, database: Connection
) -> None:
    engine = Engine()
    engine.has_room = False
    await date(writer, 1)

    async with a_calendar(dsn, epoch, engine) as calendar:
        async with calendar._turn:
            pass
        await calendar.chase(1)

    assert not engine.due
    assert await database.fetchval("SELECT place FROM turn") is None


async def test_what_waits_for_its_time_is_read_to_be_called_off(
    dsn: str, epoch: int, writer: Connection
) -> None:
    engine = Engine()
    await date(writer, 1, due_at=NOW + timedelta(days=1))

    async with a_calendar(dsn, epoch, engine) as calendar:
        await calendar.cancel(1)
        await calendar.cancel(99)

    dated, in_memory = engine.cancelled
    assert dated is not None
    assert dated.turn == Note(NOW + timedelta(days=1), 0, None)
    assert in_memory is None
    assert not engine.waiters


async def test_nothing_falls_due_while_it_is_being_called_off(
    dsn: str, epoch: int, writer: Connection
) -> None:
    engine = Engine()
    engine.is_slow = True
    await date(writer, 1)
    async with a_calendar(dsn, epoch, engine, runs=False) as calendar:
        cancelling = asyncio.create_task(calendar.cancel(1))
        await until(lambda: bool(engine.cancelled))

        looking = asyncio.create_task(calendar._look())
        await asyncio.sleep(0)
        assert not looking.done()
        engine.waiters[1](b"")
        await cancelling
        await looking

    assert engine.due == [1], "this engine never wrote that it is closed"


async def test_a_refusal_leaves_nothing_behind(dsn: str, epoch: int, writer: Connection) -> None:
    engine = Engine()
    engine.refusal = Conflict("ORDER_BEGUN", "too late", "id")
    await date(writer, 1)

    async with a_calendar(dsn, epoch, engine) as calendar:
        with pytest.raises(Conflict):
            await calendar.cancel(1)
        engine.refusal = None
        await calendar.cancel(1)

    assert not engine.waiters


async def test_a_chase_is_durable_before_the_engine_hears_of_it(
    dsn: str, epoch: int, writer: Connection, database: Connection
) -> None:
    engine = Engine()
    await date(writer, 1, due_at=NOW + timedelta(days=1))

    async with a_calendar(dsn, epoch, engine) as calendar:
        await calendar.chase(1)

    assert engine.chased == [(1, 2)]
    assert await database.fetchval("SELECT priority FROM work_order") == 1
