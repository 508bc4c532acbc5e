"""Staff's work on single numbers: what it changes in the database, memory must not contradict."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import structlog

from hlrd.domain.errors import Conflict
from hlrd.domain.identity import MSISDN
from hlrd.domain.lifecycle import NumberState
from hlrd.pool.allocator import Allocator
from hlrd.runtime.recycle import Recycled, Recycler, Round
from hlrd.store import desk, shares
from hlrd.store.connection import Connection, writing_as
from hlrd.store.desk import Work
from hlrd.store.link import Link
from hlrd.store.record import RangeRow
from hlrd.store.shares import Share

T = TypeVar("T")
_log: Final = structlog.get_logger(__name__)


class ChangeRanges(Protocol):
    async def __call__(self, change: Callable[[Connection], Awaitable[T]], /) -> T: ...


class NumberDesk:
    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        allocator: Allocator,
        recycler: Recycler,
        change_ranges: ChangeRanges,
        on_freed: Callable[[], None],
    ) -> None:
        """`change_ranges`: `LeaseKeeper.change_ranges`. `on_freed` is called when a number came to
        the free list."""
        self._link = Link(dsn, "desk", **writing_as(node, epoch))
        self._turn = asyncio.Lock()  #: of the link
        self._allocator = allocator
        self._recycler = recycler
        self._change_ranges = change_ranges
        self._on_freed = on_freed

    async def lock(self, work: Work) -> None:
        """Out of memory first, so that no order draws it meanwhile. Goes on when the caller is
        cancelled: until the database has answered, nobody may have the number."""
        if not self._allocator.take(msisdn=work.msisdn):
            raise Conflict(
                "NUMBER_OR_CARD_TAKEN", "an order is just taking it; try again", "msisdn"
            )
        await asyncio.shield(asyncio.ensure_future(self._lock(work)))

    async def _lock(self, work: Work) -> None:
        try:
            await self._once_done(lambda connection: desk.lock(connection, work), "NUMBER_LOCKED")
        except BaseException:
            self._allocator.put_back(msisdn=work.msisdn)
            raise
        self._allocator.held(msisdn=work.msisdn)
        _log.warning(
            "number_locked", msisdn=work.msisdn, operator=work.operator_id, cause=work.cause
        )

    async def unlock(self, work: Work) -> None:
        after = await self._once_done(
            lambda connection: desk.unlock(connection, work), "NUMBER_NOT_LOCKED"
        )
        if after is not NumberState.IN_USE:
            self._on_freed()
        _log.info("number_unlocked", msisdn=work.msisdn, operator=work.operator_id)

    async def recycle(self, msisdn: MSISDN, operator_id: str, *, waives: bool) -> Recycled:
        """One number before its date, if its HLR has no record of it."""
        async with self._turn:
            due = await self._link.stubbornly(
                lambda connection: desk.to_recycle(connection, msisdn, waives=waives)
            )
        cause = "recycled by hand" + (", arrears waived" if waives else "")
        return await self._recycler.one(due, operator_id=operator_id, cause=cause, waives=waives)

    async def recycle_due(self, operator_id: str) -> Round:
        """Look at everything that is due, now."""
        return await self._recycler.now(operator_id)

    async def share(self, share: Share, operator_id: str) -> Sequence[RangeRow]:
        """The province's new ranges. Once only: when the database does not answer, look first."""
        given = await self._change_ranges(lambda connection: shares.give(connection, share))
        _log.info(
            "share_given",
            pool=share.pool,
            province=share.province,
            numbers=share.numbers,
            operator=operator_id,
        )
        return given

    async def unshare(self, pool: str, first: MSISDN, operator_id: str) -> RangeRow:
        """The range that is national again."""
        row = await self._change_ranges(
            lambda connection: shares.take_back(connection, pool, int(first))
        )
        _log.info("share_taken_back", pool=pool, first=row.first, operator=operator_id)
        return row

    def close(self) -> None:
        self._link.drop()

    async def _once_done(
        self, work: Callable[[Connection], Awaitable[T]], is_done: str
    ) -> T | None:
        """None: an earlier try was done and its answer lost, as the refusal `is_done` says."""
        tries = 0

        async def attempt(connection: Connection) -> T | None:
            nonlocal tries
            tries += 1
            try:
                return await work(connection)
            except Conflict as refusal:
                if tries > 1 and refusal.code == is_done:
                    return None
                raise

        async with self._turn:
            return await self._link.stubbornly(attempt)
