"""The fallout desk put together: single acts, bulk acts, sheets at the EOMS, and the gauges."""

import asyncio
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.audit import Trail
from hlrd.runtime.fallout.bulk import BulkActs
from hlrd.runtime.fallout.desk import FalloutDesk
from hlrd.runtime.fallout.seam import Engine, Errands
from hlrd.runtime.fallout.sheets import Sheets
from hlrd.runtime.fallout.turn import Turn
from hlrd.store.bulk import Bulks
from hlrd.store.connection import Pool
from hlrd.store.errors import StoreUnavailable
from hlrd.store.fallout import FalloutBook
from hlrd.store.sheets import SheetBook

_log: Final = structlog.get_logger(__name__)


class FalloutOffice:
    """Keep `run` running."""

    def __init__(
        self,
        turn: Turn,
        pool: Pool,
        *,
        engine: Engine,
        errands: Errands,
        trail: Trail,
        rate_per_s: float,
        eoms: str,
        poll_s: float,
    ) -> None:
        """`eoms`: the NE that takes sheets, empty if none does; `poll_s`: how often it is asked."""
        self._turn = turn
        self._book = FalloutBook(pool)
        self._counted: set[tuple[str, str]] = set()
        self.desk = FalloutDesk(turn, book=self._book, engine=engine, has_eoms=bool(eoms))
        self.bulks = BulkActs(
            turn,
            bulks=Bulks(pool),
            book=self._book,
            engine=engine,
            trail=trail,
            rate_per_s=rate_per_s,
            has_eoms=bool(eoms),
        )
        self._sheets = Sheets(
            turn,
            book=SheetBook(pool),
            engine=engine,
            errands=errands,
            trail=trail,
            eoms=eoms,
            poll_s=poll_s,
        )
        self._eoms = eoms

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        works = [self.bulks.run(), self._count()]
        if self._eoms:
            works.append(self._sheets.run())
        try:
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._turn.close()

    async def _count(self) -> None:
        """What is not there any more is told as nothing, not left as it was."""
        while True:
            try:
                found = await self._book.gauges()
            except StoreUnavailable as error:
                _log.warning("store_unavailable", purpose="fallout", error=str(error))
            else:
                self._show({(one.ne, one.verdict): (one.orders, one.age_s) for one in found})
            await asyncio.sleep(limits.FALLOUT_GAUGE_S)

    def _show(self, found: dict[tuple[str, str], tuple[int, float]]) -> None:
        ages = dict.fromkeys((ne for ne, _ in self._counted), 0.0)
        for ne, verdict in self._counted - set(found):
            metrics.FALLOUT_ORDERS.labels(ne, verdict).set(0)
        for (ne, verdict), (orders, age_s) in found.items():
            metrics.FALLOUT_ORDERS.labels(ne, verdict).set(orders)
            ages[ne] = max(ages.get(ne, 0.0), age_s)
        for ne, age_s in ages.items():
            metrics.FALLOUT_OLDEST_AGE.labels(ne).set(age_s)
        self._counted |= set(found)
