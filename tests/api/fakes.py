"""The parts behind the API, in memory and under the test's hand."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

import orjson

from hlrd.domain import order as orders
from hlrd.domain import trail
from hlrd.domain.errors import Conflict, NotFound, Refusal
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.operation import Task
from hlrd.domain.order import WorkOrder
from hlrd.pool.ranges import Span
from hlrd.ports import Answer, Submission
from hlrd.store.record import Delivery, LotRow, NumberRow, OrderRecord, PoolRow, RangeRow

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
    resent: list[int] = field(default_factory=list)
    waiters: dict[int, Callable[[bytes], None]] = field(default_factory=dict)
    submitted: asyncio.Event = field(default_factory=asyncio.Event)
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

    def show(self, order: int, /) -> Mapping[str, object] | None:
        return self.live.get(order)

    def resend(self, order: int, /) -> None:
        if self.records[order].state != "fallout":
            raise NotFound("NOT_IN_FALLOUT", "no order of that id waits for a person", "id")
        self.resent.append(order)
        self.live[order] = {"state": "queued", "trail": trail.encode([])}

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

    async def create_pool(self, name: str) -> None:
        if name in self.ranges:
            raise Conflict("POOL_EXISTS", "a pool of this name exists", "name")
        self.ranges[name] = []

    async def add_range(self, span: Span) -> None:
        if span.pool not in self.ranges:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")
        row = RangeRow(str(span.first), str(span.last), span.province, span.hlr)
        self.ranges[span.pool].append(row)

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
        return PoolRow(name, self.ranges[name], {"idle": size})


@dataclass
class FakeStock:
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    async def import_lot(self, delivery: Delivery) -> None:
        self.deliveries[delivery.name] = delivery

    async def lots(self) -> Sequence[LotRow]:
        return [self._lot(one) for one in self.deliveries.values()]

    async def lot(self, name: str) -> LotRow | None:
        return self._lot(self.deliveries[name]) if name in self.deliveries else None

    def _lot(self, one: Delivery) -> LotRow:
        count = len(one.cards)
        return LotRow(one.name, one.vendor, one.province, one.hlr, count, {"inStock": count})


@dataclass
class FakeElement:
    name: str = "hlr1"

    def show(self) -> Mapping[str, object]:
        return {"dialect": "huawei_hlr", "sessions": {"ready": 4}}

    def masked(self, task: Task, /) -> str:
        return f"ADD KI:IMSI={task.binding.imsi};"
