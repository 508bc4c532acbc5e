"""The reader for intake: everything asked since the last read goes in the next one.

One read of each kind is in flight at a time, so answers of a kind keep the order of asking. Orders
come back from the journal by thousands: on a connection of their own, so that those which somebody
posts and waits for are judged meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from hlrd import limits
from hlrd.domain.identity import UserId
from hlrd.ports import Facts, StoredOrder, Wanted
from hlrd.store import facts
from hlrd.store.link import Link

Q = TypeVar("Q")


class Listener(Protocol):
    """The engine, as the lookup sees it."""

    def on_resolved(self, facts: Sequence[Facts], /) -> None: ...

    def on_unparked(self, stored: Sequence[StoredOrder], /) -> None: ...


class _Unpark(NamedTuple):
    order_ids: Sequence[int]
    users: Sequence[UserId]


class LookupReader:
    """Implements `ports.Lookup`. `attach` before the first question, then keep `run` running."""

    def __init__(self, dsn: str, holds_made: Callable[[], int] = lambda: 0) -> None:
        """`holds_made`: `Allocator.holds_made`, as of which facts are read."""
        self._holds_made = holds_made
        self._engine: Listener
        self._wanted = _Asked[Wanted](Link(dsn, "lookup"))
        self._parked = _Asked[_Unpark](Link(dsn, "unpark"))

    def attach(self, engine: Listener) -> None:
        self._engine = engine

    def resolve(self, wanted: Wanted) -> None:
        self._wanted.add(wanted)

    def unpark(self, order_ids: Sequence[int], users: Sequence[UserId]) -> None:
        self._parked.add(_Unpark(order_ids, users))

    async def run(self) -> None:
        """Answer for ever. Ends by being cancelled, or by StoreRefused (a bug)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wanted.answer(self._resolve))
            group.create_task(self._parked.answer(self._unpark))

    async def _resolve(self, link: Link) -> None:
        wanted = self._wanted.take(limits.LOOKUP_ORDERS_MAX)
        found = await link.stubbornly(
            lambda connection: facts.resolve(connection, wanted, self._holds_made())
        )
        self._engine.on_resolved(found)

    async def _unpark(self, link: Link) -> None:
        (asked,) = self._parked.take(1)
        stored = await link.stubbornly(
            lambda connection: facts.read_stored(connection, asked.order_ids, asked.users)
        )
        self._engine.on_unparked(stored)


class _Asked(Generic[Q]):
    """Questions that wait, and the connection that answers them. The engine bounds them: by
    `ORDERS_ARRIVING_MAX`, and by one reading back at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[Q] = deque()
        self._has_some = asyncio.Event()

    def add(self, question: Q) -> None:
        self._waiting.append(question)
        self._has_some.set()

    def take(self, most: int) -> list[Q]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    async def answer(self, next_of: Callable[[Link], Awaitable[None]]) -> None:
        try:
            while True:
                await self._has_some.wait()
                await next_of(self._link)
                if not self._waiting:
                    self._has_some.clear()
        finally:
            self._link.drop()
