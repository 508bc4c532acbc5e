"""The contracted commands per second of one NE, which no second ever exceeds."""

import math
from typing import Final

_BURST_S: Final = 0.05
"""Commands of this long may go at once: a loop that was late for so long loses nothing."""

_MARGIN: Final = 1e-6
"""Relative. Keeps the promise against the rounding of clocks and sums."""


class Rate:
    """A token bucket, kept as the one time at which it is full (GCRA). Times are monotonic seconds.

    A bucket that holds `burst` and refills at r lets r + burst - 1 through in one second, so it
    refills at `commands_per_s - (burst - 1)`: some 5 % under contract, and never above.
    """

    __slots__ = ("_depth_s", "_full_at", "_spacing_s", "burst")

    def __init__(self, commands_per_s: float) -> None:
        whole = math.floor(commands_per_s) if commands_per_s >= 1.0 else commands_per_s
        self.burst: Final = max(1, int(whole * _BURST_S))
        self._spacing_s = (1.0 + _MARGIN) / (whole - (self.burst - 1))
        self._depth_s = (self.burst - 1) * self._spacing_s
        self._full_at = -math.inf

    def free(self, now: float) -> int:
        """Commands that may go now."""
        if now >= self._full_at:
            return self.burst
        return max(0, math.floor(self._tokens(now)) + 1)

    def take(self, now: float) -> None:
        """Spend one token. What cannot wait (a logout) may spend one that is still to come."""
        self._full_at = max(self._full_at, now) + self._spacing_s

    def grows_in_s(self, now: float) -> float:
        """Seconds until `free` will be larger than it is now; infinite when it cannot be."""
        if now >= self._full_at:
            return math.inf
        missing = max(0, math.floor(self._tokens(now)) + 1) - self._tokens(now)
        return missing * self._spacing_s

    def _tokens(self, now: float) -> float:
        """Whole tokens beyond the first; below zero, none is left."""
        return (now - self._full_at + self._depth_s) / self._spacing_s
