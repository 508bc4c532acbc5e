"""Carries out batches: begins what has its turn, hands in children within one window, and closes
what is over. One task does it all, so nothing of a batch happens beside anything else of it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Final, Protocol, TypeAlias, TypeVar

import structlog

from hlrd import limits, metrics
from hlrd.domain.batch import Child, RowState, child_priority, kind_of, room
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import BatchState
from hlrd.domain.orders.batch import BatchOrder, ECFanOut, ECSuspendAll
from hlrd.domain.suspension import Level, Reason
from hlrd.pool.spool import SpoolDamaged
from hlrd.runtime.batches import walk as one
from hlrd.runtime.batches.members import MemberRows
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.batches.walk import Rows, Walk
from hlrd.store import batches as store
from hlrd.store.batches import BatchRow, Ended, Posted, Sending, SentRow
from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link

_log: Final = structlog.get_logger(__name__)
T = TypeVar("T")
_Rooms: TypeAlias = dict[bool, int]

SUPERSEDED: Final = "SUPERSEDED"
"""A later order of the EC, for the same reason, was begun before this one."""

CANCELLED: Final = "CANCELLED"
FILE_LOST: Final = "FILE_LOST"
_FILE_LOST: Final = (SpoolDamaged, FileNotFoundError)


class Engine(one.Engine, Protocol):
    def orders_in_memory(self) -> int: ...

    def stop_enterprise(self, ec_code: str, reason: Reason, level: Level, /) -> list[Binding]: ...


class Walks:
    """Keep `run` running. What was open before a restart goes on by itself; its order is told when
    it asks."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        engine: Engine,
        peer: Peer,
        rows_of_file: Callable[[BatchRow], Rows],
        on_over: Callable[[BatchRow], Awaitable[None]],
    ) -> None:
        """`on_over`: lets go of what a file had reserved, and of the file."""
        self._link = Link(dsn, "batches", **writing_as(node, epoch))
        self._engine = engine
        self._peer = peer
        self._rows_of_file = rows_of_file
        self._on_over = on_over
        self._walks: dict[int, Walk] = {}  #: by batch
        self._to_begin: list[int] = []  #: orders; bounded by the peer's window
        self._woken = asyncio.Event()
        self._looked = monotonic()
        peer.on_order = self._has_turn

    def _has_turn(self, order: int) -> None:
        self._to_begin.append(order)
        self._woken.set()

    # Asked by the API, when it is durable.

    def moved(self, batch: BatchRow) -> None:
        """It was paused, resumed or cancelled."""
        walk = self._walks.get(batch.id)
        if walk is not None:
            _catch_up(walk, batch)
            self._woken.set()

    # The loop.

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        try:
            for batch in await self._do(store.begun):
                await self._take_up(batch)
            while True:
                self._woken.clear()
                await self._begin_those_due()
                rooms = self._rooms()
                for walk in self._in_turn():
                    await self._go_on(walk, rooms)
                await self._look_at_the_old()
                self._observe()
                await self._rest()
        finally:
            for walk in self._walks.values():
                walk.forget()
                walk.rows.close()
            self._link.drop()

    async def _rest(self) -> None:
        if not self._walks:
            await self._woken.wait()
            return
        await asyncio.sleep(limits.BATCH_LOOK_S)

    def _in_turn(self) -> Sequence[Walk]:
        """The urgent first; of those that are alike another one each time."""
        if self._walks:
            first = next(iter(self._walks))
            self._walks[first] = self._walks.pop(first)
        return sorted(self._walks.values(), key=lambda walk: walk.batch.priority)

    async def _do(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._link.stubbornly(work)

    # Beginning.

    async def _begin_those_due(self) -> None:
        orders, self._to_begin = self._to_begin, []
        for order in orders:
            await self._begin(order)

    async def _begin(self, order: int) -> None:
        """Once or twice is the same: after a restart an order asks for what goes on, or is over."""
        batch = await self._do(lambda c: store.of_work_order(c, order))
        if batch is None:
            posted = await self._do(lambda c: store.posted(c, order))
            if isinstance(posted.order, BatchOrder):
                await self._begin_file(posted.order, posted)
            else:
                assert isinstance(posted.order, ECFanOut), "no other order comes here"
                await self._begin_members(posted.order, posted)
        elif batch.state is BatchState.DONE:
            self._peer.done(order, batch.counts)

    async def _begin_file(self, order: BatchOrder, posted: Posted) -> None:
        batch = await self._do(lambda c: store.begin_file(c, order, posted))
        if batch is None:
            text = "no batch of this source is ready under this id: it was cancelled, or never was"
            self._peer.refused(posted.id, "BATCH_UNKNOWN", text)
            return
        await self._take_up(batch)

    async def _begin_members(self, order: ECFanOut, posted: Posted) -> None:
        others = await self._do(lambda c: store.of_ec(c, order.ec_code, order.reason))
        is_late = any(_is_later(other, order, posted.id) for other in others)
        batch = await self._do(
            lambda c: store.begin_members(
                c,
                order,
                posted,
                priority=child_priority(order),
                child=kind_of(order),
                stops_rivals=not is_late,
            )
        )
        if is_late:
            await self._close(batch, SUPERSEDED)
            return
        for rival in await self._do(lambda c: store.of_ec(c, order.ec_code, order.reason)):
            if rival.id in self._walks:
                _catch_up(self._walks[rival.id], rival)
        await self._take_up(batch, self._stop_all(order))

    def _stop_all(self, order: ECFanOut) -> Sequence[Binding]:
        """Who is opened from now on is opened as the order says. Gives those whose opening is under
        way; after a restart theirs is planned again, and none is left.
        """
        level = Level(order.level) if isinstance(order, ECSuspendAll) else Level.NONE
        return self._engine.stop_enterprise(order.ec_code, order.reason, level)

    async def _take_up(self, batch: BatchRow, opening: Sequence[Binding] = ()) -> None:
        """From its start, or from where an earlier run left it."""
        rows = await self._rows_of(batch, opening)
        walk = Walk(batch, rows, self._engine, monotonic=monotonic, on_change=self._woken.set)
        self._walks[batch.id] = walk
        sent = await self._do(lambda c: store.sent(c, batch))
        for row in sent:
            if row.order is not None:
                walk.follow(row.row, row.order)
        await self._settle(walk, {row.order: row.row for row in sent if row.order is not None})
        await self._hand_in_again(walk, [row for row in sent if row.order is None])
        _log.info("batch_taken_up", batch=batch.id, kind=batch.kind, open=walk.open)

    async def _hand_in_again(self, walk: Walk, missing: Sequence[SentRow]) -> None:
        """What was noted, and is no order: of one that stops it is left."""
        if missing and walk.batch.state is not BatchState.STOPPING:
            try:
                walk.hand_in(await walk.rows.again(missing))
            except _FILE_LOST as error:
                await self._lose_file(walk, error)
        if walk.batch.state is BatchState.STOPPING:
            walk.ended += [Ended(row.row, RowState.LEFT) for row in missing]

    async def _rows_of(self, batch: BatchRow, opening: Sequence[Binding]) -> Rows:
        if batch.is_of_file:
            return self._rows_of_file(batch)
        assert batch.work_order is not None, "it has begun"
        work_order = batch.work_order
        order = (await self._do(lambda c: store.posted(c, work_order))).order
        assert isinstance(order, ECFanOut)
        return MemberRows(batch, order, self._do, opening)

    # Going on.

    async def _go_on(self, walk: Walk, rooms: _Rooms) -> None:
        try:
            if walk.batch.state is BatchState.STOPPING:
                walk.give_up_refused()
            else:
                walk.retry()
                await self._hand_in(walk, rooms)
        except _FILE_LOST as error:
            await self._lose_file(walk, error)
        if walk.ended:
            ended, walk.ended = walk.ended, []
            await self._do(lambda c: store.end_rows(c, walk.batch.id, ended))
        if walk.is_over:
            del self._walks[walk.batch.id]
            walk.rows.close()
            await self._close(walk.batch, walk.batch.mark)

    async def _hand_in(self, walk: Walk, rooms: _Rooms) -> None:
        while (left := rooms[walk.is_urgent]) > 0 and walk.may_send:
            if not walk.waiting:
                walk.waiting = list(await walk.rows.next(min(left, limits.BATCH_CHUNK_ROWS)))
            if not walk.waiting:
                walk.is_exhausted = True
            elif not await self._note(walk):
                return
            children = [one for one in walk.waiting if isinstance(one, Child)]
            walk.waiting = []
            walk.hand_in(children)
            rooms[walk.is_urgent] = left - len(children)

    async def _note(self, walk: Walk) -> bool:
        """Durably, and before they are handed in; False: it stops."""
        id, cursor = walk.batch.id, walk.rows.cursor
        rows = [_sending(row) for row in walk.waiting]
        tries = 0

        async def attempt(connection: Connection) -> bool:
            nonlocal tries
            tries += 1
            if tries > 1 and await store.cursor(connection, id) == cursor:
                return True  # its answer was lost
            return await store.send(connection, id, rows, cursor)

        is_noted = await self._do(attempt)
        if is_noted:
            metrics.BATCH_ROWS.labels(RowState.SENT).inc(len(rows))
        return is_noted

    def _rooms(self) -> _Rooms:
        """How many may be handed in now, by urgency: who is urgent has a window of his own."""
        young = {True: 0, False: 0}
        open_ = {True: 0, False: 0}
        for walk in self._walks.values():
            young[walk.is_urgent] += walk.young()
            open_[walk.is_urgent] += walk.open
        others = max(0, self._engine.orders_in_memory() - sum(young.values()))
        return {
            is_urgent: room(
                young=young[is_urgent],
                open_=open_[is_urgent],
                others=others,
                is_urgent=is_urgent,
            )
            for is_urgent in (True, False)
        }

    async def _lose_file(self, walk: Walk, error: Exception) -> None:
        """What was handed in is carried out; the rest is not known any more."""
        _log.error("batch_file_lost", batch=walk.batch.id, error=str(error))
        await self._do(lambda c: store.stop(c, walk.batch.id, FILE_LOST))
        walk.batch = replace(walk.batch, state=BatchState.STOPPING, mark=FILE_LOST)

    # Ending.

    async def _close(self, batch: BatchRow, mark: str) -> None:
        await self._on_over(batch)
        closed = await self._do(lambda c: store.close(c, batch.id, mark))
        assert closed.work_order is not None, "it has begun"
        _log.info(
            "batch_over", batch=closed.id, kind=closed.kind, ok=closed.ok, failed=closed.failed,
            left=closed.left, mark=mark,
        )  # fmt: skip
        self._peer.done(closed.work_order, closed.counts)

    async def _settle(self, walk: Walk, orders: dict[int, int]) -> None:
        """Orders by row that may have closed while nobody waited for them."""
        if orders:
            found = await self._do(lambda c: store.receipts(c, list(orders)))
            for order, receipt in found.items():
                walk.settle(orders[order], receipt)

    async def _look_at_the_old(self) -> None:
        """Whatever closed unseen is found here, at the latest."""
        if monotonic() - self._looked < limits.BATCH_CHILD_OLD_S:
            return
        self._looked = monotonic()
        for walk in self._walks.values():
            await self._settle(walk, walk.old_orders())

    def _observe(self) -> None:
        metrics.BATCH_CHILDREN.set(sum(walk.open for walk in self._walks.values()))
        states = Counter(walk.batch.state for walk in self._walks.values())
        for state in store.BEGUN:
            metrics.BATCHES_OPEN.labels(state).set(states[state])


def _catch_up(walk: Walk, batch: BatchRow) -> None:
    """With the database, which may have been read before something that is known here."""
    if walk.batch.state is not BatchState.STOPPING:
        walk.batch = replace(walk.batch, state=batch.state, mark=batch.mark)


def _sending(row: Child | Sending) -> Sending:
    if isinstance(row, Sending):
        return row
    order = row.order
    values = (getattr(order, name, None) for name in ("msisdn", "iccid"))
    return Sending(row.row, getattr(order, "user_id", ""), *values)


def _is_later(other: BatchRow, order: ECFanOut, work_order: int) -> bool:
    """By upstream's sequence where both have one, else by when they were accepted."""
    if other.work_order is None or other.work_order == work_order:
        return False
    if other.seq is not None and order.seq is not None:
        return other.seq > order.seq
    return other.work_order > work_order
