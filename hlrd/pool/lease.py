"""What is leased, by whom it is owned, and when its lease row may go.

A lease is one durable row: an interval of a range's permutation (or of a lot's rows), and the
recycled items picked with it. Every item of it is in exactly one place: on a shelf (idle), in hand
(of an order that is not durable yet), or durable elsewhere (bound, locked, on the free list) and
then no business of the lease any more. When all are elsewhere the lease is settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hlrd.domain.identity import ICCID, MSISDN, Card


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
class NumberGrant:
    """A durable lease of numbers. `unleased` and `recycled` are what is left behind it."""

    lease_id: int
    range_id: int
    numbers: Sequence[int]  #: without those that are bound or held in the database
    unleased: int
    recycled: int


@dataclass(frozen=True, slots=True)
class CardGrant:
    """A durable lease of cards. `unleased` and `recycled` are what is left behind it."""

    lease_id: int
    lot_id: int
    cards: Sequence[Card]  #: without those that are bound or scrapped in the database
    unleased: int
    recycled: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A lease that memory has no use for any more. In one transaction the shell writes what is
    returned to the free list and deletes the lease row; until then a crash recovers the lease.
    """

    lease_id: int
    what: What
    msisdns: tuple[MSISDN, ...] = ()
    iccids: tuple[ICCID, ...] = ()
