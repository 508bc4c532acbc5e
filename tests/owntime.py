"""Time as this process has it, for upper bounds: what the machine gives to others is not counted.

A bound in seconds that holds on an idle machine fails now and then on a loaded one, though nothing
is wrong with what it bounds.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

TICK_S: Final = 0.002
LATE: Final = 2
"""A tick that takes longer than so many was kept waiting by others."""


class OwnTime:
    def __init__(self) -> None:
        self.ticked_s = 0.0
        self._spent_before_s = time.process_time()

    @property
    def s(self) -> float:
        """Never more than the clock on the wall says, but for what several threads do at once."""
        return max(self.ticked_s, time.process_time() - self._spent_before_s)

    async def tick(self) -> None:
        began = time.monotonic()
        await asyncio.sleep(TICK_S)
        self.ticked_s += min(time.monotonic() - began, LATE * TICK_S)

    async def tick_on(self) -> None:
        while True:
            await self.tick()


@asynccontextmanager
async def own_time() -> AsyncIterator[OwnTime]:
    """Counts while the block runs."""
    own = OwnTime()
    ticking = asyncio.create_task(own.tick_on())
    try:
        yield own
    finally:
        ticking.cancel()
