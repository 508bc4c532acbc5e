"""Receipts as they come, for any number of followers: one reading for all of a source.

Nobody has a queue of his own. The last receipts of a source are kept once, each follower has a
place in them, and one that is too slow for that reads the journal until it has caught up.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import TypeAlias

from hlrd import limits
from hlrd.runtime.receipts import ReceiptReader

Numbered: TypeAlias = tuple[int, bytes]


@dataclass(slots=True, eq=False)
class _Tail:
    """All receipts of a source with numbers in (low, high]."""

    low: int
    high: int
    followers: int = 0
    read_at: float = 0.0
    recent: deque[Numbered] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def append(self, found: Sequence[Numbered], high: int) -> None:
        self.recent.extend(found)
        self.high = high
        while len(self.recent) > limits.STREAM_RECENT_RECEIPTS:
            self.low = self.recent.popleft()[0]

    def past(self, cursor: int) -> list[Numbered]:
        start = bisect_right(self.recent, cursor, key=lambda receipt: receipt[0])
        return list(islice(self.recent, start, start + limits.RECEIPTS_PAGE_MAX))


class ReceiptFeed:
    def __init__(self, reader: ReceiptReader, durable_up_to: Callable[[], int]) -> None:
        self._reader = reader
        self._durable_up_to = durable_up_to
        self._tails: dict[str, _Tail] = {}

    def arrived(self, sources: Iterable[str]) -> None:
        """Receipts of these sources became durable."""
        for source in sources:
            tail = self._tails.get(source)
            if tail is not None:
                tail.changed.set()
                tail.changed = asyncio.Event()

    async def follow(self, source: str, cursor: int) -> AsyncGenerator[Sequence[Numbered], None]:
        """Receipts of `source` past `cursor` for ever; nothing every STREAM_HEARTBEAT_S of silence.

        Raises StoreUnavailable. Who asks for more has what it was given before.
        """
        tail = self._join(source)
        cursor = min(cursor, self._durable_up_to())  # a client may name one that never was
        try:
            while True:
                changed = tail.changed  # before the reading, so that none slips in between
                found, cursor = await self._next(source, tail, cursor)
                if found:
                    yield found
                    self._reader.fetched(source, found[-1][0])
                elif not await _set_within(changed, limits.STREAM_HEARTBEAT_S):
                    yield ()
        finally:
            self._leave(source, tail)

    async def _next(self, source: str, tail: _Tail, cursor: int) -> tuple[Sequence[Numbered], int]:
        """Some receipts past `cursor`, and up to where there is no other."""
        if cursor >= tail.low:
            await self._refresh(source, tail)
        if cursor < tail.low:
            return await self._page(source, cursor)
        found = tail.past(cursor)
        is_all = not found or found[-1] is tail.recent[-1]
        return found, max(cursor, tail.high) if is_all else found[-1][0]

    async def _refresh(self, source: str, tail: _Tail) -> None:
        """Read what is new, once for all who follow, and not more often than is of use."""
        async with tail.reading:
            if tail.high >= self._durable_up_to():
                return
            await asyncio.sleep(max(0.0, tail.read_at + limits.STREAM_GATHER_S - monotonic()))
            found, high = await self._page(source, tail.high)
            tail.append(found, high)
            tail.read_at = monotonic()

    async def _page(self, source: str, cursor: int) -> tuple[Sequence[Numbered], int]:
        most, mark = limits.RECEIPTS_PAGE_MAX, self._durable_up_to()
        found = await self._reader.read(source, cursor, mark, most)
        return found, found[-1][0] if len(found) == most else mark

    def _join(self, source: str) -> _Tail:
        mark = self._durable_up_to()
        tail = self._tails.setdefault(source, _Tail(mark, mark))
        tail.followers += 1
        return tail

    def _leave(self, source: str, tail: _Tail) -> None:
        tail.followers -= 1
        if not tail.followers:
            del self._tails[source]


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
