"""Batches as the API sees them, in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from hlrd.domain.batch import Posting
from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.lifecycle import BATCH, BatchEvent, BatchState, advance
from hlrd.pool.simheader import BadLine
from hlrd.store.batches import BatchRow, Result

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_batch_row(id: int = 1, **changes: Any) -> BatchRow:
    row = BatchRow(
        id=id,
        kind="BATCH",
        source="ESOP",
        order_id="B1",
        work_order=None,
        operator_id="op",
        province="200",
        priority=4,
        child="MEMBER_ACTIVATE",
        state=BatchState.RUNNING,
        content_hash=b"hash",
        file_hash=b"file",
        file_bytes=10,
        format=None,
        charset="utf-8",
        common={},
        cards=None,
        is_partial=False,
        checked=0,
        faults=0,
        reservations={},
        ec_code=None,
        reason=None,
        seq=None,
        rows=None,
        cursor="",
        sent=0,
        ok=0,
        failed=0,
        mark="",
        code=None,
        cause=None,
        started_at=NOON,
        ended_at=None,
    )
    return replace(row, **changes)


@dataclass
class FakeBatches:
    """One that is posted is checked at once, unless it `holds`, with the faults that are set."""

    folder: Path
    bad_lines: list[BadLine] = field(default_factory=list)
    rows: dict[int, BatchRow] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)
    posted: dict[int, Posting] = field(default_factory=dict)
    made: list[Result] = field(default_factory=list)
    holds: bool = False
    _checked: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(
        self, parts: AsyncIterator[bytes], *, bytes_expected: int, posting: Posting
    ) -> BatchRow:
        document = b"".join([part async for part in parts])
        assert len(document) <= bytes_expected
        id = len(self.rows) + 1
        self.files[id], self.posted[id] = document, posting
        self.rows[id] = a_batch_row(
            id,
            source=posting.source,
            order_id=posting.order_id,
            operator_id=posting.operator_id,
            province=posting.province,
            child=posting.child,
            state=BatchState.WAITING,
            file_hash=sha256(document).digest(),
            file_bytes=len(document),
        )
        return self.rows[id]

    def release(self) -> None:
        self._checked.set()

    async def until_checked(self, batch: BatchRow) -> BatchRow:
        if self.holds:
            await self._checked.wait()
        lines = self.files[batch.id].count(b"\n") - 1
        changes: dict[str, Any] = {"state": BatchState.RUNNING, "rows": lines, "checked": lines}
        if self.bad_lines:
            changes = {
                "state": BatchState.REFUSED,
                "faults": len(self.bad_lines),
                "code": "BATCH_INVALID",
                "cause": "1 fault in the file",
            }
            self._write_errors(batch.id)
        self.rows[batch.id] = replace(self.rows[batch.id], **changes)
        return self.rows[batch.id]

    def _write_errors(self, id: int) -> None:
        lines = [f"{bad.line},{bad.column},{bad.reason}" for bad in self.bad_lines]
        text = "\n".join(["line,column,reason", *lines]) + "\n"
        (self.folder / f"{id}.batch.csv").write_text(text)

    async def get(self, id: int, source: str | None) -> BatchRow:
        batch = self.rows.get(id)
        if batch is None or source not in (None, batch.source):
            raise NotFound("BATCH_UNKNOWN", "no batch of yours has this id")
        return batch

    async def page(self, source: str | None, before: int, limit: int) -> Sequence[BatchRow]:
        found = [
            batch
            for id, batch in sorted(self.rows.items(), reverse=True)
            if id < before and source in (None, batch.source)
        ]
        return found[:limit]

    async def order(self, batch: BatchRow, event: BatchEvent) -> BatchRow:
        if (batch.state, event) not in BATCH:
            raise Conflict("BATCH_NOT_READY", f"the batch is {batch.state}")
        self.rows[batch.id] = replace(batch, state=advance(BATCH, batch.state, event))
        return self.rows[batch.id]

    async def faults(self, batch: BatchRow, most: int) -> list[BadLine]:
        return self.bad_lines[:most]

    def error_file(self, batch: BatchRow) -> Path | None:
        path = self.folder / f"{batch.id}.batch.csv"
        return path if path.is_file() else None

    async def results(self, batch: BatchRow) -> AsyncIterator[Sequence[Result]]:
        for result in self.made:
            yield [result]
