"""The audit trail in the database: rows are appended to the chain, and read."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hlrd import limits
from hlrd.domain.audit import Act, Head, Row
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query

_BEGIN: Final = query("begin_fenced")
_HEAD: Final = query("audit_head")
_AT: Final = query("audit_hash_at")
_PAGE: Final = query("audit_page")
_AFTER: Final = query("audit_after")
_COLUMNS: Final = (
    "seq", "at", "actor", "source", "action", "subject", "order_id", "before", "after", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All that are given must hold."""

    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    order: int | None = None
    since: datetime | None = None


class Chain:
    """What the one writer adds, by a fenced connection."""

    def __init__(self) -> None:
        self._doubted: Sequence[Row] = ()  #: written by a try whose commit was not answered

    async def append(
        self, connection: Connection, acts: Sequence[tuple[Act, datetime]]
    ) -> Sequence[Row]:
        """All of them or none. After StoreUnavailable call again with the same acts: what stands
        already is not written twice."""
        await connection.execute(_BEGIN)
        if self._doubted and await self._stands(connection, self._doubted[-1]):
            await connection.execute("COMMIT")
            return self._done()
        head = _head_of(await connection.fetchrow(_HEAD))
        rows: list[Row] = []
        for act, at in acts:
            row = head.joined(act, at)
            rows.append(row)
            head = Head(row.seq, row.hash)
        await connection.copy_records_to_table(
            "audit_trail", records=[_record(row) for row in rows], columns=_COLUMNS
        )
        self._doubted = rows
        await connection.execute("COMMIT")
        return self._done()

    def _done(self) -> Sequence[Row]:
        rows, self._doubted = self._doubted, ()
        return rows

    @staticmethod
    async def _stands(connection: Connection, row: Row) -> bool:
        return bool(await connection.fetchval(_AT, row.seq) == row.hash)


class AuditBook:
    """What readers ask of the trail."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def head(self) -> Head:
        with translated():
            return _head_of(await self._pool.fetchrow(_HEAD))

    async def page(self, wanted: AuditFilter, before: int, limit: int) -> Sequence[Row]:
        """The newest below row `before`, newest first."""
        with translated():
            rows = await self._pool.fetch(
                _PAGE,
                wanted.subject,
                wanted.actor,
                wanted.action,
                wanted.order,
                wanted.since,
                before,
                limit,
            )
        return [_row_of(row) for row in rows]

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """The whole chain from its beginning, some at a time."""
        last = 0
        while True:
            with translated():
                found = await self._pool.fetch(_AFTER, last, limits.AUDIT_PAGE_ROWS)
            if not found:
                return
            yield [_row_of(row) for row in found]
            last = found[-1]["seq"]


def _head_of(row: Record | None) -> Head:
    return Head() if row is None else Head(row["seq"], row["hash"])


def _record(row: Row) -> tuple[object, ...]:
    return (
        row.seq, row.at, row.actor, row.source, row.action, row.subject, row.order, row.before,
        row.after, row.hash,
    )  # fmt: skip


def _row_of(row: Record) -> Row:
    return Row(*(row[column] for column in _COLUMNS))
