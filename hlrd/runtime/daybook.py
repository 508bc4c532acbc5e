"""Writes down what is drawn by day, for the forecast, and shows what is idle."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from hlrd import metrics
from hlrd.pool.allocator import Allocator
from hlrd.pool.forecast import Day, Forecast, forecasts, today
from hlrd.store.errors import StoreUnavailable
from hlrd.store.pools import NumberPools

_EVERY_S: Final = 10.0
_log: Final = structlog.get_logger(__name__)
_Noted = dict[tuple[str, str], tuple[int, int]]


class Daybook:
    """What a crash loses is the last few seconds of the day's count, and no number."""

    def __init__(
        self, allocator: Allocator, pools: NumberPools, wall: Callable[[], datetime]
    ) -> None:
        self._allocator = allocator
        self._pools = pools
        self._wall = wall
        self._noted: _Noted = {}
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.write()
                await self._show()
            except StoreUnavailable as error:
                _log.warning("draws_not_noted", error=str(error))
            await asyncio.sleep(_EVERY_S)

    async def write(self) -> None:
        async with self._turn:
            seen = self._seen()
            days = [self._day(key, *seen[key]) for key in seen if seen[key] != self._noted.get(key)]
            if days:
                await self._pools.add_days(days)
            self._noted = seen

    async def forecast(self) -> list[Forecast]:
        await self.write()
        now = self._wall()
        days = await self._pools.days(today(now))
        low_waters = await self._pools.low_waters()
        return forecasts(self._allocator.flows(), days, low_waters, now)

    def _day(self, key: tuple[str, str], drawn: int, returned: int) -> Day:
        drawn_before, returned_before = self._noted.get(key, (0, 0))
        day = today(self._wall())
        return Day(*key, day, drawn - drawn_before, returned - returned_before)

    def _seen(self) -> _Noted:
        drawn: Counter[tuple[str, str]] = Counter()
        returned: Counter[tuple[str, str]] = Counter()
        for flow in self._allocator.flows():
            drawn[flow.pool, flow.province] += flow.drawn
            returned[flow.pool, flow.province] += flow.returned
        return {key: (drawn[key], returned[key]) for key in drawn}

    async def _show(self) -> None:
        for flow in self._allocator.flows():
            metrics.POOL_IDLE.labels(flow.pool, flow.province, flow.hlr).set(flow.idle)
        for pool, low_water in (await self._pools.low_waters()).items():
            metrics.POOL_LOW_WATER.labels(pool).set(low_water or 0)
