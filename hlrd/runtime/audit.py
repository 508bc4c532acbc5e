"""The writer of the audit trail: an act waits until its row is durable, or is not done.

There is one chain and so one writer; everything that came while the last batch was written goes in
the next.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from msgspec import structs

from hlrd import limits, metrics
from hlrd.domain.audit import DAEMON, Act, Action, Facts, Row, refused
from hlrd.domain.errors import Unavailable
from hlrd.runtime.logging import cleaned
from hlrd.store.audit_trail import Chain
from hlrd.store.connection import writing_as
from hlrd.store.link import Link

_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    act: Act
    at: datetime
    written: asyncio.Future[int]


class AuditWriter:
    """`record` before the act, then keep `run` running."""

    def __init__(self, dsn: str, *, node: str, epoch: int, wall: Callable[[], datetime]) -> None:
        self._link = Link(dsn, "audit", **writing_as(node, epoch))
        self._chain = Chain()
        self._wall = wall
        self._waiting: list[_Waiting] = []
        self._batch: list[_Waiting] = []  #: being written
        self._has_work = asyncio.Event()
        self._is_over = False

    async def record(
        self,
        *,
        actor: str,
        source: str,
        action: str,
        subject: str,
        order: int | None = None,
        before: Facts | None = None,
        after: Facts | None = None,
    ) -> int:
        """The row's number, once it is durable. Unavailable: it is not, so do not act.

        Cancelled or given up while the row is being written: a second row takes it back.
        """
        act = Act(action, subject, actor, source, order, _clean(before), _clean(after))
        waiting = self._take_in(act)
        try:
            async with asyncio.timeout(limits.AUDIT_TIMEOUT_S):
                return await waiting.written
        except TimeoutError:
            raise _unavailable() from None

    def note(
        self,
        action: Action,
        subject: str,
        *,
        actor: str = DAEMON,
        source: str = DAEMON,
        after: Facts,
    ) -> None:
        """What is put off for no database, as most that the daemon does on its own: the row
        follows, unless the process ends before. Unavailable: too many wait.
        """
        act = Act(action, subject, actor, source, None, None, _clean(after))
        self._take_in(act).written.add_done_callback(asyncio.Future.exception)  # nobody waits

    def _take_in(self, act: Act) -> _Waiting:
        if self._is_over or len(self._waiting) >= limits.AUDIT_WAITING_MAX:
            raise _unavailable()
        waiting = _Waiting(act, self._wall(), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._has_work.set()
        return waiting

    async def run(self) -> None:
        """Write for ever. Ends by Fenced, by StoreRefused (a bug), or by being cancelled."""
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while batch := self._take():
                    self._batch = batch
                    await self._write(batch)
        finally:
            self._is_over = True
            for one in (*self._batch, *self._waiting):
                if not one.written.done():
                    one.written.set_exception(_unavailable())
            self._link.drop()

    def _take(self) -> list[_Waiting]:
        wanted = [one for one in self._waiting if not one.written.cancelled()]
        self._waiting = wanted[limits.AUDIT_BATCH_ROWS :]
        return wanted[: limits.AUDIT_BATCH_ROWS]

    async def _write(self, batch: list[_Waiting]) -> None:
        acts = [(one.act, one.at) for one in batch]
        rows = await self._link.stubbornly(lambda connection: self._chain.append(connection, acts))
        for one, row in zip(batch, rows, strict=True):
            metrics.AUDIT_ROWS.labels(row.action).inc()
            if one.written.cancelled():
                self._take_back(one.act, row)
            else:
                one.written.set_result(row.seq)

    def _take_back(self, act: Act, row: Row) -> None:
        """Nobody waited long enough to act by this row."""
        _log.warning("audit_row_taken_back", row=row.seq, action=row.action)
        second = structs.replace(act, before=None, after=refused(_unavailable().code, row.seq))
        self._waiting.append(
            _Waiting(second, self._wall(), asyncio.get_running_loop().create_future())
        )


def _clean(facts: Facts | None) -> Facts | None:
    return None if facts is None else cleaned(facts)


def _unavailable() -> Unavailable:
    return Unavailable(
        "AUDIT_UNAVAILABLE",
        "the audit trail cannot be written, so nothing was done; try again later",
        5.0,
    )
