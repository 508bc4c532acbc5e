"""Counts numbers and cards by state now and then, for the gauges."""

import asyncio
from typing import Final

import structlog

from hlrd import metrics
from hlrd.domain.lifecycle import CardState
from hlrd.store.errors import StoreUnavailable
from hlrd.store.inventory import Inventory

_EVERY_S: Final = 30.0
_log: Final = structlog.get_logger(__name__)


async def keep_counting(inventory: Inventory) -> None:
    """Never ends."""
    while True:
        try:
            await count(inventory)
        except StoreUnavailable as error:
            _log.warning("stock_not_counted", error=str(error))
        await asyncio.sleep(_EVERY_S)


async def count(inventory: Inventory) -> None:
    for pool in await inventory.pools():
        for state, numbers in pool.numbers.items():
            metrics.POOL_NUMBERS.labels(pool.name, state).set(numbers)
    lots = await inventory.lots()
    for state in map(str, CardState):
        metrics.STOCK_CARDS.labels(state).set(sum(lot.cards[state] for lot in lots))
