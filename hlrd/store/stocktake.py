"""The numbers of all pools by state.

A count walks every binding, so a dear one is not made anew for each who asks: the ranges are always
as of now, the states of their numbers as of the last count.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from hlrd.domain.lifecycle import NumberState
from hlrd.pool.lease import What
from hlrd.store import leasing
from hlrd.store.connection import Connection, Record
from hlrd.store.leasing import LeaseRow, RangeSource
from hlrd.store.queries import query
from hlrd.store.record import PoolRow, RangeRow, Report, StockRow
from hlrd.store.recount import Recount

_POOLS: Final = query("pools")
_RANGES: Final = query("ranges")
_COUNTS: Final = query("range_counts")
_LEASES: Final = query("leases")
_TIMEOUT_S: Final = 300.0
_NONE: Final = dict.fromkeys(map(str, NumberState), 0)


@dataclass(slots=True)
class _Count:
    elsewhere: Mapping[int, Mapping[str, int]]  #: by range, its numbers that are not idle
    at: datetime


class Stocktake:
    """One for a process."""

    def __init__(self) -> None:
        self._last: _Count | None = None
        self._recount = Recount()
        self._turn = asyncio.Lock()

    async def pools(self, connection: Connection, *, counts: bool = False) -> list[PoolRow]:
        """For each its states sum up to its size. `counts`: whatever it costs."""
        last, rows, names = await self._look(connection, counts=counts)
        numbers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        ranges: defaultdict[str, list[RangeRow]] = defaultdict(list)
        for row in rows:
            numbers[row["pool"]].update(_states(row, last))
            ranges[row["pool"]].append(_range_of(row))
        return [
            PoolRow(name, ranges[name], {**_NONE, **numbers[name]}, low_water, last.at)
            for name, low_water in names
        ]

    async def report(self, connection: Connection, *, counts: bool = False) -> Report:
        last, rows, _ = await self._look(connection, counts=counts)
        found: defaultdict[tuple[str, str, str, int], Counter[str]] = defaultdict(Counter)
        for row in rows:
            key = (row["pool"], row["province"], row["hlr"], row["digits"])
            found[key].update(_states(row, last))
        lines = [StockRow(*key, {**_NONE, **found[key]}) for key in sorted(found)]
        return Report(last.at, lines)

    async def _look(
        self, connection: Connection, *, counts: bool
    ) -> tuple[_Count, Sequence[Record], list[tuple[str, int | None]]]:
        async with self._turn, connection.transaction(isolation="repeatable_read", readonly=True):
            last = self._last
            if counts or last is None or self._recount.is_due:
                started = monotonic()
                last = self._last = await _count(connection)
                self._recount.done(started)
            rows = await connection.fetch(_RANGES)
            names = [(row["name"], row["low_water"]) for row in await connection.fetch(_POOLS)]
        return last, rows, names


async def leased_numbers(
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


async def _count(connection: Connection) -> _Count:
    at = datetime.now(UTC)
    leased = await leased_numbers(connection)
    rows = await connection.fetch(_COUNTS, timeout=_TIMEOUT_S)
    elsewhere = {row["id"]: _elsewhere(row, len(leased[row["id"]])) for row in rows}
    return _Count(elsewhere, at)


def _elsewhere(row: Record, leased: int) -> Mapping[str, int]:
    return {
        NumberState.LEASED: leased,
        NumberState.RESERVED: row["reserved"],
        NumberState.IN_USE: row["in_use"],
        NumberState.QUARANTINED: row["quarantined"],
        NumberState.LOCKED: row["locked"],
    }


def _states(row: Record, last: _Count) -> Mapping[str, int]:
    """A range that came after the count is idle throughout."""
    elsewhere = last.elsewhere.get(row["id"], {})
    size = row["last"] - row["first"] + 1
    return {NumberState.IDLE: size - sum(elsewhere.values()), **elsewhere}


def _range_of(row: Record) -> RangeRow:
    return RangeRow(
        str(row["first"]), str(row["last"]), row["province"], row["hlr"], row["is_share"]
    )
