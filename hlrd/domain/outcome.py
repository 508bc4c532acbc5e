"""What an NE answered, and what to do next. The only place where a reply becomes a decision."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from hlrd import limits
from hlrd.domain.operation import Operation


class Verdict(StrEnum):
    """The class of a reply, as a dialect's table gives it, or of its absence."""

    DONE = "done"
    NO_CHANGE = "noChange"  #: it was so already: success
    FOLLOW_UP = "followUp"  #: done, and one more command is owed (`Outcome.then`)
    PENDING = "pending"  #: taken, and not done yet: ask again later how it went
    EXISTS = "exists"  #: an add found something there: success only if a read-back finds it equal
    PREREQUISITE = (
        "prerequisite"  #: an earlier operation is missing (`Outcome.then`): run it, retry
    )
    BUSY = "busy"  #: the NE asks to slow down; costs the task nothing
    TRANSIENT = "transient"  #: may pass by itself
    SESSION = "session"  #: the login is gone; log in and send again
    NOT_SENT = "notSent"  #: the session died before the write: nothing happened
    IN_DOUBT = "inDoubt"  #: written, no answer: read back before anything is resent
    PERMANENT = "permanent"  #: data or logic; repeating it changes nothing
    APPLIED = "applied"  #: a read-back found the effect there
    ABSENT = "absent"  #: a read-back found the effect missing
    DIFFERENT = "different"  #: a read-back found something else in its place


class Counts(Struct, frozen=True, gc=False):
    """How a fan-out ended, by rows or members."""

    ok: int = 0
    failed: int = 0
    left: int = 0  #: never handed in: cancelled, or overtaken by a later order
    mark: str = ""  #: for the receipt


class Outcome(Struct, frozen=True, gc=False):
    """One reply, classified. `code` and `text` are the NE's own words, for receipts and people."""

    verdict: Verdict
    code: str = ""
    text: str = ""
    then: Operation | None = None  #: the command missing for PREREQUISITE, owed after FOLLOW_UP
    #: and after APPLIED where the lost answer may have been a FOLLOW_UP
    is_known: bool = True  #: False: its code is in no table of the dialect; taken as permanent
    is_partial: bool = False  #: refused, when a part of it was done
    is_standing: bool = False  #: what became of a command that was taken: said whenever it is asked
    counts: Counts | None = None  #: of a fan-out that is over


class Step(StrEnum):
    """What a task does next."""

    DONE = "done"
    DONE_THEN = "doneThen"  #: done; send `Outcome.then` after it
    RESEND = "resend"  #: after `Decision.delay_s`
    READ_BACK = "readBack"  #: after `Decision.delay_s`
    AWAIT = "await"  #: after `Decision.delay_s` ask how it went
    FIRST = "first"  #: after `Decision.delay_s` run `Outcome.then`, then this command again
    FAIL = "fail"


class Decision(Struct, frozen=True, gc=False):
    step: Step
    delay_s: float = 0.0
    counts: bool = False  #: this attempt counts against limits.TASK_ATTEMPTS_MAX


FINAL: Final = {
    Verdict.DONE: Decision(Step.DONE),
    Verdict.NO_CHANGE: Decision(Step.DONE),
    Verdict.FOLLOW_UP: Decision(Step.DONE_THEN),
    Verdict.PERMANENT: Decision(Step.FAIL),
    Verdict.DIFFERENT: Decision(Step.FAIL),
}
"""What ends a task whatever came before it."""


def backoff_s(attempt: int, jitter: float) -> float:
    """Full jitter under an exponential ceiling; `attempt` from 1, `jitter` in [0, 1)."""
    ceiling = min(limits.RETRY_DELAY_S_MAX, limits.RETRY_DELAY_S_MIN * 2.0 ** min(attempt, 30))
    return limits.RETRY_DELAY_S_MIN + jitter * (ceiling - limits.RETRY_DELAY_S_MIN)


def decide(
    outcome: Outcome,
    *,
    attempt: int,
    is_read_back: bool,
    settle_s: float,
    poll_s: float,
    gives_up: bool,
    jitter: float,
) -> Decision:
    """What a task does after `outcome` of its `attempt`-th counted try (from 1).

    `settle_s` is the NE's own command time-out: after a lost answer the command may still stand in
    its queue, so the read-back waits that long. `poll_s`: how long to wait before a peer that has
    taken the command, as people or a chain of systems do, is asked again. A task that may not give
    up (`gives_up` false: a suspension, a resume, a termination) retries a passing fault for ever;
    its order is reported to people by age instead.
    """
    verdict = outcome.verdict
    final = FINAL.get(verdict)
    if final is not None:
        return final
    if verdict is Verdict.APPLIED:
        return Decision(Step.DONE if outcome.then is None else Step.DONE_THEN)
    if verdict is Verdict.PENDING:
        return Decision(Step.AWAIT, delay_s=poll_s)
    if verdict is Verdict.IN_DOUBT:
        return Decision(Step.READ_BACK, delay_s=settle_s)
    if verdict is Verdict.EXISTS:
        return Decision(Step.READ_BACK)
    if verdict is Verdict.ABSENT:
        return Decision(Step.RESEND)
    if verdict in (Verdict.NOT_SENT, Verdict.SESSION):
        return Decision(Step.READ_BACK if is_read_back else Step.RESEND)
    if verdict is Verdict.BUSY:
        again = Step.READ_BACK if is_read_back else Step.RESEND
        return Decision(again, delay_s=backoff_s(1, jitter))
    if gives_up and attempt >= limits.TASK_ATTEMPTS_MAX:
        return Decision(Step.FAIL)
    if verdict is Verdict.PREREQUISITE:
        wait_s = backoff_s(attempt, jitter) if attempt > 1 else 0.0
        return Decision(Step.FIRST, delay_s=wait_s, counts=True)
    again = Step.READ_BACK if is_read_back else Step.RESEND
    return Decision(again, delay_s=backoff_s(attempt, jitter), counts=True)
