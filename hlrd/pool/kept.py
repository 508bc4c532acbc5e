"""Open reservations in the memory of the node: what their orders draw without I/O.

No lease covers them. A reserved number belongs to its reservation in the database until an order's
binding is durable, and only one node, fenced by its epoch, hands any out. So memory is read anew
after a crash, and nothing has to be given back.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Generic

from hlrd import limits
from hlrd.domain.identity import ICCID, Card
from hlrd.pool.lease import K


class Bag(Generic[K]):
    """Draws a random item, or takes a named one."""

    __slots__ = ("_count", "_items", "_shop", "is_open")

    def __init__(self, shop: "Shop[K]") -> None:
        self._shop = shop
        self._items: list[K] = []
        self._count = 0
        self.is_open = True

    def __len__(self) -> int:
        return self._count

    def add(self, item: K) -> None:
        if item not in self._shop.idle:
            self._shop.idle[item] = self
            self._items.append(item)
            self._count += 1

    def draw(self, chance: Callable[[], float]) -> K:
        """Only while it is not empty. A place whose item was taken meanwhile is skipped."""
        items = self._items
        while True:
            place = int(chance() * len(items))
            item, items[place] = items[place], items[-1]
            items.pop()
            if self._shop.idle.get(item) is self:
                self._lend(item)
                return item

    def take(self, item: K) -> None:
        """A named one, which is in it."""
        self._lend(item)

    def _lend(self, item: K) -> None:
        del self._shop.idle[item]
        self._shop.lent[item] = self
        self._count -= 1

    def close(self) -> list[K]:
        """What is lent does not come back; returns what was in it."""
        self.is_open = False
        idle = self._shop.idle
        gone = [item for item in dict.fromkeys(self._items) if idle.get(item) is self]
        for item in gone:
            del idle[item]
        self._items, self._count = [], 0
        return gone


class Shop(Generic[K]):
    """In which bag each reserved item is, and to which one in hand belongs."""

    __slots__ = ("idle", "lent")

    def __init__(self) -> None:
        self.idle: dict[K, Bag[K]] = {}
        self.lent: dict[K, Bag[K]] = {}

    def take(self, item: K) -> None:
        bag = self.idle.get(item)
        if bag is not None:
            bag.take(item)

    def put_back(self, item: K) -> None:
        bag = self.lent.pop(item, None)
        if bag is not None and bag.is_open:
            bag.add(item)

    def comes_back(self, item: K) -> bool:
        """Whether what is in hand returns to an open bag, should its order be refused."""
        bag = self.lent.get(item)
        return bag is not None and bag.is_open

    def let_go(self, item: K) -> None:
        self.lent.pop(item, None)


@dataclass(eq=False, slots=True)
class Kept:
    """One reservation, read from the database page by page as its orders need it."""

    id: int
    numbers: dict[str, Bag[int]] = field(default_factory=dict)  #: by home HLR
    cards: dict[str, Bag[ICCID]] = field(default_factory=dict)
    last_number: int = 0  #: the next page begins behind it
    last_card: str = ""
    is_complete: bool = False  #: no page is left
    is_reading: bool = False
    has_gaps: bool = False  #: some of what was read is in hand and belongs to no bag

    @property
    def left(self) -> int:
        return sum(map(len, self.numbers.values()))


@dataclass(frozen=True, slots=True)
class Page:
    """The next numbers and cards of a reservation that no binding has confirmed."""

    reservation: int
    numbers: Sequence[tuple[int, str]]  #: with their home HLR, ascending
    cards: Sequence[Card]
    is_last: bool


class Keep:
    """All reservations in memory."""

    def __init__(self) -> None:
        self.numbers: Shop[int] = Shop()
        self.cards: Shop[ICCID] = Shop()
        self._kept: dict[int, Kept] = {}  #: the one used longest ago first
        self._wanted: dict[int, Kept] = {}
        self._cards: dict[ICCID, Card] = {}
        self.pages_awaited = 0
        self.gone: set[int | ICCID] = set()
        """Bound or held elsewhere while a page is under way, which may still name them."""

    def open(self, reservation: int) -> Kept:
        """To draw from; sees to it that more follows."""
        kept = self._kept.pop(reservation, None) or Kept(reservation)
        self._kept[reservation] = kept
        if len(self._kept) > limits.RESERVATIONS_IN_MEMORY_MAX:
            self.close(next(iter(self._kept)))
        if kept.left < limits.LEASE_LOW_WATER:
            self._want(kept)
        return kept

    def has_more(self, kept: Kept) -> bool:
        """Whether a page is on its way."""
        if kept.is_complete and kept.has_gaps:  # what was in hand may be back since
            kept.last_number, kept.last_card = 0, ""
            kept.is_complete = kept.has_gaps = False
        self._want(kept)
        return not kept.is_complete

    def _want(self, kept: Kept) -> None:
        if not (kept.is_complete or kept.is_reading):
            self._wanted[kept.id] = kept

    def wanted(self) -> list[Kept]:
        """To be read now. Each is handed out once, and waits for its page; ask again after all."""
        assert not self.pages_awaited, "a page may miss what was held since another was asked for"
        wanted, self._wanted = list(self._wanted.values()), {}
        for kept in wanted:
            kept.is_reading = True
        self.pages_awaited += len(wanted)
        return wanted

    def on_page(self, page: Page, numbers: Container[int], cards: Container[ICCID]) -> None:
        """`numbers` and `cards` are in hand."""
        kept = self._kept.get(page.reservation)
        if kept is not None and kept.is_reading:  # and not dropped meanwhile
            self._add(kept, page, numbers, cards)
        self.pages_awaited -= 1
        if not self.pages_awaited:
            self.gone.clear()

    def _add(
        self, kept: Kept, page: Page, numbers: Container[int], cards: Container[ICCID]
    ) -> None:
        kept.is_reading, kept.is_complete = False, page.is_last
        for number, hlr in page.numbers:
            kept.last_number = number
            if number not in numbers and number not in self.gone:
                kept.numbers.setdefault(hlr, Bag(self.numbers)).add(number)
            elif number in numbers and not self.numbers.comes_back(number):
                kept.has_gaps = True
        for card in page.cards:
            kept.last_card = card.iccid
            if card.iccid not in cards and card.iccid not in self.gone:
                self._cards[card.iccid] = card
                kept.cards.setdefault(card.hlr, Bag(self.cards)).add(card.iccid)
            elif card.iccid in cards and not self.cards.comes_back(card.iccid):
                kept.has_gaps = True

    def draw_card(self, kept: Kept, hlr: str, chance: Callable[[], float]) -> Card:
        return self._cards[kept.cards[hlr].draw(chance)]

    def put_back_card(self, iccid: ICCID) -> None:
        self.cards.put_back(iccid)
        if iccid not in self.cards.idle:
            self._cards.pop(iccid, None)

    def forget_card(self, iccid: ICCID) -> None:
        self.cards.let_go(iccid)
        self._cards.pop(iccid, None)

    def close_all(self) -> None:
        """They are read anew: now, if orders wait for a page, or when orders draw from them."""
        awaited = list(self._wanted)
        for reservation in list(self._kept):
            self.close(reservation)
        for reservation in awaited:
            self.open(reservation)

    def close(self, reservation: int) -> None:
        """It ended, or others are used more."""
        kept = self._kept.pop(reservation, None)
        if kept is None:
            return
        self._wanted.pop(reservation, None)
        for numbers in kept.numbers.values():
            numbers.close()
        for cards in kept.cards.values():
            for iccid in cards.close():
                del self._cards[iccid]
