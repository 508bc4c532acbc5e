"""What a cell counts: every acknowledged allocation, and those of the measured time apart."""

import asyncio
import resource
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Final

from loadtest import cpu

WARM_UP_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one cell. Microseconds are processor time for one allocation."""

    per_s: float
    p50_ms: float
    p99_ms: float
    client_us: float  #: of the process that allocates
    server_us: float  #: of PostgreSQL, or Redis, with all its processes
    rss_mib: float
    seconds: float
    acknowledged: int  #: warm-up and last answers included
    distinct: int

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Moment:
    at_s: float
    done: int
    client_s: float
    server_s: float


class Meter:
    """`took` is called for each acknowledged allocation; the cell goes on while `is_on`."""

    def __init__(self, server_pid: int) -> None:
        self.is_on = True
        self.numbers: list[int] = []
        self._latencies = array("d")
        self._server_pid = server_pid
        self._begin: _Moment
        self._end: _Moment

    def took(self, number: int, seconds: float) -> None:
        self.numbers.append(number)
        self._latencies.append(seconds)

    async def run(self, seconds: float, *, warm_up_s: float = WARM_UP_S) -> None:
        """Beside the cell: let it warm up, measure, and end it."""
        await asyncio.sleep(warm_up_s)
        self.begin()
        await asyncio.sleep(seconds)
        self.end()

    def begin(self) -> None:
        self._begin = self._now()

    def end(self) -> None:
        if self.is_on:
            self._end = self._now()
            self.is_on = False

    def figures(self) -> Figures:
        begin, end = self._begin, self._end
        latencies = sorted(self._latencies[begin.done : end.done])
        seconds, done = end.at_s - begin.at_s, max(1, end.done - begin.done)
        return Figures(
            per_s=done / seconds,
            p50_ms=1e3 * quantile(latencies, 0.5),
            p99_ms=1e3 * quantile(latencies, 0.99),
            client_us=1e6 * (end.client_s - begin.client_s) / done,
            server_us=1e6 * (end.server_s - begin.server_s) / done,
            rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
            seconds=seconds,
            acknowledged=len(self.numbers),
            distinct=len(set(self.numbers)),
        )

    def _now(self) -> _Moment:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return _Moment(
            perf_counter(),
            len(self.numbers),
            own.ru_utime + own.ru_stime,
            cpu.with_children(self._server_pid),
        )


def quantile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed; 0 of none."""
    if not ascending:
        return 0.0
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]


Took = Callable[[int, float], None]
