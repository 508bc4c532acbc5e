"""Orders that others carry out: the tables of `hlrd.store.batches`, and the loop of
`hlrd.runtime.batches.walks` in virtual time around the real walk.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from hlrd.domain import orders
from hlrd.domain.batch import Child, RowState, Template, child_id, child_priority, kind_of
from hlrd.domain.batch import member_child as child_of_member
from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.identity import Binding, UserId
from hlrd.domain.lifecycle import BatchState
from hlrd.domain.orders.batch import BatchOrder, ECFanOut, ECSuspendAll
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.domain.suspension import Level, Reason
from hlrd.ports import Acceptance, Command, Intent
from hlrd.runtime.batches import walks
from hlrd.runtime.batches.walk import Walk
from hlrd.store.batches import OVERTAKEN, BatchRow, Ended, Sending, SentRow

if TYPE_CHECKING:
    from tests.simulation.database import Database
    from tests.simulation.shells import Daemon

_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RUNNING: Final = (BatchState.RUNNING, BatchState.PAUSED, BatchState.STOPPING)
_CHUNK: Final = 2


@dataclass(slots=True)
class RowEntry:
    """What `batch_row` has of one child."""

    user_id: str
    msisdn: str
    state: RowState = RowState.SENT
    order: int | None = None


@dataclass(slots=True)
class File:
    """One that was checked and is ready."""

    id: int
    source: str
    order_id: str
    child: str
    rows: Sequence[dict[str, Any]]


@dataclass(slots=True)
class BatchTables:
    batches: dict[int, BatchRow] = field(default_factory=dict)
    files: dict[int, File] = field(default_factory=dict)
    rows: dict[int, dict[int, RowEntry]] = field(default_factory=dict)

    def of_work_order(self, order_id: int) -> BatchRow | None:
        found = (one for one in self.batches.values() if one.work_order == order_id)
        return next(found, None)

    def of_ec(self, order: ECFanOut) -> list[BatchRow]:
        return [
            one
            for one in reversed(self.batches.values())
            if (one.ec_code, one.reason) == (order.ec_code, order.reason)
        ]

    def add(self, record: Acceptance, **fields: Any) -> BatchRow:
        batch = BatchRow(
            **{
                "id": len(self.batches) + 1, "kind": record.kind, "source": record.source,
                "order_id": record.order_id, "work_order": record.id,
                "operator_id": record.operator_id, "province": record.province,
                "priority": record.priority, "child": "", "state": BatchState.RUNNING,
                "content_hash": None, "file_hash": None, "file_bytes": None, "format": None,
                "charset": None, "common": {}, "cards": None, "is_partial": False, "checked": 0,
                "faults": 0, "reservations": {}, "ec_code": None, "reason": None, "seq": None,
                "rows": 0, "cursor": "", "sent": 0, "ok": 0, "failed": 0, "mark": "", "code": None,
                "cause": None, "started_at": _BEGINNING, "ended_at": None,
            } | fields
        )  # fmt: skip
        self.batches[batch.id] = batch
        self.rows[batch.id] = {}
        return batch

    def stop_rivals(self, order: ECFanOut, kind: str) -> None:
        for one in self.of_ec(order):
            if one.kind != kind and one.state in (BatchState.RUNNING, BatchState.PAUSED):
                self.batches[one.id] = replace(one, state=BatchState.STOPPING, mark=OVERTAKEN)

    def note(self, id: int, children: Sequence[Child], cursor: str) -> bool:
        """Handed in from now on; False: it stops."""
        batch = self.batches[id]
        if batch.state is not BatchState.RUNNING:
            return False
        self.batches[id] = replace(batch, cursor=cursor, sent=batch.sent + len(children))
        for row, order in children:
            user, msisdn = getattr(order, "user_id", ""), getattr(order, "msisdn", None)
            self.rows[id][row] = RowEntry(user, msisdn or "")
        return True

    def end_rows(self, id: int, ended: Sequence[Ended]) -> None:
        for one in ended:
            entry = self.rows[id][one.row]
            if entry.state is RowState.SENT:
                entry.state, entry.order = one.state, one.order
        states = [entry.state for entry in self.rows[id].values()]
        ok, failed = states.count(RowState.SUCCEEDED), states.count(RowState.FAILED)
        self.batches[id] = replace(self.batches[id], ok=ok, failed=failed)

    def close(self, id: int, mark: str) -> BatchRow:
        batch = self.batches[id]
        if batch.state in _RUNNING:
            self.batches[id] = replace(batch, state=BatchState.DONE, mark=mark)
        return self.batches[id]

    def stops(self) -> Iterator[tuple[str, Reason, Level]]:
        """By enterprise and reason, the last order about all members."""
        last = {
            (one.ec_code, one.reason): one
            for one in self.batches.values()
            if one.ec_code is not None and one.mark != walks.SUPERSEDED
        }
        for (ec_code, reason), one in last.items():
            if one.kind == "EC_SUSPEND_ALL":
                yield str(ec_code), Reason(str(reason)), Level(one.common["level"])


class Watcher(Protocol):
    def fan_out_began(self, order: ECFanOut, batch: int) -> None: ...


class _Rows:
    """Where the children of one batch come from; the cursor is text, as in the table."""

    def __init__(
        self, database: "Database", batch: BatchRow, order: Any, opening: Sequence[Binding]
    ) -> None:
        self._database = database
        self._batch = batch
        self._order = order
        self._opening = {one.user_id: one.msisdn for one in opening}
        self.cursor = batch.cursor
        self._row = batch.sent

    async def next(self, most: int) -> Sequence[Child | Sending]:
        raise NotImplementedError("the simulation does not await")

    async def again(self, sent: Collection[SentRow]) -> Sequence[Child]:
        raise NotImplementedError("the simulation does not await")

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> list[Child]:
        return self._of_file() if self._batch.is_of_file else self._of_members()

    def _of_file(self) -> list[Child]:
        file = self._database.batches.files[self._file_id()]
        first = self._row
        self._row = min(first + _CHUNK, len(file.rows))
        self.cursor = str(self._row)
        return [self.child_of_row(row) for row in range(first, self._row)]

    def _of_members(self) -> list[Child]:
        database = self._database
        members = sorted(
            user
            for user, one in database.groups.members.items()
            if one.ec_code == self._order.ec_code and user in database.by_user
            if user > self.cursor
        )[:_CHUNK]
        found = [(user, database.by_user[user]) for user in members]
        if found:
            self.cursor = members[-1]
            for user in members:
                self._opening.pop(user, None)
        elif self._opening:
            found = [(user, self._opening.pop(user)) for user in list(self._opening)[:_CHUNK]]
            self.cursor = f"z{self._row}"
        first, self._row = self._row, self._row + len(found)
        return [
            Child(row, child_of_member(self._order, self._batch.id, *one))
            for row, one in enumerate(found, first)
        ]

    def child(self, row: int, entry: RowEntry) -> Child:
        if self._batch.is_of_file:
            return self.child_of_row(row)
        user, msisdn = UserId(entry.user_id), entry.msisdn
        return Child(row, child_of_member(self._order, self._batch.id, user, msisdn))  # type: ignore[arg-type]

    def child_of_row(self, row: int) -> Child:
        batch, file = self._batch, self._database.batches.files[self._file_id()]
        template = Template(
            batch.id, file.child, batch.order_id, batch.province, batch.operator_id, batch.priority
        )
        return Child(row, template.child(row, file.rows[row], is_text=False))

    def _file_id(self) -> int:
        return int(self._order.batch)


class SimBatches:
    """`ports.NE` for the order of a batch, over all lives of the daemon."""

    name = BATCHES
    settle_s = 0.0
    poll_s = 0.0

    def __init__(self, database: "Database", watcher: Watcher) -> None:
        self.database = database
        self.listener: Any = None
        self._watcher = watcher
        self._held: dict[int, Command] = {}
        self._walks: dict[int, Walk] = {}
        self._noted: dict[int, list[Child]] = {}  #: and not handed in yet

    # The port.

    def free(self) -> int:
        return 8 - len(self._held)

    def window(self) -> int:
        return 8

    def wants(self, waiting: int) -> None:
        """It has all that it needs."""

    def execute(self, command: Command) -> None:
        if command.intent is Intent.READ_BACK:
            self._answer(command, Outcome(Verdict.ABSENT))
            return
        order_id = int(command.task.details.text)
        self._held[order_id] = command
        self._soon(lambda: self._begin(order_id))

    def _answer(self, command: Command, outcome: Outcome) -> None:
        daemon: Daemon = self.listener
        daemon.soon(0.0, lambda: daemon.engine.on_outcomes([(command, outcome)]))

    def _soon(self, event: Any) -> None:
        daemon: Daemon = self.listener
        daemon.soon(daemon.world.brief(), event)

    # Lives.

    def forget(self) -> None:
        """The daemon died."""
        self._held.clear()
        self._walks.clear()
        self._noted.clear()

    def take_up(self) -> None:
        """What an earlier life began goes on."""
        for batch in list(self.database.batches.batches.values()):
            if batch.state in _RUNNING:
                self._take_up(batch)

    def is_idle(self) -> bool:
        return not (self._held or self._walks)

    # Beginning.

    def _begin(self, order_id: int) -> None:
        tables = self.database.batches
        batch = tables.of_work_order(order_id)
        if batch is not None:
            if batch.state is BatchState.DONE:
                self._done(batch)
            return
        record = self.database.orders[order_id]
        order = orders.decode_stored(record.payload)
        if isinstance(order, BatchOrder):
            self._begin_file(order, record)
        else:
            assert isinstance(order, ECFanOut)
            self._begin_members(order, record)

    def _begin_file(self, order: BatchOrder, record: Acceptance) -> None:
        tables = self.database.batches
        file = tables.files.get(int(order.batch))
        begun = {one.common.get("file") for one in tables.batches.values()}
        fits = file is not None and (file.source, file.order_id) == (record.source, order.order_id)
        if file is None or not fits or file.id in begun:
            command = self._held.pop(record.id)
            self._answer(command, Outcome(Verdict.PERMANENT, "BATCH_UNKNOWN", "no such batch"))
            return
        rows = len(file.rows)
        self._take_up(tables.add(record, child=file.child, rows=rows, common={"file": file.id}))

    def _begin_members(self, order: ECFanOut, record: Acceptance) -> None:
        tables, kind = self.database.batches, BY_SHAPE[type(order)].name
        is_late = any(walks._is_later(one, order, record.id) for one in tables.of_ec(order))
        members = [one.ec_code for one in self.database.groups.members.values()]
        level = Level(order.level) if isinstance(order, ECSuspendAll) else Level.NONE
        batch = tables.add(
            record, child=kind_of(order), ec_code=order.ec_code, reason=order.reason,
            seq=order.seq, rows=members.count(order.ec_code), priority=child_priority(order),
            common={"level": level},
        )  # fmt: skip
        if is_late:
            self._done(tables.close(batch.id, walks.SUPERSEDED))
            return
        tables.stop_rivals(order, kind)
        self._catch_up()
        self._watcher.fan_out_began(order, batch.id)
        daemon: Daemon = self.listener
        opening = daemon.engine.stop_enterprise(order.ec_code, order.reason, level)
        self._take_up(batch, opening)

    def _take_up(self, batch: BatchRow, opening: Sequence[Binding] = ()) -> None:
        database, daemon = self.database, self.listener
        order = orders.decode_stored(database.orders[batch.work_order or 0].payload)
        rows = _Rows(database, batch, order, opening)
        walk = Walk(
            batch,
            rows,
            daemon.engine,
            monotonic=daemon.world.monotonic,
            on_change=lambda: self._soon(lambda: self._go_on(batch.id)),
        )
        self._walks[batch.id] = walk
        again: list[Child] = []
        for row, entry in database.batches.rows[batch.id].items():
            if entry.state is RowState.SENT:
                self._find(walk, rows, row, entry, again)
        self._hand_in(walk, again)
        self._soon(lambda: self._go_on(batch.id))

    def _find(self, walk: Walk, rows: _Rows, row: int, entry: RowEntry, again: list[Child]) -> None:
        """A row that was handed in by an earlier life, if it came to that."""
        batch = walk.batch
        named = child_id(batch.id, str(row) if batch.is_of_file else entry.user_id)
        order_id = self.database.by_key.get((batch.source, named))
        if order_id is not None:
            walk.follow(row, order_id)
            if order_id in self.database.final:
                walk.settle(row, self.database.final[order_id].receipt)
        elif batch.state is BatchState.STOPPING:
            walk.ended.append(Ended(row, RowState.LEFT))
        else:
            again.append(rows.child(row, entry))

    # Going on.

    def _catch_up(self) -> None:
        for id, walk in self._walks.items():
            walk.batch = self.database.batches.batches[id]

    def _go_on(self, id: int) -> None:
        walk = self._walks.get(id)
        if walk is None:
            return
        self._catch_up()
        self._write_down(walk)
        if walk.batch.state is BatchState.STOPPING:
            walk.give_up_refused()
        else:
            walk.retry()
            if walk._refused:
                self.listener.soon(1.0, lambda: self._go_on(id))
            self._read_on(walk)
        self._write_down(walk)
        if walk.is_over and not self._noted.get(id):
            del self._walks[id]
            self._done(self.database.batches.close(id, walk.batch.mark))

    def _read_on(self, walk: Walk) -> None:
        id, rows = walk.batch.id, walk.rows
        assert isinstance(rows, _Rows)
        if self._noted.get(id) or not walk.may_send:
            return
        children = rows.take()
        if not children:
            walk.is_exhausted = True
        elif self.database.batches.note(id, children, rows.cursor):
            self._noted[id] = children
            self._soon(lambda: self._hand_in_noted(walk))

    def _hand_in_noted(self, walk: Walk) -> None:
        if self._walks.get(walk.batch.id) is walk:
            self._hand_in(walk, self._noted.pop(walk.batch.id, []))
            self._soon(lambda: self._go_on(walk.batch.id))

    def _hand_in(self, walk: Walk, children: Sequence[Child]) -> None:
        walk.hand_in(children)

    def _write_down(self, walk: Walk) -> None:
        ended, walk.ended = walk.ended, []
        if ended:
            self.database.batches.end_rows(walk.batch.id, ended)
            self._catch_up()

    def _done(self, batch: BatchRow) -> None:
        command = self._held.pop(batch.work_order or 0, None)
        if command is not None:
            self._answer(command, Outcome(Verdict.DONE, counts=batch.counts))
