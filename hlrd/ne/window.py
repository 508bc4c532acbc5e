"""How many commands one NE is given at once: fewer each time it says busy, slowly more again."""

from typing import Final

_LOWERED_TO: Final = 0.85
"""Part of the window that a busy answer leaves."""

_REST_S_MIN: Final = 0.01
_REST_S_MAX: Final = 1.0
"""Once the smallest window is still too much, the NE is left alone, up to this long."""


class Window:
    """Additive increase, multiplicative decrease, between `size_min` and `size_max`
    (docs/adr/0007-window-by-aimd.md).

    All commands in flight when the NE becomes busy are told so, and that is one sign, not many: a
    busy answer to a command sent before the last lowering changes nothing.
    """

    __slots__ = (
        "_exact",
        "_lowered_at",
        "_rest_s",
        "_size_max",
        "_size_min",
        "is_full_size",
        "rests_until",
        "size",
    )

    def __init__(self, *, size_min: int = 1, size_max: int) -> None:
        self.size = size_max
        self.rests_until = 0.0  #: monotonic; nothing is to be sent before
        self.is_full_size = True  #: nothing to raise: `answered` may be left out
        self._exact = float(size_max)
        self._size_max = size_max
        self._size_min = size_min
        self._lowered_at = float("-inf")
        self._rest_s = 0.0

    def answered(self) -> None:
        """A command was answered and not with busy: one more per window of such answers."""
        self._rest_s = 0.0
        self._exact = min(float(self._size_max), self._exact + 1.0 / self._exact)
        self.size = int(self._exact)
        self.is_full_size = self._exact >= self._size_max

    def bound(self, *, size_min: int, size_max: int) -> None:
        """Other bounds from now on; a window at its maximum stays there."""
        is_full_size = self._exact >= self._size_max
        self._size_min, self._size_max = size_min, size_max
        exact = float(size_max) if is_full_size else self._exact
        self._exact = min(float(size_max), max(float(size_min), exact))
        self.size = int(self._exact)
        self.is_full_size = self._exact >= size_max

    def busy(self, now: float, *, sent_at: float) -> None:
        """The NE said so, or was silent until the time-out."""
        if sent_at < self._lowered_at:
            return
        self._lowered_at = now
        if self.size <= self._size_min:
            self._rest_s = min(_REST_S_MAX, max(_REST_S_MIN, 2.0 * self._rest_s))
            self.rests_until = now + self._rest_s
        self._exact = max(float(self._size_min), _LOWERED_TO * self._exact)
        self.size = int(self._exact)
        self.is_full_size = False
