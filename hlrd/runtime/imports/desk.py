"""Receives vendors' files, and has them imported one after the other, each by a process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
import structlog

from hlrd import limits, metrics
from hlrd.domain.errors import Busy, Conflict, NotFound
from hlrd.domain.lifecycle import ImportState
from hlrd.domain.routing import Identity, RouteTable
from hlrd.pool.simheader import BadLine
from hlrd.runtime.imports.assignment import BUSY, IDLE, OUT_OF_REACH, Assignment
from hlrd.runtime.imports.spool import Draft, Spool
from hlrd.store.errors import StoreUnavailable
from hlrd.store.imports import ImportBook
from hlrd.store.record import ImportRow, Upload

_MODULE: Final = "hlrd.runtime.imports.process"
_LOOK_S: Final = 0.1  # how often it is seen whether the daemon is busy
_BUSY_FOR_S: Final = 2.0  # it counts as busy so long after it was
_RETRY_AFTER_S: Final = 30.0

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What an importer needs of the daemon. Never logged."""

    dsn: str
    node: str
    epoch: int
    keys: dict[str, bytes]
    current: str
    log_level: str
    homes: RouteTable = field(default_factory=RouteTable)

    def __repr__(self) -> str:
        return f"Means(node={self.node!r}, epoch={self.epoch})"


class ImportDesk:
    """`run` works on what waits, from before a restart too; the rest is asked by the API."""

    def __init__(
        self,
        book: ImportBook,
        spool: Spool,
        means: Means,
        *,
        is_busy: Callable[[], bool],
        on_imported: Callable[[], Awaitable[None]],
    ) -> None:
        """`is_busy`: whether orders are being accepted; an importer rests the more then.
        `on_imported`: `LeaseKeeper.refresh`, so that orders may draw from the lot at once."""
        self._book = book
        self._spool = spool
        self._means = means
        self._is_busy = is_busy
        self._on_imported = on_imported
        self._uploads = 0
        self._keeping = asyncio.Lock()
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    # Asked by the API.

    async def receive(
        self,
        parts: AsyncIterator[bytes],
        *,
        bytes_expected: int,
        province: str,
        hlr: str,
        operator_id: str,
    ) -> ImportRow:
        """The import of this file, which may go on or be done already. Raises Busy, Conflict if the
        file was imported for another home, Unavailable, and whatever `parts` raises."""
        if self._uploads >= limits.SIM_UPLOADS_MAX:
            raise Busy("IMPORTS_FULL", "other files are being received", _RETRY_AFTER_S)
        self._uploads += 1
        try:
            await self._refuse_full()
            draft = await self._spool.receive(parts, bytes_expected=bytes_expected)
            try:
                upload = Upload(draft.file_hash, draft.size, province, hlr, operator_id)
                return await self._keep(draft, upload)
            finally:
                draft.drop()
        finally:
            self._uploads -= 1

    async def _refuse_full(self) -> None:
        if len(await self._book.open()) >= limits.SIM_IMPORTS_OPEN_MAX:
            raise Busy("IMPORTS_FULL", "too many imports wait for their turn", _RETRY_AFTER_S)

    async def _keep(self, draft: Draft, upload: Upload) -> ImportRow:
        async with self._keeping:  # or a sweep might take the file before its import is known
            await asyncio.to_thread(self._spool.keep, draft)
            row = await self._book.add(upload)
        self._came.set()
        return row

    async def get(self, id: int) -> ImportRow | None:
        return await self._book.get(id)

    async def newest(self) -> Sequence[ImportRow]:
        return await self._book.newest()

    async def until_over(self, row: ImportRow) -> ImportRow:
        """As it ended. The caller sets the time for it."""
        while not row.is_over:
            went = self._went
            row = await self._book.get(row.id) or row
            if not row.is_over:
                await went.wait()
        return row

    async def cancel(self, id: int, operator_id: str) -> ImportRow:
        """NotFound; Conflict if it is over. What was loaded is removed in the background."""
        is_open = await self._book.withdraw(
            id, code="IMPORT_CANCELLED", cause=f"cancelled by {operator_id}"
        )
        row = await self._book.get(id)
        if row is None:
            raise NotFound("IMPORT_UNKNOWN", "no import has this id")
        if not is_open and row.is_over:
            raise Conflict("IMPORT_OVER", f"import {id} is {row.state}; nothing is left to cancel")
        self._came.set()
        return row

    async def faults(self, row: ImportRow, most: int) -> list[BadLine]:
        """The first of them, by line."""
        return await asyncio.to_thread(self._spool.faults_of, row.id, most)

    def error_file(self, row: ImportRow) -> Path | None:
        """None: it has none, or is too old."""
        return self._spool.error_file(row.id)

    # One after the other.

    async def run(self) -> None:
        """Never ends. A running importer ends with it, and goes on at the next start."""
        self._spool.drop_drafts()
        failures = 0
        while True:
            try:
                self._came.clear()
                waiting = await self._book.open()
                metrics.SIM_IMPORTS_OPEN.set(len(waiting))
                if not waiting:
                    await self._sweep()
                    await self._came.wait()
                    continue
                failures = await self._work_on(waiting[0], failures)
            except StoreUnavailable as error:
                _log.warning("sim_imports_store_unavailable", error=str(error))
                await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)

    async def _work_on(self, row: ImportRow, failures: int) -> int:
        """How often in a row an importer has ended without getting on."""
        code = await self._have_done(row)
        after = await self._book.get(row.id) or row
        if after.is_over:
            await self._end(after)
            return 0
        if code == 0 or _has_got_on(row, after):
            return 0
        await asyncio.sleep(min(limits.RETRY_DELAY_S_MAX, 0.5 * 2**failures))
        if code == OUT_OF_REACH:
            return failures
        _log.error("sim_importer_failed", id=row.id, exit_code=code, failures=failures + 1)
        if failures + 1 < limits.SIM_IMPORT_FAILURES_MAX or row.state is ImportState.REMOVING:
            return failures + 1
        cause = "its importer failed again and again; the log says how"
        await self._book.withdraw(row.id, code="IMPORT_FAILED", cause=cause)
        return 0

    async def _have_done(self, row: ImportRow) -> int:
        """The importer's exit code."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        try:
            process.stdin.write(msgspec.json.encode(self._assignment(row)) + b"\n")
            await self._tell_until_ended(process, process.stdin)
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            process.stdin.close()

    async def _tell_until_ended(
        self, process: asyncio.subprocess.Process, pipe: asyncio.StreamWriter
    ) -> None:
        ended = asyncio.ensure_future(process.wait())
        busy_until, told = monotonic() + _BUSY_FOR_S, BUSY
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=_LOOK_S)
                now = monotonic()
                busy_until = now + _BUSY_FOR_S if self._is_busy() else busy_until
                tell = BUSY if now < busy_until else IDLE
                if tell != told and not pipe.is_closing():
                    pipe.write(tell)
                    told = tell
        finally:
            ended.cancel()

    def _assignment(self, row: ImportRow) -> Assignment:
        means = self._means
        return Assignment(
            row=row,
            dsn=means.dsn,
            node=means.node,
            epoch=means.epoch,
            keys=means.keys,
            current=means.current,
            spooled=str(self._spool.path_of(row.file_hash)),
            routes=list(means.homes.routing.only(Identity.IMSI).routes),
            errors=str(self._spool.errors_of(row.id)),
            log_level=means.log_level,
        )

    async def _end(self, row: ImportRow) -> None:
        metrics.SIM_IMPORTS.labels(row.state).inc()
        _log.info(
            "sim_import_over", id=row.id, state=row.state, lot=row.lot, cards=row.loaded,
            faults=row.faults, code=row.code,
        )  # fmt: skip
        try:
            if row.state is ImportState.DONE:
                await self._on_imported()
            await self._sweep()
        finally:
            went, self._went = self._went, asyncio.Event()
            went.set()

    async def _sweep(self) -> None:
        async with self._keeping:
            needed = await self._book.hashes()
            shown = await self._book.newest()
            oldest = shown[-1].id if shown else 0
            await asyncio.to_thread(self._spool.sweep, needed=needed, oldest_shown=oldest)


def _has_got_on(before: ImportRow, after: ImportRow) -> bool:
    """A check that begins again has not."""
    return before.state is not after.state or after.loaded != before.loaded
