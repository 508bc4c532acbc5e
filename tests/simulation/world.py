"""Virtual time: what happens next is the earliest event, and nothing ever waits."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class BrokenPromise(AssertionError):
    """What hlrd promises did not hold."""


class World:
    """Clock, chance and the queue of events."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.now)

    def after(self, delay_s: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._count, event))

    def next_at(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def step(self) -> None:
        at, _, event = heapq.heappop(self._queue)
        self.now = max(self.now, at)
        event()

    def happens(self, probability: float) -> bool:
        return self.rng.random() < probability

    def brief(self) -> float:
        """A delay of a healthy part, in seconds."""
        return self.rng.random() * 0.02

    def long(self) -> float:
        return self.rng.uniform(0.5, 8.0)


def promise(holds: bool, text: str) -> None:
    if not holds:
        raise BrokenPromise(text)
