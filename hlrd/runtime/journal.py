"""The journal writer: everything that arrived while the last flush was in flight goes in the next.

Nothing is reported to the engine before it is committed, and nothing that was taken is ever lost or
written twice, however often PostgreSQL goes away. The receipts of a user, and its records on the
whole, become durable in the order of the calls: a user's records are never in two flushes at once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import Final, Protocol

import structlog

from hlrd import limits, metrics
from hlrd.domain.identity import UserId
from hlrd.ports import Acceptance, Clash, Closing
from hlrd.store import batch as batches
from hlrd.store.batch import Batch, Numbered
from hlrd.store.connection import writing_as
from hlrd.store.errors import KeyTaken, StoreRefused, StoreTimeout, StoreUnavailable
from hlrd.store.link import Link

_log: Final = structlog.get_logger(__name__)
_KEY_REFUSALS_MAX: Final = 10  # careful writes in a row that a key refused: a bug of ours


class Listener(Protocol):
    """The engine, as the journal sees it."""

    def on_accepted(self, order_ids: Sequence[int], /) -> None: ...

    def on_clash(self, order_id: int, clash: Clash, /) -> None: ...

    def on_closed(self, order_ids: Sequence[int], /) -> None: ...


class JournalWriter:
    """Implements `ports.Journal`. `attach` before the first record, then keep `run` running."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        last_seq: int,
        quarantine_days: int,
        connections: int = limits.JOURNAL_CONNECTIONS,
    ) -> None:
        """`last_seq`: the highest receipt number in the database, read after the epoch was taken.

        `quarantine_days` holds for terminations that name no other.
        """
        self._lanes = [
            _Lane(dsn, writing_as(node, epoch), quarantine_days) for _ in range(connections)
        ]
        self._seq = last_seq
        self._pending: list[Acceptance | Numbered] = []
        self._in_flight: list[Batch] = []
        self._idle: list[asyncio.Future[None]] = []
        self._is_waking = False
        self._is_gathering = False
        self._to_tell: set[str] = set()
        self._to_tell_seq = 0
        self._when_empty: list[asyncio.Future[None]] = []
        self._on_receipts: Callable[[set[str]], None] = lambda sources: None
        self._on_freed: Callable[[], None] = lambda: None
        self._engine: Listener

    def attach(
        self,
        engine: Listener,
        *,
        on_receipts: Callable[[set[str]], None] | None = None,
        on_freed: Callable[[], None] | None = None,
    ) -> None:
        """`on_receipts` gets the sources of receipts made durable; `on_freed` is called when
        bindings ended. Both once a flush at most.
        """
        self._engine = engine
        self._on_receipts = on_receipts or self._on_receipts
        self._on_freed = on_freed or self._on_freed

    # The port.

    def accept(self, record: Acceptance) -> None:
        self._pending.append(record)
        if self._idle:
            self._wake()

    def close(self, record: Closing) -> None:
        self._seq += 1
        self._pending.append(Numbered(self._seq, record))
        if self._idle:
            self._wake()

    def backlog(self) -> int:
        return len(self._pending) + sum(map(len, self._in_flight))

    # The rest of the daemon.

    def durable_up_to(self) -> int:
        """Every receipt with this number or a lower one is committed; none appears there later."""
        for item in self._pending:  # nearly always among the first few
            if isinstance(item, Numbered):
                first = item.seq
                break
        else:
            first = self._seq + 1
        for batch in self._in_flight:
            if batch.closings:
                first = min(first, batch.closings[0].seq)
        return first - 1

    async def empty(self) -> None:
        """Wait until everything taken so far, and what comes meanwhile, is durable."""
        if self.backlog():
            waiter = asyncio.get_running_loop().create_future()
            self._when_empty.append(waiter)
            await waiter

    async def run(self) -> None:
        """Write for ever. Ends by Fenced, by StoreRefused (a bug), or by being cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._serve(lane))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _serve(self, lane: "_Lane") -> None:
        with contextlib.closing(lane):
            while True:
                batch = self._take()
                if not batch:
                    await self._work()
                    continue
                self._in_flight.append(batch)
                metrics.JOURNAL_BACKLOG.set(self.backlog())
                started = monotonic()
                clashes = await lane.write(batch)
                metrics.JOURNAL_FLUSH_DURATION.observe(monotonic() - started)
                metrics.JOURNAL_BATCH.observe(len(batch))
                await self._report(batch, clashes)
                self._in_flight.remove(batch)
                self._tell(batch)
                self._settle()
                await self._gather()

    # Cutting the backlog into batches.

    async def _work(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._idle:
                self._idle.remove(waiter)

    async def _gather(self) -> None:
        """Let a few more records come before the next flush: many small ones cost more CPU."""
        if not self._in_flight and len(self._pending) < limits.FLUSH_GATHER_ROWS:
            self._is_gathering = True
            await asyncio.sleep(limits.FLUSH_GATHER_S)
            self._is_gathering = False

    def _wake(self) -> None:
        """Wake an idle lane, one at a time, unless the flush in flight had better take it all."""
        if not self._is_waking and self._is_worth_a_flush():
            waiter = self._idle.pop()
            if not waiter.done():  # cancelled: the journal stops
                self._is_waking = True
                waiter.set_result(None)

    def _is_worth_a_flush(self) -> bool:
        is_free = not self._in_flight and not self._is_gathering
        return is_free or len(self._pending) >= limits.FLUSH_SPLIT_ROWS

    def _take(self) -> Batch:
        """What to write next; empty when there is nothing, or nothing worth a second flush."""
        self._is_waking = False
        batch = Batch()
        if self._pending and self._is_worth_a_flush():
            count = min(limits.FLUSH_ROWS_MAX, self._fair_share(len(self._pending)))
            self._pending = _cut(self._pending, batch, count, self._users_in_flight())
            if batch and self._pending and self._idle:
                self._wake()
        return batch

    def _fair_share(self, rows: int) -> int:
        """A backlog is split over as many of the free lanes as get a flush that is worth it."""
        free = len(self._lanes) - len(self._in_flight)
        lanes = max(1, min(free, rows // limits.FLUSH_SPLIT_ROWS))
        return -(-rows // lanes)

    def _users_in_flight(self) -> set[UserId]:
        return set().union(*(batch.users for batch in self._in_flight))

    # Telling.

    async def _report(self, batch: Batch, clashes: Sequence[tuple[int, Clash]]) -> None:
        """A few orders a turn of the loop: each goes on at once and sends its first command, and
        what NEs answer meanwhile must not wait for all of them. The batch is in flight until the
        end, so nothing of its users is reported before it.
        """
        refused = {order_id for order_id, _ in clashes}
        closed = [item.closing.order_id for item in batch.closings if item.closing.is_final]
        accepted = [record.id for record in batch.accepts if record.id not in refused]
        began = monotonic()
        for tell, order_ids in (
            (self._engine.on_closed, closed),
            (self._engine.on_accepted, accepted),
        ):
            for few in _slices(order_ids):
                tell(few)
                if monotonic() - began > limits.REPORT_TURN_S:
                    await asyncio.sleep(0)
                    began = monotonic()
        for order_id, clash in clashes:
            self._engine.on_clash(order_id, clash)

    def _tell(self, batch: Batch) -> None:
        if batch.closings:
            sources = {item.closing.source for item in batch.closings}
            self._tell_sources(sources, batch.closings[-1].seq)
        if any(item.closing.binding_end for item in batch.closings):
            self._on_freed()

    def _tell_sources(self, sources: set[str], up_to: int) -> None:
        """What was written before may still hold the watermark below: then tell again later."""
        self._to_tell |= sources
        self._to_tell_seq = max(self._to_tell_seq, up_to)
        self._on_receipts(self._to_tell)
        if self.durable_up_to() >= self._to_tell_seq:
            self._to_tell = set()

    def _settle(self) -> None:
        backlog = self.backlog()
        metrics.JOURNAL_BACKLOG.set(backlog)
        if not backlog:
            waiters, self._when_empty = self._when_empty, []
            for waiter in waiters:
                waiter.set_result(None)


def _slices(order_ids: list[int]) -> Iterator[list[int]]:
    size = limits.REPORT_ORDERS
    for start in range(0, len(order_ids), size):
        yield order_ids[start : start + size]


def _cut(
    pending: list[Acceptance | Numbered], batch: Batch, count: int, busy: set[UserId]
) -> list[Acceptance | Numbered]:
    """Fill `batch` with up to `count` records of users that are not busy; the rest, in order."""
    chosen, rest = pending[:count], pending[count:]
    users = {item.user_id for item in chosen}
    if not users.isdisjoint(busy):
        chosen, rest = _pass_by(pending, count, busy)
        users = {item.user_id for item in chosen}
    batch.accepts = [item for item in chosen if isinstance(item, Acceptance)]
    batch.closings = [item for item in chosen if isinstance(item, Numbered)]
    batch.users = users
    return rest


def _pass_by(
    pending: list[Acceptance | Numbered], count: int, busy: set[UserId]
) -> tuple[list[Acceptance | Numbered], list[Acceptance | Numbered]]:
    """The first `count` records of users that are not busy, and all others."""
    chosen: list[Acceptance | Numbered] = []
    rest: list[Acceptance | Numbered] = []
    for position, item in enumerate(pending):
        if len(chosen) == count:
            return chosen, rest + pending[position:]
        (rest if item.user_id in busy else chosen).append(item)
    return chosen, rest


class _Lane:
    """One connection, and the stubbornness to get a batch through it."""

    def __init__(self, dsn: str, session: dict[str, str], quarantine_days: int) -> None:
        self._link = Link(dsn, "journal", **session)
        self._quarantine_days = quarantine_days

    async def write(self, batch: Batch) -> Sequence[tuple[int, Clash]]:
        """Return when the batch is durable, whatever it takes; its clashes, by id of the order."""
        write = batches.write
        refusals = 0
        delay_s = limits.RETRY_DELAY_S_MIN
        while True:
            try:
                return await self._link.once(partial(write, batch, self._quarantine_days))
            except KeyTaken as error:
                metrics.JOURNAL_FAILURES.labels("key").inc()
                refusals += 1
                if refusals > _KEY_REFUSALS_MAX:
                    raise StoreRefused(f"{error}, again and again") from error
            except StoreUnavailable as error:
                cause = "timeout" if isinstance(error, StoreTimeout) else "connection"
                metrics.JOURNAL_FAILURES.labels(cause).inc()
                _log.warning("journal_unavailable", error=str(error), rows=len(batch))
                self.close()
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, limits.STORE_RETRY_DELAY_S_MAX)
            write = batches.write_carefully  # that try may stand, or a key objected to it

    def close(self) -> None:
        """Drop the connection with whatever it was doing."""
        self._link.drop()
