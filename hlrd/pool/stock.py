"""SIM lots in memory: which lot serves the next card when the order does not care."""

from dataclasses import dataclass

from hlrd import limits
from hlrd.domain.identity import ICCID
from hlrd.pool.shelf import Shelf, Tally


@dataclass(frozen=True, slots=True)
class Lot:
    """Cards of one delivery; row numbers 0 … quantity-1 are leased in intervals."""

    id: int
    name: str  #: unique
    province: str
    hlr: str
    quantity: int
    counter: int  #: row numbers ever leased

    @property
    def unleased(self) -> int:
        return self.quantity - self.counter


class Rack(Tally):
    """All lots of one province and HLR, the oldest first: a lot is used up before the next."""

    __slots__ = ("_first", "_lots")

    def __init__(self) -> None:
        super().__init__()
        self._lots: list[Shelf[ICCID]] = []
        self._first = 0  #: every lot before it is used up

    def add(self, lot: Shelf[ICCID]) -> None:
        self._lots.append(lot)

    def remove(self, lot: Shelf[ICCID]) -> None:
        self._lots.remove(lot)
        self._first = 0

    def grow(self, items: int) -> None:
        super().grow(items)
        if items > 0:
            self._first = 0

    def serving(self) -> Shelf[ICCID] | None:
        """The lot to draw from, None while no card is in memory; sees to it that they follow."""
        serving, stocked = None, 0
        for place in range(self._first, len(self._lots)):
            lot = self._lots[place]
            if lot.is_used_up:
                if place == self._first:
                    self._first += 1
                continue
            lot.want()
            stocked += len(lot.idle)
            if serving is None and lot.idle:
                serving = lot
            if lot.remaining or stocked >= limits.LEASE_LOW_WATER:
                break
        return serving
