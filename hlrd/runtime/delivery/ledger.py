"""What was delivered, made durable a few times a second for all endpoints together.

What is not written yet when the daemon is killed goes once more: at least once, never not at all.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from hlrd import limits
from hlrd.engine.outbox import Outbox
from hlrd.store import deliveries
from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link

T = TypeVar("T")


class Ledger:
    def __init__(self, dsn: str, *, node: str, epoch: int) -> None:
        self._link = Link(dsn, "receipts", **writing_as(node, epoch))
        self._turn = asyncio.Lock()
        self.outboxes: dict[int, Outbox] = {}  #: by id of the endpoint

    async def run(self) -> None:
        """Write for ever. Ends by Fenced, by StoreRefused (a bug), or by being cancelled."""
        while True:
            await asyncio.sleep(limits.DELIVERIES_MARK_S)
            await self.flush()

    async def flush(self) -> None:
        """Return when all that is settled by now is durable, whatever it takes."""
        async with self._turn:
            await self._write()

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """All that is settled is durable, and nothing else is written in here."""
        async with self._turn:
            await self._write()
            yield

    async def once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` on top of all that is settled. Raises StoreUnavailable: nobody knows whether
        it was done.
        """
        async with self.settled():
            try:
                return await self._link.once(work)
            except BaseException:  # also if who asked is gone: the transaction may still be open
                self._link.drop()
                raise

    async def stubbornly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` until it is done; it may be done twice."""
        async with self._turn:
            return await self._link.stubbornly(work)

    def close(self) -> None:
        self._link.drop()

    async def _write(self) -> None:
        changes = [(id, marks) for id, outbox in self.outboxes.items() if (marks := outbox.marks())]
        if changes:
            await self._link.stubbornly(partial(deliveries.write, changes))
