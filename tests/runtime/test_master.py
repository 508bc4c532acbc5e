"""Switching the state master of a province on a real database: drained first, durable, over
restarts; and comparing with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.master import Master, Masters, Mastery
from hlrd.domain.orders import NERepair
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.reconciliation import Said
from hlrd.domain.suspension import Reason
from hlrd.engine.book import Book
from hlrd.engine.state_orders import StateOrders
from hlrd.ports import Answer, Submission
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.master import StateMasters
from hlrd.runtime.node import NodeLease
from hlrd.runtime.reconcile import Reconciler
from hlrd.store.connection import Connection, Pool, open_pool
from hlrd.store.masters import MasterBook
from tests.runtime.records import NOW, until

pytestmark = pytest.mark.postgres


class FakeStateOrders(StateOrders):
    """What memory has."""

    def __init__(self) -> None:
        super().__init__(Book())
        self.open = 0
        self.forgotten: list[str] = []

    def open_of(self, province: str) -> int:
        return self.open

    def forget_versions(self, province: str) -> None:
        self.forgotten.append(province)


@dataclass
class FakeEngine:
    state_orders: FakeStateOrders = field(default_factory=FakeStateOrders)
    taken: dict[str, NERepair] = field(default_factory=dict)

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None]
    ) -> None:
        answers = []
        for submission in submissions:
            assert isinstance(submission.order, NERepair)
            is_repeat = submission.order.order_id in self.taken
            self.taken[submission.order.order_id] = submission.order
            answers.append(Answer(submission.order.order_id, is_repeat=is_repeat))
        on_answers(answers)


@dataclass
class Office:
    desk: StateMasters
    masters: Masters
    engine: FakeEngine
    pool: Pool

    def is_drained(self, province: str = "200") -> bool:
        return self.masters.of(province).next is None

    async def acts(self) -> list[tuple[str, str, str | None]]:
        rows = await self.pool.fetch("SELECT action, actor, after FROM audit_trail ORDER BY seq")
        return [tuple(row) for row in rows]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MASTER_LOOK_S", 0.005)


@asynccontextmanager
async def an_office(dsn: str) -> AsyncIterator[Office]:
    """As after a start."""
    lease = NodeLease(dsn, "node1")
    trail = AuditWriter(dsn, node="node1", epoch=await lease.take(), wall=lambda: NOW)
    pool = await open_pool(dsn, "test", 2)
    masters, engine = Masters(Master.BOSS, {"100": Master.CRM}), FakeEngine()
    desk = StateMasters(MasterBook(pool), masters=masters, engine=engine, trail=trail)
    await desk.recover()
    async with asyncio.TaskGroup() as group:
        works = [group.create_task(trail.run()), group.create_task(desk.run())]
        yield Office(desk, masters, engine, pool)
        for work in works:
            work.cancel()
    await pool.close()
    lease.close()


async def user(database: Connection, n: int, province: str = "200", **state: Any) -> str:
    """A user with a number; `reasons` and `version` as hlrd has them."""
    await database.execute(
        "INSERT INTO binding VALUES ($1, $2, $3, $4, $5, 'hlr1', $6, 'k', '', now())",
        1064800000000 + n, 460040000000000 + n, f"8986{n:016}", str(n), n, province,
    )  # fmt: skip
    if "reasons" in state:
        await database.execute(
            "INSERT INTO user_state VALUES ($1, 'active', $2, $3, now())", str(n),
            state["reasons"], n,
        )  # fmt: skip
    if "version" in state:
        await database.execute(
            "INSERT INTO user_sequence VALUES ($1, 'state', $2)", str(n), state["version"]
        )
    return str(n)


async def order(database: Connection, id: int, user_id: str, kind: str = "ARREARS_SUSPEND") -> int:
    await database.execute(
        "INSERT INTO work_order VALUES ($1, 'BOSS', $2, $3, $4, 'op', '200', 3, '', '', now())",
        id, f"order-{id}", kind, user_id,
    )  # fmt: skip
    return id


async def close(database: Connection, id: int) -> None:
    await database.execute(
        "INSERT INTO receipt VALUES ($1, $1, 'BOSS', 'u', true, 'succeeded', '', '', now())", id
    )


# Switching.


async def test_a_province_without_open_orders_is_switched_at_once(dsn: str) -> None:
    async with an_office(dsn) as office:
        await office.desk.switch("200", Master.CRM, "anna")
        await until(office.is_drained)
        view = await office.desk.view("200")
        acts = await office.acts()

    assert (view.master, view.next, view.configured) == (Master.CRM, None, Master.BOSS)
    assert office.engine.state_orders.forgotten == ["200"]
    assert acts == [("master.switch", "hlrd", '{"master":"CRM","operator_id":"anna"}')]


async def test_orders_taken_before_are_carried_out_first(dsn: str, database: Connection) -> None:
    await order(database, 1, await user(database, 1))
    await order(database, 2, await user(database, 2), kind="USER_TERMINATE")
    await order(database, 3, await user(database, 3, province="100"))

    async with an_office(dsn) as office:
        office.engine.state_orders.open = 1
        view = await office.desk.switch("200", Master.CRM, "anna")
        assert (view.open, view.fallout) == (1, 0), "only its own, and only of users' state"
        assert office.masters.of("200") == Mastery(Master.BOSS, Master.CRM)
        await close(database, 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not office.is_drained(), "memory has one that is not durable yet"
        office.engine.state_orders.open = 0
        await until(office.is_drained)

    assert office.masters.of("200") == Mastery(Master.CRM)


async def test_a_restart_goes_on_with_the_drain_and_keeps_what_was_switched(
    dsn: str, database: Connection
) -> None:
    await order(database, 1, await user(database, 1))
    async with an_office(dsn) as office:
        await office.desk.switch("200", Master.CRM, "anna")

    async with an_office(dsn) as office:
        assert not office.is_drained()
        await close(database, 1)
        await until(office.is_drained)

    async with an_office(dsn) as office:
        assert office.masters.of("200") == Mastery(Master.CRM)
        assert office.masters.of("100") == Mastery(Master.CRM), "as the settings have it"
        assert office.masters.of("210") == Mastery(Master.BOSS)


async def test_what_is_in_fallout_is_shown_and_waited_for(dsn: str, database: Connection) -> None:
    await order(database, 1, await user(database, 1))
    await database.execute(
        "INSERT INTO fallout (order_id, kind, user_id, province, ne, operation, verdict, code,"
        " text, step, is_undo, since, fell_at)"
        " VALUES (1, 'ARREARS_SUSPEND', '1', '200', 'hlr1', '', '', '', '', '', false, now(),"
        " now())"
    )

    async with an_office(dsn) as office:
        view = await office.desk.switch("200", Master.CRM, "anna")

    assert (view.open, view.fallout) == (1, 1)


async def test_a_switch_that_is_called_off_leaves_the_master(
    dsn: str, database: Connection
) -> None:
    await order(database, 1, await user(database, 1))

    async with an_office(dsn) as office:
        await office.desk.switch("200", Master.CRM, "anna")
        view = await office.desk.cancel("200", "bert")
        with pytest.raises(Conflict, match="does not change"):
            await office.desk.cancel("200", "bert")

    assert (view.master, view.next, view.operator_id) == (Master.BOSS, None, "bert")


async def test_versions_of_the_old_master_are_forgotten_in_that_province_alone(
    dsn: str, database: Connection
) -> None:
    await user(database, 1, version=9)
    await user(database, 2, province="100", version=9)

    async with an_office(dsn) as office:
        await office.desk.switch("200", Master.CRM, "anna")
        await until(office.is_drained)

    left = await database.fetch("SELECT user_id FROM user_sequence")
    assert [row["user_id"] for row in left] == ["2"]


async def test_a_switch_that_makes_no_sense_is_refused(dsn: str, database: Connection) -> None:
    await order(database, 1, "batch:1", kind="EC_SUSPEND_ALL")

    async with an_office(dsn) as office:
        codes = []
        for province, master in (("200", Master.BOSS), ("200", Master.CRM), ("999", Master.CRM)):
            with pytest.raises((Conflict, BadRequest)) as refused:
                await office.desk.switch(province, master, "anna")
            codes.append(refused.value.code)
        await close(database, 1)
        office.engine.state_orders.open = 1
        await office.desk.switch("200", Master.CRM, "anna")
        with pytest.raises(Conflict, match="cancel that first"):
            await office.desk.switch("200", Master.BACKUP, "anna")

    assert codes == ["MASTER_ALREADY", "MASTER_FAN_OUT_OPEN", "PROVINCE_UNKNOWN"]


# Comparing.


def word(user_id: str, *reasons: tuple[Reason, int], version: int = 5) -> Said:
    return Said(user_id, [LeveledReason(reason, level) for reason, level in reasons], version)


def reconciler(office: Office) -> Reconciler:
    return Reconciler(MasterBook(office.pool), masters=office.masters, intake=office.engine)


async def test_each_user_is_compared_with_the_word_of_the_master(
    dsn: str, database: Connection
) -> None:
    same = await user(database, 1, reasons='{"ARREARS": 2, "FRAUD": 1}')
    freed = await user(database, 2, reasons='{"ARREARS": 2}')
    stopped = await user(database, 3)
    ahead = await user(database, 4, version=6)
    busy = await user(database, 5)
    await order(database, 9, busy)
    said = [
        word(same, (Reason.ARREARS, 2)),
        word(freed),
        *(word(each, (Reason.ARREARS, 2)) for each in (stopped, ahead, busy, "99")),
    ]

    async with an_office(dsn) as office:
        found = await reconciler(office).compare("200", said, operator_id="anna", repairs=False)

    counts = (found.compared, found.equal, found.different, found.outdated, found.busy)
    assert (*counts, found.unknown) == (3, 1, 2, 1, 1, 1)
    assert [one.user_id for one in found.differences] == [freed, stopped]
    assert office.engine.taken == {}


async def test_what_differs_gets_one_repair_however_often_the_list_is_sent(
    dsn: str, database: Connection
) -> None:
    user_id = await user(database, 1, reasons='{"VOLUNTARY": 2}')
    said = [word(user_id, (Reason.ARREARS, 1))]

    async with an_office(dsn) as office:
        desk = reconciler(office)
        first = await desk.compare("200", said, operator_id="anna", repairs=True)
        again = await desk.compare("200", said, operator_id="anna", repairs=True)

    assert (first.repairs, again.repairs) == (1, 0)
    (repair,) = office.engine.taken.values()
    assert (repair.msisdn, repair.state_version, repair.said_by) == ("1064800000001", 5, "BOSS")
    assert repair.reasons == said[0].reasons
    assert first.differences[0].order_id == repair.order_id


async def test_everybody_of_the_province_with_reasons_is_listed(
    dsn: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECONCILE_USERS", 2)
    for n in range(1, 6):
        await user(database, n, reasons='{"ARREARS": 2}' if n != 2 else "{}")
    await user(database, 6, province="100", reasons='{"ARREARS": 2}')

    async with an_office(dsn) as office:
        listed = [one async for page in office.desk.stopped("200") for one in page]

    assert [one.user_id for one in listed] == ["1", "3", "4", "5"]
    assert listed[0].reasons == [LeveledReason(Reason.ARREARS, 2)]


async def test_a_list_is_compared_in_parts(
    dsn: str, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECONCILE_USERS", 2)
    monkeypatch.setattr(limits, "RECONCILE_SHOWN_MAX", 3)
    said = [word(await user(database, n), (Reason.ARREARS, 2)) for n in range(1, 6)]

    async with an_office(dsn) as office:
        desk = reconciler(office)
        found = await desk.compare("200", said, operator_id="anna", repairs=True)
        with pytest.raises(BadRequest, match="twice"):
            await desk.compare("200", [said[0], said[0]], operator_id="anna", repairs=True)

    assert (found.different, found.repairs, len(found.differences)) == (5, 5, 3)
