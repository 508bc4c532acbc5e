"""Waits that a client asked for, of up to a minute each; a stop of the daemon ends them all, so
that each gets the answer as it stands instead of a cut connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Patience:
    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self._is_over = False

    @asynccontextmanager
    async def at_most(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Leave the block after `seconds`, or when the daemon stops, without an error."""
        wait = asyncio.timeout(0 if self._is_over else seconds)
        self._waits.add(wait)
        try:
            async with wait:
                yield
        except TimeoutError:
            pass
        finally:
            self._waits.discard(wait)

    async def end(self, _: web.Application) -> None:
        """For `app.on_shutdown`."""
        self._is_over = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)
