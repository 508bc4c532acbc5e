"""The contracted commands per second of one NE, which no second ever exceeds."""

import math
from typing import Final

_BURST_S: Final = 0.05
"""Commands of this long may go at once: a loop that was late for so long loses nothing."""

_PACE: Final = 1.018
_HORIZON: Final = 1.014
"""Of the contract's own second: over how long a contract's worth is spread, and the shortest time
that it may take. Commands that the network pushes together by 14 ms still arrive within it, and the
pace, being slower, leaves the bound room for a loop that runs late."""


class Rate:
    """Paced by a token bucket, kept as the one time at which it is full (GCRA), and bounded by the
    times of the last commands: none goes before the one a whole contract earlier is a second old.

    The bucket alone would let its burst through on top of the rate, or make up for it by a lower
    one; the bound alone would send a whole second's worth at once. Times are monotonic seconds.
    """

    __slots__ = ("_depth_s", "_full_at", "_horizon_s", "_next", "_sent", "_spacing_s", "burst")

    def __init__(self, commands_per_s: float) -> None:
        count = max(1, math.floor(commands_per_s))
        self.burst: Final = max(min(2, count), int(count * _BURST_S))
        second_s = max(1.0, 1.0 / commands_per_s)
        self._horizon_s = _HORIZON * second_s
        self._spacing_s = _PACE * second_s / count
        self._depth_s = (self.burst - 1) * self._spacing_s
        self._full_at = -math.inf
        self._sent = [-math.inf] * count  #: when the last so many went, from `_next` on in order
        self._next = 0

    def free(self, now: float) -> int:
        """Commands that may go now."""
        paced = self.burst
        if now < self._full_at:
            paced = max(0, math.floor(self._tokens(now)) + 1)
        return paced if self._is_old(paced - 1, now) else self._old(paced, now)

    def take(self, now: float) -> None:
        """Spend one token. What cannot wait may spend one that is still to come."""
        self._full_at = max(self._full_at, now) + self._spacing_s
        self._sent[self._next] = now
        self._next = (self._next + 1) % len(self._sent)

    def grows_in_s(self, now: float) -> float:
        """Seconds until `free` will be larger than it is now; infinite when it cannot be."""
        free = self.free(now)
        if free == self.burst:
            return math.inf
        paced_s = (free - self._tokens(now)) * self._spacing_s if now < self._full_at else 0.0
        return max(paced_s, self._place(free) + self._horizon_s - now, 0.0)

    def _tokens(self, now: float) -> float:
        """Whole tokens beyond the first; below zero, none is left."""
        return (now - self._full_at + self._depth_s) / self._spacing_s

    def _place(self, nth: int) -> float:
        """When the command went that the `nth` from now on, counted from 0, comes after."""
        return self._sent[(self._next + nth) % len(self._sent)]

    def _is_old(self, nth: int, now: float) -> bool:
        return nth < 0 or now - self._place(nth) >= self._horizon_s

    def _old(self, count: int, now: float) -> int:
        """Of the `count` oldest commands, those that are a second old: the first few of them."""
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if self._is_old(middle, now):
                low = middle + 1
            else:
                high = middle
        return low
