"""Waits that a client asked for, of up to a minute each. A stop of the daemon ends them all, and
the end of a session those of it, so that each gets the answer as it stands instead of a cut
connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Patience:
    def __init__(self, is_open: Callable[[str], bool]) -> None:
        """`is_open`: of a session; it may end before its wait has begun."""
        self._is_open = is_open
        self._waits: dict[asyncio.Timeout, str | None] = {}  #: with their session
        self._is_over = False

    @asynccontextmanager
    async def at_most(
        self, seconds: float | None = None, *, session: str | None = None
    ) -> AsyncIterator[None]:
        """Leave the block after `seconds`, or when the daemon or the session of who asks stops,
        without an error."""
        has_ended = session is not None and not self._is_open(session)
        wait = asyncio.timeout(0 if self._is_over or has_ended else seconds)
        self._waits[wait] = session
        try:
            async with wait:
                yield
        except TimeoutError:
            pass
        finally:
            del self._waits[wait]

    async def end(self, _: web.Application) -> None:
        """For `app.on_shutdown`."""
        self._is_over = True
        _end(list(self._waits))

    def end_of(self, session: str) -> None:
        """Of one that is over."""
        _end([wait for wait, of in self._waits.items() if of == session])


def _end(waits: list[asyncio.Timeout]) -> None:
    now = asyncio.get_running_loop().time()
    for wait in waits:
        wait.reschedule(now)
