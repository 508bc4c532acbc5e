"""The parts behind the API, in memory and under the test's hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from hlrd.domain import orders, trail
from hlrd.domain.audit import DAEMON, Act, Action, Facts, Head, Row
from hlrd.domain.errors import Conflict, NotFound, Refusal
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.lifecycle import MOVE, ImportState, MoveEvent, MoveState
from hlrd.domain.master import Master, Mastery
from hlrd.domain.operation import Task
from hlrd.domain.orders import WorkOrder
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.reconciliation import Comparison, Held, Said, Stopped
from hlrd.domain.routing import Rehoming
from hlrd.domain.suspension import Reason
from hlrd.ne.halts import Halt
from hlrd.pool import simfaults
from hlrd.pool.forecast import Forecast
from hlrd.pool.ranges import Span
from hlrd.pool.simfaults import Faults
from hlrd.pool.simfile import ReadCard, SIMFile
from hlrd.pool.simheader import BadLine, SIMFileRefused, summary
from hlrd.ports import Answer, Submission
from hlrd.store.audit_trail import AuditFilter
from hlrd.store.desk import Work
from hlrd.store.groups import ECRow, MemberRow, PartnerRow, SubscriptionRow
from hlrd.store.masters import MasterView
from hlrd.store.products import ProductRow
from hlrd.store.record import (
    CardRow,
    ExportRow,
    History,
    ImportRow,
    LotRow,
    MoveRow,
    NumberRow,
    OrderRecord,
    PoolRow,
    RangeRow,
    Report,
    StockRow,
)
from hlrd.store.shares import Share

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_binding(number: int) -> Binding:
    return Binding(
        user_id=UserId("1"),
        msisdn=MSISDN(f"10649{number:08d}"),
        imsi=IMSI(f"46099{number:010d}"),
        iccid=ICCID(f"898699{number:013d}"),
        hlr="hlr1",
        province="200",
        key=SealedKey("k1", b"sealed"),
    )


@dataclass
class Book:
    """Intake, order reader and desk over one dictionary. Answers come a turn of the loop later, or
    when the test calls `release` if `holds` is set."""

    refusal: Refusal | None = None  #: what every order is refused with
    holds: bool = False
    seen: list[Submission] = field(default_factory=list)
    records: dict[int, OrderRecord] = field(default_factory=dict)
    live: dict[int, dict[str, object]] = field(default_factory=dict)
    waiters: dict[int, Callable[[bytes], None]] = field(default_factory=dict)
    submitted: asyncio.Event = field(default_factory=asyncio.Event)
    held: Mapping[str, object] | None = None  #: why its orders are not started
    lack: Mapping[str, object] | None = None  #: what its parked orders have not
    _ids: Callable[[], int] = field(default_factory=lambda: count(2**62).__next__)
    _hashes: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    _held: list[Callable[[], None]] = field(default_factory=list)

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None:
        self.seen += submissions

        def later() -> None:
            on_answers([self._judge(submission) for submission in submissions])

        if self.holds:
            self._held.append(later)
        else:
            asyncio.get_running_loop().call_soon(later)
        self.submitted.set()

    def when_closed(self, order: int, on_receipt: Callable[[bytes], None], /) -> Callable[[], None]:
        self.waiters[order] = on_receipt
        return lambda: void(self.waiters.pop(order, None))

    def release(self) -> None:
        self.holds = False
        while self._held:
            self._held.pop(0)()

    def wait(self, order: int) -> None:
        """Its task is in the lane of its NE."""
        self.live[order] = {"state": "executing", "trail": a_trail("ready")}

    def close(self, order: int, result: str = "succeeded") -> None:
        record = self.records[order]
        end: dict[str, str] = {"id": str(order), "result": result}
        if result == "succeeded":
            end["msisdn"] = self.binding(order).msisdn
        receipt = orjson.dumps(end)
        self.records[order] = replace(
            record, state=result, closed_at=NOON, receipts=[receipt], trail=a_trail("done")
        )
        self.live.pop(order, None)
        waiter = self.waiters.pop(order, None)
        if waiter is not None:
            waiter(receipt)

    def id_of(self, source: str, order_id: str) -> int:
        return self._hashes[source, order_id][0]

    def binding(self, order: int) -> Binding:
        binding = self.records[order].binding
        assert binding is not None
        return binding

    async def by_id(self, order: int, /) -> OrderRecord | None:
        return self.records.get(order)

    async def by_order_id(self, source: str, order_id: str, /) -> OrderRecord | None:
        known = self._hashes.get((source, order_id))
        return self.records[known[0]] if known else None

    async def cancel(self, order: int, /) -> None:
        if self.records[order].state != "queued" or order in self.live:
            raise Conflict("ORDER_BEGUN", "commands of the order may have been sent", "id")
        self.close(order, "cancelled")

    async def chase(self, order: int, /) -> None:
        if self.records[order].closed_at is not None:
            raise Conflict("ORDER_NOT_OPEN", "the order is closed", "id")
        self.records[order] = replace(self.records[order], priority=1)

    def show(self, order: int, /) -> Mapping[str, object] | None:
        return self.live.get(order)

    def lack_of(
        self, kind: str, payload: bytes, /, *, is_bound: bool
    ) -> Mapping[str, object] | None:
        return self.lack

    def hold_of(self, binding: Binding | None, /) -> Mapping[str, object] | None:
        return self.held

    def _judge(self, submission: Submission) -> Answer:
        order = submission.order
        if order is None:
            return Answer(None, submission.refusal)
        if self.refusal is not None:
            return Answer(order.order_id, self.refusal)
        key = (submission.source, order.order_id)
        digest = orders.content_hash(order)
        known = self._hashes.get(key)
        if known is None:
            return self._answer(self._take(key, digest, order))
        if known[1] != digest:
            return Answer(order.order_id, Conflict("DUPLICATE_CONFLICT", "other content before"))
        return self._answer(self.records[known[0]], is_repeat=True)

    def _take(self, key: tuple[str, str], digest: bytes, order: WorkOrder) -> OrderRecord:
        order_number = self._ids()
        self._hashes[key] = (order_number, digest)
        if isinstance(order, orders.UserOpen):
            order.ki = None
        record = an_order_record(
            order_number, source=key[0], order_id=key[1], payload=orders.encode(order)
        )
        self.records[order_number] = record
        self.live[order_number] = {"state": "executing", "trail": a_trail("sent")}
        return record

    def _answer(self, record: OrderRecord, *, is_repeat: bool = False) -> Answer:
        binding = None if record.closed_at else self.binding(record.id)  # the user may be gone
        return Answer(
            record.order_id,
            None,
            record.id,
            record.state,
            is_repeat,
            binding.msisdn if binding else None,
            binding.imsi if binding else None,
            binding.iccid if binding else None,
            record.receipts[-1] if record.closed_at else None,
        )


def a_trail(state: str) -> bytes:
    """As the engine leaves it: one command, answered after 12 ms."""
    command = ("execute", 1_795_262_400.0, 0.012, "done", "0", "SUCCESS0001")
    return trail.encode([("addKey", "hlr1", state, 0, "", "T1", "ordered", [command])])


def void(_: object) -> None:
    """Turns an expression into a call without a result."""


def an_order_record(
    number: int,
    *,
    source: str = "ESOP",
    order_id: str = "A1",
    state: str = "queued",
    payload: bytes = b"{}",
) -> OrderRecord:
    return OrderRecord(
        id=number,
        source=source,
        order_id=order_id,
        kind="MEMBER_ACTIVATE",
        state=state,
        user_id="1",
        operator_id="op1",
        province="200",
        priority=2,
        accepted_at=NOON,
        closed_at=None,
        payload=payload,
        binding=a_binding(number % 10**8),
    )


@dataclass
class FakeReceipts:
    """Pages of one list per source; `wait_s` of each call is kept, and waited only if `hangs`."""

    by_source: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    hangs: bool = False

    async def after(
        self, source: str, cursor: int, limit: int, wait_s: float
    ) -> list[tuple[int, bytes]]:
        self.waits.append(wait_s)
        if self.hangs:
            await asyncio.sleep(wait_s)
        past = [each for each in self.by_source.get(source, []) if each[0] > cursor]
        return past[:limit]


@dataclass
class FakePools:
    ranges: dict[str, list[RangeRow]] = field(default_factory=dict)
    low_waters: dict[str, int | None] = field(default_factory=dict)

    async def create_pool(self, name: str) -> None:
        if name in self.ranges:
            raise Conflict("POOL_EXISTS", "a pool of this name exists", "name")
        self.ranges[name] = []

    async def add_range(self, span: Span) -> bool:
        if span.pool not in self.ranges:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")
        row = RangeRow(str(span.first), str(span.last), span.province, span.hlr)
        if row in self.ranges[span.pool]:
            return False
        self.ranges[span.pool].append(row)
        return True

    async def set_low_water(self, name: str, numbers: int | None) -> None:
        if name not in self.ranges:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")
        self.low_waters[name] = numbers

    async def report(self) -> Report:
        rows = [
            StockRow(name, row.province, row.hlr, 13, self._pool(name).numbers)
            for name, ranges in self.ranges.items()
            for row in ranges
        ]
        return Report(None, rows)

    async def export(self, name: str, state: str | None) -> AsyncIterator[Sequence[ExportRow]]:
        for row in self.ranges[name]:
            for found in ("inUse", "locked"):
                if state in (None, found):
                    who = ("9", "8986", None, None, "", 'a "cause", and more')
                    yield [ExportRow(row.first, found, row.province, row.hlr, "", *who)]

    async def history(self, msisdn: MSISDN) -> History | None:
        number = await self.number(msisdn)
        return number and History(number, None, None, None, None, None, False, None, None, [])

    async def pools(self) -> Sequence[PoolRow]:
        return [self._pool(name) for name in self.ranges]

    async def pool(self, name: str) -> PoolRow | None:
        return self._pool(name) if name in self.ranges else None

    async def number(self, msisdn: MSISDN) -> NumberRow | None:
        for pool, ranges in self.ranges.items():
            for row in ranges:
                if row.first <= msisdn <= row.last:
                    return NumberRow(msisdn, pool, row.province, row.hlr, "idle")
        return None

    def _pool(self, name: str) -> PoolRow:
        size = sum(int(row.last) - int(row.first) + 1 for row in self.ranges[name])
        return PoolRow(name, self.ranges[name], {"idle": size}, self.low_waters.get(name))


@dataclass
class FakeNumberDesk:
    """Remembers what it was asked; shares are cut out of nothing."""

    done: list[tuple[object, ...]] = field(default_factory=list)

    async def lock(self, work: Work) -> None:
        self.done.append(("lock", work))

    async def unlock(self, work: Work) -> None:
        self.done.append(("unlock", work))

    async def recycle(self, msisdn: MSISDN, operator_id: str, *, waives: bool) -> object:
        self.done.append(("recycle", msisdn, operator_id, waives))
        return {"msisdn": msisdn, "found": "recycled", "detail": ""}

    async def recycle_due(self, operator_id: str) -> object:
        self.done.append(("recycleDue", operator_id))
        return {"counts": {"recycled": 1}, "numbers": []}

    async def share(self, share: Share, operator_id: str) -> Sequence[RangeRow]:
        self.done.append(("share", share, operator_id))
        return [RangeRow("1064800000000", "1064800000009", share.province, "hlr1", True)]

    async def unshare(self, pool: str, first: MSISDN, operator_id: str) -> RangeRow:
        self.done.append(("unshare", pool, first, operator_id))
        return RangeRow(first, first, "000", "hlr1")


@dataclass
class FakeForecasts:
    async def forecast(self) -> Sequence[Forecast]:
        by_hlr = {"hlr1": 10}
        return [
            Forecast(pool, "200", 10, by_hlr, 1, 2, 4.0, 2.5, 20, is_low=True)
            for pool in ("iot", "other")
        ]


@dataclass
class FakeStock:
    lot_rows: dict[str, LotRow] = field(default_factory=dict)
    card_rows: dict[str, CardRow] = field(default_factory=dict)

    async def lots(self) -> Sequence[LotRow]:
        return list(self.lot_rows.values())

    async def lot(self, name: str) -> LotRow | None:
        return self.lot_rows.get(name)

    async def card(self, iccid: ICCID) -> CardRow | None:
        return self.card_rows.get(iccid)

    async def cards(self, lot: str) -> AsyncIterator[Sequence[CardRow]] | None:
        return self._pages(lot) if lot in self.lot_rows else None

    async def _pages(self, lot: str) -> AsyncIterator[Sequence[CardRow]]:
        for row in self.card_rows.values():
            if row.lot == lot:
                yield [row]


@dataclass
class FakeCardDesk:
    stock: FakeStock

    async def scrap(self, iccid: ICCID, *, cause: str, operator_id: str) -> None:
        row = self.stock.card_rows.get(iccid)
        if row is None:
            raise NotFound("CARD_UNKNOWN", "this card is not of the stock", "iccid")
        cause = f"{cause} ({operator_id})"
        self.stock.card_rows[iccid] = replace(row, state="scrapped", cause=cause)


@dataclass
class FakeImports:
    """Checks at once; an import that is held goes on only when the test says so."""

    stock: FakeStock
    folder: Path
    holds: bool = False
    files: dict[int, bytes] = field(default_factory=dict)
    rows: dict[int, ImportRow] = field(default_factory=dict)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(
        self,
        parts: AsyncIterator[bytes],
        *,
        bytes_expected: int,
        province: str,
        hlr: str,
        operator_id: str,
    ) -> ImportRow:
        document = b"".join([part async for part in parts])
        assert len(document) <= bytes_expected
        row = an_import_row(
            len(self.rows) + 1,
            file_hash=sha256(document).digest(),
            file_bytes=len(document),
            province=province,
            hlr=hlr,
            operator_id=operator_id,
        )
        self.rows[row.id], self.files[row.id] = row, document
        return row

    async def until_over(self, row: ImportRow) -> ImportRow:
        if self.holds:
            await self._over.wait()
        if not self.rows[row.id].is_over:
            self._import(row)
        return self.rows[row.id]

    def release(self) -> None:
        self._over.set()

    def _import(self, row: ImportRow) -> None:
        try:
            file = SIMFile(BytesIO(self.files[row.id]))
        except SIMFileRefused as refused:
            return self._refuse(row, list(refused.bad_lines))
        read = list(file.cards())
        bad = [each for each in read if isinstance(each, BadLine)]
        wrong = file.wrong_quantity()
        if bad or wrong:
            return self._refuse(row, sorted([*bad, *([wrong] if wrong else [])]))
        lot = file.header.lot
        for card in read:
            if isinstance(card, ReadCard):
                self.stock.card_rows[card.iccid] = CardRow(
                    card.iccid, card.imsi, lot, row.province, row.hlr, "inStock"
                )
        self.stock.lot_rows[lot] = LotRow(
            lot, file.header.vendor, row.province, row.hlr, len(read), {"inStock": len(read)}, NOON
        )
        self.rows[row.id] = replace(
            row, state=ImportState.DONE, lot=lot, loaded=len(read), ended_at=NOON
        )
        return None

    def _refuse(self, row: ImportRow, bad: list[BadLine]) -> None:
        faults = Faults()
        faults.add_all(bad)
        with (self.folder / f"{row.id}.csv").open("w") as file:
            faults.write(file)
        self.rows[row.id] = replace(
            row,
            state=ImportState.REFUSED,
            code="LOT_INVALID",
            cause=summary(len(bad), bad[0]),
            faults=len(bad),
            ended_at=NOON,
        )

    async def get(self, id: int) -> ImportRow | None:
        return self.rows.get(id)

    async def newest(self) -> Sequence[ImportRow]:
        return list(reversed(self.rows.values()))

    async def cancel(self, id: int, operator_id: str) -> ImportRow:
        row = self.rows.get(id)
        if row is None:
            raise NotFound("IMPORT_UNKNOWN", "no import has this id")
        if row.is_over:
            raise Conflict("IMPORT_OVER", "nothing is left to cancel")
        cause = f"cancelled by {operator_id}"
        self.rows[id] = replace(
            row, state=ImportState.REFUSED, code="IMPORT_CANCELLED", cause=cause
        )
        self.release()
        return self.rows[id]

    async def faults(self, row: ImportRow, most: int) -> list[BadLine]:
        with (self.folder / f"{row.id}.csv").open() as file:
            return simfaults.read(file, most)

    def error_file(self, row: ImportRow) -> Path | None:
        path = self.folder / f"{row.id}.csv"
        return path if path.is_file() else None


def an_import_row(id: int, **changes: Any) -> ImportRow:
    values: dict[str, Any] = {
        "file_hash": bytes(32),
        "file_bytes": 0,
        "lot": None,
        "province": "200",
        "hlr": "hlr1",
        "operator_id": "op1",
        "state": ImportState.WAITING,
        "rows": None,
        "checked": 0,
        "loaded": 0,
        "faults": 0,
        "left_s": None,
        "code": None,
        "cause": None,
        "started_at": NOON,
        "ended_at": None,
        **changes,
    }
    return ImportRow(id=id, **values)


@dataclass
class FakeHalts:
    kept: dict[str, Halt] = field(default_factory=dict)

    async def keep(self, ne: str, halt: Halt) -> None:
        self.kept[ne] = halt

    async def drop(self, ne: str) -> None:
        self.kept.pop(ne, None)


@dataclass
class FakeProgress:
    waiting: int = 7
    running: int = 1


@dataclass
class FakeMoves:
    """Goes from state to state as it is told to, or to `ends_in`."""

    ends_in: MoveState | None = None
    rows: dict[int, MoveRow] = field(default_factory=dict)
    asked: list[tuple[Rehoming, str, int | None]] = field(default_factory=list)

    async def start(self, rehoming: Rehoming, operator_id: str, sample: int | None) -> MoveRow:
        self.asked.append((rehoming, operator_id, sample))
        if any(not row.is_over for row in self.rows.values()):
            raise Conflict("MOVE_OPEN", "another segment is being moved")
        row = MoveRow(
            len(self.rows) + 1, rehoming, operator_id, MoveState.DRAINED, sample,
            0, 0, 0, 0, [], NOON, NOON,
        )  # fmt: skip
        self.rows[row.id] = row
        return row

    async def order(self, id: int, event: MoveEvent, operator_id: str) -> MoveRow:
        row = await self.get(id)
        if (row.state, event) not in MOVE:
            raise Conflict("MOVE_NOT_READY", f"the move is {row.state}")
        self.rows[id] = replace(row, state=self.ends_in or MOVE[row.state, event])
        return self.rows[id]

    async def get(self, id: int) -> MoveRow:
        if id not in self.rows:
            raise NotFound("MOVE_UNKNOWN", "no move has this id")
        return self.rows[id]

    async def newest(self) -> Sequence[MoveRow]:
        return list(reversed(self.rows.values()))

    def progress(self) -> FakeProgress:
        return FakeProgress()


@dataclass
class FakeProducts:
    shelf: list[ProductRow] = field(default_factory=list)

    async def rows(self) -> Sequence[ProductRow]:
        return self.shelf

    async def versions(self, id: str) -> Sequence[ProductRow]:
        return [replace(row, users=2) for row in self.shelf if row.product.id == id]


@dataclass
class FakeGroups:
    ecs: list[ECRow] = field(default_factory=list)
    held: list[SubscriptionRow] = field(default_factory=list)
    own: list[MemberRow] = field(default_factory=list)
    others: list[PartnerRow] = field(default_factory=list)

    async def page(self, after: str, limit: int) -> Sequence[ECRow]:
        return [row for row in self.ecs if row.code > after][:limit]

    async def ec(self, code: str) -> ECRow | None:
        counted = [replace(row, members=2, partners=1) for row in self.ecs if row.code == code]
        return counted[0] if counted else None

    async def subscriptions(self, code: str) -> Sequence[SubscriptionRow]:
        return self.held

    async def members(self, code: str, after: str, limit: int) -> Sequence[MemberRow]:
        return [row for row in self.own if row.user_id > after][:limit]

    async def partners(self, code: str, after: int, limit: int) -> Sequence[PartnerRow]:
        return [row for row in self.others if int(row.msisdn) > after][:limit]


@dataclass
class FakeElement:
    name: str = "hlr1"

    standing: Halt | None = None
    hinders: Mapping[str, object] | None = None

    def show(self) -> Mapping[str, object]:
        return {
            "dialect": "huawei_hlr",
            "address": "127.0.0.1:7776",
            "state": "sending" if self.standing is None else "held",
            "sessions": {"idle": 4},
            "sessions_max": 16,
            "in_flight": 0,
            "waiting": 0,
            "breaker": {"state": "closed", "faults": 0},
            "halt": None if self.standing is None else {"cause": self.standing.cause},
        }

    def halt(self, halt: Halt | None, /) -> None:
        self.standing = halt

    def obstacle(self) -> Mapping[str, object] | None:
        return self.hinders

    def masked(self, task: Task, /) -> str:
        return f"ADD KI:IMSI={task.binding.imsi};"


@dataclass
class FakeAudit:
    """The trail in memory, chained as in the database."""

    rows_kept: list[Row] = field(default_factory=list)
    refusal: Refusal | None = None  #: what every act is refused with

    async def record(
        self,
        *,
        actor: str,
        source: str,
        action: str,
        subject: str,
        order: int | None = None,
        before: Facts | None = None,
        after: Facts | None = None,
    ) -> int:
        if self.refusal is not None:
            raise self.refusal
        act = Act(action, subject, actor, source, order, before, after)
        row = (await self.head()).joined(act, NOON)
        self.rows_kept.append(row)
        return row.seq

    def note(
        self,
        action: Action,
        subject: str,
        *,
        actor: str = DAEMON,
        source: str = DAEMON,
        after: Facts,
    ) -> None:
        head = Head(self.rows_kept[-1].seq, self.rows_kept[-1].hash) if self.rows_kept else Head()
        self.rows_kept.append(head.joined(Act(action, subject, actor, source, after=after), NOON))

    async def head(self) -> Head:
        return Head(self.rows_kept[-1].seq, self.rows_kept[-1].hash) if self.rows_kept else Head()

    async def page(self, wanted: AuditFilter, before: int, limit: int) -> Sequence[Row]:
        fits = [
            row
            for row in reversed(self.rows_kept)
            if row.seq < before
            and wanted.subject in (None, row.subject)
            and wanted.actor in (None, row.actor)
            and wanted.action in (None, row.action)
            and wanted.order in (None, row.order)
            and (wanted.since is None or row.at >= wanted.since)
        ]
        return fits[:limit]

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        for row in self.rows_kept:
            yield [row]


@dataclass
class FakeMasters:
    """Who is master of user state; a switch goes on until the test ends it."""

    usual: Master = Master.BACKUP
    by_province: dict[str, Mastery] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)

    async def views(self) -> Sequence[MasterView]:
        return [await self.view(province) for province in self.by_province]

    async def view(self, province: str) -> MasterView:
        now = self.by_province.get(province, Mastery(self.usual))
        left = None if now.next is None else 3
        name = orders.PROVINCES[province]
        return MasterView(province, name, now.master, now.next, self.usual, left, left, None, None)

    async def switch(self, province: str, master: Master, operator_id: str) -> MasterView:
        now = self.by_province.get(province, Mastery(self.usual))
        if now.master is master:
            raise Conflict("MASTER_ALREADY", "it is", "master")
        self.by_province[province] = Mastery(now.master, master)
        return await self.view(province)

    async def stopped(self, province: str) -> AsyncIterator[Sequence[Stopped]]:
        yield [Stopped("8", [LeveledReason(Reason.ARREARS, 2)], 7)]

    async def cancel(self, province: str, operator_id: str) -> MasterView:
        self.by_province[province] = Mastery(self.by_province[province].master)
        return await self.view(province)

    async def compare(
        self, province: str, said: Sequence[Said], *, operator_id: str, repairs: bool
    ) -> Comparison:
        self.asked.append((province, list(said), operator_id, repairs))
        found = Comparison(province, self.usual)
        for one in said:
            held = Held(MSISDN("1064900000001"), province, {}, None, is_busy=False)
            shown = found.count(one, held)
            found.differences += [shown] if shown else []
        return found
