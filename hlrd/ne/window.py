"""How many commands one NE is given at once: fewer each time it says busy, slowly more again."""

from typing import Final

_LOWERED_TO: Final = 0.7
"""Part of the window that a busy answer leaves."""

_HOLD_S_MIN: Final = 0.01
_HOLD_S_MAX: Final = 1.0
"""Once one command at a time is still too much, the NE is left alone, up to this long."""


class Window:
    """Additive increase, multiplicative decrease, between 1 and `size_max`.

    All commands in flight when the NE becomes busy are told so, and that is one sign, not many: a
    busy answer to a command sent before the last lowering changes nothing.
    """

    __slots__ = (
        "_exact",
        "_hold_s",
        "_lowered_at",
        "_size_max",
        "held_until",
        "is_full_size",
        "size",
    )

    def __init__(self, *, size_max: int) -> None:
        self.size = size_max
        self.held_until = 0.0  #: monotonic; nothing is to be sent before
        self.is_full_size = True  #: nothing to raise: `answered` may be left out
        self._exact = float(size_max)
        self._size_max = size_max
        self._lowered_at = float("-inf")
        self._hold_s = 0.0

    def answered(self) -> None:
        """A command was answered and not with busy: one more per window of such answers."""
        self._hold_s = 0.0
        self._exact = min(float(self._size_max), self._exact + 1.0 / self._exact)
        self.size = int(self._exact)
        self.is_full_size = self._exact >= self._size_max

    def busy(self, now: float, *, sent_at: float) -> None:
        if sent_at < self._lowered_at:
            return
        self._lowered_at = now
        if self.size == 1:
            self._hold_s = min(_HOLD_S_MAX, max(_HOLD_S_MIN, 2.0 * self._hold_s))
            self.held_until = now + self._hold_s
        self._exact = max(1.0, _LOWERED_TO * self._exact)
        self.size = int(self._exact)
        self.is_full_size = False
