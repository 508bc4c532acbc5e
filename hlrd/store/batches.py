"""Batches in the database: the book of them, and how far each one's children are."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from hlrd.domain.batch import Format, Posting, RowState
from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.errors import Conflict
from hlrd.domain.identity import ICCID, MSISDN, UserId
from hlrd.domain.lifecycle import BatchState
from hlrd.domain.orders import WorkOrder, decode_stored
from hlrd.domain.orders.batch import BatchOrder, ECFanOut
from hlrd.domain.outcome import Counts
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.rows import msisdn_of

_BEGIN: Final = query("begin_fenced")
_ADD: Final = query("batch_add")
_OF_ORDER: Final = query("batch_of_order")
_GET: Final = query("batch_get")
_OF_WORK_ORDER: Final = query("batch_of_work_order")
_BEFORE: Final = query("batches_before")
_OPEN: Final = query("batches_open")
_HASHES: Final = query("batch_hashes")
_ADVANCE: Final = query("batch_advance")
_CHECKED: Final = query("batch_checked")
_CHECK_OVER: Final = query("batch_check_over")
_REFUSE: Final = query("batch_refuse")
_RESERVED: Final = query("batch_reserved")
_BEGIN_FILE: Final = query("batch_begin")
_BEGIN_MEMBERS: Final = query("batch_begin_members")
_OF_EC: Final = query("batches_of_ec")
_STOP: Final = query("batch_stop")
_STOP_RIVALS: Final = query("batch_stop_rivals")
_WORK_ORDER: Final = query("batch_work_order")
_SEND: Final = query("batch_send")
_CURSOR: Final = query("batch_cursor")
_END_ROWS: Final = query("batch_end_rows")
_SENT: Final = query("batch_rows_sent")
_RECEIPTS: Final = query("batch_receipts")
_CLOSE: Final = query("batch_close")
_RESULTS: Final = query("batch_results")
_CARDS: Final = query("batch_cards")
_CARD_HOMES: Final = query("batch_card_homes")
_NUMBER_POOLS: Final = query("batch_number_pools")
_BUSY: Final = query("batch_users_busy")
_COUNT_MEMBERS: Final = query("batch_count_members")
_MEMBERS: Final = query("batch_members")


OVERTAKEN: Final = "OVERTAKEN"
"""A later order of the EC takes back what this one does, so its rest was not handed in."""

BEGUN: Final = (BatchState.RUNNING, BatchState.PAUSED, BatchState.STOPPING)


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch file that is on disk."""

    posting: Posting
    content_hash: bytes  #: of file and posting
    file_hash: bytes
    file_bytes: int


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as the database has it; of an EC's members where `ec_code` is set."""

    id: int
    kind: str
    source: str
    order_id: str
    work_order: int | None
    operator_id: str
    province: str
    priority: int
    child: str
    state: BatchState
    content_hash: bytes | None
    file_hash: bytes | None
    file_bytes: int | None
    format: Format | None
    charset: str | None
    common: Mapping[str, Any]
    cards: tuple[ICCID, ICCID] | None
    is_partial: bool
    checked: int
    faults: int
    reservations: Mapping[str, Sequence[int]]
    ec_code: str | None
    reason: str | None
    seq: int | None
    rows: int | None
    cursor: str
    sent: int
    ok: int
    failed: int
    mark: str
    code: str | None
    cause: str | None
    started_at: datetime
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.state in (BatchState.DONE, BatchState.REFUSED)

    @property
    def is_of_file(self) -> bool:
        return self.ec_code is None

    @property
    def left(self) -> int:
        """Rows that are not handed in, or once it is over that never were; 0 while nothing says
        how many there are."""
        gone = self.ok + self.failed if self.is_over else self.sent
        return max(0, (self.rows or 0) - gone)

    @property
    def counts(self) -> Counts:
        return Counts(self.ok, self.failed, self.left, self.mark)


class Posted(NamedTuple):
    """The order of a batch, as the journal has it."""

    id: int
    source: str
    order: WorkOrder


class SentRow(NamedTuple):
    """A row that was handed in and has not ended, as a start finds it."""

    row: int
    user_id: UserId
    msisdn: MSISDN
    order: int | None  #: None: the journal has no such order


class Sending(NamedTuple):
    """A row that is about to be handed in; with a code it never can be."""

    row: int
    user_id: str
    msisdn: str | None = None
    iccid: str | None = None
    code: str | None = None


class Ended(NamedTuple):
    row: int
    state: RowState
    order: int | None = None
    msisdn: str | None = None
    iccid: str | None = None
    code: str | None = None


class Result(NamedTuple):
    """One row of the result file."""

    row: int
    user_id: str
    state: RowState
    order: int | None
    msisdn: str | None
    iccid: str | None
    code: str | None


class Member(NamedTuple):
    user_id: UserId
    msisdn: MSISDN


class BatchBook:
    """What the API and the check ask of it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, new: NewBatch) -> BatchRow:
        """One that waits for its check, or the very same that its source posted before; Conflict
        if that had other content."""
        said = new.posting
        values = (
            said.source, said.order_id, said.operator_id, said.province, said.priority, said.child,
            new.content_hash, new.file_hash, new.file_bytes, said.format, said.charset,
            orjson.dumps(said.common).decode(), said.cards, said.is_partial,
        )  # fmt: skip
        with translated():
            async with self._pool.acquire() as connection:
                id = await connection.fetchval(_ADD, *values)
                if id is None:
                    id = await _same(connection, new)
                return batch_of(await connection.fetchrow(_GET, id))

    async def get(self, id: int) -> BatchRow | None:
        with translated():
            row = await self._pool.fetchrow(_GET, id)
        return None if row is None else batch_of(row)

    async def page(self, source: str | None, before: int, limit: int) -> list[BatchRow]:
        """The newest first."""
        with translated():
            return [batch_of(row) for row in await self._pool.fetch(_BEFORE, before, source, limit)]

    async def open(self) -> list[BatchRow]:
        """The oldest first."""
        with translated():
            return [batch_of(row) for row in await self._pool.fetch(_OPEN)]

    async def hashes(self) -> set[bytes]:
        """Of the files that are still needed."""
        with translated():
            return {row["file_hash"] for row in await self._pool.fetch(_HASHES)}

    async def advance(self, id: int, before: BatchState, after: BatchState) -> bool:
        """False: it is not where it was."""
        return await self._moved(_ADVANCE, id, before, after)

    async def checked(self, id: int, rows: int, *, faults: int) -> bool:
        """False: it was cancelled."""
        return await self._moved(_CHECKED, id, rows, faults)

    async def check_over(self, id: int, rows: int, *, faults: int) -> bool:
        return await self._moved(_CHECK_OVER, id, rows, faults)

    async def refuse(self, id: int, *, code: str, cause: str) -> bool:
        """False: it has begun, or is over."""
        return await self._moved(_REFUSE, id, code, cause)

    async def reserved(self, id: int, reservations: Mapping[str, Sequence[int]]) -> bool:
        return await self._moved(_RESERVED, id, orjson.dumps(reservations).decode())

    async def stop(self, id: int, mark: str) -> bool:
        """Hand in no more; False: it has not begun, or is over."""
        return await self._moved(_STOP, id, mark)

    async def cards(
        self, first: ICCID, last: ICCID, *, after: str, skip: int, limit: int
    ) -> list[ICCID]:
        with translated():
            rows = await self._pool.fetch(_CARDS, first, last, after, skip, limit)
        return [ICCID(row["iccid"]) for row in rows]

    async def results(self, id: int) -> AsyncIterator[list[Result]]:
        """Page by page, by row."""
        after = -1
        while True:
            with translated():
                rows = await self._pool.fetch(_RESULTS, id, after, _PAGE)
            if not rows:
                return
            yield [_result_of(row) for row in rows]
            after = rows[-1]["row_no"]

    async def _moved(self, statement: str, *values: object) -> bool:
        with translated():
            return await self._pool.fetchval(statement, *values) is not None


_PAGE: Final = 2_000


async def _same(connection: Connection, new: NewBatch) -> int:
    known = await connection.fetchrow(_OF_ORDER, new.posting.source, new.posting.order_id)
    if known is None or known["content_hash"] != new.content_hash:
        text = "this order_id was used with other content"
        raise Conflict("DUPLICATE_CONFLICT", text, "order_id")
    return int(known["id"])


# What the walk over a batch's rows writes, each in a fenced transaction.


async def of_work_order(connection: Connection, order: int) -> BatchRow | None:
    row = await connection.fetchrow(_OF_WORK_ORDER, order)
    return None if row is None else batch_of(row)


async def posted(connection: Connection, work_order: int) -> Posted:
    row = await connection.fetchrow(_WORK_ORDER, work_order)
    assert row is not None, "an order is durable before it has its turn"
    return Posted(work_order, row["source"], decode_stored(row["payload"]))


async def begin_file(connection: Connection, order: BatchOrder, posted: Posted) -> BatchRow | None:
    """None: there is no such batch of its source that is ready. Once or twice is the same."""
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(
        _BEGIN_FILE, int(order.batch), posted.id, posted.source, order.order_id
    )
    await connection.execute("COMMIT")
    return await of_work_order(connection, posted.id) if row is None else batch_of(row)


async def begin_members(
    connection: Connection,
    order: ECFanOut,
    posted: Posted,
    *,
    priority: int,
    child: str,
    stops_rivals: bool,
) -> BatchRow:
    """`stops_rivals`: no more is handed in of those that do the opposite. Once or twice is the
    same."""
    begun = await of_work_order(connection, posted.id)
    if begun is not None:
        return begun  # its answer was lost
    kind = BY_SHAPE[type(order)].name
    await connection.execute(_BEGIN)
    members = await connection.fetchval(_COUNT_MEMBERS, order.ec_code)
    row = await connection.fetchrow(
        _BEGIN_MEMBERS, kind, posted.source, order.order_id, posted.id, order.operator_id,
        order.province, priority, child, order.ec_code, order.reason, order.seq, members,
    )  # fmt: skip
    if stops_rivals:
        await connection.execute(_STOP_RIVALS, order.ec_code, order.reason, kind, OVERTAKEN)
    await connection.execute("COMMIT")
    return batch_of(row)


async def begun(connection: Connection) -> list[BatchRow]:
    """What an earlier run had begun and not closed, the oldest first."""
    found = [batch_of(row) for row in await connection.fetch(_OPEN)]
    return [batch for batch in found if batch.state in BEGUN]


async def stop(connection: Connection, id: int, mark: str) -> None:
    await connection.execute(_BEGIN)
    await connection.fetchval(_STOP, id, mark)
    await connection.execute("COMMIT")


async def cursor(connection: Connection, id: int) -> str:
    row = await connection.fetchrow(_GET, id)
    assert row is not None
    return str(row["cursor"])


async def of_ec(connection: Connection, ec_code: str, reason: str) -> list[BatchRow]:
    """The newest first."""
    return [batch_of(row) for row in await connection.fetch(_OF_EC, ec_code, reason)]


async def send(connection: Connection, id: int, rows: Sequence[Sending], cursor: str) -> bool:
    """Note that these rows are handed in; False: it was paused or stopped, and nothing is noted.
    Not twice: after a lost answer look at the cursor."""
    states = [RowState.SENT if row.code is None else RowState.FAILED for row in rows]
    failed = sum(row.code is not None for row in rows)
    await connection.execute(_BEGIN)
    moved = await connection.fetchval(_CURSOR, id, cursor, len(rows), failed)
    if moved is None:
        await connection.execute("ROLLBACK")
        return False
    await connection.execute(
        _SEND, id, [row.row for row in rows], [row.user_id for row in rows], states,
        [row.msisdn for row in rows], [row.iccid for row in rows], [row.code for row in rows],
    )  # fmt: skip
    await connection.execute("COMMIT")
    return True


async def end_rows(connection: Connection, id: int, ended: Sequence[Ended]) -> None:
    """Once or twice is the same."""
    await connection.execute(_BEGIN)
    await connection.execute(_END_ROWS, id, *map(list, zip(*ended, strict=True)))
    await connection.execute("COMMIT")


async def sent(connection: Connection, batch: BatchRow) -> list[SentRow]:
    rows = await connection.fetch(_SENT, batch.id, batch.source, not batch.is_of_file)
    return [
        SentRow(row["row_no"], UserId(row["user_id"]), MSISDN(row["msisdn"] or ""), row["order_id"])
        for row in rows
    ]


async def receipts(connection: Connection, orders: Sequence[int]) -> Mapping[int, bytes]:
    """Final ones."""
    return {row["order_id"]: row["body"] for row in await connection.fetch(_RECEIPTS, orders)}


async def members(connection: Connection, ec_code: str, after: str, limit: int) -> list[Member]:
    """By user, past a cursor."""
    rows = await connection.fetch(_MEMBERS, ec_code, after, limit)
    return [Member(UserId(row["user_id"]), msisdn_of(row["msisdn"])) for row in rows]


async def close(connection: Connection, id: int, mark: str) -> BatchRow:
    """As it ended; once or twice is the same."""
    await connection.execute(_BEGIN)
    await connection.fetchrow(_CLOSE, id, mark)
    row = await connection.fetchrow(_GET, id)
    await connection.execute("COMMIT")
    return batch_of(row)


def batch_of(row: Record | None) -> BatchRow:
    assert row is not None, "a batch is never deleted"
    fields: dict[str, Any] = dict(row)
    fields["state"] = BatchState(fields["state"])
    fields["format"] = fields["format"] and Format(fields["format"])
    fields["common"] = orjson.loads(fields["common"] or "{}")
    fields["reservations"] = orjson.loads(fields["reservations"])
    fields["cards"] = tuple(fields["cards"]) if fields["cards"] else None
    return BatchRow(**fields)


def _result_of(row: Record) -> Result:
    return Result(
        row["row_no"], row["user_id"], RowState(row["state"]), row["order_id"], row["msisdn"],
        row["iccid"], row["code"],
    )  # fmt: skip


# What the check of a file looks up.


async def homes(pool: Pool, iccids: Sequence[str]) -> Mapping[str, str]:
    """HLRs of cards of the stock."""
    rows = await pool.fetch(_CARD_HOMES, iccids)
    return {row["iccid"]: row["hlr"] for row in rows}


async def pools(pool: Pool, numbers: Sequence[str]) -> Mapping[str, str]:
    """That numbers are of; nothing of those in no range."""
    rows = await pool.fetch(_NUMBER_POOLS, [int(number) for number in numbers])
    return {str(row["msisdn"]): row["pool"] for row in rows}


async def open_orders(
    connection: Connection, users: Sequence[UserId]
) -> Mapping[tuple[str, str], int]:
    """By user and kind, one each."""
    rows = await connection.fetch(_BUSY, users)
    return {(row["user_id"], row["kind"]): row["id"] for row in rows}
