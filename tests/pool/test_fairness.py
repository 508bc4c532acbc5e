"""Every idle number of the whole pool is as likely as any other, whatever came before it.

Chi-square with fixed seeds: the limits are those of p = 0.001 for 99 degrees of freedom.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import count, islice, pairwise
from random import Random

import pytest

from hlrd.pool.allocator import Allocator, Drawn, Pending
from hlrd.pool.lease import CardGrant, NumberGrant, What, Wish
from hlrd.pool.ranges import NumberRange, Order
from hlrd.pool.stock import Lot
from tests.pool.database import SECRET, a_card, a_lot, a_range

DRAWS = 100_000
CELLS = 100
LOW, HIGH = 60.0, 148.2


class Shell:
    """Leases without a database: enough for a pool that nothing is ever given back to."""

    def __init__(self, ranges: list[NumberRange], lots: list[Lot], secret: bytes = SECRET) -> None:
        self.allocator = Allocator(Random(20).random)
        self.orders = {row.id: Order(row, secret) for row in ranges}
        self.counters: Counter[tuple[What, int]] = Counter()
        self.sizes = {(What.NUMBERS, row.id): row.size for row in ranges}
        self.sizes |= {(What.CARDS, lot.id): lot.quantity for lot in lots}
        self.lease_ids = count(1)
        self.lots = {lot.id: lot for lot in lots}
        for row in ranges:
            self.allocator.add_range(row)
        for lot in lots:
            self.allocator.add_lot(lot)

    def draws(self) -> Iterator[int]:
        while True:
            drawn = self.allocator.draw(pool="iot", province="200", digits=13)
            if isinstance(drawn, Drawn):
                self.allocator.bound(msisdn=drawn.msisdn, iccid=drawn.card.iccid)
                yield int(drawn.msisdn)
            else:
                assert drawn is Pending.PENDING
                for wish in self.allocator.wishes():
                    self.answer(wish)

    def answer(self, wish: Wish) -> None:
        place = (wish.what, wish.source_id)
        start = self.counters[place]
        self.counters[place] += wish.fresh
        left = self.sizes[place] - self.counters[place]
        if wish.what is What.NUMBERS:
            numbers = self.orders[wish.source_id].numbers(start, wish.fresh)
            grant = NumberGrant(next(self.lease_ids), wish.source_id, left, 0, numbers)
            self.allocator.on_leased(grant)
        else:
            lot = self.lots[wish.source_id]
            cards = [a_card(lot, row) for row in range(start, start + wish.fresh)]
            self.allocator.on_leased(
                CardGrant(next(self.lease_ids), wish.source_id, left, 0, cards)
            )


@pytest.fixture(scope="module")
def places() -> list[int]:
    """100,000 draws as places in a pool of 10,000,000 numbers: four ranges over two HLRs."""
    sizes = {1: 6_000_000, 2: 1_000_000, 3: 2_990_000, 4: 10_000}
    ranges = [
        a_range(id, 1064000000000 + id * 10_000_000, size=size, hlr=f"hlr{id % 2}")
        for id, size in sizes.items()
    ]
    shell = Shell(ranges, [a_lot(1, 10**7, hlr="hlr0"), a_lot(2, 10**7, hlr="hlr1")])
    before = {1: 0, 2: 6_000_000, 3: 7_000_000, 4: 9_990_000}
    return [
        number % 10_000_000 + before[(number - 1064000000000) // 10_000_000]
        for number in islice(shell.draws(), DRAWS)
    ]


def test_no_number_comes_twice(places: list[int]) -> None:
    assert len(set(places)) == DRAWS


def test_every_part_of_the_pool_is_as_likely_whatever_range_and_hlr_it_is_in(
    places: list[int],
) -> None:
    assert LOW < chi_square(place // 100_000 for place in places) < HIGH


def test_a_draw_says_nothing_about_the_next(places: list[int]) -> None:
    pairs = (10 * (a // 1_000_000) + b // 1_000_000 for a, b in pairwise(places))

    assert LOW < chi_square(pairs) < HIGH


def test_the_step_to_the_next_number_is_as_any_other(places: list[int]) -> None:
    steps = ((b - a) % 10_000_000 // 100_000 for a, b in pairwise(places))

    assert LOW < chi_square(steps) < HIGH


def test_the_last_digits_are_as_likely(places: list[int]) -> None:
    assert LOW < chi_square(place % 100 for place in places) < HIGH


def test_numbers_do_not_ascend(places: list[int]) -> None:
    """A run ends at half of the draws; 5 standard deviations are allowed."""
    ascents = sum(a < b for a, b in pairwise(places))

    assert abs(ascents - DRAWS / 2) < 5 * (DRAWS / 12) ** 0.5


def test_the_order_depends_on_the_secret_of_the_pool() -> None:
    """All that is configured is equal, and the chance too: only the secret differs."""
    first, same, other = (
        list(islice(Shell([a_range(size=10**6)], [a_lot(1, 10**6)], secret).draws(), 1_000))
        for secret in (SECRET, SECRET, b"t" * 32)
    )

    assert first == same
    assert len(set(first) & set(other)) < 10


def chi_square(cells: Iterator[int]) -> float:
    counts = Counter(cells)
    expected = counts.total() / CELLS
    assert set(counts) <= set(range(CELLS))
    return sum((counts[cell] - expected) ** 2 / expected for cell in range(CELLS))
