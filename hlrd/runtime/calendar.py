"""Orders that are dated ahead, and what is called off or urged on before its turn.

One thing at a time: what is called off while it waits for its time cannot fall due meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeVar

from hlrd import limits, metrics
from hlrd.domain.errors import Unavailable
from hlrd.domain.identity import UserId
from hlrd.ports import StoredOrder
from hlrd.store import turns
from hlrd.store.connection import Connection, writing_as
from hlrd.store.errors import StoreUnavailable
from hlrd.store.facts import read_stored
from hlrd.store.link import Link

T = TypeVar("T")
_COUNT_EVERY_S: Final = 30.0


class Engine(Protocol):
    """The engine, as the calendar sees it."""

    def next_place(self) -> int: ...

    def has_room_for_due(self) -> bool: ...

    def on_due(self, due: Sequence[tuple[int, UserId, int, str]], /) -> None: ...

    def is_in_memory(self, order_id: int, /) -> bool: ...

    def cancel(self, order_id: int, stored: StoredOrder | None, /) -> None: ...

    def chase(self, order_id: int, before: int, /) -> None: ...

    def when_closed(
        self, order_id: int, on_receipt: Callable[[bytes], None], /
    ) -> Callable[[], None]: ...


class Calendar:
    """Keep `run` running."""

    def __init__(
        self, dsn: str, *, node: str, epoch: int, engine: Engine, wall: Callable[[], datetime]
    ) -> None:
        self._link = Link(dsn, "calendar", **writing_as(node, epoch))
        self._engine = engine
        self._wall = wall
        self._turn = asyncio.Lock()
        self._count_in = 0

    async def run(self) -> None:
        """Take up what falls due, for ever. Ends by Fenced, StoreRefused (a bug), or cancelled."""
        try:
            while True:
                taken = await self._look()
                if taken < limits.DUE_ORDERS_MAX:
                    await asyncio.sleep(limits.DUE_LOOK_S)
        finally:
            self._link.drop()

    async def _look(self) -> int:
        async with self._turn:
            if not self._engine.has_room_for_due():
                return 0
            due = await self._link.stubbornly(
                partial(
                    turns.fall_due,
                    now=self._wall(),
                    most=limits.DUE_ORDERS_MAX,
                    next_id=self._engine.next_place,
                )
            )
            await self._count()
        if due:
            self._engine.on_due(due)
        return len(due)

    async def _count(self) -> None:
        self._count_in -= 1
        if self._count_in < 0:
            self._count_in = round(_COUNT_EVERY_S / limits.DUE_LOOK_S)
            metrics.ORDERS_SCHEDULED.set(await self._link.stubbornly(turns.count_waiting))

    async def cancel(self, order_id: int) -> None:
        """Call an order off before its first command; returns once that is durable. Conflict where
        it is too late."""
        async with self._turn:
            stored = None
            if not self._engine.is_in_memory(order_id):
                stored = await self._once(partial(_read, order_id=order_id))
            closed = asyncio.get_running_loop().create_future()
            forget = self._engine.when_closed(order_id, partial(_set_unless_gone, closed))
            try:
                self._engine.cancel(order_id, stored)
                async with asyncio.timeout(limits.SETTLE_TIMEOUT_S):
                    await closed
            except TimeoutError:
                text = "not known to be durable yet; look at the order again"
                raise Unavailable("UNSETTLED", text, 5.0) from None
            finally:
                forget()

    async def chase(self, order_id: int) -> None:
        """Urge an open order on, with those of its user before it; also over restarts."""
        async with self._turn:
            before = await self._once(partial(turns.chase, order_id=order_id))
            self._engine.chase(order_id, before)

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._link.once(work)
        except StoreUnavailable:
            self._link.drop()
            raise


async def _read(connection: Connection, *, order_id: int) -> StoredOrder | None:
    found = await read_stored(connection, [order_id], [], also_dated=True)
    return next((one for one in found if one.id == order_id), None)


def _set_unless_gone(closed: asyncio.Future[None], receipt: bytes) -> None:
    if not closed.done():
        closed.set_result(None)
