"""A segment's move on a real database: durable step by step, over restarts, and back again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest

from hlrd import limits
from hlrd.domain.errors import Conflict, NotFound, Refusal
from hlrd.domain.lifecycle import MoveEvent, MoveState
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.routing import Identity, Rehoming, RouteTable, Segment
from hlrd.engine.book import Book
from hlrd.engine.segments import Segments
from hlrd.pool.ranges import Span
from hlrd.runtime.moves import SegmentMoves
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import Connection, Pool, connect, open_pool, writing_as
from hlrd.store.moves import MoveBook
from hlrd.store.pools import NumberPools
from hlrd.store.record import MoveRow

pytestmark = pytest.mark.postgres

FIRST = 1064900000000
MOVE = Rehoming(Segment(Identity.MSISDN, "10649000"), "hlr1", "hlr2")
TEMPLATES = {"hlr1": ["GPRS"], "hlr2": ["GPRS", "SMS"], "hlr3": ["SMS"]}


class FakeSegments(Segments):
    begun = 0  #: orders of the segment that are under way

    def running(self) -> int:
        return self.begun


class FakeEngine:
    """Its HLR has `records` (number to IMSI); what is in `outcomes` is said instead."""

    def __init__(self) -> None:
        self.segments = FakeSegments(Book())
        self.records: dict[str, str] = {}
        self.outcomes: dict[str, list[Outcome]] = {}
        self.is_mute = False
        self.asked: list[tuple[str, str]] = []
        self.released = 0

    def release_segment(self) -> None:
        self.segments.release()
        self.released += 1

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        for task in tasks:
            assert task.operation is Operation.FIND_NUMBER
            self.asked.append((task.ne, task.binding.msisdn))
            if not self.is_mute:
                on_outcome(task, self._said(task.binding.msisdn))
        return lambda: None

    def _said(self, msisdn: str) -> Outcome:
        said = self.outcomes.get(msisdn)
        if said:
            return said.pop(0)
        if msisdn in self.records:
            return Outcome(Verdict.APPLIED, text=f"IMSI {self.records[msisdn]}")
        return Outcome(Verdict.ABSENT)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOVE_LOOK_S", 0.005)
    monkeypatch.setattr(limits, "MOVE_PAGE_BINDINGS", 3)
    monkeypatch.setattr(limits, "MOVE_INQUIRIES_MAX", 4)
    monkeypatch.setattr(limits, "MOVE_SILENCE_S", 0.05)


@pytest.fixture
async def pool(dsn: str, database: Connection) -> AsyncIterator[Pool]:
    """Ten users of the segment and two beside it, all at hlr1 and opened."""
    pool = await open_pool(dsn, "test", 3)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(Span("iot", FIRST, FIRST + 99, 13, "200", "hlr1"))
    await pools.add_range(Span("iot", FIRST + 10**6 * 10, FIRST + 10**7 + 99, 13, "200", "hlr1"))
    for n in (*range(10), 10**7, 10**7 + 1):
        await bind(database, n)
    yield pool
    await pool.close()


async def bind(database: Connection, n: int, *, hlr: str = "hlr1", opened: bool = True) -> None:
    await database.execute(
        "INSERT INTO binding VALUES ($1, $2, $3, $4, $5, $6, '200', 'k1', '', now())",
        FIRST + n, 460040000000000 + n, f"iccid{n}", f"user{n}", n + 1, hlr,
    )  # fmt: skip
    if opened:
        await database.execute(
            "INSERT INTO receipt VALUES ($1, $1, 'CRM', $2, true, 'succeeded', '', '', now())",
            n + 1, f"user{n}",
        )  # fmt: skip


class Node:
    def __init__(self, moves: SegmentMoves, engine: FakeEngine, homes: RouteTable) -> None:
        self.moves = moves
        self.engine = engine
        self.homes = homes

    async def reaches(self, id: int, state: MoveState) -> MoveRow:
        async with asyncio.timeout(10):
            while True:
                move = await self.moves.get(id)
                held = self.engine.segments._held
                if move.state is state and (held is None) == move.is_over:
                    return move
                await asyncio.sleep(0.005)

    async def start(self, rehoming: Rehoming = MOVE, sample: int | None = None) -> int:
        return (await self.moves.start(rehoming, "op7", sample)).id

    async def order(self, id: int, event: MoveEvent) -> None:
        await self.moves.order(id, event, "op7")


@asynccontextmanager
async def a_node(dsn: str, pool: Pool, engine: FakeEngine | None = None) -> AsyncIterator[Node]:
    """A run of a daemon; leaving it is a crash."""
    lease = NodeLease(dsn, "node1")
    epoch = await lease.take()
    engine, homes = engine or FakeEngine(), RouteTable()
    leasing = await connect(dsn, "lease", **writing_as("node1", epoch))

    async def change_ranges(change: Callable[[Connection], Awaitable[None]]) -> None:
        await change(leasing)

    moves = SegmentMoves(
        dsn,
        node="node1",
        epoch=epoch,
        book=MoveBook(pool),
        engine=engine,
        homes=homes,
        change_ranges=change_ranges,
        templates=TEMPLATES,
        settle_s=lambda hlr: 0.0,
        chance=Random(1).random,
    )
    await moves.recover()
    running = asyncio.create_task(moves.run())
    try:
        yield Node(moves, engine, homes)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        leasing.terminate()
        lease.close()


async def homes_of(database: Connection) -> dict[str, set[int]]:
    rows = await database.fetch("SELECT msisdn, hlr FROM binding")
    homes: dict[str, set[int]] = {}
    for row in rows:
        homes.setdefault(row["hlr"], set()).add(row["msisdn"] - FIRST)
    return homes


async def range_homes(database: Connection) -> list[str]:
    rows = await database.fetch("SELECT hlr FROM number_range ORDER BY first")
    return [row["hlr"] for row in rows]


def records(*numbers: int) -> dict[str, str]:
    return {str(FIRST + n): str(460040000000000 + n) for n in numbers}


async def test_a_move_drains_switches_verifies_and_lets_go(
    dsn: str, pool: Pool, database: Connection
) -> None:
    async with a_node(dsn, pool) as node:
        node.engine.segments.begun = 2
        node.engine.records = records(*range(10))
        id = await node.start()
        assert (await node.moves.get(id)).state is MoveState.DRAINING
        node.engine.segments.begun = 0
        await node.reaches(id, MoveState.DRAINED)
        assert await range_homes(database) == ["hlr1", "hlr1"]
        assert node.engine.released == 0

        await node.order(id, MoveEvent.SWITCH_ORDERED)
        done = await node.reaches(id, MoveState.DONE)

    assert await homes_of(database) == {"hlr2": set(range(10)), "hlr1": {10**7, 10**7 + 1}}
    assert await range_homes(database) == ["hlr2", "hlr1"]
    assert (done.switched, done.asked, done.missing, done.silent) == (10, 10, 0, 0)
    assert node.engine.asked == [("hlr2", str(FIRST + n)) for n in range(10)]
    assert node.engine.released == 1
    assert node.homes.routing.home(Identity.MSISDN, str(FIRST)) == "hlr2"


async def test_a_restart_goes_on_in_the_middle_of_the_switch(
    dsn: str, pool: Pool, database: Connection
) -> None:
    async with a_node(dsn, pool) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
    await database.execute("UPDATE route_move SET state = 'switching'")
    await database.execute("UPDATE binding SET hlr = 'hlr2' WHERE msisdn < $1", FIRST + 4)

    engine = FakeEngine()
    engine.records = records(*range(10))
    async with a_node(dsn, pool, engine) as node:
        done = await node.reaches(id, MoveState.DONE)

    assert (await homes_of(database))["hlr2"] == set(range(10))
    assert (done.switched, done.asked) == (6, 10)


@pytest.mark.parametrize("state", ["draining", "drained", "unproven"])
async def test_what_was_held_is_held_again_after_a_restart(
    dsn: str, pool: Pool, database: Connection, state: str
) -> None:
    async with a_node(dsn, pool) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
    await database.execute("UPDATE route_move SET state = $1", state)

    async with a_node(dsn, pool) as node:
        assert node.engine.segments._held == MOVE.segment
        moved = node.homes.routing.home(Identity.MSISDN, str(FIRST))

    assert moved == ("hlr2" if state == "unproven" else None)


async def test_a_move_that_was_done_is_known_after_a_restart(dsn: str, pool: Pool) -> None:
    engine = FakeEngine()
    engine.records = records(*range(10))
    async with a_node(dsn, pool, engine) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        await node.reaches(id, MoveState.DONE)

    async with a_node(dsn, pool) as node:
        assert node.homes.routing.home(Identity.MSISDN, str(FIRST)) == "hlr2"
        assert node.engine.segments._held is None


async def test_what_is_missing_or_other_or_unclear_proves_nothing_and_is_named(
    dsn: str, pool: Pool
) -> None:
    engine = FakeEngine()
    engine.records = records(*range(10)) | {str(FIRST + 1): "460040000009999"}
    del engine.records[str(FIRST)]
    engine.outcomes[str(FIRST + 2)] = [Outcome(Verdict.TRANSIENT)] * 9
    engine.outcomes[str(FIRST + 3)] = [Outcome(Verdict.SESSION)]  # once: asked for again
    async with a_node(dsn, pool, engine) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        found = await node.reaches(id, MoveState.UNPROVEN)
        assert engine.released == 0

        engine.outcomes.clear()
        engine.records = records(*range(10))
        await node.order(id, MoveEvent.VERIFY_ORDERED)
        mended = await node.reaches(id, MoveState.DONE)

    assert (found.asked, found.missing, found.silent) == (10, 2, 1)
    assert list(found.examples) == [
        {"msisdn": str(FIRST), "cause": "the HLR has no record of it"},
        {"msisdn": str(FIRST + 1), "cause": "the HLR has it with IMSI 460040000009999"},
        {"msisdn": str(FIRST + 2), "cause": "the HLR gave no clear word"},
    ]
    assert (mended.missing, mended.silent, list(mended.examples)) == (0, 0, [])


async def test_an_hlr_that_says_nothing_proves_nothing(dsn: str, pool: Pool) -> None:
    engine = FakeEngine()
    engine.is_mute = True
    async with a_node(dsn, pool, engine) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        found = await node.reaches(id, MoveState.UNPROVEN)

    assert (found.asked, found.missing, found.silent) == (10, 0, 10)


async def test_a_move_goes_back_to_where_everything_was(
    dsn: str, pool: Pool, database: Connection
) -> None:
    before = await homes_of(database), await range_homes(database)
    async with a_node(dsn, pool) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        await node.reaches(id, MoveState.UNPROVEN)
        await node.order(id, MoveEvent.RETURN_ORDERED)
        await node.reaches(id, MoveState.RETURNED)
        assert node.engine.released == 1

        again = await node.start()
        await node.reaches(again, MoveState.DRAINED)
        await node.order(again, MoveEvent.RETURN_ORDERED)

        assert (await node.moves.get(again)).state is MoveState.RETURNED
        assert node.engine.released == 2
        assert [move.id for move in await node.moves.newest()] == [again, id]
    assert (await homes_of(database), await range_homes(database)) == before


async def test_a_drain_that_never_ends_can_be_called_off(dsn: str, pool: Pool) -> None:
    async with a_node(dsn, pool) as node:
        node.engine.segments.begun = 1
        id = await node.start()

        await node.order(id, MoveEvent.RETURN_ORDERED)
        node.engine.segments.begun = 0
        again = await node.start()

        await node.reaches(again, MoveState.DRAINED)
        assert (await node.moves.get(id)).state is MoveState.RETURNED


async def test_users_that_are_being_opened_or_in_fallout_are_not_asked_for(
    dsn: str, pool: Pool, database: Connection
) -> None:
    await bind(database, 20, opened=False)
    await database.execute(
        "INSERT INTO work_order VALUES"
        " (99, 'CRM', 'A1', 'USER_TERMINATE', 'user3', 'op', '200', 1, '', '', now())"
    )
    await database.execute(
        "INSERT INTO receipt VALUES (999, 99, 'CRM', 'user3', false, 'fallout', '', '', now())"
    )
    engine = FakeEngine()
    engine.records = records(*range(10))
    async with a_node(dsn, pool, engine) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        done = await node.reaches(id, MoveState.DONE)

    assert (done.switched, done.asked) == (11, 9)
    assert {int(number) - FIRST for _, number in engine.asked} == set(range(10)) - {3}


async def test_a_sample_is_of_the_segment_and_as_large_as_was_asked(dsn: str, pool: Pool) -> None:
    engine = FakeEngine()
    engine.records = records(*range(10))
    async with a_node(dsn, pool, engine) as node:
        id = await node.start(sample=4)
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        done = await node.reaches(id, MoveState.DONE)

    asked = {int(number) - FIRST for _, number in engine.asked}
    assert done.asked == len(asked) == 4
    assert asked <= set(range(10))


async def test_cards_move_by_their_imsi_with_their_lots(
    dsn: str, pool: Pool, database: Connection
) -> None:
    for id, first in ((1, 460040000000100), (2, 460050000000100)):
        await database.execute(
            "INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)"
            " VALUES ($1, 'V', '200', 'hlr1', 2, $2)",
            f"lot{id}", f"{id}".encode(),
        )  # fmt: skip
        for row in range(2):
            await database.execute(
                "INSERT INTO sim_card VALUES ($1, $2, $3, $4, 'k1', '')",
                id, row, f"card{id}{row}", first + row,
            )  # fmt: skip
    engine = FakeEngine()
    engine.records = records(*range(10), 10**7, 10**7 + 1)
    by_card = Rehoming(Segment(Identity.IMSI, "46004"), "hlr1", "hlr2")
    async with a_node(dsn, pool, engine) as node:
        with pytest.raises(Conflict, match=r"lot lot1 goes beyond imsi 460040000000100\*"):
            await node.start(Rehoming(Segment(Identity.IMSI, "460040000000100"), "hlr1", "hlr2"))
        id = await node.start(by_card)
        await node.reaches(id, MoveState.DRAINED)
        await node.order(id, MoveEvent.SWITCH_ORDERED)
        await node.reaches(id, MoveState.DONE)

    rows = await database.fetch("SELECT name, hlr FROM sim_lot ORDER BY id")
    assert [tuple(row) for row in rows] == [("lot1", "hlr2"), ("lot2", "hlr1")]
    assert set(await homes_of(database)) == {"hlr2"}
    assert await range_homes(database) == ["hlr1", "hlr1"]


async def test_a_segment_that_cuts_a_range_or_meets_the_new_home_is_refused(
    dsn: str, pool: Pool, database: Connection
) -> None:
    async with a_node(dsn, pool) as node:
        cuts = Rehoming(Segment(Identity.MSISDN, f"{FIRST // 10}"), "hlr1", "hlr2")
        with pytest.raises(Conflict, match=r"range 1 .* goes beyond msisdn 106490000000\*"):
            await node.start(cuts)
        await database.execute("UPDATE binding SET hlr = 'hlr2' WHERE msisdn = $1", FIRST + 5)
        with pytest.raises(Conflict, match=f"the user of {FIRST + 5} is at hlr2 already"):
            await node.start()
        await database.execute("UPDATE number_range SET hlr = 'hlr2' WHERE id = 1")
        with pytest.raises(Conflict, match=r"range 1 .* is at hlr2 already"):
            await node.start()
        assert list(await node.moves.newest()) == []
        assert node.engine.segments._held is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hlr1", "hlr9", "no HLR of the configuration"),
        ("hlr9", "hlr1", "no HLR of the configuration"),
        ("hlr1", "hlr1", "is there already"),
        ("hlr1", "hlr3", "hlr3 has no template for GPRS"),
    ],
)
async def test_a_move_between_hlrs_that_do_not_fit_is_refused(
    dsn: str, pool: Pool, old: str, new: str, said: str
) -> None:
    async with a_node(dsn, pool) as node:
        with pytest.raises(Refusal, match=said):
            await node.start(Rehoming(MOVE.segment, old, new))


async def test_one_move_at_a_time_and_each_word_in_its_state(dsn: str, pool: Pool) -> None:
    async with a_node(dsn, pool) as node:
        id = await node.start()
        await node.reaches(id, MoveState.DRAINED)

        with pytest.raises(Conflict, match="another segment"):
            await node.start(Rehoming(Segment(Identity.MSISDN, "1065"), "hlr1", "hlr2"))
        with pytest.raises(Conflict, match="the move is drained"):
            await node.order(id, MoveEvent.VERIFY_ORDERED)
        with pytest.raises(NotFound):
            await node.order(99, MoveEvent.SWITCH_ORDERED)
