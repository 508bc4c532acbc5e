"""The rows of a batch file as a walk takes them, from wherever an earlier run had come."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Final

from hlrd.domain.batch import Child
from hlrd.pool.simfile import LineSource
from hlrd.pool.simheader import BadLine
from hlrd.pool.spool import SpoolDamaged
from hlrd.runtime.batches.check import Book
from hlrd.runtime.batches.children import Assigner, Maker, needs_of
from hlrd.runtime.batches.rowfile import HeaderRefused, Row, RowFile
from hlrd.store.batches import BatchRow, Sending, SentRow

ROW_FAULTY: Final = "ROW_FAULTY"
"""The row was bad, and the batch was to go on without such."""

_SKIP_ROWS: Final = 1_000


class FileRows:
    """Implements `Rows`. A file that was checked is the same since; the bad lines of it, which may
    be gone past where that is allowed, are those of its error file."""

    def __init__(
        self,
        batch: BatchRow,
        open_file: Callable[[], tuple[BinaryIO, LineSource]],
        stock: Book,
        bad_lines: Collection[int],
    ) -> None:
        self._batch = batch
        self._open_file = open_file
        self._stock = stock
        self._bad_lines = bad_lines
        self._maker = Maker(batch, stock)
        self._assigner = Assigner(batch.reservations)
        self._file: BinaryIO | None = None
        self._rows: Iterator[Row | BadLine] = iter(())
        self._is_text = True
        self.cursor = batch.cursor

    async def next(self, most: int) -> Sequence[Child | Sending]:
        if self._file is None:
            await self.again(())
        return await self._make(await asyncio.to_thread(list, islice(self._rows, most)))

    async def again(self, sent: Collection[SentRow]) -> Sequence[Child]:
        """Reads from the start: what each row is given depends on those before it."""
        self._begin()
        wanted, last = {one.row for one in sent}, int(self._batch.cursor or 0)
        found: list[Child] = []
        while (at := int(self.cursor or 0)) < last:
            some = await asyncio.to_thread(self._up_to, last)
            if not some:
                raise SpoolDamaged(f"the spooled file ends at line {at}")
            made = await self._make(some)
            found += [one for one in made if isinstance(one, Child) and one.row in wanted]
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self.close()
        self._file, lines = self._open_file()
        assert self._batch.format is not None
        assert self._batch.charset is not None
        try:
            read = RowFile(
                lines, kind=self._batch.child, form=self._batch.format, charset=self._batch.charset
            )
        except HeaderRefused as error:
            raise SpoolDamaged("the spooled file is not the one that was checked") from error
        self._rows, self._is_text, self.cursor = read.rows(), read.is_text, ""

    def _up_to(self, last: int) -> list[Row | BadLine]:
        """Some rows, none behind this line."""
        some: list[Row | BadLine] = []
        for row in islice(self._rows, _SKIP_ROWS):
            some.append(row)
            if row.line >= last:
                break
        return some

    async def _make(self, rows: Sequence[Row | BadLine]) -> list[Child | Sending]:
        """Counts them all, so that each has the same card and reservation each time."""
        if rows:
            self.cursor = str(rows[-1].line)
        made = [
            one if isinstance(one, Child) and one.row not in self._bad_lines else _faulty(one)
            for one in await self._maker.make(rows, is_text=self._is_text)
        ]
        orders = [one.order for one in made if isinstance(one, Child)]
        for order, need in zip(orders, await needs_of(orders, self._stock), strict=True):
            self._assigner.assign(order, need)
        return made


def _faulty(one: Child | BadLine) -> Sending:
    row = one.row if isinstance(one, Child) else one.line
    return Sending(row, "", code=ROW_FAULTY)
