"""The fallout desk in the database: what is on it, and what persons decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from hlrd import limits
from hlrd.domain import trail
from hlrd.domain.fallout import Act, Chosen, Release, Way, done_of
from hlrd.ports import Closing
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.rows import plain

_BEGIN: Final = query("begin_fenced")
_PUT: Final = query("fallout_put")
_DROP: Final = query("fallout_drop")
_RELEASES: Final = query("fallout_releases")
_PAGE: Final = query("fallout_page")
_GET: Final = query("fallout_get")
_COUNTS: Final = query("fallout_counts")
_GAUGES: Final = query("fallout_gauges")
_RELEASE: Final = query("fallout_release")
_DECIDED: Final = query("fallout_decided")
_RELEASED: Final = query("fallout_released")
_AMEND: Final = query("order_amend")
_AMENDMENTS: Final = query("order_amendments")
_CHOSEN: Final = query("fallout_chosen")
_WANT_SHEET: Final = query("sheet_want")
_SHEETS_OF: Final = query("sheets_of")

BY_RULE: Final = "fallout.to_eoms"
"""Who asked the EOMS, where no person did: the setting of this name."""


@dataclass(frozen=True, slots=True)
class FalloutRow:
    """An order at the desk, those that were let go and are not closed included."""

    order_id: int
    source: str
    upstream_id: str
    kind: str
    user_id: str
    province: str
    priority: int
    accepted_at: datetime
    ne: str
    operation: str
    verdict: str
    code: str
    text: str
    step: str  #: the transaction of the task that it is stuck at
    is_undo: bool
    since: datetime
    fell_at: datetime
    falls: int
    way: str | None  #: as what it was let go; None while it waits for a person
    skipped: Sequence[str]
    reason: str
    operator_id: str | None
    bulk_id: int | None
    waiting: int  #: orders that wait behind it, parked ones included
    sheet: str | None  #: state of the last sheet at the EOMS


@dataclass(frozen=True, slots=True)
class CountRow:
    ne: str
    code: str
    verdict: str
    orders: int
    idle: int  #: of them, those that wait for a person
    oldest: datetime
    waiting: int


@dataclass(frozen=True, slots=True)
class AmendmentRow:
    payload: bytes
    operator_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SheetRow:
    transaction: str
    state: str
    asked_by: str
    answer: str
    text: str
    opened_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class FalloutShown:
    """One order at the desk with all that was done to it."""

    row: FalloutRow
    acts: Sequence[Act]  #: that it is open to now
    changeable: Sequence[str]  #: fields that a person may change
    amendments: Sequence[AmendmentRow]
    sheets: Sequence[SheetRow]


class Gauge(NamedTuple):
    ne: str
    verdict: str
    orders: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided of one order."""

    order_id: int
    step: str  #: where it is stuck, as the person saw it
    way: Way
    reason: str
    operator_id: str
    skipped: Sequence[str] = field(default=())
    bulk_id: int | None = None
    payload: bytes | None = None  #: the order from now on, when it was changed


class FalloutBook:
    """Reads; none of them waits for orders that move."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, chosen: Chosen, after: int, most: int) -> list[FalloutRow]:
        """In order of id."""
        with translated():
            rows = await self._pool.fetch(_PAGE, *named(chosen), after, most)
        return [FalloutRow(**row) for row in rows]

    async def get(self, order_id: int) -> FalloutRow | None:
        with translated():
            row = await self._pool.fetchrow(_GET, order_id)
        return None if row is None else FalloutRow(**row)

    async def counts(self) -> list[CountRow]:
        """By NE and code, the most first."""
        with translated():
            rows = await self._pool.fetch(_COUNTS, limits.FALLOUT_COUNTS_MAX)
        return [CountRow(**row) for row in rows]

    async def gauges(self) -> list[Gauge]:
        with translated():
            return [Gauge(*row) for row in await self._pool.fetch(_GAUGES)]

    async def amendments(self, order_id: int) -> list[AmendmentRow]:
        with translated():
            rows = await self._pool.fetch(_AMENDMENTS, order_id)
        return [AmendmentRow(**row) for row in rows]

    async def sheets(self, order_id: int) -> list[SheetRow]:
        with translated():
            return [SheetRow(**row) for row in await self._pool.fetch(_SHEETS_OF, order_id)]

    async def chosen(self, chosen: Chosen) -> int:
        """How many wait for a person and are meant."""
        with translated():
            count: int = await self._pool.fetchval(_CHOSEN, *named(chosen))
        return count


# Written with the journal's group commits.


async def note(connection: Connection, closings: Sequence[Closing]) -> None:
    """Within the transaction of these close records."""
    fallen = [_row_of(closing) for closing in closings if closing.fall is not None]
    if fallen:
        await connection.execute(_PUT, *map(list, zip(*fallen, strict=True)))
        handed = [c.order_id for c in closings if c.fall is not None and c.fall.to_eoms]
        if handed:
            await connection.execute(_WANT_SHEET, handed, BY_RULE)
    left = [closing.order_id for closing in closings if closing.leaves_fallout]
    if left:
        await connection.execute(_DROP, left)


def _row_of(closing: Closing) -> tuple[object, ...]:
    fall = closing.fall
    assert fall is not None
    said = fall.ne, fall.operation, fall.verdict, plain(fall.code), plain(fall.text), fall.step
    return (closing.order_id, *said, fall.is_undo, closing.closed_at)


# Read with the orders themselves.


async def releases(
    connection: Connection, order_ids: Sequence[int]
) -> Mapping[int, tuple[Release, bytes | None]]:
    """With what each was let go, and the order as it holds if a person changed it."""
    rows = await connection.fetch(_RELEASES, order_ids)
    return {row["order_id"]: (_release_of(row), row["payload"]) for row in rows}


def _release_of(row: Record) -> Release:
    return Release(
        way=Way(row["way"]),
        skipped=frozenset(row["skipped"]),
        done=frozenset() if row["trail"] is None else done_of(trail.decode(row["trail"])),
        reason=row["reason"],
        is_bulk=row["bulk_id"] is not None,
    )


# Decisions, each a transaction that only the node's own epoch may write.


async def decide(connection: Connection, decisions: Sequence[Decision]) -> list[int]:
    """Those that hold, now or since an earlier try: the others were let go otherwise before, or are
    stuck elsewhere by now."""
    await connection.execute(_BEGIN)
    held = await decide_within(connection, decisions)
    await connection.execute("COMMIT")
    return held


async def decide_within(connection: Connection, decisions: Sequence[Decision]) -> list[int]:
    """Within a transaction of the caller's."""
    return [one.order_id for one in decisions if await _hold(connection, one)]


async def _hold(connection: Connection, one: Decision) -> bool:
    reason = plain(one.reason)
    decided = one.way, list(one.skipped), reason, one.operator_id, one.bulk_id
    if await connection.fetchval(_RELEASE, one.order_id, one.step, *decided) is None:
        same = one.order_id, one.step, one.way, reason, one.operator_id, one.bulk_id
        return await connection.fetchval(_DECIDED, *same) is not None
    if one.payload is not None:
        await connection.execute(_AMEND, one.order_id, one.payload, one.operator_id, reason)
    return True


async def released(connection: Connection, order_ids: Sequence[int]) -> list[int]:
    """Those of them that were let go and are not closed, by whatever decision."""
    return [row["order_id"] for row in await connection.fetch(_RELEASED, order_ids)]


async def want_sheet(connection: Connection, order_ids: Sequence[int], asked_by: str) -> list[str]:
    """The transactions of the sheets that will be opened: none for an order that has one, or that
    no longer waits."""
    await connection.execute(_BEGIN)
    rows = await connection.fetch(_WANT_SHEET, order_ids, asked_by)
    await connection.execute("COMMIT")
    return [row["transaction"] for row in rows]


def named(chosen: Chosen) -> tuple[object, ...]:
    """As the statements want it."""
    return chosen.ne, chosen.code, chosen.province, chosen.kind, chosen.older_than_s
