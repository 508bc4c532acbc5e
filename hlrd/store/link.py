"""One connection of the hot path, made anew whenever it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from hlrd import limits
from hlrd.store.connection import BY_KEY, Connection, connect, count_moments
from hlrd.store.errors import StoreUnavailable, translated

_log: Final = structlog.get_logger(__name__)
T = TypeVar("T")


class Link:
    """Its statements go by keys (`BY_KEY`). One user at a time."""

    def __init__(self, dsn: str, purpose: str, **session: str) -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._session = session
        self._connection: Connection | None = None

    async def connected(self) -> Connection:
        """Raises StoreUnavailable."""
        if self._connection is None:
            self._connection = await connect(self._dsn, self._purpose, **BY_KEY, **self._session)
            await count_moments(self._connection)
        return self._connection

    async def once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Raises ours only. After any of them but KeyTaken `drop` the connection; after that one
        it is still in its failed transaction.
        """
        connection = await self.connected()
        with translated():
            async with asyncio.timeout(limits.STORE_TIMEOUT_S):
                return await work(connection)

    async def stubbornly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` again until it is done. It may then be done twice: the answer can be lost."""
        delay_s = limits.RETRY_DELAY_S_MIN
        while True:
            try:
                return await self.once(work)
            except StoreUnavailable as error:
                _log.warning("store_unavailable", purpose=self._purpose, error=str(error))
                self.drop()
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, limits.STORE_RETRY_DELAY_S_MAX)

    def drop(self) -> None:
        """Cut the connection with whatever it was doing; the next use makes another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
