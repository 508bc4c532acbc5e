"""The number pool and the SIM stock in the memory of one node: draws with no I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

from hlrd.domain.identity import ICCID, MSISDN, Card
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, Wish
from hlrd.pool.ranges import NumberRange
from hlrd.pool.stock import Lot


class Drawn(NamedTuple):
    """A number and a card of one HLR and province, in hand until bound, put back or dropped."""

    msisdn: MSISDN
    card: Card


class Pending(Enum):
    """Memory is empty but a lease is wished for: draw again after the next `on_leased` or
    `on_nothing_left`. Nothing is held meanwhile.
    """

    PENDING = "pending"


class Lack(StrEnum):
    POOL = "pool"  #: no pool of that name
    LOT = "lot"  #: no lot of that name in the province
    NUMBERS = "numbers"  #: no idle number in the pool for that province, length (and HLR)
    CARDS = "cards"  #: no card in stock with the home HLR of an idle number
    CARD_TAKEN = "cardTaken"  #: the named card is in the hands of another order


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing to draw and nothing to wait for. Nothing is held."""

    what: Lack


class Allocator:
    """Synchronous and pure. `chance` gives floats in [0, 1), as `random.Random().random`.

    The life of what is drawn or taken: *in hand* until exactly one of
    `bound` (its binding is durable: forgotten here),
    `put_back` (its order was refused before the journal took it: idle again, in memory),
    `drop` (the journal said that another has it: never offered again).
    A binding rolled back at close is *not* put back: the closing transaction writes number and card
    to the free list, and they return by a later lease. One of these on what is not in hand is an
    AssertionError.
    """

    def __init__(self, chance: Callable[[], float]) -> None: ...

    def add_range(self, number_range: NumberRange, *, recycled: int = 0) -> None:
        """At start and by import. `recycled`: its numbers on the free list. O(1) in its size."""

    def add_lot(self, lot: Lot, *, recycled: int = 0) -> None:
        """At start and by import."""

    def draw(
        self, *, pool: str, province: str, digits: int, lot: str | None = None
    ) -> Drawn | Pending | Exhausted:
        """A random idle number and a card of the same HLR; the card of `lot`, or of any lot."""

    def draw_for(self, card: Card, *, pool: str, digits: int) -> Drawn | Pending | Exhausted:
        """A random idle number of the named card's HLR and province; takes the card as well."""

    def take(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> bool:
        """Named by an order: will not be drawn. Both or neither; False: another order has one."""

    def bound(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """Durable (a binding, a reservation, a lock): the database speaks for it from now on."""

    def put_back(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """Refused before anything became durable: idle again."""

    def drop(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """The database says that it is not ours to give: never offered again from this lease."""

    @property
    def has_wishes(self) -> bool:
        """Cheap; look after each batch of draws, and after each answer."""

    def wishes(self) -> list[Wish]:
        """Leases wanted now. Each is handed out once and waits for its answer."""

    def on_leased(self, grant: NumberGrant | CardGrant) -> None:
        """The answer to a wish. Then draw again for those who wait."""

    def on_nothing_left(self, wish: Wish) -> None:
        """The answer to a wish whose source has neither fresh nor recycled items."""

    def on_recovered(self, grant: NumberGrant | CardGrant) -> None:
        """A lease found in the database at start (or of a dead node), taken over; no wish."""

    def on_counts(self, what: str, source_id: int, *, unleased: int, recycled: int) -> None:
        """What the database holds of a source now: after recycling, roll-backs, or an audit."""

    def settled(self) -> list[Settled]:
        """Leases to delete; each is handed out once."""

    def numbers_in_memory(self) -> dict[str, int]:
        """Idle numbers leased by this node, by pool; for the gauge."""

    def cards_in_memory(self) -> int: ...
