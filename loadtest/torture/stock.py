"""What the torture imports: a small pool that is used again and again, and a spare one."""

from collections.abc import Sequence
from typing import Final

from loadtest.simlot import LOT_CARDS_MAX, Lot, NumberRange, Stock

SPARE_POOL: Final = "spare"
"""With more numbers than there are cards; the cards are drawn empty by it."""


def small(hlrs: Sequence[str], *, numbers: int, cards: int, seed: int) -> Stock:
    return Stock(_ranges(hlrs, numbers, "10649"), _lots(hlrs, cards, seed))


def spare(hlrs: Sequence[str], *, cards: int) -> Stock:
    return Stock(_ranges(hlrs, cards + len(hlrs), "10648"), [])


def _ranges(hlrs: Sequence[str], numbers: int, prefix: str) -> list[NumberRange]:
    each = -(-numbers // len(hlrs))
    return [
        NumberRange(f"{prefix}{place:02d}000000", f"{prefix}{place:02d}{each - 1:06d}", hlr)
        for place, hlr in enumerate(hlrs, 1)
    ]


def _lots(hlrs: Sequence[str], cards: int, seed: int) -> list[Lot]:
    each = -(-cards // len(hlrs))
    return [
        Lot(
            f"lot-{hlr}-{first // LOT_CARDS_MAX + 1}",
            hlr,
            f"{place:02d}",
            first,
            min(LOT_CARDS_MAX, each - first),
            seed,
        )
        for place, hlr in enumerate(hlrs, 1)
        for first in range(0, each, LOT_CARDS_MAX)
    ]
