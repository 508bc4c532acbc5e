"""The fallout desk (异常工单): what it keeps of an order that needs a person, and what people do.

A person lets an order go in one of three ways. Whatever was ruled before, such as a step that
counts as done, holds for every later run of the order too.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from hlrd.domain.audit import Action
from hlrd.domain.lifecycle import TaskState
from hlrd.domain.trail import TaskTrail

UNDOES: Final = "u"
"""What the transaction of an undo has behind that of the task which it takes back."""

FORCED: Final = "FORCED"
STEP_SKIPPED: Final = "STEP_SKIPPED"
"""Marks of a receipt."""


class Way(StrEnum):
    """How an order leaves the desk."""

    RESEND = "resend"  #: 重发: again from a read-back of every task
    FINISH = "finish"  #: 人工竣工: it counts as done, and nothing more is sent
    CANCEL = "cancel"  #: 撤单: what is done is undone, and it fails


class Act(StrEnum):
    """What a person does with an order at the desk."""

    RESEND = "resend"
    CHANGE = "change"  #: give a field another value, and resend
    SKIP = "skip"  #: 强制通过: the failed step counts as done; go on behind it
    FINISH = "finish"
    CANCEL = "cancel"
    TO_EOMS = "toEoms"  #: hand it to the people behind the EOMS, whose answer is the next act


AUDITED: Final[Mapping[Act, Action]] = {
    Act.RESEND: Action.FALLOUT_RESEND,
    Act.CHANGE: Action.FALLOUT_CHANGE,
    Act.SKIP: Action.FALLOUT_SKIP,
    Act.FINISH: Action.FALLOUT_FINISH,
    Act.CANCEL: Action.FALLOUT_CANCEL,
    Act.TO_EOMS: Action.FALLOUT_TO_EOMS,
}
"""As what an act stands in the audit trail."""


BULK: Final = (Act.RESEND, Act.SKIP, Act.FINISH, Act.CANCEL, Act.TO_EOMS)
"""What may be done with many at once, when a second person agrees."""


def way_of(act: Act, *, is_undo: bool) -> Way:
    """`is_undo`: the order is stuck on its way back, so behind a skipped step it goes on back."""
    match act:
        case Act.FINISH:
            return Way.FINISH
        case Act.CANCEL:
            return Way.CANCEL
        case Act.SKIP if is_undo:
            return Way.CANCEL
        case _:
            return Way.RESEND


WORDS: Final = {"resend": Act.RESEND, "done": Act.FINISH, "cancel": Act.CANCEL}
"""What people answer to a sheet about a fallout, and the act that it is."""


def act_of(word: str, *, is_undo: bool) -> Act | None:
    """None: they can do nothing. On the way back "done" is of the step alone: an order that is
    being undone must not end as one that was carried out."""
    act = WORDS.get(word)
    return Act.SKIP if is_undo and act is Act.FINISH else act


class Fall(Struct, frozen=True, gc=False):
    """Where an order failed, and in whose words."""

    ne: str
    operation: str
    verdict: str
    code: str  #: the NE's own
    text: str
    step: str  #: the transaction of the task
    is_undo: bool = False  #: it failed on the way back
    to_eoms: bool = False  #: the EOMS is to be asked at once


class Release(Struct, frozen=True, gc=False):
    """With what a person let an order go."""

    way: Way
    skipped: frozenset[str] = frozenset()  #: transactions of the tasks that count as done
    done: frozenset[str] = frozenset()  #: … that were done when it fell out; for FINISH alone
    reason: str = ""
    is_bulk: bool = False  #: one of many: it runs behind the orders that upstream waits for


class Chosen(Struct, frozen=True, omit_defaults=True):
    """Which orders of the desk are meant; None: any."""

    ne: str | None = None
    code: str | None = None  #: the NE's own
    province: str | None = None
    kind: str | None = None
    older_than_s: float | None = None  #: since it fell out the first time


class EOMSRule:
    """Which fallouts go to the EOMS by themselves: patterns of `<ne>:<code>`, as `hlr*:3012`."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(patterns)

    def takes(self, ne: str, code: str) -> bool:
        name = f"{ne}:{code}"
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)


def done_of(trail: Iterable[TaskTrail]) -> frozenset[str]:
    """Transactions of the tasks that stand done: not those that an undo took back."""
    done = {task.transaction for task in trail if task.state == TaskState.DONE}
    undone = {name.removesuffix(UNDOES) for name in done if name.endswith(UNDOES)}
    return frozenset(name for name in done if not name.endswith(UNDOES) and name not in undone)
