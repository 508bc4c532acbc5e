"""Number pools: ranges added, and what is where."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.domain.lifecycle import NumberState
from hlrd.pool.forecast import Day
from hlrd.pool.ranges import NumberRange, Span, refuse_overlap
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import KeyTaken, translated
from hlrd.store.queries import query
from hlrd.store.record import ExportRow, History, NumberRow, PastRow, PoolRow, Report
from hlrd.store.rows import imsi_of, number_state_of
from hlrd.store.stocktake import Stocktake, leased_numbers

_POOLS: Final = query("pools")
_ADD_POOL: Final = query("pool_add")
_LOW_WATER: Final = query("pool_low_water")
_ADD_DAYS: Final = query("day_add")
_DAYS: Final = query("days")
_ADD_RANGE: Final = query("range_add")
_OVERLAPPING: Final = query("range_overlapping")
_ADOPT: Final = query("range_adopt")
_NUMBER: Final = query("number")
_NOW: Final = query("number_now")
_RANGES: Final = query("ranges")
_EXPORT: Final = query("export_numbers")
_PAST: Final = query("number_past")

_SECRET_BYTES: Final = 32
_PAGE_ROWS: Final = 2_000
_PAST_ROWS_MAX: Final = 1_000


async def _nobody() -> None:
    """Nobody to tell of an import: a process of its own, whose daemon sees it at its next look."""


class NumberPools:
    def __init__(self, pool: Pool, on_imported: Callable[[], Awaitable[None]] = _nobody) -> None:
        """`on_imported`: `LeaseKeeper.refresh` in a daemon, so that orders may draw at once."""
        self._pool = pool
        self._on_imported = on_imported
        self._stocktake = Stocktake()

    async def create_pool(self, name: str) -> None:
        """Conflict if the name is taken."""
        with translated():
            added = await self._pool.fetchval(_ADD_POOL, name, secrets.token_bytes(_SECRET_BYTES))
        if added is None:
            raise Conflict("POOL_EXISTS", f"there is a pool named {name} already", "name")

    async def set_low_water(self, name: str, numbers: int | None) -> None:
        """None lifts the mark. NotFound for the pool."""
        with translated():
            known = await self._pool.fetchval(_LOW_WATER, name, numbers)
        if known is None:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")

    async def low_waters(self) -> Mapping[str, int | None]:
        with translated():
            return {row["name"]: row["low_water"] for row in await self._pool.fetch(_POOLS)}

    async def add_days(self, days: Sequence[Day]) -> None:
        """Add to what is noted of these days."""
        rows = [(day.pool, day.province, day.day, day.drawn, day.returned) for day in days]
        with translated():
            await self._pool.execute(_ADD_DAYS, *map(list, zip(*rows, strict=True)))

    async def days(self, today: date) -> Sequence[Day]:
        """What is noted of today and yesterday."""
        with translated():
            rows = await self._pool.fetch(_DAYS, [today, today - timedelta(days=1)])
        return [Day(**row) for row in rows]

    async def add_range(self, span: Span) -> bool:
        """NotFound for the pool; Conflict if a number of the range is in another range already.
        False: exactly this range is there, so an import may be run again."""
        with translated():
            async with self._pool.acquire() as connection:
                is_new = await _add_range(connection, span)
        if is_new:
            await self._on_imported()
        return is_new

    async def pools(self) -> Sequence[PoolRow]:
        with translated():
            async with self._pool.acquire() as connection:
                return await self._stocktake.pools(connection)

    async def count(self) -> Sequence[PoolRow]:
        """As `pools`, counted now whatever it costs."""
        with translated():
            async with self._pool.acquire() as connection:
                return await self._stocktake.pools(connection, counts=True)

    async def report(self) -> Report:
        with translated():
            async with self._pool.acquire() as connection:
                return await self._stocktake.report(connection)

    async def pool(self, name: str) -> PoolRow | None:
        return next((row for row in await self.pools() if row.name == name), None)

    async def export(self, name: str, state: str | None) -> AsyncIterator[Sequence[ExportRow]]:
        """Numbers of a pool that are bound or held, in order, page by page; those that are not
        listed are idle and were never used. No page sees more than one moment."""
        with translated():
            ranges = [row for row in await self._pool.fetch(_RANGES) if row["pool"] == name]
        for row in ranges:
            after = row["first"] - 1
            while True:
                with translated():
                    page = await self._pool.fetch(_EXPORT, after, row["last"], _PAGE_ROWS)
                if not page:
                    break
                after = page[-1]["msisdn"]
                found = [_exported(number, row["province"], row["hlr"]) for number in page]
                yield [one for one in found if state in (None, one.state)]

    async def number(self, msisdn: MSISDN) -> NumberRow | None:
        """None if it is in no range. A number in the memory of a node is shown as leased."""
        with translated():
            async with self._pool.acquire() as connection:
                return await _read_number(connection, msisdn)

    async def history(self, msisdn: MSISDN) -> History | None:
        """None if it is in no range."""
        with translated():
            async with self._pool.acquire() as connection:
                number = await _read_number(connection, msisdn)
                if number is None:
                    return None
                now = await connection.fetchrow(_NOW, int(msisdn))
                past = await connection.fetch(_PAST, int(msisdn), _PAST_ROWS_MAX)
        assert now is not None, "one row, whatever is known"
        return _history_of(number, now, past)


async def _add_range(connection: Connection, span: Span) -> bool:
    if span.pool not in [row["name"] for row in await connection.fetch(_POOLS)]:
        raise NotFound("POOL_UNKNOWN", f"there is no pool named {span.pool}; create it", "pool")
    if await _is_there(connection, span):
        return False
    fields = (span.pool, span.first, span.last, span.digits, span.province, span.hlr)
    try:
        with translated():
            async with connection.transaction():
                range_id = await connection.fetchval(_ADD_RANGE, *fields)
                await connection.execute(_ADOPT, range_id, span.first, span.last)
    except KeyTaken as error:  # another import was faster; now it can be named
        if await _is_there(connection, span):
            return False
        raise AssertionError("the database sees an overlap that we do not") from error
    return True


async def _is_there(connection: Connection, span: Span) -> bool:
    """Exactly this range. Conflict for one that only overlaps."""
    row = await connection.fetchrow(_OVERLAPPING, span.first, span.last)
    if row is None:
        return False
    other = NumberRange(**row)
    if span == Span(*(getattr(other, name) for name in Span.__slots__)):
        return True
    refuse_overlap(span, [other])
    return False


async def _read_number(connection: Connection, msisdn: MSISDN) -> NumberRow | None:
    row = await connection.fetchrow(_NUMBER, int(msisdn))
    if row is None:
        return None
    state = await _state_of(connection, row, int(msisdn))
    return NumberRow(
        msisdn=msisdn,
        pool=row["pool"],
        province=row["province"],
        hlr=row["hlr"],
        state=state,
        user_id=row["user_id"],
        iccid=row["iccid"],
        quarantined_until=row["until"] if state is NumberState.QUARANTINED else None,
    )


async def _state_of(connection: Connection, row: Record, number: int) -> NumberState:
    state = number_state_of(
        hold=row["state"], is_bound=row["user_id"] is not None, is_leased=row["is_leased"]
    )
    if state is NumberState.IDLE and row["state"] is None:
        leased = await leased_numbers(connection, only_range=row["range_id"])
        return NumberState.LEASED if number in leased[row["range_id"]] else state
    return state


def _exported(row: Record, province: str, hlr: str) -> ExportRow:
    is_bound = row["user_id"] is not None
    state = number_state_of(hold=row["state"], is_bound=is_bound)
    return ExportRow(
        msisdn=str(row["msisdn"]),
        state=state,
        province=province,
        hlr=hlr,
        grade=row["grade"] or "",
        user_id=row["user_id"] or "",
        iccid=row["iccid"] or "",
        since=row["since"],
        quarantined_until=row["until"] if state is NumberState.QUARANTINED else None,
        last_user_id="" if is_bound else row["last_user_id"] or "",
        cause=row["cause"] or "",
    )


def _history_of(number: NumberRow, now: Record, past: Sequence[Record]) -> History:
    return History(
        number=number,
        since=now["since"],
        imsi=None if now["imsi"] is None else imsi_of(now["imsi"]),
        order_id=_text(now["order_id"]),
        last_user_id=now["last_user_id"],
        cause=now["cause"],
        in_arrears=now["in_arrears"],
        grade=now["grade"],
        reservation_id=_text(now["reservation_id"]),
        past=[
            PastRow(
                **{
                    **row,
                    "order_id": _text(row["order_id"]),
                    "reservation_id": _text(row["reservation_id"]),
                }
            )
            for row in past
        ],
    )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
