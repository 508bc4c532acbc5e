"""How far each receipt endpoint is, and the rows of what could not go at once.

What changes anything is written in a fenced transaction: a daemon that was taken over delivers no
more than it has in hand, and marks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from hlrd.domain.delivery import Content, Endpoint, Marks, Outgoing, Row
from hlrd.domain.lifecycle import DeliveryState
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query

_BEGIN: Final = query("begin_fenced")
_REGISTER: Final = query("endpoint_register")
_ADVANCE: Final = query("endpoint_advance")
_PAGE: Final = query("delivery_page")
_CONTENTS: Final = query("delivery_contents")
_ROWS: Final = query("delivery_rows")
_BEYOND: Final = query("delivery_beyond")
_PUT: Final = query("delivery_put")
_DROP: Final = query("delivery_drop")
_COUNTS: Final = query("delivery_counts")
_UNREAD: Final = query("delivery_unread")
_LIST: Final = query("delivery_list")
_OF_ORDER: Final = query("delivery_of_order")
_REDELIVER_DEAD: Final = query("delivery_redeliver_dead")
_REDELIVER: Final = query("delivery_redeliver")
_RECEIPT_AT: Final = query("receipt_at")

T = TypeVar("T")


class Registered(NamedTuple):
    """An endpoint as the database knows it."""

    id: int
    since_seq: int  #: it gets the receipts after this one
    cursor: int
    failing_since: float | None


class Page(NamedTuple):
    receipts: list[Outgoing]  #: of the endpoint
    read: int  #: of the source
    last: int  #: number of the last of them, the given cursor if there is none


@dataclass(frozen=True, slots=True)
class Listed:
    """A delivery that waits or is dead."""

    seq: int
    state: DeliveryState
    order: int
    order_id: str  #: upstream's
    kind: str
    user_id: str
    closed_at: datetime
    failures: int
    since: datetime | None
    due_at: datetime
    said: str


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt of an order; with a row, what is not well with its delivery."""

    seq: int
    is_final: bool
    closed_at: datetime
    body: bytes
    endpoint_id: int | None
    state: DeliveryState | None
    failures: int | None
    due_at: datetime | None
    said: str | None


# Reading.


class DeliveryReader:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, endpoint: Endpoint, after: int, up_to: int, most: int) -> Page:
        """Up to `most` receipts of the source, of which those for this endpoint."""
        needle = b'"reply_to":"%b"' % endpoint.name.encode()
        with translated():
            rows = await self._pool.fetch(
                _PAGE, endpoint.source, after, up_to, most, needle, endpoint.is_default
            )
        receipts = [_fresh(row) for row in rows if row["body"] is not None]
        return Page(receipts, len(rows), rows[-1]["seq"] if rows else after)

    async def contents(self, seqs: Sequence[int]) -> dict[int, Content]:
        with translated():
            rows = await self._pool.fetch(_CONTENTS, seqs)
        return {row["seq"]: _content(row) for row in rows}

    async def rows(self, endpoint_id: int, most: int) -> list[Outgoing]:
        """What waits for a next try, the oldest first."""
        with translated():
            return [_waiting(row) for row in await self._pool.fetch(_ROWS, endpoint_id, most)]

    async def dead(self) -> dict[int, int]:
        """How many, by endpoint; none of an endpoint that has none."""
        with translated():
            return {row["endpoint_id"]: row["dead"] for row in await self._pool.fetch(_COUNTS)}

    async def unread(self, source: str, after: int) -> int:
        with translated():
            count: int = await self._pool.fetchval(_UNREAD, source, after)
        return count

    async def listed(
        self, endpoint_id: int, state: DeliveryState, after: int, most: int
    ) -> list[Listed]:
        with translated():
            rows = await self._pool.fetch(_LIST, endpoint_id, state, after, most)
        return [_listed(row) for row in rows]

    async def of_order(self, order: int) -> list[ReceiptRow]:
        with translated():
            return [_receipt(row) for row in await self._pool.fetch(_OF_ORDER, order)]

    async def first_from(self, moment: datetime, last: int) -> int:
        """The number of the first receipt closed then or later, `last` + 1 if there is none.

        Numbers are given out as orders close, so it is found by halving.
        """
        low, high = 0, last + 1
        with translated():
            while low < high:
                middle = (low + high) // 2
                row = await self._pool.fetchrow(_RECEIPT_AT, middle)
                if row is None or row["at"] >= moment:
                    high = middle
                else:
                    low = row["seq"] + 1
        return low


# Writing.


async def register(endpoint: Endpoint, last_seq: int, connection: Connection) -> Registered:
    """It gets the receipts after `last_seq` if it is new."""
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(_REGISTER, endpoint.source, endpoint.name, last_seq)
    await connection.execute("COMMIT")
    assert row is not None
    return Registered(row["id"], row["since_seq"], row["seq"], _epoch_s(row["failing_since"]))


async def beyond(endpoint_id: int, cursor: int, connection: Connection) -> list[int]:
    """Receipts past the cursor that have a row."""
    return [row["seq"] for row in await connection.fetch(_BEYOND, endpoint_id, cursor)]


async def write(changes: Sequence[tuple[int, Marks]], connection: Connection) -> None:
    """What changed, by endpoint; may be written twice."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
    await connection.execute(_BEGIN)
    for endpoint_id, marks in changes:
        if marks.rows:
            await connection.execute(
                _PUT, endpoint_id, *_columns([_columns_of(r) for r in marks.rows])
            )
        if marks.delivered:
            await connection.execute(_DROP, endpoint_id, marks.delivered)
        await connection.execute(_ADVANCE, endpoint_id, marks.cursor, _moment(marks.failing_since))
    await connection.execute("COMMIT")


async def redeliver(
    seqs: Sequence[int], endpoint_id: int, now: datetime, connection: Connection
) -> list[int]:
    """Those that are due again; not what goes for the first time anyway."""
    return await _redeliver(connection, _REDELIVER, endpoint_id, now, seqs)


async def redeliver_dead(
    after: int, most: int, endpoint_id: int, now: datetime, connection: Connection
) -> list[int]:
    """The first of the dead ones past a number."""
    return await _redeliver(connection, _REDELIVER_DEAD, endpoint_id, now, after, most)


async def _redeliver(connection: Connection, statement: str, *arguments: object) -> list[int]:
    await connection.execute(_BEGIN)
    rows = await connection.fetch(statement, *arguments)
    await connection.execute("COMMIT")
    return sorted(row["seq"] for row in rows)


# Rows as values, and back.


def _content(row: Record) -> Content:
    return Content(row["body"], row["is_final"], row["at"].timestamp())


def _fresh(row: Record) -> Outgoing:
    content = _content(row)
    return Outgoing(row["seq"], row["user_id"], content.closed_at, content)


def _waiting(row: Record) -> Outgoing:
    return Outgoing(
        seq=row["seq"],
        user_id=row["user_id"],
        closed_at=row["at"].timestamp(),
        has_row=True,
        failures=row["failures"],
        since=_epoch_s(row["since"]),
        due_at=row["due_at"].timestamp(),
    )


def _listed(row: Record) -> Listed:
    return Listed(
        seq=row["seq"],
        state=DeliveryState(row["state"]),
        order=row["order_id"],
        order_id=row["upstream_id"],
        kind=row["kind"],
        user_id=row["user_id"],
        closed_at=row["at"],
        failures=row["failures"],
        since=row["since"],
        due_at=row["due_at"],
        said=row["said"],
    )


def _receipt(row: Record) -> ReceiptRow:
    return ReceiptRow(
        seq=row["seq"],
        is_final=row["is_final"],
        closed_at=row["at"],
        body=row["body"],
        endpoint_id=row["endpoint_id"],
        state=row["state"] and DeliveryState(row["state"]),
        failures=row["failures"],
        due_at=row["due_at"],
        said=row["said"],
    )


def _columns_of(row: Row) -> tuple[object, ...]:
    return (
        row.seq,
        row.user_id,
        row.state,
        row.failures,
        _moment(row.since),
        _moment(row.due_at),
        row.said,
    )


def _columns(rows: Sequence[tuple[T, ...]]) -> list[list[T]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def _epoch_s(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
