"""Recycling (回收): asks the home HLR of numbers whose quarantine is over, and frees the clean.

An HLR is asked behind all orders, about a bounded number at once, by a loop of its own: one that
does not answer holds up no other. A number that the HLR has a record of is locked for a person to
look at; one that it says nothing about stays quarantined and is asked about again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeVar

import structlog

from hlrd import limits, metrics
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.store import recycling
from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link
from hlrd.store.recycling import Due, Ruling

T = TypeVar("T")
_log: Final = structlog.get_logger(__name__)
_NO_KEY: Final = SealedKey("", b"")


class Found(StrEnum):
    """What became of a number that was to be recycled."""

    RECYCLED = "recycled"
    RECORD_FOUND = "recordFound"  #: the HLR has a record: locked
    NO_ANSWER = "noAnswer"  #: of the HLR: still quarantined
    IN_ARREARS = "inArrears"  #: its last user owes: still quarantined
    ORDER_OPEN = "orderOpen"  #: of its last user: still quarantined


@dataclass(frozen=True, slots=True)
class Recycled:
    msisdn: str
    found: Found
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One look at what is due. `numbers` names those that were not recycled, up to a bound."""

    counts: Mapping[Found, int]
    numbers: Sequence[Recycled]


class Inquire(Protocol):
    """`Engine.inquire`."""

    def __call__(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None], /
    ) -> Callable[[], None]: ...


@dataclass(slots=True)
class _Answers:
    """What HLRs say of some numbers; complete when each has an outcome."""

    due: Sequence[Due]
    outcomes: dict[MSISDN, Outcome] = field(default_factory=dict)
    is_complete: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, task: Task, outcome: Outcome) -> None:
        self.outcomes[task.binding.msisdn] = outcome
        if len(self.outcomes) == len(self.due):
            self.is_complete.set()

    def ruling(self) -> Ruling:
        given = self.outcomes.items()
        clean = [number for number, outcome in given if outcome.verdict is Verdict.ABSENT]
        found = {
            number: f"the HLR has a record of it: {outcome.text}"
            for number, outcome in given
            if outcome.verdict is Verdict.APPLIED
        }
        return Ruling(clean, found)

    def without_word(self) -> list[MSISDN]:
        """Neither clean nor found: not asked in time, or the HLR had other troubles."""
        told = (Verdict.ABSENT, Verdict.APPLIED)
        return [
            item.msisdn
            for item in self.due
            if item.msisdn not in self.outcomes or self.outcomes[item.msisdn].verdict not in told
        ]


class Recycler:
    """Keep `run` running for each HLR. What is quarantined moves by RECYCLED or RECORD_FOUND."""

    def __init__(
        self,
        dsn: str,
        *,
        node: str,
        epoch: int,
        hlrs: Iterable[str],
        inquire: Inquire,
        on_freed: Callable[[], None],
    ) -> None:
        """`on_freed` is called when numbers came to the free list."""
        self._link = Link(dsn, "recycle", **writing_as(node, epoch))
        self._turn = asyncio.Lock()  #: of the link
        self.hlrs = tuple(hlrs)
        self._inquire = inquire
        self._on_freed = on_freed

    async def run(self, hlr: str) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        try:
            await self._keep_asking(hlr)
        finally:
            self._link.drop()

    async def now(self, operator_id: str) -> Round:
        """One look at everything that is due, without waiting long for any HLR."""
        due = [item for hlr in self.hlrs for item in await self._due(hlr)]
        answers = await self._ask(due, timeout_s=limits.RECYCLE_NOW_S)
        settled = await self._settle(answers.ruling(), operator_id=operator_id)
        kept = await self._kept_back()
        counts = Counter({Found.RECYCLED: len(settled.clean)})
        numbers = [
            *(Recycled(n, Found.RECORD_FOUND, cause) for n, cause in settled.found.items()),
            *(Recycled(n, Found.NO_ANSWER) for n in answers.without_word()),
            *kept,
        ]
        counts.update(item.found for item in numbers)
        return Round({found: counts[found] for found in Found}, numbers[: limits.RECYCLE_SHOWN_MAX])

    async def one(self, due: Due, *, operator_id: str, cause: str, waives: bool) -> Recycled:
        """A quarantined number before its date. `waives`: its arrears are no hindrance."""
        answers = await self._ask([due], timeout_s=limits.RECYCLE_NOW_S)
        settled = await self._settle(
            answers.ruling(), operator_id=operator_id, cause=cause, waives=waives
        )
        if settled.clean:
            return Recycled(due.msisdn, Found.RECYCLED)
        for why in settled.found.values():
            return Recycled(due.msisdn, Found.RECORD_FOUND, why)
        outcome = answers.outcomes.get(due.msisdn)
        return Recycled(due.msisdn, Found.NO_ANSWER, outcome.text if outcome else "")

    async def _keep_asking(self, hlr: str) -> None:
        passed_over: list[MSISDN] = []  #: without a word of the HLR, since the last rest
        while True:
            due = await self._due(hlr, passed_over)
            answers = await self._ask(due, timeout_s=None)
            ruling = answers.ruling()
            await self._settle(ruling)
            passed_over += answers.without_word()
            if len(ruling) and len(passed_over) < limits.RECYCLE_INQUIRIES_MAX:
                continue
            passed_over.clear()
            is_mute = bool(due) and not len(ruling)
            await asyncio.sleep(limits.RECYCLE_PATIENCE_S if is_mute else limits.RECYCLE_LOOK_S)

    async def _due(self, hlr: str, besides: Sequence[MSISDN] = ()) -> list[Due]:
        limit = limits.RECYCLE_INQUIRIES_MAX
        return await self._at_turn(
            lambda connection: recycling.due(connection, hlr=hlr, besides=besides, limit=limit)
        )

    async def _kept_back(self) -> list[Recycled]:
        limit = limits.RECYCLE_SHOWN_MAX
        rows = await self._at_turn(lambda connection: recycling.blocked(connection, limit))
        return [
            Recycled(number, Found.IN_ARREARS if in_arrears else Found.ORDER_OPEN)
            for number, in_arrears in rows
        ]

    async def _ask(self, due: Sequence[Due], *, timeout_s: float | None) -> _Answers:
        answers = _Answers(due)
        if not due:
            return answers
        call_off = self._inquire([_question(item) for item in due], answers.put)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await answers.is_complete.wait()
        finally:
            call_off()
        silent = len(answers.without_word())
        metrics.POOL_RECYCLED.labels(Found.NO_ANSWER).inc(silent)
        return answers

    async def _settle(
        self,
        ruling: Ruling,
        *,
        operator_id: str | None = None,
        cause: str | None = None,
        waives: bool = False,
    ) -> Ruling:
        """What was freed and locked; less than `ruling` if staff was faster."""
        if not len(ruling):
            return ruling
        settled = await self._at_turn(
            lambda connection: recycling.settle(
                connection, ruling, operator_id=operator_id, cause=cause, waives=waives
            )
        )
        _tell(settled, operator_id)
        if settled.clean:
            self._on_freed()
        return settled

    async def _at_turn(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turn:
            return await self._link.stubbornly(work)


def _question(due: Due) -> Task:
    nobody = Binding(UserId(""), due.msisdn, IMSI(""), ICCID(""), due.hlr, due.province, _NO_KEY)
    return Task(Operation.FIND_NUMBER, due.hlr, nobody, Cause.CLOSED)


def _tell(settled: Ruling, operator_id: str | None) -> None:
    metrics.POOL_RECYCLED.labels(Found.RECYCLED).inc(len(settled.clean))
    metrics.POOL_RECYCLED.labels(Found.RECORD_FOUND).inc(len(settled.found))
    if settled.clean:
        _log.info("numbers_recycled", count=len(settled.clean), operator=operator_id)
    for number, cause in settled.found.items():
        _log.warning("number_not_clean", msisdn=number, cause=cause, operator=operator_id)
