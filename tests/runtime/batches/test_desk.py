"""Batch files on a real database: received, checked whole, reserved for, and their order posted."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hlrd.domain.batch import Child, Format, Posting
from hlrd.domain.errors import Conflict, Refusal
from hlrd.domain.group import GroupPlaces
from hlrd.domain.identity import ICCID
from hlrd.domain.lifecycle import BatchEvent, BatchState
from hlrd.domain.orders import MemberActivate, Source
from hlrd.domain.orders.batch import BatchOrder
from hlrd.domain.plans.plan import Routes
from hlrd.domain.role import Role
from hlrd.domain.routing import RouteTable
from hlrd.pool.reservation import Asked
from hlrd.ports import Answer, Submission
from hlrd.runtime.batches.desk import BatchDesk
from hlrd.runtime.batches.lookup import BatchLookup
from hlrd.runtime.batches.reserving import Reserving
from hlrd.runtime.imports.spool import Spool
from hlrd.runtime.master import masters_of
from hlrd.store.batches import BatchBook, BatchRow, Sending
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from tests.api.client import until
from tests.runtime.imports.rig import a_vault
from tests.runtime.stock import a_card, a_span, stock_up

pytestmark = pytest.mark.postgres

SAID = Posting(
    source=Source.ESOP,
    order_id="B-1",
    operator_id="op",
    province="200",
    child="MEMBER_ACTIVATE",
    priority=4,
    format=Format.CSV,
    charset="utf-8",
    common={"ec_code": "EC1"},
)
ROUTES = Routes("dsmp", {"hlr1": {"GPRS+SMS": 1}}, dialects={"hlr1": "mml"})


class FakeReservations:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.kept: list[ICCID] = []
        self.cancelled: list[int] = []
        self.refusal: Refusal | None = None

    async def reserve(self, asked: Asked) -> tuple[Any, bool]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asked)
        return SimpleNamespace(id=str(len(self.asked)), state="open"), False

    async def keep_cards(self, reservation: int, iccids: Sequence[ICCID]) -> Sequence[ICCID]:
        self.kept += iccids
        return ()

    async def cancel(self, reservation: int, source: str | None) -> Any:
        self.cancelled.append(reservation)


class FakeEngine:
    def __init__(self) -> None:
        self.posted: list[Submission] = []
        self.refusal: Refusal | None = None
        self._ids = count(1)

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None]
    ) -> None:
        (submission,) = submissions
        assert submission.order is not None
        self.posted.append(submission)
        on_answers([Answer(submission.order.order_id, self.refusal, next(self._ids), "queued")])


class FakeWalks:
    def __init__(self) -> None:
        self.told: list[BatchRow] = []

    def moved(self, batch: BatchRow) -> None:
        self.told.append(batch)


class Rig:
    def __init__(self, desk: BatchDesk, book: BatchBook, pools: NumberPools) -> None:
        self.desk = desk
        self.book = book
        self.pools = pools
        self.reservations = FakeReservations()
        self.engine = FakeEngine()
        self.walks = FakeWalks()

    async def post(self, text: str, **said: Any) -> BatchRow:
        posting = replace(SAID, **said)
        content = text.encode(posting.charset)

        async def parts() -> AsyncIterator[bytes]:
            yield content

        return await self.desk.receive(parts(), bytes_expected=len(content), posting=posting)

    async def checked(self, text: str, **said: Any) -> BatchRow:
        batch = await self.post(text, **said)
        async with asyncio.timeout(10):
            return await self.desk.until_checked(batch)

    async def reaches(self, batch: BatchRow, state: BatchState) -> BatchRow:
        async with asyncio.timeout(10):
            while True:
                batch = await self.desk.get(batch.id, None)
                if batch.state is state:
                    return batch
                await asyncio.sleep(0.005)

    def faults(self, batch: BatchRow) -> list[list[str]]:
        path = self.desk.error_file(batch)
        assert path is not None
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]


@asynccontextmanager
async def a_rig(
    dsn: str, folder: Path, *, runs: bool = True, routes: Routes = ROUTES
) -> AsyncIterator[Rig]:
    pool = await open_pool(dsn, "test", 3)
    book = BatchBook(pool)
    lookup = BatchLookup(
        pool, book, routes=routes, homes=RouteTable(), masters=masters_of("BOSS", {})
    )
    vault = a_vault()
    reservations, engine, walks = FakeReservations(), FakeEngine(), FakeWalks()
    desk = BatchDesk(
        book, lookup, Spool(folder, vault), vault, reserving=Reserving(reservations),
        engine=engine, is_busy=lambda: False,
    )  # fmt: skip
    desk.walks = walks
    rig = Rig(desk, book, NumberPools(pool))
    rig.reservations, rig.engine, rig.walks = reservations, engine, walks
    running = asyncio.create_task(desk.run()) if runs else None
    try:
        yield rig
    finally:
        if running is not None:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        await pool.close()


@pytest.fixture
async def rig(dsn: str, database: Connection, tmp_path: Path) -> AsyncIterator[Rig]:
    async with a_rig(dsn, tmp_path) as rig:
        await rig.pools.create_pool("iot")
        await rig.pools.add_range(a_span(100))
        await stock_up(database, 20)
        yield rig


def members(*users: int) -> str:
    return "user_id\n" + "".join(f"{user}\n" for user in users)


async def test_a_good_file_is_reserved_for_and_its_order_is_posted_once(rig: Rig) -> None:
    batch = await rig.checked(members(1, 2, 3))
    ready = await rig.reaches(batch, BatchState.READY)
    await until(lambda: bool(rig.engine.posted))

    assert (ready.rows, ready.checked, ready.faults) == (3, 3, 0)
    (asked,) = rig.reservations.asked
    assert (asked.source, asked.pool, asked.count, asked.with_cards) == ("ESOP", "iot", 3, True)
    (submission,) = rig.engine.posted
    assert submission.source == "ESOP"
    order = submission.order
    assert isinstance(order, BatchOrder)
    assert (order.order_id, order.batch, order.rows) == ("B-1", str(batch.id), 3)
    assert list(ready.reservations.values()) == [[1]]


async def test_the_same_file_again_is_the_same_batch_and_another_is_not(rig: Rig) -> None:
    first = await rig.post(members(1, 2))

    assert (await rig.post(members(1, 2))).id == first.id
    for other in ({"province": "210"}, {"is_partial": True}, {"common": {"ec_code": "EC2"}}):
        with pytest.raises(Conflict) as refused:
            await rig.post(members(1, 2), **other)
        assert refused.value.code == "DUPLICATE_CONFLICT"
    with pytest.raises(Conflict):
        await rig.post(members(1, 3))
    assert (await rig.post(members(1, 3), order_id="B-2")).id != first.id


async def test_every_fault_is_in_the_error_file_and_nothing_is_reserved(
    rig: Rig, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO binding VALUES (1064800000000, 460040000000000, $1, '5', 1, 'hlr1', '200',"
        " 'k1', '', now())",
        a_card(0).iccid,
    )
    rows = [
        "user_id,msisdn,iccid",
        "1,,",
        "1,,",
        "x,,",
        "5,,",
        "6,1064800000000,",
        "7,1064800000999,",
        f"8,,{a_card(0).iccid}",
        f"9,,{a_card(99).iccid}",
        f"10,,{a_card(1).iccid}",
        f"11,,{a_card(1).iccid}",
    ]

    batch = await rig.checked("\n".join(rows))

    assert (batch.state, batch.code, batch.faults) == (BatchState.REFUSED, "BATCH_INVALID", 8)
    faults = rig.faults(batch)
    assert [(line, column) for line, column, _ in faults] == [
        ("3", "user_id"),
        ("4", "user_id"),
        ("5", "user_id"),
        ("6", "msisdn"),
        ("7", "msisdn"),
        ("8", "iccid"),
        ("9", "iccid"),
        ("11", "iccid"),
    ]
    assert faults[0][2] == "the same as in line 2"
    assert rig.reservations.asked == []
    assert rig.engine.posted == []


async def test_headquarters_draws_for_no_row_and_reserves_nothing(
    dsn: str, database: Connection, tmp_path: Path
) -> None:
    alone = replace(ROUTES, groups=GroupPlaces(role_missing=Role.PROVINCE))
    async with a_rig(dsn, tmp_path, routes=alone) as rig:
        batch = await rig.checked(members(1, 2))

        assert (batch.state, batch.faults) == (BatchState.REFUSED, 2)
        assert [column for _, column, _ in rig.faults(batch)] == ["type", "type"]
        assert rig.reservations.asked == []


async def test_a_corrected_file_comes_under_the_same_order_id(rig: Rig) -> None:
    refused = await rig.checked(members(1, 1))
    good = await rig.checked(members(1, 2))

    assert refused.state is BatchState.REFUSED
    assert good.id != refused.id
    await rig.reaches(good, BatchState.READY)


async def test_with_partial_the_good_rows_go_on(rig: Rig) -> None:
    batch = await rig.checked("user_id\n1\nx\n3\n3\n", is_partial=True)
    ready = await rig.reaches(batch, BatchState.READY)

    assert (ready.rows, ready.faults) == (4, 2)
    rows = rig.desk.rows_of(ready)
    taken = await rows.next(10)
    rows.close()
    assert [type(row) for row in taken] == [Child, Sending, Child, Sending]
    assert [row.code for row in taken if isinstance(row, Sending)] == ["ROW_FAULTY"] * 2


async def test_too_few_numbers_refuse_the_batch_whole(rig: Rig) -> None:
    rig.reservations.refusal = Conflict("POOL_EXHAUSTED", "too few")

    batch = await rig.checked(members(1, 2))

    assert (batch.state, batch.code) == (BatchState.REFUSED, "POOL_EXHAUSTED")
    assert rig.engine.posted == []


async def test_rows_of_a_range_get_its_cards_one_after_the_other_each_time(rig: Rig) -> None:
    ends = (a_card(2).iccid, a_card(6).iccid)
    batch = await rig.checked(members(1, 2, 3), cards=ends)
    ready = await rig.reaches(batch, BatchState.READY)

    assert rig.reservations.kept == [a_card(n).iccid for n in (2, 3, 4)]
    (asked,) = rig.reservations.asked
    assert (asked.hlr, asked.with_cards) == ("hlr1", False)
    again = replace(ready, cursor="3")
    first, second = rig.desk.rows_of(ready), rig.desk.rows_of(again)
    all_ = [one.order for one in await first.next(10) if isinstance(one, Child)]
    rest = [one.order for one in await second.next(10) if isinstance(one, Child)]
    first.close()
    second.close()
    assert [order.iccid for order in all_ if isinstance(order, MemberActivate)] == [
        a_card(n).iccid for n in (2, 3, 4)
    ]
    assert {order.reservation for order in all_ if isinstance(order, MemberActivate)} == {"1"}
    assert rest == all_[2:], "wherever an earlier run had come"


async def test_a_range_that_is_too_short_is_told_by_line(rig: Rig) -> None:
    batch = await rig.checked(members(1, 2, 3), cards=(a_card(2).iccid, a_card(3).iccid))

    assert rig.faults(batch) == [["4", "iccid", "the range has no card for this row"]]


async def test_rows_for_users_are_held_against_the_users(rig: Rig) -> None:
    text = "user_id,msisdn,level\n1,1064800000001,2\n"
    refused = await rig.checked(
        text, child="ARREARS_SUSPEND", common={}, source=Source.BOSS, order_id="S"
    )
    not_master = await rig.checked(
        text, child="ARREARS_SUSPEND", common={}, source=Source.CRM, order_id="S"
    )

    assert rig.faults(refused) == [["2", "user_id", "no such user was opened here"]]
    assert [fault[1] for fault in rig.faults(not_master)] == ["type"]


async def test_products_of_members_may_come_before_those_are_opened(rig: Rig) -> None:
    text = "user_id,ec_code,product\n1,EC1,TRACK\n"

    batch = await rig.checked(
        text, child="MEMBER_PRODUCT_SUBSCRIBE", common={}, source=Source.ESOP, order_id="P"
    )

    assert batch.faults == 0, rig.faults(batch)


async def test_a_batch_is_cancelled_before_it_begins_and_holds_nothing(rig: Rig) -> None:
    ready = await rig.reaches(await rig.checked(members(1)), BatchState.READY)

    cancelled = await rig.desk.order(ready, BatchEvent.CANCELLED)

    assert (cancelled.state, cancelled.code) == (BatchState.REFUSED, "BATCH_CANCELLED")
    assert rig.reservations.cancelled == [1]
    with pytest.raises(Conflict):
        await rig.desk.order(cancelled, BatchEvent.PAUSED)


async def test_an_order_id_that_was_used_refuses_the_batch_and_lets_go(rig: Rig) -> None:
    rig.engine.refusal = Conflict("DUPLICATE_CONFLICT", "used")

    batch = await rig.reaches(await rig.post(members(1)), BatchState.REFUSED)

    assert batch.code == "DUPLICATE_CONFLICT"
    await until(lambda: rig.reservations.cancelled == [1])


async def test_what_waited_is_done_after_a_restart(
    dsn: str, database: Connection, tmp_path: Path
) -> None:
    async with a_rig(dsn, tmp_path, runs=False) as rig:
        await rig.pools.create_pool("iot")
        await rig.pools.add_range(a_span(100))
        waiting = await rig.post(members(1, 2))
        half = await rig.post(members(3, 4), order_id="B-2")
        await rig.book.advance(half.id, BatchState.WAITING, BatchState.CHECKING)
        kept = await rig.post(members(5, 6), order_id="B-3")
        await rig.book.advance(kept.id, BatchState.WAITING, BatchState.CHECKING)
        await rig.book.check_over(kept.id, 2, faults=0)

    async with a_rig(dsn, tmp_path) as rig:
        for batch in (waiting, half, kept):
            await rig.reaches(batch, BatchState.READY)
        await until(lambda: len(rig.engine.posted) == 3)
        assert sorted(asked.count for asked in rig.reservations.asked) == [2, 2, 2]


def cut(folder: Path) -> None:
    for path in folder.glob("*.spool"):
        path.write_bytes(b"cut")


async def test_a_file_that_is_lost_refuses_its_batch(
    dsn: str, database: Connection, tmp_path: Path
) -> None:
    async with a_rig(dsn, tmp_path, runs=False) as rig:
        waiting = await rig.post(members(1, 2))
        cut(tmp_path)

    async with a_rig(dsn, tmp_path) as rig:
        refused = await rig.reaches(waiting, BatchState.REFUSED)

    assert refused.code == "BATCH_FILE_LOST"
