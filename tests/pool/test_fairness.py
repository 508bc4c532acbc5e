"""Every idle number of the whole pool is as likely as any other, whatever came before it.

A million draws are looked at by all tests of `evenness`, and allocators with one fault each by the
same tests: what they do not catch, they would not have seen in ours either.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from math import sqrt
from random import Random
from typing import Any, Final

import pytest

from hlrd import limits
from hlrd.pool import lease, ranges
from hlrd.pool.allocator import Allocator
from hlrd.pool.lease import Wish
from hlrd.pool.permutation import Permutation
from hlrd.pool.shelf import Shelf
from tests.pool.drawing import (
    RECYCLED,
    SIZE,
    SIZES,
    Shell,
    a_large_shell,
    first_draws,
    place_of,
    range_of,
)
from tests.pool.evenness import (
    ALPHA,
    Finding,
    chi_square,
    chi_square_of_shares,
    chi_square_quantile,
    findings,
)

SEED: Final = 20_261_121
DRAWS: Final = 1_000_000
DRAWS_OF_A_MUTANT: Final = 40_000
SECRETS: Final = 6_000


def looked_at(shell: Shell, draws: int) -> tuple[Sequence[int], list[Finding]]:
    numbers = list(islice(shell.draws(), draws))
    places = [place_of(number) for number in numbers]
    shares = {(id, is_free): count for id in SIZES
              for is_free, count in ((True, RECYCLED[id]), (False, SIZES[id] - RECYCLED[id]))
              if count * draws / SIZE >= 5}  # fmt: skip
    classes = ((range_of(number), number in shell.from_free_list) for number in numbers)
    found = findings(places, SIZE)
    in_large = [one for one in classes if one in shares]
    found.append(chi_square_of_shares("new and recycled numbers of each range", in_large, shares))
    return numbers, found


def suspicions(found: Sequence[Finding]) -> list[str]:
    return [str(one) for one in found if one.is_suspicious]


@pytest.fixture(scope="module")
def million() -> tuple[Sequence[int], list[Finding]]:
    return looked_at(a_large_shell(SEED), DRAWS)


def test_of_a_million_draws_no_number_comes_twice(
    million: tuple[Sequence[int], list[Finding]],
) -> None:
    assert len(set(million[0])) == DRAWS


def test_a_million_draws_from_new_and_recycled_numbers_of_all_ranges_are_even(
    million: tuple[Sequence[int], list[Finding]],
) -> None:
    """Over the range, over successive pairs, in steps, runs and correlation."""
    assert suspicions(million[1]) == [], f"seed {SEED}, alpha {ALPHA} each"


@pytest.mark.parametrize("size", [7, 10**10])
def test_the_first_numbers_of_a_pool_are_as_likely_over_all_secrets(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The secret alone sees to it: the chance of the draws is stuck at nothing."""
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 2)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 1)
    secrets = Random(SEED)
    cells = min(size, 100)

    pairs = [first_draws(secrets.randbytes(32), size, 2, lambda: 0.0) for _ in range(SECRETS)]

    first, second = (
        [place * cells // size for place in places] for places in zip(*pairs, strict=True)
    )
    steps = [((b - a) % size - 1) * (cells - 1) // (size - 1) for a, b in pairs]
    assert suspicions([
        chi_square("first", first, cells_count=cells),
        chi_square("second", second, cells_count=cells),
        chi_square("step", steps, cells_count=cells - 1),
    ]) == [], f"seed {SEED}"  # fmt: skip


def test_a_small_pool_is_drawn_in_every_order_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 orders of 4 numbers, each as likely."""
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 2)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 1)
    random = Random(SEED)

    orders = [tuple(first_draws(random.randbytes(32), 4, 4, random.random)) for _ in range(4_000)]

    known = {order: cell for cell, order in enumerate(sorted(set(orders)))}
    assert len(known) == 24
    found = chi_square("orders", (known[order] for order in orders), cells_count=24)
    assert not found.is_suspicious, f"{found}, seed {SEED}"


# Allocators with one fault each.


def draws_from_the_end_of_the_bag(patch: pytest.MonkeyPatch) -> None:
    draw = Shelf.draw
    patch.setattr(Shelf, "draw", lambda self, chance: draw(self, lambda: 1 - 1e-9))


def leases_one_range_after_the_other(patch: pytest.MonkeyPatch) -> None:
    def one_after_the_other(sources: Sequence[Any], count: int, chance: float) -> list[Wish]:
        source = next(source for source in sources if source.remaining)
        fresh = min(count, source.unleased)
        return [Wish(source.what, source.id, fresh, min(count - fresh, source.recycled))]

    patch.setattr("hlrd.pool.shelf.apportion", one_after_the_other)


def leases_every_range_alike(patch: pytest.MonkeyPatch) -> None:
    def alike(sources: Sequence[Any], count: int, chance: float) -> list[Wish]:
        return [Wish(s.what, s.id, min(count // len(sources), s.unleased), 0) for s in sources]

    patch.setattr("hlrd.pool.shelf.apportion", alike)


def leases_new_numbers_first(patch: pytest.MonkeyPatch) -> None:
    apportion = lease.apportion

    def new_first(sources: Sequence[Any], count: int, chance: float) -> list[Wish]:
        only_new = [replace(s, recycled=0) for s in sources if s.unleased >= count]
        return apportion(only_new, count, chance)

    patch.setattr("hlrd.pool.shelf.apportion", new_first)


def chooses_every_hlr_alike(patch: pytest.MonkeyPatch) -> None:
    def alike(self: Allocator, choices: Sequence[Any]) -> Any:
        return choices[int(self._chance() * len(choices))]

    patch.setattr(Allocator, "_choose", alike)


def has_a_chance_with_a_modulo_bias(patch: pytest.MonkeyPatch) -> None:
    """A byte, modulo 192: a third of the values comes twice as often."""
    choose = Allocator._choose

    def biased(self: Allocator, choices: Sequence[Any]) -> Any:
        fair, self._chance = self._chance, lambda: int(fair() * 256) % 192 / 192
        try:
            return choose(self, choices)  # type: ignore[arg-type]
        finally:
            self._chance = fair

    patch.setattr(Allocator, "_choose", biased)


def orders_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Permutation, "interval", lambda _, start, count: list(range(start, start + count))
    )


def orders_by_a_modulo(patch: pytest.MonkeyPatch) -> None:
    """Every number once, evenly spread, and each a fixed step from the one before."""

    def strided(self: Permutation, start: int, count: int) -> list[int]:
        return [(place * 299_999_977 + 11) % self.size for place in range(start, start + count)]

    patch.setattr(Permutation, "interval", strided)


def orders_with_too_few_rounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hlrd.pool.permutation.ROUNDS", 1)


def orders_by_reduced_hashes(patch: pytest.MonkeyPatch) -> None:
    """Hashes modulo the size instead of a permutation: 30 bits onto 6·10^8 numbers are uneven."""

    def hashed(self: Permutation, start: int, count: int) -> list[int]:
        return [
            hash((place, "secret")) % 2**30 % self.size for place in range(start, start + count)
        ]

    patch.setattr(Permutation, "interval", hashed)


def never_offers_half_of_the_pool(patch: pytest.MonkeyPatch) -> None:
    order = ranges.Order.numbers

    def lower_half(self: ranges.Order, start: int, count: int) -> list[int]:
        first = self._first
        return [first + (number - first) // 2 for number in order(self, start, count)]

    patch.setattr(ranges.Order, "numbers", lower_half)


MUTANTS: Final[Sequence[Callable[[pytest.MonkeyPatch], None]]] = (
    draws_from_the_end_of_the_bag,
    leases_one_range_after_the_other,
    leases_every_range_alike,
    leases_new_numbers_first,
    chooses_every_hlr_alike,
    has_a_chance_with_a_modulo_bias,
    orders_nothing,
    orders_by_a_modulo,
    orders_with_too_few_rounds,
    orders_by_reduced_hashes,
    never_offers_half_of_the_pool,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_an_allocator_with_a_fault_is_found_out(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)

    assert suspicions(looked_at(a_large_shell(SEED), DRAWS_OF_A_MUTANT)[1])


def test_as_few_draws_of_the_allocator_without_a_fault_are_not_suspicious() -> None:
    for seed in range(3):
        found = looked_at(a_large_shell(seed), DRAWS_OF_A_MUTANT)[1]
        assert suspicions(found) == [], f"seed {seed}"


def test_the_quantiles_are_those_of_the_tables() -> None:
    """Abramowitz and Stegun, table 26.8, but for the last: mean and three standard deviations."""
    assert chi_square_quantile(0.999, 3) == pytest.approx(16.266, rel=0.02)
    assert chi_square_quantile(0.999, 99) == pytest.approx(148.23, rel=0.001)
    assert chi_square_quantile(0.001, 99) == pytest.approx(61.14, rel=0.002)
    assert chi_square_quantile(0.99865, 9_999) == pytest.approx(9_999 + 3 * sqrt(19_998), rel=0.001)
