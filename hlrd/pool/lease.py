"""What is leased, by whom it is owned, and when its lease row may go.

A lease is one durable row: an interval of a range's permutation (or of a lot's rows), and the
recycled items picked with it. Every item of it is in exactly one place: on a shelf (idle), in hand
(of an order that is not durable yet), or durable elsewhere (bound, locked, on the free list) and
then no business of the lease any more. When all are elsewhere the lease is settled.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from hlrd.domain.identity import Card

K = TypeVar("K", bound=Hashable)


class What(StrEnum):
    NUMBERS = "numbers"
    CARDS = "cards"


@dataclass(frozen=True, slots=True)
class Wish:
    """A lease that the allocator wants. The shell answers each exactly once, whatever it takes:
    `on_leased` (with fewer than asked, if there are fewer) or `on_nothing_left`.
    """

    what: What
    source_id: int  #: the range, or the lot
    fresh: int  #: counter values: the next `fresh` indexes never leased before
    recycled: int  #: from the free list of that source


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease that is durable, and what is left of its source behind it."""

    lease_id: int  #: unique over numbers and cards
    source_id: int  #: the range, or the lot
    unleased: int
    recycled: int


@dataclass(frozen=True, slots=True)
class NumberGrant(Grant):
    numbers: Sequence[int]  #: without those that are bound or held in the database


@dataclass(frozen=True, slots=True)
class CardGrant(Grant):
    cards: Sequence[Card]  #: without those that are bound or scrapped in the database


@dataclass(frozen=True, slots=True)
class Settled(Generic[K]):
    """A lease that memory has no use for any more. In one transaction the shell puts what is
    returned on the free list and deletes the lease row; until then a crash recovers the lease.
    """

    lease_id: int
    what: What
    returned: tuple[K, ...] = ()  #: numbers as int, cards as ICCID


@dataclass(eq=False, slots=True)
class Source:
    """A range or a lot, as far as leasing goes."""

    what: What
    id: int
    unleased: int  #: counter values nobody leased yet
    recycled: int  #: on its free list in the database

    @property
    def remaining(self) -> int:
        return self.unleased + self.recycled


def apportion(sources: Sequence[Source], count: int, chance: float) -> list[Wish]:
    """Split a lease of `count` over the sources so that each idle item is as likely to be in it.

    Systematic sampling: `count` equidistant points from one random start over all that remains, so
    each source gets its exact share, rounded up or down by chance, for the price of one number.
    `chance` is in [0, 1).
    """
    total = sum(source.remaining for source in sources)
    assert total > 0, "a lease of nothing"
    count, start = min(count, total), int(chance * total)
    wishes, passed, before = [], 0, 0
    for source in sources:
        fresh = _points_below(passed + source.unleased, count, start, total)
        passed += source.remaining
        upto = _points_below(passed, count, start, total)
        if upto > before:
            wishes.append(Wish(source.what, source.id, fresh=fresh - before, recycled=upto - fresh))
        before = upto
    return wishes


def _points_below(place: int, count: int, start: int, total: int) -> int:
    """How many of the places (start + j·total) / count, j = 0, 1, …, are below `place`."""
    return max(0, -(-(place * count - start) // total))
