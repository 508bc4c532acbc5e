"""A fallout office on a real journal; the engine only remembers what it was told, and the EOMS says
what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from hlrd.domain.audit import Facts
from hlrd.domain.fallout import Fall
from hlrd.domain.operation import Operation, Task
from hlrd.domain.orders import WorkOrder
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ports import Closing, StoredOrder
from hlrd.runtime.fallout.office import FalloutOffice
from hlrd.runtime.fallout.turn import Turn
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import open_pool
from tests.runtime.records import Told, a_closing, an_acceptance, until

EOMS = "eoms1"
TAKEN = Outcome(Verdict.PENDING, "PENDING")
SUSPENSION = (
    b'{"type":"ARREARS_SUSPEND","order_id":"A1","province":"200","operator_id":"op",'
    b'"user_id":"1","msisdn":"1064800000001","level":2}'
)


def a_fall(**changes: Any) -> Fall:
    fall = Fall("hlr1", "setBarring", "permanent", "3012", "no such profile", "100")
    return replace(fall, **changes)


class FakeTrail:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.on_record: Callable[[int | None], Awaitable[None]] | None = None  #: before the act

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
        said = {"actor": actor, "action": str(action), "order": order, "after": after}
        self.rows.append(said)
        row = len(self.rows)
        if self.on_record is not None:
            await self.on_record(order)
        return row


@dataclass
class FakeEngine:
    """Its EOMS holds `sheets` by number of the transaction, each with what a query says of it."""

    released: list[int] = field(default_factory=list)
    refuses: Exception | None = None  #: what `rejudge` raises
    judged: list[WorkOrder] = field(default_factory=list)
    sheets: dict[str, Outcome] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    opening: Outcome = TAKEN
    is_mute: bool = False

    def release(self, *order_ids: int) -> None:
        self.released += order_ids

    def rejudge(self, stored: StoredOrder, order: WorkOrder) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.judged.append(order)

    def errand(self, task: Task, on_outcome: Callable[[Task, Outcome], None]) -> Callable[[], None]:
        self.sent.append((str(task.operation), task.transaction))
        if not self.is_mute:
            on_outcome(task, self._done(task))
        return lambda: None

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        for task in tasks:
            on_outcome(task, self.sheets.get(task.transaction, Outcome(Verdict.ABSENT)))
        return lambda: None

    def _done(self, task: Task) -> Outcome:
        if task.operation is Operation.CLOSE_SHEET:
            return Outcome(Verdict.DONE, "DONE")
        if self.opening.verdict is Verdict.PENDING:
            self.sheets.setdefault(task.transaction, Outcome(Verdict.PENDING, "open"))
        return self.opening

    def answer(self, transaction: str, word: str, text: str = "") -> None:
        verdict = Verdict.PERMANENT if word == "cannotBeDone" else Verdict.APPLIED
        self.sheets[transaction] = Outcome(verdict, f"replied {word}", text)


@dataclass
class Rig:
    office: FalloutOffice
    journal: JournalWriter
    engine: FakeEngine
    trail: FakeTrail

    async def fall(
        self, id: int, fall: Fall | None = None, *, kind: str = "ARREARS_SUSPEND", user: str = ""
    ) -> None:
        """Accepted, and out of it."""
        accepted = an_acceptance(id, user_id=user)
        self.journal.accept(replace(accepted, kind=kind, payload=SUSPENSION))
        await self.journal.empty()  # nothing is sent before
        self._close_interim(a_closing(id, user_id=user, is_final=False), fall)
        await self.journal.empty()

    async def fall_again(self, id: int, fall: Fall | None = None) -> None:
        self._close_interim(a_closing(id, is_final=False), fall)
        await self.journal.empty()

    def _close_interim(self, closing: Closing, fall: Fall | None) -> None:
        now = datetime.now(UTC)
        self.journal.close(replace(closing, fall=fall or a_fall(), closed_at=now))

    async def close(self, id: int) -> None:
        self.journal.close(replace(a_closing(id), leaves_fallout=True))
        await self.journal.empty()

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)


@asynccontextmanager
async def a_rig(
    dsn: str,
    *,
    eoms: str = EOMS,
    rate_per_s: float = 1_000.0,
    engine: FakeEngine | None = None,
) -> AsyncIterator[Rig]:
    """A run of a daemon; leaving it is a crash."""
    lease = NodeLease(dsn, "node1")
    epoch = await lease.take()
    journal = JournalWriter(
        dsn, node="node1", epoch=epoch, last_seq=await lease.last_seq(), quarantine_days=90
    )
    journal.attach(Told())
    pool = await open_pool(dsn, "test", 3)
    engine, trail = engine or FakeEngine(), FakeTrail()
    office = FalloutOffice(
        Turn(dsn, node="node1", epoch=epoch),
        pool,
        engine=engine,
        errands=engine,
        trail=trail,
        rate_per_s=rate_per_s,
        eoms=eoms,
        poll_s=0.0,
    )
    works = [asyncio.create_task(work) for work in (journal.run(), office.run())]
    try:
        yield Rig(office, journal, engine, trail)
        for work in works:
            if work.done():
                await work
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await pool.close()
        lease.close()
