"""Whose turn it is: every flow stops before it goes to the database, and one goes on at a time."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_HOPS: Final = 16  # turns of the loop until a wake-up has gone through locks, shields and events


class Turns:
    """A seed that chooses among `waiting` decides how all flows interleave."""

    def __init__(self) -> None:
        self._stops: dict[asyncio.Task[Any], tuple[asyncio.Future[None], object]] = {}
        self._is_served = asyncio.Event()
        self._is_served.set()

    @property
    def waiting(self) -> list[asyncio.Task[Any]]:
        """In the order in which they came to their stop."""
        return list(self._stops)

    async def stop(self, owner: object) -> None:
        """Called by a flow of the owner's: go on only when it is its turn."""
        task = asyncio.current_task()
        assert task is not None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stops[task] = (turn, owner)
        try:
            await turn
        finally:
            self._stops.pop(task, None)

    @contextmanager
    def served(self) -> Iterator[None]:
        """While the database works for a flow."""
        self._is_served.clear()
        try:
            yield
        finally:
            self._is_served.set()

    async def start(self, flow: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs up to its first stop."""
        task = asyncio.create_task(flow)
        await self._rest()
        return task

    async def go_on(self, task: asyncio.Task[Any]) -> None:
        """Up to its next stop, or its end."""
        self._stops[task][0].set_result(None)
        await self._rest()

    async def end(self, flows: Iterable[asyncio.Task[Any]], owner: object) -> None:
        """Killed where they stand, and what they began and did not wait for."""
        tasks = {*flows}
        while tasks:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks = {task for task, (_, whose) in self._stops.items() if whose is owner}

    async def _rest(self) -> None:
        """Until nothing can go on by itself."""
        hops = 0
        while hops < _HOPS:
            await self._is_served.wait()
            await asyncio.sleep(0)
            hops = hops + 1 if self._is_served.is_set() else 0
