"""Number pools: ranges added, and what is where."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.domain.lifecycle import NumberState
from hlrd.pool.lease import What
from hlrd.pool.ranges import Span, refuse_overlap
from hlrd.store import leasing
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import KeyTaken, translated
from hlrd.store.leasing import LeaseRow, RangeSource
from hlrd.store.queries import query
from hlrd.store.record import NumberRow, PoolRow, RangeRow

_POOLS: Final = query("pools")
_ADD_POOL: Final = query("pool_add")
_ADD_RANGE: Final = query("range_add")
_RANGE_COUNTS: Final = query("range_counts")
_LEASES: Final = query("leases")
_NUMBER: Final = query("number")

_SECRET_BYTES: Final = 32


async def _nobody() -> None:
    """Nobody to tell of an import: a process of its own, whose daemon sees it at its next look."""


class NumberPools:
    def __init__(self, pool: Pool, on_imported: Callable[[], Awaitable[None]] = _nobody) -> None:
        """`on_imported`: `LeaseKeeper.refresh` in a daemon, so that orders may draw at once."""
        self._pool = pool
        self._on_imported = on_imported

    async def create_pool(self, name: str) -> None:
        """Conflict if the name is taken."""
        with translated():
            added = await self._pool.fetchval(_ADD_POOL, name, secrets.token_bytes(_SECRET_BYTES))
        if added is None:
            raise Conflict("POOL_EXISTS", f"there is a pool named {name} already", "name")

    async def add_range(self, span: Span) -> None:
        """NotFound for the pool; Conflict if a number of the range is in any range already."""
        with translated():
            async with self._pool.acquire() as connection:
                await self._add_range(connection, span)
        await self._on_imported()

    async def _add_range(self, connection: Connection, span: Span) -> None:
        if span.pool not in [row["name"] for row in await connection.fetch(_POOLS)]:
            raise NotFound("POOL_UNKNOWN", f"there is no pool named {span.pool}; create it", "pool")
        refuse_overlap(span, [item.range for item in await leasing.read_ranges(connection)])
        try:
            with translated():
                await connection.fetchval(
                    _ADD_RANGE,
                    span.pool,
                    span.first,
                    span.last,
                    span.digits,
                    span.province,
                    span.hlr,
                )
        except KeyTaken as error:  # another import was faster; now it can be named
            refuse_overlap(span, [item.range for item in await leasing.read_ranges(connection)])
            raise AssertionError("the database sees an overlap that we do not") from error

    async def pools(self) -> Sequence[PoolRow]:
        with translated():
            async with self._pool.acquire() as connection:
                return await read_pools(connection)

    async def pool(self, name: str) -> PoolRow | None:
        return next((row for row in await self.pools() if row.name == name), None)

    async def number(self, msisdn: MSISDN) -> NumberRow | None:
        """None if it is in no range. A number in the memory of a node is shown as leased."""
        with translated():
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(_NUMBER, int(msisdn))
                if row is None:
                    return None
                state = _state_of(row)
                if state is NumberState.IDLE:
                    leased = await _read_leased(connection, only_range=row["range_id"])
                    if int(msisdn) in leased[row["range_id"]]:
                        state = NumberState.LEASED
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


async def read_pools(connection: Connection) -> list[PoolRow]:
    """All pools as of one moment; for each, its states sum up to its size."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        leased = await _read_leased(connection)
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        ranges: defaultdict[str, list[RangeRow]] = defaultdict(list)
        for row in await connection.fetch(_RANGE_COUNTS):
            counts[row["pool"]].update(_range_counts(row, len(leased[row["id"]])))
            ranges[row["pool"]].append(
                RangeRow(str(row["first"]), str(row["last"]), row["province"], row["hlr"])
            )
        names = [row["name"] for row in await connection.fetch(_POOLS)]
    empty = dict.fromkeys(map(str, NumberState), 0)
    return [PoolRow(name, ranges[name], {**empty, **counts[name]}) for name in names]


def _range_counts(row: Record, leased: int) -> Mapping[str, int]:
    elsewhere = row["in_use"] + row["reserved"] + row["quarantined"] + row["locked"] + leased
    return {
        NumberState.IDLE: row["size"] - elsewhere,
        NumberState.LEASED: leased,
        NumberState.RESERVED: row["reserved"],
        NumberState.IN_USE: row["in_use"],
        NumberState.QUARANTINED: row["quarantined"],
        NumberState.LOCKED: row["locked"],
    }


async def _read_leased(
    connection: Connection, only_range: int | None = None
) -> Mapping[int, set[int]]:
    """The idle numbers in the memory of any node, by range."""
    sources: dict[int, RangeSource] = {
        item.range.id: item for item in await leasing.read_ranges(connection)
    }
    leased: defaultdict[int, set[int]] = defaultdict(set)
    for row in await connection.fetch(_LEASES):
        lease = LeaseRow(**{**row, "what": What(row["what"])})
        if lease.what is What.NUMBERS and only_range in (None, lease.source_id):
            source = sources[lease.source_id]
            leased[lease.source_id].update(await leasing.idle_numbers(connection, lease, source))
    return leased


def _state_of(row: Record) -> NumberState:
    if row["user_id"] is not None:
        return NumberState.IN_USE
    if row["state"] == "quarantined":
        return NumberState.QUARANTINED
    if row["state"] == "locked":
        return NumberState.LOCKED
    return NumberState.LEASED if row["is_leased"] else NumberState.IDLE
