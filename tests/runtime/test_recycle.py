"""Numbers leave quarantine when their home HLR has no record of them, and only then."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from hlrd import limits
from hlrd.domain.identity import MSISDN
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.pool.ranges import Span
from hlrd.runtime.node import NodeLease
from hlrd.runtime.recycle import Found, Recycled, Recycler
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.recycling import Due

pytestmark = pytest.mark.postgres

FIRST = 1064800000000
ABSENT = Outcome(Verdict.ABSENT)


class FakeHLRs:
    """Answers each inquiry by `records` (number to IMSI), at once; while mute when `speak` says."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.is_mute = False
        self.asked: list[str] = []
        self.called_off = 0
        self._kept: list[tuple[Task, Callable[[Task, Outcome], None]]] = []

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        assert {task.operation for task in tasks} == {Operation.FIND_NUMBER}
        self.asked += [task.binding.msisdn for task in tasks]
        self._kept += [(task, on_outcome) for task in tasks]
        if not self.is_mute:
            self.speak()
        return self._call_off

    def speak(self) -> None:
        kept, self._kept = self._kept, []
        for task, on_outcome in kept:
            on_outcome(task, self._outcome(task.binding.msisdn))

    def _outcome(self, msisdn: str) -> Outcome:
        if msisdn in self.records:
            return Outcome(Verdict.APPLIED, text=f"IMSI {self.records[msisdn]}")
        return self.outcomes.get(msisdn, ABSENT)

    def _call_off(self) -> None:
        self.called_off += 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECYCLE_LOOK_S", 0.01)
    monkeypatch.setattr(limits, "RECYCLE_PATIENCE_S", 0.01)
    monkeypatch.setattr(limits, "RECYCLE_NOW_S", 0.05)
    monkeypatch.setattr(limits, "RECYCLE_INQUIRIES_MAX", 3)


@pytest.fixture
def hlrs() -> FakeHLRs:
    return FakeHLRs()


@pytest.fixture
async def recycler(dsn: str, hlrs: FakeHLRs) -> AsyncIterator[Recycler]:
    lease = NodeLease(dsn, "node1")
    epoch = await lease.take()
    pool = await open_pool(dsn, "test", 1)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(Span("iot", FIRST, FIRST + 99, 13, "200", "hlr1"))
    yield Recycler(
        dsn,
        node="node1",
        epoch=epoch,
        hlrs=["hlr1"],
        inquire=hlrs.inquire,
        on_freed=lambda: None,
    )
    await pool.close()
    lease.close()


async def quarantine(
    database: Connection, *numbers: int, over: bool = True, in_arrears: bool = False
) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, until, cause, user_id, in_arrears)"
        " SELECT $1::bigint + n, r.id, 'quarantined', now() + $3::int * interval '1 hour', 'left',"
        " 'user' || n, $4 FROM unnest($2::int[]) n, number_range r",
        FIRST,
        list(numbers),
        -1 if over else 1,
        in_arrears,
    )


async def open_order(database: Connection, user_id: str) -> None:
    await database.execute(
        "INSERT INTO work_order VALUES"
        " (1, 'CRM', 'A1', 'PAYMENT_RESUME', $1, 'op', '200', 1, '', '', now())",
        user_id,
    )


async def states(database: Connection) -> dict[int, str]:
    rows = await database.fetch("SELECT msisdn, state FROM number_hold")
    return {row["msisdn"] - FIRST: row["state"] for row in rows}


@asynccontextmanager
async def running(recycler: Recycler) -> AsyncIterator[None]:
    task = asyncio.create_task(recycler.run("hlr1"))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_states(database: Connection, wanted: dict[int, str]) -> None:
    async with asyncio.timeout(10):
        while await states(database) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_clean_number_is_free_again_and_its_past_says_so(
    recycler: Recycler, database: Connection
) -> None:
    await quarantine(database, 1)

    async with running(recycler):
        await until_states(database, {1: "free"})

    past = await database.fetchrow("SELECT * FROM number_past")
    assert past is not None
    assert (past["event"], past["user_id"], past["operator_id"]) == ("recycled", "user1", None)


async def test_a_number_that_the_hlr_has_a_record_of_is_locked_with_the_imsi(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    hlrs.records[str(FIRST + 2)] = "460040000000002"
    await quarantine(database, 1, 2)

    async with running(recycler):
        await until_states(database, {1: "free", 2: "locked"})

    cause = await database.fetchval("SELECT cause FROM number_hold WHERE state = 'locked'")
    assert "460040000000002" in cause
    assert await database.fetchval("SELECT cause FROM number_past WHERE event = 'recordFound'")


async def test_more_than_one_round_can_ask_about_are_all_recycled(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    await quarantine(database, *range(20))

    async with running(recycler):
        await until_states(database, dict.fromkeys(range(20), "free"))

    assert len(hlrs.asked) == len(set(hlrs.asked)) == 20


async def test_what_is_not_due_in_arrears_or_has_an_open_order_is_not_even_asked_about(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    await quarantine(database, 1, over=False)
    await quarantine(database, 2, in_arrears=True)
    await quarantine(database, 3, 4)
    await open_order(database, "user3")

    async with running(recycler):
        await until_states(
            database, {1: "quarantined", 2: "quarantined", 3: "quarantined", 4: "free"}
        )

    assert hlrs.asked == [str(FIRST + 4)]


async def test_numbers_that_an_hlr_is_busy_about_do_not_hold_up_the_others(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    hlrs.outcomes = {str(FIRST + n): Outcome(Verdict.BUSY) for n in (0, 1)}
    await quarantine(database, *range(8))

    async with running(recycler):
        wanted = {n: "quarantined" if n < 2 else "free" for n in range(8)}
        await until_states(database, wanted)
        hlrs.outcomes = {}
        await until_states(database, dict.fromkeys(range(8), "free"))


async def test_numbers_of_an_hlr_that_is_gone_stay_quarantined(
    recycler: Recycler, database: Connection
) -> None:
    await database.execute("UPDATE number_range SET hlr = 'hlr9'")
    await quarantine(database, 1)

    round_ = await recycler.now("anna")

    assert not any(round_.counts.values())
    assert await states(database) == {1: "quarantined"}


async def test_what_staff_locked_while_the_hlr_was_asked_stays_locked(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    hlrs.is_mute = True
    await quarantine(database, 1)

    async with running(recycler):
        async with asyncio.timeout(30):
            while not hlrs.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await database.execute("UPDATE number_hold SET state = 'locked'")
        await quarantine(database, 2)
        hlrs.is_mute = False
        hlrs.speak()
        await until_states(database, {1: "locked", 2: "free"})


async def test_a_round_by_hand_says_what_became_of_each(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    hlrs.records[str(FIRST + 1)] = "460040000000001"
    await quarantine(database, 1, 2, 3)
    await quarantine(database, 4, in_arrears=True)
    await open_order(database, "user3")

    round_ = await recycler.now("anna")

    assert {found: count for found, count in round_.counts.items() if count} == {
        Found.RECYCLED: 1,
        Found.RECORD_FOUND: 1,
        Found.IN_ARREARS: 1,
        Found.ORDER_OPEN: 1,
    }
    assert {int(item.msisdn) - FIRST: item.found for item in round_.numbers} == {
        1: Found.RECORD_FOUND,
        3: Found.ORDER_OPEN,
        4: Found.IN_ARREARS,
    }
    assert set(await database.fetch("SELECT DISTINCT operator_id FROM number_past")) == {("anna",)}


async def test_a_mute_hlr_is_told_of_and_not_waited_for_by_a_person(
    recycler: Recycler, database: Connection, hlrs: FakeHLRs
) -> None:
    hlrs.is_mute = True
    await quarantine(database, 1)
    due = Due(MSISDN(str(FIRST + 1)), "hlr1", "200")

    answer = await recycler.one(due, operator_id="anna", cause="by hand", waives=False)

    assert answer == Recycled(str(FIRST + 1), Found.NO_ANSWER)
    assert hlrs.called_off == 1
    assert await states(database) == {1: "quarantined"}


@pytest.mark.parametrize("waives", [True, False])
async def test_arrears_are_waived_by_a_person_only(
    recycler: Recycler, database: Connection, waives: bool
) -> None:
    await quarantine(database, 1, over=False, in_arrears=True)
    due = Due(MSISDN(str(FIRST + 1)), "hlr1", "200")

    await recycler.one(due, operator_id="anna", cause="by hand", waives=waives)

    assert await states(database) == {1: "free" if waives else "quarantined"}
