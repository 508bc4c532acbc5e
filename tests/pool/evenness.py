"""What a sequence of draws says about how it was drawn. The thresholds are derived, not felt.

All tests ask for one probability `alpha` of a false alarm; a draw is suspicious if a statistic lies
further out than a fair one does in `alpha` of all cases.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from math import sqrt
from operator import mul
from statistics import NormalDist
from typing import Final, TypeVar

ALPHA: Final = 1e-5
"""Of one test. With some forty tests a new seed raises a false alarm once in 2,500 times."""

K = TypeVar("K")
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Finding:
    """One statistic, and where it had to lie."""

    test: str
    value: float
    low: float
    high: float

    @property
    def is_suspicious(self) -> bool:
        return not self.low <= self.value <= self.high

    def __str__(self) -> str:
        return f"{self.test}: {self.value:.4g}, not in {self.low:.4g} … {self.high:.4g}"


def chi_square_quantile(probability: float, freedom: int) -> float:
    """By Wilson and Hilferty: within 2 % for 3 degrees of freedom, exact for many."""
    spread = 2 / (9 * freedom)
    root = 1 - spread + _NORMAL.inv_cdf(probability) * sqrt(spread)
    return freedom * max(root, 0.0) ** 3


def chi_square(test: str, cells: Iterable[int], *, cells_count: int) -> Finding:
    """Against equal cells. Too even is as suspicious as too uneven."""
    counts = Counter(cells)
    assert set(counts) <= set(range(cells_count)), "a draw outside of all cells"
    expected = counts.total() / cells_count
    assert expected >= 5, "too few draws for so many cells"
    value = sum((counts[cell] - expected) ** 2 for cell in range(cells_count)) / expected
    low = chi_square_quantile(ALPHA / 2, cells_count - 1)
    return Finding(test, value, low, chi_square_quantile(1 - ALPHA / 2, cells_count - 1))


def chi_square_of_shares(test: str, draws: Iterable[K], sizes: Mapping[K, int]) -> Finding:
    """Against shares of any size. Never too even: leases are shared out, not diced."""
    counts = Counter(draws)
    assert set(counts) <= set(sizes), "a draw outside of all shares"
    scale = counts.total() / sum(sizes.values())
    value = sum(
        (counts[share] - size * scale) ** 2 / (size * scale) for share, size in sizes.items()
    )
    return Finding(test, value, 0.0, chi_square_quantile(1 - ALPHA, len(sizes) - 1))


def normal(test: str, value: float, *, mean: float, variance: float) -> Finding:
    reach = -_NORMAL.inv_cdf(ALPHA / 2) * sqrt(variance)
    return Finding(test, value, mean - reach, mean + reach)


def findings(places: Sequence[int], size: int) -> list[Finding]:
    """Of draws from 0 … size-1, of which only a small part was drawn."""
    assert len(places) * 500 <= size, "without replacement, the draws would look too even"
    cells = min(1_000, len(places) // 50)
    side = max(10, min(100, int(sqrt(len(places) / 50))))
    return [
        chi_square("range", (p * cells // size for p in places), cells_count=cells),
        chi_square("last digits", (p % cells for p in places), cells_count=cells),
        *(_pairs(places, size, side, gap) for gap in (1, 2, 3)),
        _steps(places, size, cells),
        _runs_up_and_down(places),
        _runs_about_the_middle(places, size),
        *_correlations(places, size, lags=(1, 2, 3, 4, 8, 64, 1_024)),
    ]


def _pairs(places: Sequence[int], size: int, side: int, gap: int) -> Finding:
    """Each draw is in one pair only, so that the pairs do not depend on each other."""
    scaled = [place * side // size for place in places]
    firsts = (i for block in range(0, len(scaled) - 2 * gap + 1, 2 * gap)
              for i in range(block, block + gap))  # fmt: skip
    pairs = (scaled[i] * side + scaled[i + gap] for i in firsts)
    return chi_square(f"pairs {gap} apart", pairs, cells_count=side * side)


def _steps(places: Sequence[int], size: int, cells: int) -> Finding:
    steps = ((b - a) % size * cells // size for a, b in pairwise(places))
    return chi_square("steps", steps, cells_count=cells)


def _runs_up_and_down(places: Sequence[int]) -> Finding:
    ascents = [a < b for a, b in pairwise(places)]
    runs = 1 + sum(a != b for a, b in pairwise(ascents))
    n = len(places)
    return normal("runs up and down", runs, mean=(2 * n - 1) / 3, variance=(16 * n - 29) / 90)


def _runs_about_the_middle(places: Sequence[int], size: int) -> Finding:
    """Wald and Wolfowitz."""
    above = [2 * place >= size for place in places]
    runs, n, high = 1 + sum(a != b for a, b in pairwise(above)), len(above), sum(above)
    both = 2 * high * (n - high)
    mean = both / n + 1
    return normal("runs", runs, mean=mean, variance=(mean - 1) * (mean - 2) / (n - 1))


def _correlations(places: Sequence[int], size: int, *, lags: Sequence[int]) -> Iterator[Finding]:
    """Of the places scaled to variance 1."""
    middle, spread = (size - 1) / 2, size / sqrt(12)
    scaled = [(place - middle) / spread for place in places]
    for lag in lags:
        count = len(scaled) - lag
        mean = sum(map(mul, scaled, islice(scaled, lag, None))) / count
        yield normal(f"correlation at lag {lag}", mean, mean=0.0, variance=1 / count)
