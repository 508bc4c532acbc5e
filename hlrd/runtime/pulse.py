"""What happens by time alone: the engine's timers, the gauges, and how late the loop runs."""

import asyncio
from contextlib import suppress
from typing import Final

from hlrd import metrics
from hlrd.engine.engine import Engine

TICK_S: Final = 0.01
"""The engine's shortest delay is 50 ms, so a timer is at most a fifth of it late."""

OBSERVE_S: Final = 2.0
"""Counting the open orders by priority walks all of them: a few ms for a full memory."""


async def drive_timers(engine: Engine) -> None:
    """Call the engine when something is due. For ever."""
    loop = asyncio.get_running_loop()
    lag = metrics.LOOP_LAG
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        lag.observe(max(0.0, loop.time() - due))
        next_due = engine.next_due()
        if next_due is not None and next_due <= loop.time():
            engine.on_timer()


async def until_quiet(engine: Engine, timeout_s: float) -> None:
    """Wait for a drained engine to come to rest, but no longer than that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not engine.is_quiet():
                await asyncio.sleep(TICK_S)


async def refresh_gauges(engine: Engine) -> None:
    """Set the gauges that are counted rather than kept. For ever."""
    while True:
        engine.observe()
        await asyncio.sleep(OBSERVE_S)
