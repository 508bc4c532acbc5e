"""The check of a batch file: every line is read, made an order of and held against the stock, the
users and the open orders, before anything is handed in.
"""

import asyncio
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count, islice
from time import monotonic
from typing import Final, Protocol

from hlrd import limits
from hlrd.domain.batch import Child
from hlrd.domain.errors import HlrdError, Refusal
from hlrd.domain.orders import MemberActivate, Opening, WorkOrder
from hlrd.pool.doubles import repeats
from hlrd.pool.simfaults import Faults
from hlrd.pool.simfile import LineSource
from hlrd.pool.simheader import BadLine
from hlrd.runtime.batches.children import Maker, Need, Stock, needs_of
from hlrd.runtime.batches.rowfile import HeaderRefused, Row, RowFile
from hlrd.store.batches import BatchRow

_IDENTITIES: Final = ("user_id", "msisdn", "imsi", "iccid")
_PROGRESS_SLICES: Final = 10
NEEDS_MAX: Final = 32
"""Kinds of reservation of one batch: pools, lots, homes."""


class Withdrawn(HlrdError):
    """The batch was cancelled while its file was checked."""


class Book(Stock, Protocol):
    async def checked(self, id: int, rows: int, *, faults: int) -> bool: ...

    async def faults_of(self, source: str, orders: Sequence[WorkOrder]) -> Sequence[Refusal | None]:
        """What is wrong with each, by what is known now of users, numbers, cards and orders."""
        ...


@dataclass(slots=True)
class Wanted:
    """What is to be reserved for one need."""

    count: int = 0
    numbers: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Checked:
    rows: int = 0
    good: int = 0
    faults: Faults = field(default_factory=Faults)
    wanted: dict[Need, Wanted] = field(default_factory=dict)


class Check:
    def __init__(self, batch: BatchRow, book: Book, *, is_busy: Callable[[], bool]) -> None:
        """`is_busy`: whether orders are being accepted; the check rests the more then."""
        self._batch = batch
        self._book = book
        self._is_busy = is_busy
        self._maker = Maker(batch, book)
        self._repeats = Repeats()

    async def run(self, file: LineSource, *, known_bad: Collection[int] | None = None) -> Checked:
        """`known_bad`: lines, if the file was checked before, and only what the others want is to
        be counted. Raises Withdrawn."""
        checked = Checked()
        assert self._batch.format is not None
        assert self._batch.charset is not None
        try:
            # In a thread, as are the rows: a line may go on for 256 MiB.
            rows = await asyncio.to_thread(
                RowFile,
                file,
                kind=self._batch.child,
                form=self._batch.format,
                charset=self._batch.charset,
            )
        except HeaderRefused as refused:
            checked.faults.add(refused.bad)
            return checked
        slices = _slices(rows.rows())
        for number in count():
            since = monotonic()
            some = await asyncio.to_thread(next, slices, None)
            if some is None:
                break
            await self._slice(some, rows.is_text, checked, known_bad)
            if known_bad is None and number % _PROGRESS_SLICES == 0:
                await self._tell(checked)
            rest_s = limits.BATCH_CHECK_REST * (monotonic() - since) if self._is_busy() else 0.0
            await asyncio.sleep(min(rest_s, limits.SIM_IMPORT_REST_S_MAX))
        for line, first, column in self._repeats.found():
            checked.faults.add_double(line, first, column)
        return checked

    async def _slice(
        self,
        some: Sequence[Row | BadLine],
        is_text: bool,
        checked: Checked,
        known_bad: Collection[int] | None,
    ) -> None:
        made = await self._maker.make(some, is_text=is_text)
        children = [one for one in made if isinstance(one, Child)]
        checked.rows += len(some)
        if known_bad is not None:
            children = [child for child in children if child.row not in known_bad]
        else:
            checked.faults.add_all(one for one in made if isinstance(one, BadLine))
            children = await self._good(children, checked.faults)
            for child in children:
                self._repeats.add(child)
        checked.good += len(children)
        await self._want([child.order for child in children], checked)

    async def _good(self, children: Sequence[Child], faults: Faults) -> list[Child]:
        refusals = await self._book.faults_of(
            self._batch.source, [child.order for child in children]
        )
        for child, refusal in zip(children, refusals, strict=True):
            if refusal is not None:
                faults.add(BadLine(child.row, refusal.field, refusal.detail))
        return [child for child, refusal in zip(children, refusals, strict=True) if refusal is None]

    async def _want(self, orders: Sequence[WorkOrder], checked: Checked) -> None:
        for order, need in zip(orders, await needs_of(orders, self._book), strict=True):
            if need is None:
                continue
            wanted = checked.wanted.setdefault(need, Wanted())
            wanted.count += 1
            assert isinstance(order, Opening)
            if need.is_named and order.msisdn is not None:
                wanted.numbers.append(order.msisdn)
            if isinstance(order, MemberActivate) and order.iccid is not None:
                wanted.cards.append(order.iccid)

    async def _tell(self, checked: Checked) -> None:
        if not await self._book.checked(self._batch.id, checked.rows, faults=len(checked.faults)):
            raise Withdrawn(f"batch {self._batch.id} was cancelled")


class Repeats:
    """What comes twice in a file, at 16 bytes for each identity of each row: of an opening its
    user, number and card each; of another order its user, with the product if it is about one.
    """

    def __init__(self) -> None:
        self._lines = {name: array("L") for name in _IDENTITIES}
        self._marks = {name: array("Q") for name in _IDENTITIES}

    def add(self, child: Child) -> None:
        order = child.order
        names = _IDENTITIES if isinstance(order, Opening) else _IDENTITIES[:1]
        product = getattr(order, "product", None) or ""
        for name in names:
            value = getattr(order, name, None)
            if value is not None:
                self._lines[name].append(child.row)
                self._marks[name].append(_mark(f"{value}|{product}"))

    def found(self) -> Iterator[tuple[int, int, str]]:
        """Line, the line that had it first, and the column."""
        for name in _IDENTITIES:
            for line, first in repeats(self._lines[name], self._marks[name]):
                yield line, first, name


def _mark(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _slices(rows: Iterator[Row | BadLine]) -> Iterator[list[Row | BadLine]]:
    while some := list(islice(rows, limits.BATCH_CHECK_ROWS)):
        yield some
