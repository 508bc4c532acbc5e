"""How long urgent orders took, and what they may take. Pure.

From the moment that upstream meant to post an order until its HLR has done what frees the line: the
HLR's own log says when. While hlrd or the order's own HLR was away nothing could be done for it, so
its time counts from the return.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hlrd import limits
from loadtest.storm.book import Kind

EVERYWHERE: Final = ""
"""As the name of an HLR: hlrd itself was away."""


class Absence(NamedTuple):
    hlr: str
    start_s: float
    end_s: float


class Urgent(NamedTuple):
    """Times are monotonic seconds."""

    order_id: str
    kind: Kind
    hlr: str
    posted_s: float
    done_s: float


class Row(NamedTuple):
    """Of the table of times. `bound_s` is of the p99."""

    what: str
    orders: int
    p50_s: float
    p99_s: float
    max_s: float
    bound_s: float
    late: Sequence[str]  #: a few order ids above the bound

    @property
    def holds(self) -> bool:
        return self.p99_s <= self.bound_s


def began_s(posted_s: float, predecessor_s: float | None) -> float:
    """An order that upstream sent before the one ahead of it cannot begin until that is there, or
    the wait for it is over. `predecessor_s`: when that was taken; None: there is none."""
    if predecessor_s is None or predecessor_s <= posted_s:
        return posted_s
    return min(predecessor_s, posted_s + limits.PREDECESSOR_WAIT_S)


def judged_s(urgent: Urgent, absences: Iterable[Absence]) -> float:
    began_s = urgent.posted_s
    for absence in sorted(absences, key=lambda each: each.start_s):
        concerns = absence.hlr in (EVERYWHERE, urgent.hlr)
        if concerns and began_s < absence.end_s and absence.start_s < urgent.done_s:
            began_s = absence.end_s
    return max(0.0, urgent.done_s - began_s)


def percentile(seconds: Sequence[float], share: float) -> float:
    """Of sorted values, by the nearest rank: of less than a hundred the p99 is the highest."""
    if not seconds:
        return 0.0
    rank = -(-len(seconds) * round(share * 1000) // 1000)
    return seconds[max(0, min(len(seconds), rank) - 1)]


def row(
    what: str, urgents: Iterable[Urgent], absences: Sequence[Absence], *, bound_s: float
) -> Row:
    took = sorted((judged_s(urgent, absences), urgent.order_id) for urgent in urgents)
    seconds = [each for each, _ in took]
    late = [f"{order} {each:.2f} s" for each, order in reversed(took) if each > bound_s]
    return Row(
        what,
        len(took),
        percentile(seconds, 0.5),
        percentile(seconds, 0.99),
        seconds[-1] if seconds else 0.0,
        bound_s,
        late[:5],
    )
