"""One batch on its way: its children are handed in a bounded number at a time, and what became of
each is written down. A kill loses nothing: what was noted as handed in is handed in again, under
the same ids.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from hlrd import limits, metrics
from hlrd.domain.batch import Child, RowState
from hlrd.domain.errors import Busy
from hlrd.domain.lifecycle import BatchState, OrderState
from hlrd.ports import Answer, Submission
from hlrd.store.batches import BatchRow, Ended, Sending, SentRow


class Engine(Protocol):
    """What a walk asks of the engine."""

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None: ...

    def when_closed(
        self, order: int, on_receipt: Callable[[bytes], None], /
    ) -> Callable[[], None]: ...


class Rows(Protocol):
    """Where a walk's children come from, each time the same ones in the same order."""

    cursor: str  #: of the last row that `next` gave

    async def next(self, most: int) -> Sequence[Child | Sending]:
        """What follows; a Sending for a row that can never be an order. Empty: that was all."""
        ...

    async def again(self, sent: Collection[SentRow]) -> Sequence[Child]:
        """Those of rows before the cursor, before `next` is called."""
        ...

    def close(self) -> None: ...


class _Receipt(Struct):
    """What a row's result says of its receipt."""

    result: str
    msisdn: str | None = None
    iccid: str | None = None
    code: str | None = None


class _Open(Struct, eq=False):
    """A child under way."""

    since: float
    order: int = 0  #: once it is durable
    forget: Callable[[], None] | None = None


class Walk:
    """The part in memory. What is durable is done by `Walks`, between calls of this."""

    def __init__(
        self,
        batch: BatchRow,
        rows: Rows,
        engine: Engine,
        *,
        monotonic: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """`on_change`: there is something to write down, or room for more."""
        self.batch = batch
        self.rows = rows
        self._engine = engine
        self._monotonic = monotonic
        self._on_change = on_change
        self._open: dict[int, _Open] = {}
        self._refused: list[tuple[float, Child]] = []  #: for load, until then; counts as under way
        self._rest_until = 0.0
        self.ended: list[Ended] = []  #: not written down yet
        self.waiting: list[Child | Sending] = []  #: read, and not noted as handed in
        self.is_exhausted = False  #: every row was noted

    # Looking.

    @property
    def open(self) -> int:
        """Children under way, or about to be again."""
        return len(self._open) + len(self._refused)

    def young(self) -> int:
        """Children that came lately."""
        bound = self._monotonic() - limits.BATCH_CHILD_OLD_S
        return sum(child.since > bound for child in self._open.values())

    @property
    def is_urgent(self) -> bool:
        return self.batch.priority <= limits.PRIORITY_URGENT_MAX

    @property
    def is_over(self) -> bool:
        if self._open or self.ended or self._refused:
            return False
        return self.is_exhausted or self.batch.state is BatchState.STOPPING

    @property
    def may_send(self) -> bool:
        return (
            self.batch.state is BatchState.RUNNING
            and not self.is_exhausted
            and self._monotonic() >= self._rest_until
        )

    def old_orders(self) -> dict[int, int]:
        """Order and row of children that are under way for long."""
        bound = self._monotonic() - limits.BATCH_CHILD_OLD_S
        return {
            child.order: row
            for row, child in self._open.items()
            if child.order and child.since <= bound
        }

    # Handing in.

    def hand_in(self, children: Sequence[Child]) -> None:
        """These are noted. One by one, since answers of many come together with the last, when the
        first may be closed already, and nobody would have waited for that."""
        now, source = self._monotonic(), self.batch.source
        for child in children:
            self._open[child.row] = _Open(now)
            submission = Submission(source, child.order)
            self._engine.submit([submission], partial(self._take_answer, child))

    def retry(self) -> None:
        """Hand in again what was refused for load, when its time has come."""
        now = self._monotonic()
        if not self._refused or now < self._rest_until:
            return
        due = [child for until, child in self._refused if until <= now]
        self._refused = [(until, child) for until, child in self._refused if until > now]
        self.hand_in(due)

    def give_up_refused(self) -> None:
        """It stops: what never became an order is left."""
        for _, child in self._refused:
            self.ended.append(Ended(child.row, RowState.LEFT))
        self._refused.clear()

    def follow(self, row: int, order: int) -> None:
        """A child that an earlier run handed in."""
        child = self._open[row] = _Open(self._monotonic(), order)
        child.forget = self._engine.when_closed(order, lambda receipt: self._close(row, receipt))

    def settle(self, row: int, receipt: bytes) -> None:
        """Its receipt was found in the journal."""
        child = self._open.get(row)
        if child is not None:
            if child.forget is not None:
                child.forget()
            self._close(row, receipt)

    def forget(self) -> None:
        """The daemon drains: nobody waits for these any more."""
        for child in self._open.values():
            if child.forget is not None:
                child.forget()

    def _take_answer(self, child: Child, answers: list[Answer]) -> None:
        row, (answer,) = child.row, answers
        if isinstance(answer.refusal, Busy):
            self._put_off(child, answer.refusal)
        elif answer.refusal is not None:
            self._end(Ended(row, RowState.FAILED, code=answer.refusal.code))
        elif answer.receipt is not None:
            self._open[row].order = answer.id
            self._close(row, answer.receipt)
        else:
            open_ = self._open[row]
            open_.order = answer.id
            open_.forget = self._engine.when_closed(
                answer.id, lambda receipt: self._close(row, receipt)
            )

    def _put_off(self, child: Child, refusal: Busy) -> None:
        """With all that follow, unless it is for what this one alone is about: a field says so."""
        until = self._monotonic() + min(refusal.retry_after_s, limits.RETRY_AFTER_S_MAX)
        if not refusal.field:
            self._rest_until = max(self._rest_until, until)
        del self._open[child.row]
        self._refused.append((until, child))
        self._on_change()

    def _close(self, row: int, receipt: bytes) -> None:
        said = _DECODER.decode(receipt)
        is_good = said.result == OrderState.SUCCEEDED
        state = RowState.SUCCEEDED if is_good else RowState.FAILED
        order = self._open[row].order
        self._end(Ended(row, state, order, said.msisdn, said.iccid, said.code))

    def _end(self, ended: Ended) -> None:
        del self._open[ended.row]
        self.ended.append(ended)
        metrics.BATCH_ROWS.labels(ended.state).inc()
        self._on_change()


_DECODER: Final = msgspec.json.Decoder(_Receipt)
