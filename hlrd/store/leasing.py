"""Leases in the database: taken, read back, inherited from a dead run, ended."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hlrd.domain.identity import ICCID, Card
from hlrd.pool.grade import Grades
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, What, Wish
from hlrd.pool.ranges import NumberRange, Order
from hlrd.pool.stock import Lot
from hlrd.store.connection import Connection, Record
from hlrd.store.queries import query
from hlrd.store.rows import card_of

_BEGIN: Final = query("begin_fenced")
_RANGES: Final = query("lease_ranges")
_LOTS: Final = query("lease_lots")
_ADD: Final = query("lease_add")
_UNAVAILABLE: Final = query("lease_unavailable")
_HELD_NUMBERS: Final = query("lease_held_numbers")
_CARDS: Final = query("lease_cards")
_UNKNOWN: Final = query("lease_unknown")
_INHERIT: Final = query("lease_inherit")
_END: Final = query("lease_end")
_GRADE: Final = query("grade_numbers")
_GRADING: Final = query("grading")
_PUT_GRADING: Final = query("grading_put")
_GRADED: Final = query("graded_after")
_GRADE_AGAIN: Final = query("grade_again")

_SLICE: Final = 500  # numbers or cards worked on between two turns of the event loop
_GRADED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Statements:
    """The same steps for numbers and for cards."""

    take: str
    pick: str
    left: str
    returned: str
    forget: str
    free: str


_OF: Final[Mapping[What, _Statements]] = {
    What.NUMBERS: _Statements(
        take=query("lease_take_range"),
        pick=query("lease_pick_numbers"),
        left=query("lease_left_numbers"),
        returned=query("lease_return_numbers"),
        forget=query("lease_forget_numbers"),
        free=query("lease_free_numbers"),
    ),
    What.CARDS: _Statements(
        take=query("lease_take_lot"),
        pick=query("lease_pick_cards"),
        left=query("lease_left_cards"),
        returned=query("lease_return_cards"),
        forget=query("lease_forget_cards"),
        free=query("lease_free_cards"),
    ),
}


@dataclass(frozen=True, slots=True)
class RangeSource:
    """A range as leasing needs it; `order` carries the pool's secret."""

    range: NumberRange
    order: Order
    recycled: int


@dataclass(frozen=True, slots=True)
class LotSource:
    lot: Lot
    recycled: int


@dataclass(frozen=True, slots=True)
class LeaseRow:
    id: int
    what: What
    source_id: int
    start: int
    count: int
    may_be_bound: bool = True  #: some of its places, by who drew or named them before


async def read_ranges(connection: Connection) -> list[RangeSource]:
    return [_range_source(row) for row in await connection.fetch(_RANGES)]


async def read_lots(connection: Connection) -> list[LotSource]:
    return [_lot_source(row) for row in await connection.fetch(_LOTS)]


async def take(connection: Connection, wish: Wish, epoch: int) -> LeaseRow | None:
    """One durable lease, or None (and nothing written) if the source has nothing left."""
    statements = _OF[wish.what]
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(statements.take, wish.source_id, wish.fresh)
    assert row is not None, "a wish for a source that is not in the database"
    lease_id: int = await connection.fetchval(
        _ADD, wish.what, wish.source_id, row["start"], row["count"], epoch
    )
    picked = await connection.fetch(statements.pick, wish.source_id, wish.recycled, lease_id)
    if not row["count"] and not picked:
        await connection.execute("ROLLBACK")
        return None
    await connection.execute("COMMIT")
    return LeaseRow(lease_id, wish.what, wish.source_id, **row)


async def find_unknown(
    connection: Connection, wish: Wish, epoch: int, known: Collection[int]
) -> LeaseRow | None:
    """The lease of a `take` whose answer was lost, if it was committed."""
    row = await connection.fetchrow(_UNKNOWN, epoch, wish.what, wish.source_id, list(known))
    if row is None:
        return None
    return LeaseRow(row["id"], wish.what, wish.source_id, row["start"], row["count"])


async def inherit(connection: Connection, node: str, epoch: int) -> list[LeaseRow]:
    """The leases of earlier runs of this node, ours from now on."""
    await connection.execute(_BEGIN)
    rows = await connection.fetch(_INHERIT, node, epoch)
    await connection.execute("COMMIT")
    return [LeaseRow(**{**row, "what": What(row["what"])}) for row in rows]


async def grant_numbers(
    connection: Connection, lease: LeaseRow, source: RangeSource, grades: Grades
) -> NumberGrant:
    """What of the lease may be drawn. A number with a grade is left out, and held from now on."""
    numbers = await idle_numbers(connection, lease, source)
    graded = grades.graded(numbers)
    if graded:
        names = [grades.of(number) for number in graded]
        await connection.execute(_GRADE, lease.source_id, graded, names)
        kept_out = set(graded)
        numbers = [number for number in numbers if number not in kept_out]
    unleased, recycled = await _left_behind(connection, lease)
    return NumberGrant(
        lease_id=lease.id,
        source_id=lease.source_id,
        unleased=unleased,
        recycled=recycled,
        numbers=numbers,
    )


async def idle_numbers(connection: Connection, lease: LeaseRow, source: RangeSource) -> list[int]:
    """What of the lease is idle now: its places less what is bound or held, and its own holds."""
    fresh = await numbers_of(lease, source.order)
    taken = await unavailable(connection, fresh, may_be_bound=lease.may_be_bound)
    held = [row["msisdn"] for row in await connection.fetch(_HELD_NUMBERS, lease.id)]
    return [number for number in fresh if number not in taken] + held


async def unavailable(
    connection: Connection, numbers: Sequence[int], *, may_be_bound: bool = True
) -> set[int]:
    """Those of them that are held whatever the reason, or bound."""
    rows = await connection.fetch(_UNAVAILABLE, numbers, may_be_bound)
    return {row["msisdn"] for row in rows}


async def grant_cards(connection: Connection, lease: LeaseRow) -> CardGrant:
    """What of the lease is in stock now."""
    cards: list[Card] = []
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(
            _CARDS, lease.source_id, lease.start, lease.count, lease.id
        )
        while rows := await cursor.fetch(_SLICE):
            cards += [card for row in rows if (card := card_of(row))]
    unleased, recycled = await _left_behind(connection, lease)
    return CardGrant(
        lease_id=lease.id,
        source_id=lease.source_id,
        unleased=unleased,
        recycled=recycled,
        cards=cards,
    )


async def end(connection: Connection, settled: Settled[int] | Settled[ICCID]) -> None:
    """Put back what is returned and forget the lease. Once or twice is the same."""
    statements = _OF[settled.what]
    await connection.execute(_BEGIN)
    await connection.execute(statements.returned, settled.lease_id, list(settled.returned))
    await connection.execute(statements.forget, settled.lease_id)
    await connection.execute(statements.free, settled.lease_id)
    await connection.execute(_END, settled.lease_id)
    await connection.execute("COMMIT")


async def is_graded_by(connection: Connection, grades: Grades) -> bool:
    """Whether the grades in the database come from these very rules."""
    return str(await connection.fetchval(_GRADING) or "") == str(grades)


async def grade_again(connection: Connection, grades: Grades, after: int) -> int | None:
    """Some of the numbers that other rules gave a grade; the last one, or None at their end.

    A number that has a grade only now is given it when a lease comes to it.
    """
    rows = await connection.fetch(_GRADED, after, _GRADED_AT_ONCE)
    if not rows:
        await connection.execute(_PUT_GRADING, str(grades))
        return None
    other = [row["msisdn"] for row in rows if grades.of(row["msisdn"]) != row["grade"]]
    await connection.execute(_GRADE_AGAIN, other, [grades.of(number) for number in other])
    return int(rows[-1]["msisdn"])


async def _left_behind(connection: Connection, lease: LeaseRow) -> tuple[int, int]:
    """What the source has beyond the lease: places never leased, and the free list."""
    row = await connection.fetchrow(_OF[lease.what].left, lease.source_id)
    assert row is not None
    return row["unleased"], row["recycled"]


async def numbers_of(lease: LeaseRow, order: Order) -> list[int]:
    """The numbers of the interval, in slices: the cipher costs about 1 us a number."""
    numbers: list[int] = []
    upto = lease.start + lease.count
    for start in range(lease.start, upto, _SLICE):
        numbers += order.numbers(start, min(_SLICE, upto - start))
        await asyncio.sleep(0)
    return numbers


def _range_source(row: Record) -> RangeSource:
    fields: dict[str, Any] = dict(row)
    recycled, secret = fields.pop("recycled"), fields.pop("secret")
    number_range = NumberRange(**fields)
    return RangeSource(number_range, Order(number_range, secret), recycled)


def _lot_source(row: Record) -> LotSource:
    fields: dict[str, Any] = dict(row)
    recycled = fields.pop("recycled")
    return LotSource(Lot(**fields), recycled)
