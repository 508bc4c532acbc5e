"""The sheets at the EOMS about orders that fell out: opened, asked about, closed. What people
answer is the next act. The EOMS gives each sheet's answer as often as it is asked, so whatever is
lost on the way is asked for again.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.audit import DAEMON, Facts, Trail, refused
from hlrd.domain.errors import Refusal, Unavailable
from hlrd.domain.fallout import AUDITED, Act, act_of
from hlrd.domain.identity import MSISDN, Binding, UserId
from hlrd.domain.lifecycle import SHEET, SheetEvent, SheetState, advance
from hlrd.domain.operation import NOBODY, Cause, Details, Operation, Task
from hlrd.domain.orders import Source, user_of
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.runtime.fallout.acts import decision, refuse_unfit
from hlrd.runtime.fallout.seam import Engine, Errands
from hlrd.runtime.fallout.turn import Turn
from hlrd.store import fallout
from hlrd.store import sheets as store
from hlrd.store.errors import StoreUnavailable
from hlrd.store.fallout import BY_RULE
from hlrd.store.sheets import OpenSheet, SheetBook

_log: Final = structlog.get_logger(__name__)

_REASON_MAX: Final = 200
_ABOUT_MAX: Final = 64
_TEXT_MAX: Final = 2_000
"""Characters that the EOMS takes (docs/ne/eoms.md)."""

EOMS: Final = "eoms"
"""Who acts, in the audit trail, when people answered a sheet."""


class Sheets:
    """Keep `run` running."""

    def __init__(
        self,
        turn: Turn,
        *,
        book: SheetBook,
        engine: Engine,
        errands: Errands,
        trail: Trail,
        eoms: str,
        poll_s: float,
    ) -> None:
        """`eoms`: the NE that takes sheets. `poll_s`: how often it is asked about each."""
        self._turn = turn
        self._book = book
        self._engine = engine
        self._errands = errands
        self._trail = trail
        self._eoms = eoms
        self._poll_s = poll_s
        self._recorded: set[str] = set()  #: of those that no person handed over; not taken yet

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        while True:
            try:
                due = await self._book.due(limits.FALLOUT_SHEETS_ASKED_MAX)
                await self._look_after(due)
            except StoreUnavailable as error:
                _log.warning("sheets_wait", error=str(error))
                await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)
            await asyncio.sleep(limits.FALLOUT_LOOK_S)

    async def _look_after(self, due: list[OpenSheet]) -> None:
        """Side by side: the EOMS may be slow. Each of them rests before it is looked at again."""
        moved = await asyncio.gather(*map(self._advance, due))
        still = [sheet.transaction for sheet, has in zip(due, moved, strict=True) if not has]
        if still:
            await self._book.rest(still, self._poll_s)

    async def _advance(self, sheet: OpenSheet) -> bool:
        """Whether it is in another state now."""
        try:
            step = await self._step(sheet)
            if step is None:
                return False
            await self._take(sheet, step)
        except Unavailable as error:  # of the audit trail: nothing was done
            _log.warning("sheets_wait", error=str(error))
            return False
        self._recorded.discard(sheet.transaction)
        return True

    async def _step(self, sheet: OpenSheet) -> "_Step | None":
        if sheet.state is SheetState.CLOSING:
            return await self._close(sheet)
        if not sheet.is_needed:
            return _Step(SheetEvent.NEEDLESS)
        if sheet.state is SheetState.WANTED:
            return await self._open(sheet)
        return await self._ask_about(sheet)

    async def _open(self, sheet: OpenSheet) -> "_Step | None":
        if sheet.asked_by == BY_RULE and sheet.transaction not in self._recorded:
            await self._record_hand_over(sheet)
        outcome = await self._told(self._task(sheet, Operation.OPEN_SHEET), is_errand=True)
        if outcome is None:
            return None
        if outcome.verdict is Verdict.PERMANENT:
            _log.warning("sheet_refused", order=sheet.order_id, code=outcome.code)
            return _Step(SheetEvent.REFUSED, outcome.code, outcome.text)
        return _Step(SheetEvent.TAKEN) if outcome.verdict is Verdict.PENDING else None

    async def _ask_about(self, sheet: OpenSheet) -> "_Step | None":
        """An answer's word is the last of the EOMS's code: `replied resend`."""
        outcome = await self._told(self._task(sheet, Operation.OPEN_SHEET), is_errand=False)
        if outcome is None:
            return None
        if outcome.verdict is Verdict.ABSENT:
            return _Step(SheetEvent.LOST, outcome.code, outcome.text)
        if outcome.verdict not in (Verdict.APPLIED, Verdict.PERMANENT):
            return None
        word = outcome.code.rpartition(" ")[2]
        return _Step(SheetEvent.ANSWERED, word, outcome.text, _act_of(sheet, word))

    async def _close(self, sheet: OpenSheet) -> "_Step | None":
        outcome = await self._told(self._task(sheet, Operation.CLOSE_SHEET), is_errand=True)
        if outcome is None:
            return None
        if outcome.verdict in (Verdict.DONE, Verdict.NO_CHANGE):
            return _Step(SheetEvent.CLOSED, outcome.code, outcome.text)
        is_refused = outcome.verdict is Verdict.PERMANENT
        return _Step(SheetEvent.REFUSED, outcome.code, outcome.text) if is_refused else None

    async def _take(self, sheet: OpenSheet, step: "_Step") -> None:
        decisions, row = [], 0
        if step.act is not None:
            reason = f"EOMS: {step.text}"[:_REASON_MAX]
            decisions = [decision(step.act, _Stuck(sheet), reason=reason, operator_id=EOMS)]
            row = await self._record(sheet, step, step.act)
        after = advance(SHEET, sheet.state, step.event)
        answer, text = step.word, step.text[:_TEXT_MAX]
        await self._turn.stubbornly(
            lambda connection: store.move(
                connection, sheet, after, answer=answer, text=text, decisions=decisions
            )
        )
        if step.act is not None:
            metrics.FALLOUT_ACTS.labels(step.act).inc()
            gone = await self._turn.stubbornly(
                lambda connection: fallout.released(connection, [sheet.order_id])
            )
            self._engine.release(*gone)
            if not gone:  # it is closed, or fell out again: somebody was faster
                await self._write(sheet, step.act, after=refused("FALLOUT_RELEASED", row))

    async def _record_hand_over(self, sheet: OpenSheet) -> None:
        """Once for each sheet; again if the EOMS lost it, or hlrd ended before it was taken."""
        await self._write(
            sheet,
            Act.TO_EOMS,
            actor=DAEMON,
            source=DAEMON,
            before=_fall_of(sheet),
            after={"sheet": sheet.transaction, "reason": BY_RULE},
        )
        self._recorded.add(sheet.transaction)

    async def _record(self, sheet: OpenSheet, step: "_Step", act: Act) -> int:
        return await self._write(
            sheet,
            act,
            before=_fall_of(sheet),
            after={"answer": step.word, "text": step.text, "sheet": sheet.transaction},
        )

    async def _write(
        self,
        sheet: OpenSheet,
        act: Act,
        *,
        after: Facts,
        before: Facts | None = None,
        actor: str = EOMS,
        source: str = Source.OPS,
    ) -> int:
        return await self._trail.record(
            actor=actor,
            source=source,
            action=AUDITED[act],
            subject=f"order:{sheet.order_id}",
            order=sheet.order_id,
            before=before,
            after=after,
        )

    async def _told(self, task: Task, *, is_errand: bool) -> Outcome | None:
        """None: the EOMS said nothing in time; it is asked again later."""
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def on_outcome(_: Task, outcome: Outcome) -> None:
            if not told.done():
                told.set_result(outcome)

        if is_errand:
            call_off = self._errands.errand(task, on_outcome)
        else:
            call_off = self._errands.inquire([task], on_outcome)
        try:
            async with asyncio.timeout(limits.FALLOUT_SHEET_PATIENCE_S):
                return await told
        except TimeoutError:
            call_off()
            return None

    def _task(self, sheet: OpenSheet, operation: Operation) -> Task:
        about = {"order": str(sheet.order_id), "ne": sheet.ne or "", "code": sheet.code or ""}
        return Task(
            operation,
            self._eoms,
            _about(sheet),
            Cause.ORDERED,
            transaction=sheet.transaction + ("c" if operation is Operation.CLOSE_SHEET else ""),
            details=Details(
                text=_text_of(sheet),
                attributes={
                    "kind": "fallout",
                    **{name: value[:_ABOUT_MAX] for name, value in about.items()},
                },
            ),
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """What becomes of a sheet."""

    event: SheetEvent
    word: str = ""
    text: str = ""
    act: Act | None = None  #: of its order; None: that stays at the desk


class _Stuck:
    """The order of a sheet that is needed, so that it is at the desk."""

    def __init__(self, sheet: OpenSheet) -> None:
        self.order_id = sheet.order_id
        self.kind = sheet.kind or ""
        self.step = sheet.step or ""
        self.is_undo = bool(sheet.is_undo)


def _act_of(sheet: OpenSheet, word: str) -> Act | None:
    """None for people who can do nothing, or want what the order is not open to."""
    stuck = _Stuck(sheet)
    act = act_of(word, is_undo=stuck.is_undo)
    if act is None:
        return None
    try:
        refuse_unfit(act, stuck)
    except Refusal as refusal:
        _log.warning("sheet_answer_unfit", order=sheet.order_id, word=word, code=refusal.code)
        return None
    return act


def _fall_of(sheet: OpenSheet) -> Facts:
    return {"ne": sheet.ne, "code": sheet.code, "step": sheet.step}


def _about(sheet: OpenSheet) -> Binding:
    user_id = user_of(sheet.user_id or "") or ""
    return Binding(
        UserId(user_id), MSISDN(""), NOBODY.imsi, NOBODY.iccid, NOBODY.hlr, "", NOBODY.key
    )


def _text_of(sheet: OpenSheet) -> str:
    way = " while it was undone" if sheet.is_undo else ""
    said = f"{sheet.kind} {sheet.order_id}: {sheet.ne} refused {sheet.operation}{way}"
    text = f"{said}: {sheet.code} {sheet.text}. Reply resend, done or cancel."
    return text[:_TEXT_MAX]
