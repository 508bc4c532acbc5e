"""Whose turn it is: every flow stops before it goes to the database, and one goes on at a time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


class Turns:
    """A seed that chooses among `waiting` decides how all flows interleave."""

    def __init__(self) -> None:
        self._stops: dict[asyncio.Task[Any], tuple[asyncio.Future[None], object]] = {}
        self._at_rest = asyncio.Event()

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
        self._at_rest.set()
        try:
            await turn
        finally:
            self._stops.pop(task, None)

    async def start(self, flow: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs up to its first stop."""
        self._at_rest.clear()
        task = asyncio.create_task(flow)
        task.add_done_callback(lambda _: self._at_rest.set())
        await self._at_rest.wait()
        return task

    async def go_on(self, task: asyncio.Task[Any]) -> None:
        """Up to its next stop, or its end."""
        self._at_rest.clear()
        self._stops[task][0].set_result(None)
        await self._at_rest.wait()

    async def end(self, flows: Iterable[asyncio.Task[None]], owner: object) -> None:
        """Killed where they stand, and what they began and did not wait for."""
        tasks = {*flows, *(task for task, (_, whose) in self._stops.items() if whose is owner)}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
