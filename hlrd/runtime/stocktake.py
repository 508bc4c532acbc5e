"""Counts numbers and cards by state now and then, for the gauges."""

import asyncio
from time import monotonic
from typing import Final

import structlog

from hlrd import metrics
from hlrd.domain.lifecycle import CardState
from hlrd.store.errors import StoreUnavailable
from hlrd.store.pools import NumberPools
from hlrd.store.stock import SIMStock

_EVERY_S: Final = 30.0
_REST: Final = 50
"""A count walks every binding. It rests this many times as long as it took, so that a stock of any
size costs PostgreSQL 2 % of its time."""

_log: Final = structlog.get_logger(__name__)


async def keep_counting(pools: NumberPools, stock: SIMStock) -> None:
    """Never ends."""
    while True:
        started = monotonic()
        try:
            await count(pools, stock)
        except StoreUnavailable as error:
            _log.warning("stock_not_counted", error=str(error))
        await asyncio.sleep(max(_EVERY_S, _REST * (monotonic() - started)))


async def count(pools: NumberPools, stock: SIMStock) -> None:
    for pool in await pools.count():
        for state, numbers in pool.numbers.items():
            metrics.POOL_NUMBERS.labels(pool.name, state).set(numbers)
    lots = await stock.count()
    for state in map(str, CardState):
        metrics.STOCK_CARDS.labels(state).set(sum(lot.cards[state] for lot in lots))
