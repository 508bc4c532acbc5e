"""Posts orders at their times, many in one request where many are due: an open model."""

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

from loadtest.storm.orders import Posting
from loadtest.storm.upstreams import Upstreams

_BATCH_ORDERS: Final = 100
_TICK_S: Final = 0.02


class Due(NamedTuple):
    at_s: float  #: monotonic
    number: int
    write: Callable[[], Posting]


class Timetable:
    """`on_taken` is told of each order that was taken, and may add more. `close` it when nobody
    else will."""

    def __init__(
        self, upstreams: Upstreams, on_taken: Callable[[Posting], None] = lambda posting: None
    ) -> None:
        self._upstreams = upstreams
        self._on_taken = on_taken
        self._heap: list[Due] = []
        self._number = 0
        self._under_way = 0
        self._is_closed = False

    def add(self, at_s: float, write: Callable[[], Posting]) -> None:
        self._number += 1
        heapq.heappush(self._heap, Due(at_s, self._number, write))

    def close(self) -> None:
        self._is_closed = True

    async def keep(self, *, posters: int = 8) -> None:
        """Until it is closed, empty, and all is taken."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(posters):
                tasks.create_task(self._keep())

    async def _keep(self) -> None:
        while self._heap or self._under_way or not self._is_closed:
            due = self._take()
            if not due:
                await asyncio.sleep(_TICK_S)
                continue
            self._under_way += 1
            await self._post(due)
            self._under_way -= 1

    def _take(self) -> list[Due]:
        now_s, due = time.monotonic(), list[Due]()
        while self._heap and self._heap[0].at_s <= now_s and len(due) < _BATCH_ORDERS:
            due.append(heapq.heappop(self._heap))
        return due

    async def _post(self, due: list[Due]) -> None:
        by_source: dict[str, list[tuple[Posting, float]]] = defaultdict(list)
        for each in due:
            posting = each.write()
            by_source[posting.order.source].append((posting, each.at_s))
        for own in by_source.values():
            postings = [posting for posting, _ in own]
            await self._upstreams.post(postings, [at_s for _, at_s in own])
            for posting in postings:
                self._on_taken(posting)
