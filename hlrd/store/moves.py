"""Moves of segments in the database: the book of them, and the homes that they change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hlrd import limits
from hlrd.domain.errors import Conflict
from hlrd.domain.identity import IMSI, MSISDN
from hlrd.domain.lifecycle import MoveState
from hlrd.domain.routing import Identity, Rehoming, Segment
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.record import MoveRow
from hlrd.store.rows import imsi_of, msisdn_of

_BEGIN: Final = query("begin_fenced")
_ADD: Final = query("move_add")
_GET: Final = query("move_get")
_OPEN: Final = query("move_open")
_LIST: Final = query("moves")
_DONE: Final = query("moves_done")
_ADVANCE: Final = query("move_advance")
_SWITCHED: Final = query("move_switched")
_VERIFIED: Final = query("move_verified")


@dataclass(frozen=True, slots=True)
class _Statements:
    """The same steps for numbers and for cards."""

    sources: str
    bindings: str
    subscribers: str
    source_in_the_way: str
    user_in_the_way: str


_OF: Final = {
    Identity.MSISDN: _Statements(
        sources=query("move_ranges"),
        bindings=query("move_numbers"),
        subscribers=query("move_subscribers_by_number"),
        source_in_the_way=query("move_range_in_the_way"),
        user_in_the_way=query("move_number_in_the_way"),
    ),
    Identity.IMSI: _Statements(
        sources=query("move_lots"),
        bindings=query("move_cards"),
        subscribers=query("move_subscribers_by_card"),
        source_in_the_way=query("move_lot_in_the_way"),
        user_in_the_way=query("move_card_in_the_way"),
    ),
}


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A user that the new HLR must have."""

    msisdn: MSISDN
    imsi: IMSI
    province: str


class MoveBook:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, rehoming: Rehoming, operator_id: str, sample: int | None) -> MoveRow:
        """Conflict while another move has not ended, or for what is in the way."""
        segment = rehoming.segment
        values = (segment.of, segment.prefix, rehoming.old, rehoming.new, operator_id, sample)
        with translated():
            async with self._pool.acquire() as connection:
                await _refuse_in_the_way(connection, rehoming)
                id = await connection.fetchval(_ADD, *values)
                if id is None:
                    text = "another segment is being moved; hlrd ne move list shows it"
                    raise Conflict("MOVE_OPEN", text)
                return _move_of(await connection.fetchrow(_GET, id))

    async def get(self, id: int) -> MoveRow | None:
        with translated():
            row = await self._pool.fetchrow(_GET, id)
        return None if row is None else _move_of(row)

    async def open(self) -> MoveRow | None:
        """The one that has not ended."""
        with translated():
            row = await self._pool.fetchrow(_OPEN)
        return None if row is None else _move_of(row)

    async def newest(self) -> Sequence[MoveRow]:
        with translated():
            rows = await self._pool.fetch(_LIST, limits.MOVES_SHOWN_MAX)
        return [_move_of(row) for row in rows]

    async def done(self) -> Sequence[Rehoming]:
        """In the order they were done."""
        with translated():
            return [_rehoming_of(row) for row in await self._pool.fetch(_DONE)]

    async def advance(self, id: int, before: MoveState, after: MoveState) -> bool:
        """False: it has left that state meanwhile."""
        with translated():
            return await self._pool.fetchval(_ADVANCE, id, before, after) is not None

    async def note(
        self, id: int, *, asked: int, missing: int, silent: int, examples: Sequence[Any]
    ) -> None:
        """What the new HLR said, so far."""
        shown = orjson.dumps(examples).decode()
        with translated():
            await self._pool.execute(_VERIFIED, id, asked, missing, silent, shown)

    async def subscribers(
        self, rehoming: Rehoming, after: int, last: int
    ) -> tuple[int | None, Sequence[Subscriber]]:
        """Of a page behind `after`, those that the new HLR must have; and where the next begins."""
        statement = _OF[rehoming.segment.of].subscribers
        size = limits.MOVE_PAGE_BINDINGS
        with translated():
            rows = await self._pool.fetch(statement, after, last, rehoming.new, size)
        found = [
            Subscriber(msisdn_of(row["msisdn"]), imsi_of(row["imsi"]), row["province"])
            for row in rows
            if row["is_subscribed"]
        ]
        return (rows[-1]["at"] if rows else None), found


async def rehome_sources(connection: Connection, rehoming: Rehoming) -> None:
    """The ranges, or the lots, of the segment. Once or twice is the same."""
    await connection.execute(_BEGIN)
    for first, last in rehoming.segment.spans():
        statement = _OF[rehoming.segment.of].sources
        await connection.fetch(statement, first, last, rehoming.old, rehoming.new)
    await connection.execute("COMMIT")


async def rehome_bindings(
    connection: Connection, move_id: int, rehoming: Rehoming, after: int, last: int
) -> int | None:
    """A page of them behind `after`; where the next begins. Once or twice is the same."""
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(
        _OF[rehoming.segment.of].bindings,
        after,
        last,
        rehoming.old,
        limits.MOVE_PAGE_BINDINGS,
        rehoming.new,
    )
    assert row is not None, "one row, whatever is there"
    await connection.execute(_SWITCHED, move_id, row["moved"])
    await connection.execute("COMMIT")
    found: int | None = row["last"]
    return found


async def _refuse_in_the_way(connection: Connection, rehoming: Rehoming) -> None:
    old, new = rehoming.old, rehoming.new
    statements = _OF[rehoming.segment.of]
    for first, last in rehoming.segment.spans():
        row = await connection.fetchrow(statements.source_in_the_way, first, last, old, new)
        if row is not None:
            raise Conflict("SEGMENT_CUT", _said_of(rehoming, row), "prefix")
        number = await connection.fetchval(statements.user_in_the_way, first, last, new)
        if number is not None:
            text = f"the user of {number} is at {new} already, and could not be told from the moved"
            raise Conflict("SEGMENT_CUT", text, "prefix")


def _said_of(rehoming: Rehoming, row: Record) -> str:
    if rehoming.segment.of is Identity.IMSI:
        what = f"lot {row['name']}"
    else:
        what = f"range {row['id']} ({row['first']}-{row['last']}, pool {row['pool']})"
    if row["hlr"] == rehoming.new:
        return f"{what} is at {rehoming.new} already, and could not be told from the moved"
    return f"{what} goes beyond {rehoming.segment}, and has one home; move all of it"


def _rehoming_of(row: Record) -> Rehoming:
    segment = Segment(Identity(row["identity"]), row["prefix"])
    return Rehoming(segment, row["old_hlr"], row["new_hlr"])


def _move_of(row: Record | None) -> MoveRow:
    assert row is not None, "a move is never deleted"
    return MoveRow(
        id=row["id"],
        rehoming=_rehoming_of(row),
        operator_id=row["operator_id"],
        state=MoveState(row["state"]),
        sample=row["sample"],
        switched=row["switched"],
        asked=row["asked"],
        missing=row["missing"],
        silent=row["silent"],
        examples=orjson.loads(row["examples"]),
        started_at=row["started_at"],
        changed_at=row["changed_at"],
    )
