"""Receives batch files, has them checked one after the other, keeps what their rows need, and posts
the order of each; `Walks` carries that out. Pause, resume and cancel come here too.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import orjson
import structlog

from hlrd import limits, metrics
from hlrd.domain.batch import Posting
from hlrd.domain.errors import BadRequest, Busy, Conflict, NotFound, Refusal
from hlrd.domain.lifecycle import BATCH, BatchEvent, BatchState, advance
from hlrd.domain.orders.batch import BatchOrder
from hlrd.pool.simheader import BadLine, summary
from hlrd.pool.spool import SpoolDamaged, SpoolReader
from hlrd.pool.vault import KeyVault
from hlrd.ports import Answer, Submission
from hlrd.runtime.batches import walks
from hlrd.runtime.batches.check import NEEDS_MAX, Check, Checked, Withdrawn
from hlrd.runtime.batches.filerows import FileRows
from hlrd.runtime.batches.lookup import BatchLookup
from hlrd.runtime.batches.reserving import Reserving
from hlrd.runtime.imports.spool import Draft, Spool
from hlrd.store.batches import BatchBook, BatchRow, NewBatch, Result
from hlrd.store.errors import StoreUnavailable

_RETRY_AFTER_S: Final = 30.0
_LOOK_S: Final = 0.5  # between two looks for batches whose order could not be posted

_log: Final = structlog.get_logger(__name__)


class Walks(Protocol):
    def moved(self, batch: BatchRow) -> None: ...


class Engine(Protocol):
    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None: ...


class BatchDesk:
    """Keep `run` running. What waited before a restart goes on by itself."""

    def __init__(
        self,
        book: BatchBook,
        lookup: BatchLookup,
        spool: Spool,
        vault: KeyVault,
        *,
        reserving: Reserving,
        engine: Engine,
        is_busy: Callable[[], bool],
    ) -> None:
        """`is_busy`: whether orders are being accepted; a check rests the more then."""
        self._book = book
        self._lookup = lookup
        self._spool = spool
        self._vault = vault
        self._reserving = reserving
        self._engine = engine
        self._is_busy = is_busy
        self._uploads = 0
        self._keeping = asyncio.Lock()
        self._came = asyncio.Event()
        self._went = asyncio.Event()
        self._posted: set[int] = set()  #: whose order is with the engine; bounded by those open
        self.walks: Walks

    # Asked by the API.

    async def receive(
        self, parts: AsyncIterator[bytes], *, bytes_expected: int, posting: Posting
    ) -> BatchRow:
        """The batch of this file, which may go on or be over already. Raises Busy, Conflict if the
        order id was used otherwise, Unavailable, and whatever `parts` raises."""
        if self._uploads >= limits.BATCH_UPLOADS_MAX:
            raise Busy("BATCHES_FULL", "other files are being received", _RETRY_AFTER_S)
        self._uploads += 1
        try:
            await self._refuse_full()
            draft = await self._spool.receive(parts, bytes_expected=bytes_expected)
            try:
                return await self._keep(draft, posting)
            finally:
                draft.drop()
        finally:
            self._uploads -= 1

    async def _refuse_full(self) -> None:
        if sum(batch.is_of_file for batch in await self._book.open()) >= limits.BATCHES_OPEN_MAX:
            raise Busy("BATCHES_FULL", "too many batches are open", _RETRY_AFTER_S)

    async def _keep(self, draft: Draft, posting: Posting) -> BatchRow:
        async with self._keeping:  # or a sweep might take the file before its batch is known
            await asyncio.to_thread(self._spool.keep, draft)
            batch = await self._book.add(_with_file(posting, draft))
        self._came.set()
        return batch

    async def get(self, id: int, source: str | None) -> BatchRow:
        """`source`: only if it is of this one."""
        batch = await self._book.get(id)
        if batch is None or source not in (None, batch.source):
            raise NotFound("BATCH_UNKNOWN", "no batch of yours has this id")
        return batch

    async def page(self, source: str | None, before: int, limit: int) -> Sequence[BatchRow]:
        """The newest first."""
        return await self._book.page(source, before, limit)

    async def until_checked(self, batch: BatchRow) -> BatchRow:
        """Until it is refused, or its rows may be handed in. The caller sets the time for it."""
        while batch.state in _BEFORE_ORDER:
            went = self._went
            batch = await self._book.get(batch.id) or batch
            if batch.state in _BEFORE_ORDER:
                await went.wait()
        return batch

    async def order(self, batch: BatchRow, event: BatchEvent) -> BatchRow:
        """Pause, resume or cancel; Conflict if it is not in a state for that."""
        if (batch.state, event) not in BATCH:
            raise Conflict("BATCH_NOT_READY", f"the batch is {batch.state}")
        after = advance(BATCH, batch.state, event)
        if after is BatchState.REFUSED:
            why = Conflict("BATCH_CANCELLED", "it was cancelled before it began")
            is_moved = await self._book.refuse(batch.id, code=why.code, cause=why.detail)
            self._posted.discard(batch.id)
            await self._reserving.let_go(batch.reservations)
        elif after is BatchState.STOPPING:
            is_moved = await self._book.stop(batch.id, walks.CANCELLED)
        else:
            is_moved = await self._book.advance(batch.id, batch.state, after)
        if not is_moved:
            raise Conflict("BATCH_NOT_READY", "the batch has just gone on by itself")
        moved = await self.get(batch.id, None)
        self.walks.moved(moved)
        self._came.set()
        self._tell()
        return moved

    async def faults(self, batch: BatchRow, most: int) -> list[BadLine]:
        """The first of them, by line."""
        return await asyncio.to_thread(self._spool.faults_of, batch.id, most)

    def error_file(self, batch: BatchRow) -> Path | None:
        """None: it has none, or is too old."""
        return self._spool.error_file(batch.id)

    def results(self, batch: BatchRow) -> AsyncIterator[Sequence[Result]]:
        return self._book.results(batch.id)

    # For the walks.

    def rows_of(self, batch: BatchRow) -> FileRows:
        bad = frozenset(bad.line for bad in self._spool.faults_of(batch.id, batch.faults))
        return FileRows(batch, lambda: self._open(batch), self._lookup, bad)

    async def let_go(self, batch: BatchRow) -> None:
        """Nothing is kept for it any more; its file goes with the next sweep."""
        await self._reserving.let_go(batch.reservations)
        self._posted.discard(batch.id)
        self._came.set()

    # One after the other.

    async def run(self) -> None:
        """Never ends."""
        self._spool.drop_drafts()
        while True:
            try:
                self._came.clear()
                open_ = await self._book.open()
                _observe(open_)
                waiting = [batch for batch in open_ if self._is_due(batch)]
                for batch in waiting:
                    await self._work_on(batch)
                    self._tell()
                if not waiting:
                    await self._sweep()
                    await self._came.wait()
            except StoreUnavailable as error:
                _log.warning("batches_store_unavailable", error=str(error))
                await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)

    def _is_due(self, batch: BatchRow) -> bool:
        return batch.state in _BEFORE_ORDER or (
            batch.state is BatchState.READY and batch.id not in self._posted
        )

    async def _work_on(self, batch: BatchRow) -> None:
        try:
            if batch.state in (BatchState.WAITING, BatchState.CHECKING):
                await self._check(batch)
            elif batch.state is BatchState.RESERVING:
                await self._reserve(batch)
            else:
                await self._post(batch)
        except Withdrawn:
            _log.info("batch_withdrawn", batch=batch.id)
        except (SpoolDamaged, FileNotFoundError) as error:
            _log.error("batch_file_lost", batch=batch.id, error=str(error))
            text = "the spooled file cannot be read any more; post it again"
            await self._refuse(batch, Conflict("BATCH_FILE_LOST", text))

    async def _check(self, batch: BatchRow) -> None:
        checking = advance(BATCH, batch.state, BatchEvent.STARTED)
        if not await self._book.advance(batch.id, batch.state, checking):
            raise Withdrawn(f"batch {batch.id} was cancelled")
        with self._reading(batch) as lines:
            checked = await Check(batch, self._lookup, is_busy=self._is_busy).run(lines)
        faults = checked.faults
        if faults:
            await asyncio.to_thread(self._write_faults, batch, checked)
        refusal = _verdict(batch, checked)
        if refusal is not None:
            await self._book.checked(batch.id, checked.rows, faults=len(faults))
            await self._refuse(batch, refusal)
        elif not await self._book.check_over(batch.id, checked.rows, faults=len(faults)):
            raise Withdrawn(f"batch {batch.id} was cancelled")
        else:
            await self._keep_for(replace(batch, faults=len(faults)), checked)

    async def _reserve(self, batch: BatchRow) -> None:
        """After a restart: what is to be kept is found by reading the file again."""
        bad = frozenset(bad.line for bad in self._spool.faults_of(batch.id, batch.faults))
        with self._reading(batch) as lines:
            check = Check(batch, self._lookup, is_busy=self._is_busy)
            await self._keep_for(batch, await check.run(lines, known_bad=bad))

    async def _keep_for(self, batch: BatchRow, checked: Checked) -> None:
        try:
            made = await self._reserving.reserve(batch, checked.wanted)
        except Refusal as refusal:
            await self._refuse(batch, refusal)
            return
        if not await self._book.reserved(batch.id, made):
            await self._reserving.let_go(made)
            raise Withdrawn(f"batch {batch.id} was cancelled")
        self._came.set()

    async def _post(self, batch: BatchRow) -> None:
        """Posted as its source would; a repeat after a restart."""
        assert batch.rows is not None, "it was checked"
        order = BatchOrder(
            order_id=batch.order_id,
            province=batch.province,
            operator_id=batch.operator_id,
            batch=str(batch.id),
            child=batch.child,
            rows=batch.rows,
        )
        answer = await self._answer_to(Submission(batch.source, order))
        if answer.refusal is None:
            self._posted.add(batch.id)
        elif isinstance(answer.refusal, Busy):
            await asyncio.sleep(_LOOK_S)
        else:
            await self._refuse(batch, answer.refusal)
            await self._reserving.let_go(batch.reservations)

    async def _answer_to(self, submission: Submission) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def on_answers(answers: list[Answer]) -> None:
            if not answered.done():
                answered.set_result(answers[0])

        self._engine.submit([submission], on_answers)
        return await answered

    async def _refuse(self, batch: BatchRow, why: Refusal) -> None:
        await self._book.refuse(batch.id, code=why.code, cause=why.detail)
        _log.info("batch_refused", batch=batch.id, code=why.code)

    # Files.

    def _open(self, batch: BatchRow) -> tuple[BinaryIO, SpoolReader]:
        assert batch.file_hash is not None
        file = self._spool.path_of(batch.file_hash).open("rb")
        return file, SpoolReader(file, self._vault)

    @contextmanager
    def _reading(self, batch: BatchRow) -> Iterator[SpoolReader]:
        file, lines = self._open(batch)
        with file:
            yield lines

    def _write_faults(self, batch: BatchRow, checked: Checked) -> None:
        path = self._spool.errors_of(batch.id)
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            checked.faults.write(file)
        draft.replace(path)

    async def _sweep(self) -> None:
        async with self._keeping:
            needed = await self._book.hashes()
            shown = await self._book.page(None, 2**62, limits.BATCHES_SHOWN_MAX)
            oldest = shown[-1].id if shown else 0
            await asyncio.to_thread(self._spool.sweep, needed=needed, oldest_shown=oldest)

    def _tell(self) -> None:
        went, self._went = self._went, asyncio.Event()
        went.set()


def _observe(open_: Sequence[BatchRow]) -> None:
    states = Counter(batch.state for batch in open_)
    for state in (*_BEFORE_ORDER, BatchState.READY):
        metrics.BATCHES_OPEN.labels(state).set(states[state])


_BEFORE_ORDER: Final = (BatchState.WAITING, BatchState.CHECKING, BatchState.RESERVING)


def _with_file(posting: Posting, draft: Draft) -> NewBatch:
    said = orjson.dumps(asdict(posting), option=orjson.OPT_SORT_KEYS)
    return NewBatch(
        posting,
        content_hash=blake2b(said + draft.file_hash, digest_size=16).digest(),
        file_hash=draft.file_hash,
        file_bytes=draft.size,
    )


def _verdict(batch: BatchRow, checked: Checked) -> Refusal | None:
    """Why the file is refused as a whole."""
    if len(checked.wanted) > NEEDS_MAX:
        text = f"the rows draw from more than {NEEDS_MAX} pools, lots and homes; split the file"
        return BadRequest("BATCH_INVALID", text)
    if not checked.rows and not checked.faults:
        return BadRequest("BATCH_INVALID", "the file has no row")
    if checked.faults and not (batch.is_partial and checked.good):
        return BadRequest(
            "BATCH_INVALID", summary(len(checked.faults), next(checked.faults.by_line()))
        )
    return None
