"""The walk over a batch on a real database: bounded, told of every end, resumed, overtaken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import pytest

from hlrd import limits
from hlrd.domain import orders
from hlrd.domain.batch import Child, Format, Posting, member_child
from hlrd.domain.errors import Busy, Conflict, Refusal
from hlrd.domain.identity import MSISDN, Binding, UserId
from hlrd.domain.lifecycle import BatchState
from hlrd.domain.operation import NOBODY, Cause, Details, Operation, Task
from hlrd.domain.orders import Source
from hlrd.domain.orders.batch import BatchOrder, ECFanOut, ECResumeAll, ECSuspendAll, FanOut
from hlrd.domain.outcome import Counts, Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.domain.suspension import Level, Reason
from hlrd.pool.spool import SpoolDamaged
from hlrd.ports import Answer, Command, Intent, Submission
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.batches.walk import Rows
from hlrd.runtime.batches.walks import Walks
from hlrd.runtime.node import NodeLease
from hlrd.store.batches import BatchBook, BatchRow, NewBatch, Sending, SentRow
from hlrd.store.connection import Connection, open_pool

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 1, 1, tzinfo=UTC)
MEMBERS = 10


class FakeEngine:
    """Accepts at once, as the real one answers in the end; closes when the test says so."""

    def __init__(self) -> None:
        self.posted: list[Submission] = []
        self.ids: dict[str, int] = {}  #: by order id: a repeat is given the same
        self.refusals: dict[str, Refusal] = {}
        self.receipts: dict[int, bytes] = {}
        self.waiters: dict[int, Callable[[bytes], None]] = {}
        self.others = 0
        self._ids = count(9_000)

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None]
    ) -> None:
        (submission,) = submissions
        assert submission.order is not None
        name = submission.order.order_id
        self.posted.append(submission)
        refusal = self.refusals.get(name)
        if refusal is not None:
            on_answers([Answer(name, refusal=refusal)])
            return
        id = self.ids.setdefault(name, next(self._ids))
        on_answers([Answer(name, id=id, state="queued", receipt=self.receipts.get(id))])

    def when_closed(self, order: int, on_receipt: Callable[[bytes], None]) -> Callable[[], None]:
        self.waiters[order] = on_receipt
        return lambda: None

    def orders_in_memory(self) -> int:
        return self.others + len(self.ids) - len(self.receipts)

    def stop_enterprise(self, ec_code: str, reason: Reason, level: Level) -> list[Binding]:
        return []

    def close(self, *names: str, result: str = "succeeded", code: str | None = None) -> None:
        for name in names:
            id = self.ids[name]
            self.receipts[id] = orjson.dumps({"result": result, "code": code})
            waiter = self.waiters.pop(id, None)
            if waiter is not None:
                waiter(self.receipts[id])

    def close_all(self) -> None:
        self.close(*(name for name, id in self.ids.items() if id not in self.receipts))

    @property
    def names(self) -> list[str]:
        return [one.order.order_id for one in self.posted if one.order is not None]


class World:
    """One database, and what of it outlives a run of the walks."""

    def __init__(self, dsn: str, database: Connection, book: BatchBook) -> None:
        self.dsn = dsn
        self.database = database
        self.book = book
        self.engine = FakeEngine()
        self.answers: dict[int, Outcome] = {}
        self.over: list[int] = []
        self.rows_of_file: Callable[[BatchRow], Rows] = no_file

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Walks, Peer]]:
        """A run of the daemon, killed at its end."""
        node = NodeLease(self.dsn, "hlrd")
        peer = Peer(lambda asked, outcome: self.answers.update({asked.id: outcome}))
        walks = Walks(
            self.dsn,
            node="hlrd",
            epoch=await node.take(),
            engine=self.engine,
            peer=peer,
            rows_of_file=self.rows_of_file,
            on_over=self._note,
        )
        running = asyncio.create_task(walks.run())
        try:
            yield walks, peer
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            self.engine.waiters.clear()
            node.close()

    async def _note(self, batch: BatchRow) -> None:
        self.over.append(batch.id)

    async def join(self, *users: int, ec: str = "EC1") -> None:
        for user in users:
            await self.database.execute(
                "INSERT INTO binding VALUES ($1, $2, $3, $4, 1, 'hlr1', '200', 'k', '', $5)",
                1064800000000 + user, 460040000000000 + user, f"8986{user:016}", str(user), NOON,
            )  # fmt: skip
            await self.database.execute(
                "INSERT INTO ec_member (user_id, ec_code, route, product, order_id, since)"
                " VALUES ($1, $2, 'BOSS1', '', 1, $3)", str(user), ec, NOON,
            )  # fmt: skip

    async def accept(self, id: int, order: FanOut) -> None:
        """The journal has it, and its turn is to come."""
        await self.database.execute(
            "INSERT INTO work_order (id, source, order_id, kind, user_id, operator_id, province,"
            " priority, content_hash, payload, accepted_at)"
            " VALUES ($1, 'BOSS', $2, 'EC', 'batch:', 'op', '200', 3, '', $3, $4)",
            id, order.order_id, orders.encode(order), NOON,
        )  # fmt: skip

    async def begin(self, peer: Peer, id: int, order: FanOut) -> None:
        await self.accept(id, order)
        peer.execute(command(id))

    async def batch_of(self, id: int) -> BatchRow:
        (found,) = [one for one in await self.book.page(None, 2**62, 100) if one.work_order == id]
        return found

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while True:
                found = holds()
                if await found if isinstance(found, Awaitable) else found:
                    return
                await asyncio.sleep(0.005)

    async def handed_in(self, names: int) -> None:
        await self.until(lambda: len(set(self.engine.names)) >= names)

    async def answered(self, id: int) -> Counts:
        await self.until(lambda: id in self.answers)
        assert self.answers[id].verdict is Verdict.DONE
        counts = self.answers[id].counts
        assert counts is not None
        return counts

    async def results(self, id: int) -> list[tuple[str, str, str | None]]:
        batch = await self.batch_of(id)
        return [
            (row.user_id, str(row.state), row.code)
            async for page in self.book.results(batch.id)
            for row in page
        ]


def no_file(batch: BatchRow) -> Rows:
    raise AssertionError("no batch here has one")


def command(order: int) -> Command:
    details = Details(text=str(order))
    task = Task(Operation.FAN_OUT, BATCHES, NOBODY, Cause.ORDERED, details=details)
    return Command(order, task, Intent.EXECUTE)


def stop(order_id: str = "S", **fields: Any) -> ECSuspendAll:
    return ECSuspendAll(
        order_id=order_id, province="200", operator_id="op", ec_code="EC1", **fields
    )


def resume(order_id: str = "R", **fields: Any) -> ECResumeAll:
    return ECResumeAll(order_id=order_id, province="200", operator_id="op", ec_code="EC1", **fields)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_LOOK_S", 0.005)
    monkeypatch.setattr(limits, "BATCH_CHUNK_ROWS", 3)
    monkeypatch.setattr(limits, "BATCH_CHILDREN_MAX", 6)
    monkeypatch.setattr(limits, "BATCH_CHILDREN_MIN", 2)


@pytest.fixture
async def world(dsn: str, database: Connection) -> AsyncIterator[World]:
    pool = await open_pool(dsn, "test", 2)
    made = World(dsn, database, BatchBook(pool))
    await made.join(*range(1, MEMBERS + 1))
    yield made
    await pool.close()


async def test_every_member_gets_an_order_and_never_more_than_the_window_at_once(
    world: World,
) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        for _ in range(10):
            await asyncio.sleep(0.005)
        assert len(world.engine.names) == 6
        world.engine.close(*world.engine.names[:4])
        await world.handed_in(10)
        world.engine.close_all()
        counts = await world.answered(100)

    assert counts == Counts(MEMBERS, 0, 0)
    assert {row[1] for row in await world.results(100)} == {"succeeded"}
    assert (await world.batch_of(100)).state is BatchState.DONE
    assert world.over == [1]


async def test_what_is_refused_or_fails_is_told_row_by_row(world: World) -> None:
    world.engine.refusals["B1-3"] = Conflict("USER_TERMINATED", "…")
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        world.engine.close("B1-1", result="failed", code="NE_REFUSED")
        await world.handed_in(8)
        while 100 not in world.answers:
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert await world.answered(100) == Counts(MEMBERS - 2, 2, 0)
    rows = await world.results(100)
    assert ("3", "failed", "USER_TERMINATED") in rows
    assert ("1", "failed", "NE_REFUSED") in rows


async def test_what_is_refused_for_load_is_handed_in_again(world: World) -> None:
    world.engine.refusals["B1-1"] = Busy("QUEUE_FULL", "…", 0.01)
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.until(lambda: world.engine.names.count("B1-1") >= 3)
        del world.engine.refusals["B1-1"]
        while 100 not in world.answers:
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert await world.answered(100) == Counts(MEMBERS, 0, 0)


async def test_a_user_with_too_many_orders_holds_up_nobody_else(world: World) -> None:
    world.engine.refusals["B1-1"] = Busy("USER_QUEUE_FULL", "…", 60.0, "user_id")
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        while len(set(world.engine.names)) < MEMBERS:
            world.engine.close_all()
            await asyncio.sleep(0.005)


async def test_a_walk_goes_on_over_kills_and_each_member_has_one_order(world: World) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        world.engine.close("B1-1", "B1-10")
        await world.handed_in(8)
    for _ in range(3):
        async with world.running():
            await world.until(lambda: bool(world.engine.waiters))
    world.engine.close_all()  # while nobody listens
    async with world.running() as (_, peer):
        peer.execute(command(100))  # as a start asks
        while 100 not in world.answers:
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert await world.answered(100) == Counts(MEMBERS, 0, 0)
    assert len(world.engine.ids) == MEMBERS
    assert len(await world.results(100)) == MEMBERS


async def test_a_walk_that_is_over_is_answered_as_it_ended_after_a_restart(world: World) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop("S", reason=Reason.VOLUNTARY))
        while 100 not in world.answers:
            world.engine.close_all()
            await asyncio.sleep(0.005)
    world.answers.clear()

    async with world.running() as (_, peer):
        peer.execute(command(100))
        assert await world.answered(100) == Counts(MEMBERS, 0, 0)


async def test_a_resume_has_the_rest_of_the_stop_not_handed_in(world: World) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        await world.begin(peer, 101, resume())
        await world.until(lambda: any(name.startswith("B2-") for name in world.engine.names))
        stopped = {name for name in world.engine.names if name.startswith("B1-")}
        while not {100, 101} <= world.answers.keys():
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert await world.answered(100) == Counts(6, 0, 4, "OVERTAKEN")
    assert await world.answered(101) == Counts(MEMBERS, 0, 0)
    assert {name for name in world.engine.names if name.startswith("B1-")} == stopped


async def test_a_stop_that_was_overtaken_hands_in_nothing_after_a_kill(world: World) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
    first = await world.batch_of(100)
    await world.book.stop(first.id, "OVERTAKEN")
    posted = len(world.engine.posted)

    async with world.running() as (_, peer):
        peer.execute(command(100))
        counts = await world.answered(100)

    assert counts == Counts(0, 0, MEMBERS, "OVERTAKEN"), "the journal has none of its orders"
    assert len(world.engine.posted) == posted


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(resume(seq=5), stop(seq=4)), (stop(seq=5), resume(seq=4))],
    ids=["stop", "resume"],
)
async def test_an_order_that_upstream_sent_before_one_that_was_begun_changes_nothing(
    world: World, earlier: ECFanOut, later: ECFanOut
) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, earlier)
        await world.handed_in(6)
        await world.begin(peer, 101, later)
        late = await world.answered(101)
        while 100 not in world.answers:
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert late == Counts(0, 0, MEMBERS, "SUPERSEDED")
    assert await world.answered(100) == Counts(MEMBERS, 0, 0)


async def test_another_reason_or_another_ec_is_not_in_the_way(world: World) -> None:
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.begin(peer, 101, resume(reason=Reason.VOLUNTARY))
        while not {100, 101} <= world.answers.keys():
            world.engine.close_all()
            await asyncio.sleep(0.005)

    assert await world.answered(100) == Counts(MEMBERS, 0, 0)
    assert await world.answered(101) == Counts(MEMBERS, 0, 0)


async def test_who_has_paid_does_not_wait_for_the_window_of_a_stop(world: World) -> None:
    await world.join(50, 51, ec="EC2")
    paid = ECResumeAll(order_id="R", province="200", operator_id="op", ec_code="EC2")
    async with world.running() as (_, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        await world.begin(peer, 101, paid)
        await world.until(lambda: {"B2-50", "B2-51"} <= set(world.engine.names))
        assert len(world.engine.names) == 8


async def test_a_walk_that_is_paused_or_cancelled_hands_in_no_more(world: World) -> None:
    async with world.running() as (walks, peer):
        await world.begin(peer, 100, stop())
        await world.handed_in(6)
        batch = await world.batch_of(100)
        await world.book.advance(batch.id, BatchState.RUNNING, BatchState.PAUSED)
        walks.moved(await world.batch_of(100))
        world.engine.close_all()
        await world.until(lambda: ended(world, 6))
        assert len(world.engine.names) == 6
        await world.book.stop(batch.id, "CANCELLED")
        walks.moved(await world.batch_of(100))
        counts = await world.answered(100)

    assert counts == Counts(6, 0, 4, "CANCELLED")


async def ended(world: World, ok: int) -> bool:
    return (await world.batch_of(100)).ok == ok


class LostRows:
    """A file of which the first row is read, and then no more; or nothing at all."""

    def __init__(self, batch: BatchRow) -> None:
        self._batch = batch
        self.cursor = batch.cursor

    async def next(self, most: int) -> Sequence[Child | Sending]:
        if self.cursor:
            raise SpoolDamaged("it is cut off")
        self.cursor = "2"
        order = member_child(stop(), self._batch.id, UserId("1"), MSISDN("1064800000001"))
        return [Child(2, order)]

    async def again(self, sent: Collection[SentRow]) -> Sequence[Child]:
        raise FileNotFoundError("it is gone")

    def close(self) -> None:
        """There is nothing to close."""


async def a_file_batch(world: World) -> BatchOrder:
    """Of three rows, and ready."""
    posting = Posting(Source.BOSS, "F", "op", "200", "ARREARS_SUSPEND", 4, Format.CSV, "utf-8")
    batch = await world.book.add(NewBatch(posting, b"content", b"file", 9))
    await world.book.advance(batch.id, BatchState.WAITING, BatchState.CHECKING)
    await world.book.check_over(batch.id, 3, faults=0)
    await world.book.reserved(batch.id, {})
    return BatchOrder(
        order_id="F", province="200", operator_id="op", batch=str(batch.id),
        child="ARREARS_SUSPEND", rows=3,
    )  # fmt: skip


async def test_the_rest_of_a_file_that_is_lost_is_left(world: World) -> None:
    world.rows_of_file = LostRows
    order = await a_file_batch(world)
    async with world.running() as (_, peer):
        await world.begin(peer, 100, order)
        await world.handed_in(1)
        world.engine.close_all()

        assert await world.answered(100) == Counts(1, 0, 2, "FILE_LOST")


async def test_a_file_that_is_lost_before_a_restart_does_not_end_the_daemon(world: World) -> None:
    world.rows_of_file = LostRows
    order = await a_file_batch(world)
    world.engine.refusals["B1-1"] = Busy("QUEUE_FULL", "…", 60.0)
    async with world.running() as (_, peer):
        await world.begin(peer, 100, order)
        await world.handed_in(1)

    async with world.running() as (_, peer):
        peer.execute(command(100))
        assert await world.answered(100) == Counts(0, 0, 3, "FILE_LOST")


async def test_a_batch_that_is_not_ready_is_refused(world: World) -> None:
    order = await a_file_batch(world)
    await world.book.refuse(1, code="BATCH_CANCELLED", cause="cancelled")
    async with world.running() as (_, peer):
        await world.begin(peer, 100, order)
        await world.until(lambda: 100 in world.answers)

    assert world.answers[100].code == "BATCH_UNKNOWN"


async def test_an_ec_without_members_is_done_at_once(world: World) -> None:
    nobody = ECSuspendAll(order_id="S", province="200", operator_id="op", ec_code="EC9")
    async with world.running() as (_, peer):
        await world.begin(peer, 100, nobody)

        assert await world.answered(100) == Counts()
