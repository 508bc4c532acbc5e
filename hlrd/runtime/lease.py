"""Keeps the allocator in numbers and cards: the loop that leases and gives back.

Every lease is durable before a number of it is in memory, and its row stands until all of them are
bound or back on the free list; so a crash loses no number and gives none twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

import structlog

from hlrd import limits, metrics
from hlrd.domain.identity import ICCID
from hlrd.pool.allocator import Allocator
from hlrd.pool.grade import Grades
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, What, Wish
from hlrd.store import leasing
from hlrd.store.connection import Connection, writing_as
from hlrd.store.errors import StoreUnavailable
from hlrd.store.leasing import LeaseRow, RangeSource
from hlrd.store.link import Link

_log: Final = structlog.get_logger(__name__)
T = TypeVar("T")
_RECOUNT_S: Final = 0.5  # at most this often when bindings end


class LeaseKeeper:
    """`recover` before the first order is taken, then keep `run` running."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        allocator: Allocator,
        on_leased: Callable[[], None],
        grades: Grades | None = None,
    ) -> None:
        """`on_leased` is called after answers to wishes: orders that wait may draw again."""
        self._link = Link(dsn, "lease", **writing_as(node, epoch))
        self._node = node
        self._epoch = epoch
        self._allocator = allocator
        self._on_leased = on_leased
        self._grades = grades or Grades()
        self._graded_to: int | None = None  #: while the rules are others than at the last start
        self._ranges: dict[int, RangeSource] = {}
        self._lots: dict[int, str] = {}  #: home HLR by id
        self._leases: set[int] = set()
        self._is_recount_due = False
        self._swept = float("-inf")
        self._turn = asyncio.Lock()

    async def recover(self) -> None:
        """Load ranges and lots, and take over the leases of earlier runs of this node."""
        await self._link.stubbornly(self._recount)
        if not await self._link.stubbornly(self._is_graded):
            self._graded_to = 0
        for lease in await self._link.stubbornly(self._inherit):
            self._leases.add(lease.id)
            self._allocator.on_recovered(await self._read_back(lease))
        await self._end_settled()

    async def run(self) -> None:
        """Serve wishes for ever. Ends by Fenced, or by being cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(limits.LEASE_LOOK_S)
        finally:
            self._link.drop()

    async def look(self) -> None:
        """Do what is due."""
        async with self._turn:
            await self._serve_wishes()
            await self._end_settled()
            if self._is_sweep_due():
                await self._sweep()

    def freed(self) -> None:
        """Bindings ended: the free lists may have grown."""
        self._is_recount_due = True

    async def refresh(self) -> None:
        """Let the allocator know of ranges and lots that were just imported."""
        async with self._turn:
            await self._link.stubbornly(self._recount)

    async def change_ranges(self, change: Callable[[Connection], Awaitable[T]]) -> T:
        """Between two leases: none is taken by a range as it was. Raises what `change` raises."""
        async with self._turn:
            try:
                return await self._link.once(change)
            except StoreUnavailable:
                self._link.drop()
                raise
            finally:
                await self._link.stubbornly(self._recount)

    # Wishes.

    async def _serve_wishes(self) -> None:
        while self._allocator.has_wishes:
            wishes = self._allocator.wishes()
            for wish in wishes:
                self._answer(wish, await self._lease(wish))
            if not wishes:
                break
            self._on_leased()

    async def _lease(self, wish: Wish) -> NumberGrant | CardGrant | None:
        is_first_try = True

        async def attempt(connection: Connection) -> LeaseRow | None:
            nonlocal is_first_try
            lease = None
            if not is_first_try:  # the one before may have been committed and not answered
                lease = await leasing.find_unknown(connection, wish, self._epoch, self._leases)
            is_first_try = False
            return lease or await leasing.take(connection, wish, self._epoch)

        lease = await self._link.stubbornly(attempt)
        if lease is None:
            return None
        self._leases.add(lease.id)
        metrics.POOL_LEASES.labels(wish.what).inc()
        return await self._read_back(lease)

    async def _read_back(self, lease: LeaseRow) -> NumberGrant | CardGrant:
        return await self._link.stubbornly(lambda connection: self._read(connection, lease))

    async def _read(self, connection: Connection, lease: LeaseRow) -> NumberGrant | CardGrant:
        if lease.what is What.CARDS:
            return await leasing.grant_cards(connection, lease)
        source = self._ranges[lease.source_id]
        return await leasing.grant_numbers(connection, lease, source, self._grades)

    def _answer(self, wish: Wish, grant: NumberGrant | CardGrant | None) -> None:
        if grant is None:
            self._allocator.on_nothing_left(wish)
        else:
            self._allocator.on_leased(grant)

    async def _inherit(self, connection: Connection) -> list[LeaseRow]:
        return await leasing.inherit(connection, self._node, self._epoch)

    async def _end_settled(self) -> None:
        for settled in self._allocator.settled():
            await self._end(settled)

    async def _end(self, settled: Settled[int] | Settled[ICCID]) -> None:
        await self._link.stubbornly(lambda connection: leasing.end(connection, settled))
        self._leases.discard(settled.lease_id)
        self._is_recount_due = self._is_recount_due or bool(settled.returned)

    # What there is.

    async def _is_graded(self, connection: Connection) -> bool:
        return await leasing.is_graded_by(connection, self._grades)

    async def _grade_again(self, connection: Connection) -> int | None:
        assert self._graded_to is not None
        return await leasing.grade_again(connection, self._grades, self._graded_to)

    def _is_sweep_due(self) -> bool:
        passed_s = monotonic() - self._swept
        return passed_s >= (_RECOUNT_S if self._is_recount_due else limits.LEASE_SWEEP_S)

    async def _sweep(self) -> None:
        self._swept = monotonic()
        self._is_recount_due = False
        if self._graded_to is not None:
            self._graded_to = await self._link.stubbornly(self._grade_again)
            self._is_recount_due = True
        await self._link.stubbornly(self._recount)
        for pool, count in self._allocator.numbers_in_memory().items():
            metrics.POOL_LEASED.labels(pool).set(count)

    async def _recount(self, connection: Connection) -> None:
        """New ranges and lots are added, the counts of the known ones brought up to date."""
        sources = await leasing.read_ranges(connection)
        for gone in self._ranges.keys() - {source.range.id for source in sources}:
            self._allocator.remove_range(self._ranges.pop(gone).range)
        for source in sources:
            number_range = source.range
            known = self._ranges.get(number_range.id)
            if known is None or known.range != number_range:
                self._ranges[number_range.id] = source
            if known is None:
                self._allocator.add_range(number_range, recycled=source.recycled)
            else:
                if known.range.hlr != number_range.hlr:
                    self._allocator.rehome_range(number_range)
                self._allocator.on_counts(
                    What.NUMBERS,
                    number_range.id,
                    unleased=number_range.unleased,
                    recycled=source.recycled,
                )
        for stocked in await leasing.read_lots(connection):
            lot = stocked.lot
            home = self._lots.get(lot.id)
            self._lots[lot.id] = lot.hlr
            if home is None:
                self._allocator.add_lot(lot, recycled=stocked.recycled)
            else:
                if home != lot.hlr:
                    self._allocator.rehome_lot(lot)
                self._allocator.on_counts(
                    What.CARDS, lot.id, unleased=lot.unleased, recycled=stocked.recycled
                )
