"""Shares (省份额): parts of national ranges, each given to one province as a range of its own.

The order in which a range is drawn depends on its size, so only a range that nothing was leased of
is cut: at its end, where no number is bound or held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hlrd.domain.errors import Conflict, NotFound
from hlrd.store.connection import Connection, Record
from hlrd.store.queries import query
from hlrd.store.record import RangeRow

_BEGIN: Final = query("begin_fenced")
_SOURCES: Final = query("share_sources")
_SHORTEN: Final = query("share_shorten")
_DROP: Final = query("share_drop")
_ADD: Final = query("share_add")
_AT: Final = query("share_at")

NATIONAL: Final = "000"


@dataclass(frozen=True, slots=True)
class Share:
    """What a province is to get."""

    pool: str
    province: str
    numbers: int
    hlr: str | None = None  #: None: of any home HLR
    digits: int | None = None


async def give(connection: Connection, share: Share) -> Sequence[RangeRow]:
    """The new ranges, of as few national ones as their order allows. Conflict if those that are
    untouched do not have as many numbers."""
    await connection.execute(_BEGIN)
    sources = await connection.fetch(_SOURCES, share.pool, share.hlr, share.digits)
    untouched = sum(_tail(row) for row in sources)
    if untouched < share.numbers:
        await connection.execute("ROLLBACK")
        raise Conflict(
            "SHARE_TOO_LARGE",
            f"{untouched} numbers of national ranges are untouched; a range that orders drew from"
            " cannot be cut",
            "numbers",
        )
    given, left = [], share.numbers
    for row in sources:
        count = min(left, _tail(row))
        if count:
            given.append(await _cut(connection, row, count, share.province))
            left -= count
    await connection.execute("COMMIT")
    return given


async def take_back(connection: Connection, pool: str, first: int) -> RangeRow:
    """The range is national again. Conflict if the province has used any of it."""
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(_AT, pool, first)
    if row is None or row["is_touched"]:
        await connection.execute("ROLLBACK")
        if row is None:
            raise NotFound("SHARE_UNKNOWN", f"no share of pool {pool} begins at {first}")
        raise Conflict("SHARE_IN_USE", f"numbers of it were leased, bound or held: {_name(row)}")
    await connection.execute(_DROP, row["id"])
    range_row = await _add(connection, row, first, row["last"], NATIONAL)
    await connection.execute("COMMIT")
    return range_row


def _tail(row: Record) -> int:
    untouched: int = row["last"] - row["touched_to"]
    return untouched


async def _cut(connection: Connection, row: Record, count: int, province: str) -> RangeRow:
    first = row["last"] - count + 1
    if first == row["first"]:
        await connection.execute(_DROP, row["id"])
    else:
        await connection.execute(_SHORTEN, row["id"], first - 1)
    return await _add(connection, row, first, row["last"], province)


async def _add(
    connection: Connection, row: Record, first: int, last: int, province: str
) -> RangeRow:
    is_share = province != NATIONAL
    await connection.execute(
        _ADD, row["pool"], first, last, row["digits"], province, row["hlr"], is_share
    )
    return RangeRow(str(first), str(last), province, row["hlr"], is_share)


def _name(row: Record) -> str:
    return f"{row['first']}-{row['last']}"
