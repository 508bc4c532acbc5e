"""When a count that walks every binding is made anew for somebody who asks."""

from time import monotonic
from typing import Final

_FREE_S: Final = 0.1
_CHEAP_S: Final = 0.5
_REST: Final = 10


class Recount:
    """One that takes a moment is made for each who asks. A longer one is made again when it is ten
    times as old as it took, so that whoever asks again and again costs PostgreSQL a tenth of its
    time at most. A dear one is the stocktake's.
    """

    def __init__(self) -> None:
        self._ended: float | None = None
        self._took_s = 0.0

    def done(self, started: float) -> None:
        """`started`: monotonic seconds."""
        self._ended = monotonic()
        self._took_s = self._ended - started

    @property
    def is_due(self) -> bool:
        if self._ended is None or self._took_s < _FREE_S:
            return True
        return self._took_s < _CHEAP_S and monotonic() - self._ended > _REST * self._took_s
