"""Fills reservations, feeds them to the orders that draw from them, and ends them in time.

A reservation is filled by the same draws as orders, out of the same leases, so its numbers are as
random as any; what memory has too few of, it waits for, and never takes the last that orders need.
Each slice is in hand until its holds are durable, and the whole is seen only when it is filled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final, TypeVar

import structlog

from hlrd import limits, metrics
from hlrd.domain.errors import Busy, Conflict, NotFound, Refusal, Unavailable
from hlrd.domain.identity import ICCID, MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.grade import Grades
from hlrd.pool.reservation import Asked
from hlrd.runtime.filling import Filling
from hlrd.store import reservations as store
from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link
from hlrd.store.record import ReservationRow, ReservedNumber

_log: Final = structlog.get_logger(__name__)
T = TypeVar("T")


class Reservations:
    """`recover` before the first order is taken, then keep `run` running."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        allocator: Allocator,
        grades: Grades,
        new_secret: Callable[[], bytes],
        on_page: Callable[[], None],
        on_freed: Callable[[], None],
    ) -> None:
        """`new_secret`: 32 random bytes. `on_page`: orders that wait may draw again. `on_freed`:
        the free lists have grown.
        """
        self._filler = _Turns(Link(dsn, "reserve", **writing_as(node, epoch)))
        self._desk = _Turns(Link(dsn, "reservations", **writing_as(node, epoch)))
        self._allocator = allocator
        self._filling = Filling(
            self._filler.stubbornly, allocator=allocator, grades=grades, new_secret=new_secret
        )
        self._on_page = on_page
        self._on_freed = on_freed
        self._fills: dict[tuple[str, str], tuple[bytes, asyncio.Task[tuple[int, bool]]]] = {}
        self._ending: set[int] = set()
        self._looked = float("-inf")

    async def recover(self) -> None:
        """What an earlier run did not finish was never answered: it is undone."""
        for reservation in await self._desk.stubbornly(store.filling):
            await self._undo(reservation)

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(limits.LEASE_LOOK_S)
        finally:
            for _, fill in self._fills.values():
                fill.cancel()
            self._filler.drop()
            self._desk.drop()

    async def look(self) -> None:
        """Do what is due."""
        await self._feed()
        if monotonic() - self._looked >= limits.RESERVATION_SWEEP_S:
            self._looked = monotonic()
            await self._end_those_over()

    def leased(self) -> None:
        """Numbers or cards came in: fills that wait may go on."""
        self._filling.leased()

    # Making.

    async def reserve(self, asked: Asked) -> tuple[ReservationRow, bool]:
        """The reservation, and whether it was there before. Refuses; then nothing is held."""
        fill = self._fill_of(asked)
        try:
            async with asyncio.timeout(limits.SETTLE_TIMEOUT_S):
                reservation, is_repeat = await asyncio.shield(fill)
        except TimeoutError:
            text = "still being filled; post the same again to learn the answer"
            raise Unavailable("UNSETTLED", text, 5.0) from None
        return await self.read(reservation, None), is_repeat

    def _fill_of(self, asked: Asked) -> asyncio.Task[tuple[int, bool]]:
        key = (asked.source, asked.key)
        running = self._fills.get(key)
        if running is not None:
            if running[0] != asked.content_hash:
                raise _other_content()
            return running[1]
        if len(self._fills) >= limits.RESERVATION_FILLS_MAX:
            raise Busy("RESERVATIONS_BUSY", "too many reservations are being filled", 1.0)
        fill = asyncio.create_task(self._reserve(asked))
        self._fills[key] = (asked.content_hash, fill)
        fill.add_done_callback(lambda _: self._fills.pop(key))
        return fill

    async def _reserve(self, asked: Asked) -> tuple[int, bool]:
        await self._filling.check(asked)
        reservation = await self._filler.stubbornly(lambda c: store.add(c, asked))
        if reservation is None:
            stored = await self._stored(asked)
            if stored.state != "filling":
                return stored.id, True
            reservation = stored.id  # our own, whose answer was lost
        try:
            granted = await self._filling.fill(reservation, asked)
        except Refusal:
            metrics.POOL_RESERVATIONS.labels("refused").inc()
            await self._undo(reservation)
            raise
        await self._filler.stubbornly(lambda c: store.open_(c, reservation, granted, asked.ttl_s))
        metrics.POOL_RESERVATIONS.labels("granted" if granted == asked.count else "partial").inc()
        return reservation, False

    async def _stored(self, asked: Asked) -> store.Stored:
        stored = await self._filler.stubbornly(lambda c: store.by_key(c, asked.source, asked.key))
        if stored is None:
            raise NotFound("POOL_UNKNOWN", f"there is no pool {asked.pool}", "pool")
        if stored.content_hash != asked.content_hash:
            raise _other_content()
        return stored

    async def _undo(self, reservation: int) -> None:
        await self._release(reservation, is_noted=False)
        await self._desk.stubbornly(lambda c: store.drop(c, reservation))

    async def keep_cards(self, reservation: int, iccids: Sequence[ICCID]) -> Sequence[ICCID]:
        """Named cards for an open reservation that has none drawn, until it ends; those that could
        not be kept, as another has them. Once or twice is the same."""
        lost: list[ICCID] = []
        for start in range(0, len(iccids), limits.RESERVATION_SLICE):
            lost += await self._keep_some(
                reservation, iccids[start : start + limits.RESERVATION_SLICE]
            )
        return lost

    async def _keep_some(self, reservation: int, iccids: Sequence[ICCID]) -> list[ICCID]:
        allocator = self._allocator
        taken = [iccid for iccid in iccids if allocator.take(iccid=iccid)]
        held = await self._filler.stubbornly(lambda c: store.hold_cards(c, reservation, taken))
        for iccid in taken:
            settle = allocator.held if iccid in held else allocator.drop
            settle(iccid=iccid)
        return [iccid for iccid in iccids if iccid not in held]

    # Reading.

    async def read(self, reservation: int, source: str | None) -> ReservationRow:
        """`source`: only if it is of this one."""
        found = await self._desk.once(lambda c: store.read(c, reservation, source))
        if found is None or found.granted is None:
            raise NotFound("RESERVATION_UNKNOWN", "no reservation of yours has this id")
        return found

    async def page(self, source: str | None, before: int, limit: int) -> list[ReservationRow]:
        """The newest first."""
        return await self._desk.once(lambda c: store.read_before(c, source, before, limit))

    async def numbers(self, reservation: int, after: int, limit: int) -> list[ReservedNumber]:
        return await self._desk.once(lambda c: store.read_numbers(c, reservation, after, limit))

    # Changing.

    async def extend(self, reservation: int, source: str | None, ttl_s: int) -> ReservationRow:
        await self.read(reservation, source)
        if not await self._desk.once(lambda c: store.extend(c, reservation, ttl_s)):
            raise _ended(await self.read(reservation, source))
        return await self.read(reservation, source)

    async def cancel(self, reservation: int, source: str | None) -> ReservationRow:
        """Its numbers are idle again when this returns. Once or twice is the same."""
        await self.read(reservation, source)
        self._ending.add(reservation)
        try:
            is_cancelled = await self._desk.once(lambda c: store.cancel(c, reservation))
            if is_cancelled:
                metrics.POOL_RESERVATIONS.labels("cancelled").inc()
                await self._end(reservation)
        finally:
            self._ending.discard(reservation)
        found = await self.read(reservation, source)
        if found.state == "expired":
            raise _ended(found)
        return found

    async def choose(
        self, reservation: int, source: str | None, numbers: Sequence[MSISDN], ttl_s: int
    ) -> ReservationRow:
        """Keep these, and let go of the others at once."""
        await self.read(reservation, source)
        named = [int(number) for number in numbers]
        self._allocator.forget_reservation(reservation)
        lacking = await self._desk.once(lambda c: store.choose(c, reservation, named, ttl_s))
        if lacking is None:
            raise _ended(await self.read(reservation, source))
        if lacking:
            text = f"{lacking[0]} is not, or no more, of this reservation"
            field = f"numbers[{named.index(lacking[0])}]"
            raise Conflict("NUMBER_NOT_OF_RESERVATION", text, field)
        self._forget(reservation)
        self._on_freed()
        return await self.read(reservation, source)

    # Feeding orders.

    async def _feed(self) -> None:
        wanted = self._allocator.kept_wanted()
        for kept in wanted:
            page = await self._desk.stubbornly(partial(store.read_page, kept=kept))
            self._allocator.on_page(page)
        if wanted:
            self._on_page()

    # Ending.

    async def _end_those_over(self) -> None:
        for reservation in await self._desk.stubbornly(store.over):
            if reservation in self._ending:
                continue  # cancelled just now
            count = await self._end(reservation)
            metrics.POOL_RESERVATIONS.labels("expired").inc()
            _log.info("reservation_ended", reservation=reservation, released=count)

    async def _end(self, reservation: int) -> int:
        self._ending.add(reservation)
        try:
            count = await self._release(reservation, is_noted=True)
            await self._desk.stubbornly(lambda c: store.released(c, reservation))
        finally:
            self._ending.discard(reservation)
        return count

    async def _release(self, reservation: int, *, is_noted: bool) -> int:
        """Slice by slice, so that nobody waits. What an order has in hand is released as well: if
        its binding comes after all it stands, since its facts were read before the end.
        """
        self._allocator.forget_reservation(reservation)
        total = 0
        while count := await self._desk.stubbornly(
            lambda c: store.release_some(c, reservation, is_noted=is_noted)
        ):
            total += count
        self._forget(reservation)
        if total:
            self._on_freed()
        return total

    def _forget(self, reservation: int) -> None:
        """No page of it comes to those who wait for one: they learn so by drawing again."""
        self._allocator.forget_reservation(reservation)
        self._on_page()


class _Turns:
    """One connection for several tasks, transaction by transaction."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._turn = asyncio.Lock()

    async def stubbornly(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turn:
            return await self._link.stubbornly(work)

    async def once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Raises StoreUnavailable."""
        async with self._turn:
            try:
                return await self._link.once(work)
            except Refusal:
                raise
            except BaseException:
                self._link.drop()  # cancelled too: it may be in the middle of a transaction
                raise

    def drop(self) -> None:
        self._link.drop()


def _other_content() -> Conflict:
    text = "this key was used with other content"
    return Conflict("DUPLICATE_CONFLICT", text, "Idempotency-Key")


def _ended(found: ReservationRow) -> Conflict:
    if found.state == "cancelled":
        return Conflict("RESERVATION_CANCELLED", "the reservation was cancelled")
    return Conflict("RESERVATION_EXPIRED", "the time of the reservation is over")
