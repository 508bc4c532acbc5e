"""The reader for intake: everything asked since the last read goes in the next one.

One read is in flight at a time, so the answers keep the order of asking.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hlrd import limits
from hlrd.domain.identity import UserId
from hlrd.ports import Facts, StoredOrder, Wanted
from hlrd.store import facts
from hlrd.store.link import Link


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
        self._link = Link(dsn, "lookup")
        self._asked: deque[Wanted | _Unpark] = deque()
        self._has_work = asyncio.Event()
        self._engine: Listener

    def attach(self, engine: Listener) -> None:
        self._engine = engine

    def resolve(self, wanted: Wanted) -> None:
        self._asked.append(wanted)
        self._has_work.set()

    def unpark(self, order_ids: Sequence[int], users: Sequence[UserId]) -> None:
        self._asked.append(_Unpark(order_ids, users))
        self._has_work.set()

    async def run(self) -> None:
        """Answer for ever. Ends by being cancelled, or by StoreRefused (a bug)."""
        try:
            while True:
                await self._has_work.wait()
                await self._answer_next()
                if not self._asked:
                    self._has_work.clear()
        finally:
            self._link.drop()

    async def _answer_next(self) -> None:
        first = self._asked[0]
        if isinstance(first, _Unpark):
            self._asked.popleft()
            stored = await self._link.stubbornly(
                lambda connection: facts.read_stored(connection, first.order_ids, first.users)
            )
            self._engine.on_unparked(stored)
        else:
            wanted = self._take_wanted()
            found = await self._link.stubbornly(
                lambda connection: facts.resolve(connection, wanted, self._holds_made())
            )
            self._engine.on_resolved(found)

    def _take_wanted(self) -> list[Wanted]:
        wanted: list[Wanted] = []
        while self._asked and len(wanted) < limits.LOOKUP_ORDERS_MAX:
            one = self._asked[0]
            if isinstance(one, _Unpark):
                break
            wanted.append(one)
            self._asked.popleft()
        return wanted
