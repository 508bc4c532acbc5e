"""Bounds of time that a loaded machine does not break, and a slow program does."""

import asyncio
import time

from tests.owntime import own_time


async def test_time_that_passes_while_others_run_is_not_counted() -> None:
    async with own_time() as own:
        for _ in range(5):
            await asyncio.sleep(0)
            time.sleep(0.1)  # noqa: ASYNC251 (as when the system gives the processor to others)

    assert own.s < 0.1


async def test_time_that_is_waited_is_counted() -> None:
    async with own_time() as own:
        while own.s < 0.1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ticked_s = own.ticked_s

    assert ticked_s > 0.05


async def test_time_that_is_spent_is_counted() -> None:
    async with own_time() as own:
        began = time.process_time()
        while time.process_time() - began < 0.1:
            pass

    assert own.s >= 0.1
