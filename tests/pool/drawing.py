"""The real allocator over the real order of numbers, with leases as the shell takes them, and no
database: what a million draws look like can be seen in seconds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from random import Random

from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Pending
from hlrd.pool.lease import CardGrant, NumberGrant, What, Wish
from hlrd.pool.ranges import NumberRange, Order
from hlrd.pool.stock import Lot
from tests.pool.database import SECRET, a_card, a_lot, a_range

BLOCK = 1440000000000


class Shell:
    """Leases in memory. A range whose counter is not 0 was drawn that far before, and every number
    of it was released, recycled and lies on its free list, in an order that says nothing.
    """

    def __init__(
        self,
        ranges: Sequence[NumberRange],
        lots: Sequence[Lot],
        *,
        secret: bytes = SECRET,
        chance: Callable[[], float],
        keeps_cards: bool = False,
    ) -> None:
        """`keeps_cards`: a card drawn goes back, so that few have to be made."""
        self.allocator = Allocator(chance)
        self.from_free_list: set[int] = set()
        self._keeps_cards = keeps_cards
        self._orders = {row.id: Order(row, secret) for row in ranges}
        self._sizes = {(What.NUMBERS, row.id): row.size for row in ranges}
        self._sizes |= {(What.CARDS, lot.id): lot.quantity for lot in lots}
        self._counters = Counter({(What.NUMBERS, row.id): row.counter for row in ranges})
        self._free = {row.id: row.counter for row in ranges}
        self._picked: Counter[int] = Counter()
        self._lease_ids = count(1)
        self._lots = {lot.id: lot for lot in lots}
        for row in ranges:
            self.allocator.add_range(row, recycled=row.counter)
        for lot in lots:
            self.allocator.add_lot(lot)

    def draws(self) -> Iterator[int]:
        allocator, keeps = self.allocator, self._keeps_cards
        while True:
            drawn = allocator.draw(pool="iot", province="200", digits=13)
            if isinstance(drawn, Drawn):
                if keeps:
                    allocator.bound(msisdn=drawn.msisdn)
                    allocator.put_back(iccid=drawn.card.iccid)
                else:
                    allocator.bound(msisdn=drawn.msisdn, iccid=drawn.card.iccid)
                yield int(drawn.msisdn)
                continue
            assert drawn is Pending.PENDING
            for wish in allocator.wishes():
                allocator.on_leased(self._grant(wish))

    def _grant(self, wish: Wish) -> NumberGrant | CardGrant:
        source = (wish.what, wish.source_id)
        start = self._counters[source]
        self._counters[source] += wish.fresh
        unleased = self._sizes[source] - self._counters[source]
        lease_id, source_id = next(self._lease_ids), wish.source_id
        if wish.what is What.CARDS:
            lot = self._lots[source_id]
            cards = [a_card(lot, row) for row in range(start, start + wish.fresh)]
            return CardGrant(lease_id, source_id, unleased, 0, cards)
        order = self._orders[source_id]
        picked = order.numbers(self._picked[source_id], wish.recycled)
        self._picked[source_id] += wish.recycled
        self.from_free_list.update(picked)
        left = self._free[source_id] - self._picked[source_id]
        numbers = order.numbers(start, wish.fresh) + picked
        return NumberGrant(lease_id, source_id, unleased, left, numbers)


SIZES = {1: 600_000_000, 2: 100_000_000, 3: 299_000_000, 4: 1_000_000}
RECYCLED = {1: 300_000_000, 2: 0, 3: 250_000_000, 4: 999_999}
SIZE = sum(SIZES.values())
_BEFORE = {1: 0, 2: 600_000_000, 3: 700_000_000, 4: 999_000_000}


def a_large_pool() -> list[NumberRange]:
    """A thousand million numbers: four ranges of very different size over two HLRs, some of them
    new, some used up and recycled, most of them partly.
    """
    return [
        NumberRange(
            pool="iot",
            first=BLOCK + id * 10**9,
            last=BLOCK + id * 10**9 + size - 1,
            digits=13,
            province="200",
            hlr=f"hlr{id % 2}",
            id=id,
            counter=RECYCLED[id],
        )
        for id, size in SIZES.items()
    ]


def a_large_shell(seed: int) -> Shell:
    lots = [a_lot(1, 10**9, hlr="hlr0"), a_lot(2, 10**9, hlr="hlr1")]
    return Shell(a_large_pool(), lots, chance=Random(seed).random, keeps_cards=True)


def range_of(number: int) -> int:
    return (number - BLOCK) // 10**9


def place_of(number: int) -> int:
    """The number's place in the pool as a whole."""
    return number % 10**9 + _BEFORE[range_of(number)]


def first_draws(secret: bytes, size: int, count: int, chance: Callable[[], float]) -> list[int]:
    """The first numbers of a new pool, as places in its only range."""
    shell = Shell([a_range(first=BLOCK, size=size)], [a_lot()], secret=secret, chance=chance)
    return [number - BLOCK for number in islice(shell.draws(), count)]
