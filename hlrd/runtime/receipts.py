"""Receipts for those who fetch them: pages past a cursor, and a wait for the first.

A page ends at the journal's watermark, so a receipt that commits later than its neighbour is never
skipped. Waiting costs nothing per order: the journal wakes the pollers of a source once a flush.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.store.connection import Pool
from hlrd.store.errors import StoreUnavailable, translated
from hlrd.store.queries import query

_AFTER: Final = query("receipts_after")
_CURSORS: Final = query("receipt_cursors")
_PUT_CURSOR: Final = query("receipt_cursor_put")
_PENDING: Final = query("receipts_pending")
_COUNT_EVERY_S: Final = 10.0

_log: Final = structlog.get_logger(__name__)


class ReceiptReader:
    def __init__(self, pool: Pool, durable_up_to: Callable[[], int]) -> None:
        """`durable_up_to`: `JournalWriter.durable_up_to`."""
        self._pool = pool
        self._durable_up_to = durable_up_to
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._cursors: dict[str, int] = {}

    def arrived(self, sources: Iterable[str]) -> None:
        """Receipts of these sources became durable."""
        for source in sources:
            for waiter in self._waiting.pop(source, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def after(
        self, source: str, cursor: int, limit: int, wait_s: float
    ) -> list[tuple[int, bytes]]:
        """Receipts of `source` past `cursor`, oldest first, each with its own cursor.

        Waits up to `wait_s` seconds for the first; empty when none came.
        """
        self.fetched(source, cursor)
        deadline = monotonic() + wait_s
        while True:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[source].add(waiter)  # before the read, so that none slips in between
            try:
                found = await self.read(source, cursor, self._durable_up_to(), limit)
                left_s = deadline - monotonic()
                if found or left_s <= 0:
                    return found
                async with asyncio.timeout(left_s):
                    await waiter
            except TimeoutError:
                return []
            finally:
                self._forget(source, waiter)

    def fetched(self, source: str, cursor: int) -> None:
        """The source has everything up to `cursor`."""
        fetched = min(cursor, self._durable_up_to())  # upstream may name a cursor that never was
        self._cursors[source] = max(fetched, self._cursors.get(source, 0))

    async def read(
        self, source: str, cursor: int, mark: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """Receipts of `source` past `cursor` and up to `mark`, no more than a page."""
        if cursor >= mark:
            return []
        count = min(limit, limits.RECEIPTS_PAGE_MAX)
        with translated():
            rows = await self._pool.fetch(_AFTER, source, cursor, mark, count)
        return [(row["seq"], row["body"]) for row in rows]

    async def run(self) -> None:
        """Keep the gauge of waiting receipts, and the cursors over a restart. Never ends."""
        while True:
            try:
                await self._count()
            except StoreUnavailable as error:
                _log.warning("receipts_not_counted", error=str(error))
            await asyncio.sleep(_COUNT_EVERY_S)

    def _forget(self, source: str, waiter: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(source)
        if waiting is not None:
            waiting.discard(waiter)
            if not waiting:
                del self._waiting[source]

    async def _count(self) -> None:
        with translated():
            for source, cursor in self._cursors.items():
                await self._pool.execute(_PUT_CURSOR, source, cursor)
            for row in await self._pool.fetch(_CURSORS):
                pending = await self._pool.fetchval(_PENDING, row["source"], row["seq"])
                metrics.RECEIPTS_PENDING.labels(row["source"]).set(pending)
