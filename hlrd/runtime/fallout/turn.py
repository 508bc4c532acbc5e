"""The desk's one connection for writing: fenced, and used by one at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link

T = TypeVar("T")


class Turn:
    def __init__(self, dsn: str, *, node: str, epoch: int) -> None:
        self._link = Link(dsn, "fallout", **writing_as(node, epoch))
        self._lock = asyncio.Lock()

    async def stubbornly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """As `Link.stubbornly`: for what may be done twice. Goes on when the caller is cancelled,
        so that nothing is decided that the engine is not told of."""
        return await asyncio.shield(asyncio.ensure_future(self._stubbornly(work)))

    async def _stubbornly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._lock:
            return await self._link.stubbornly(work)

    def close(self) -> None:
        self._link.drop()
