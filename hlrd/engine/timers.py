"""What is due when."""

import heapq
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_FEW: Final = 1_024
"""Entries that are not worth looking through."""


class Timers(Generic[T]):
    """A heap of (due, item). Its length is bounded by what is in the book: one entry a task; and of
    items that may be done with before they are due, by `tidy`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._sequence = 0
        self._tidied = _FEW  #: entries left by the last `tidy`

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: float, item: T) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, item))

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[T]:
        taken = []
        while self._heap and self._heap[0][0] <= now:
            taken.append(heapq.heappop(self._heap)[2])
        return taken

    def tidy(self, is_wanted: Callable[[T], bool]) -> None:
        """Drop what nobody waits for any more, once it may be as much as what somebody does."""
        if len(self._heap) <= 2 * self._tidied:
            return
        self._heap = [entry for entry in self._heap if is_wanted(entry[2])]
        heapq.heapify(self._heap)
        self._tidied = max(_FEW, len(self._heap))
