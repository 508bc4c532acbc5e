"""What the product says is where, against our own count."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hlrd.domain.lifecycle import CardState
from hlrd.store.stock import SIMStock
from hlrd.store.stocktake import Stocktake
from tests.pool.simulation.books import Books, Shelving
from tests.pool.simulation.promise import promise


async def check_report(connection: Any, books: Books) -> None:
    """Each state of numbers and cards, and the sum over the states."""
    (pool,) = await Stocktake().pools(connection, counts=True)
    _compare(pool.numbers, books.numbers)
    cards: Counter[str] = Counter()
    for lot in await SIMStock(connection).count():  # a connection does for a pool of one
        cards.update(lot.cards)
    _compare(cards, books.cards)


def _compare(reported: Mapping[str, int], counted: Shelving) -> None:
    ours = counted.counts()
    for state, count in reported.items():
        own = ours.get("idle" if state == CardState.IN_STOCK else state, 0)
        promise(count == own, f"{count} {counted.what} are reported {state}, {own} are")
    total = sum(reported.values())
    promise(total == len(counted.states), f"the states of {counted.what} do not sum up")
