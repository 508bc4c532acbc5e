"""Whether an order goes back when one of its tasks fails for good, and what it takes back. Pure."""

from typing import Final

from hlrd.domain.catalogue import Direction
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Verdict
from hlrd.engine.book import OpenOrder, OpenTask
from hlrd.ports import Intent

PASSED: Final = frozenset({TaskState.DONE, TaskState.SKIPPED})


def gives_up(task: OpenTask) -> bool:
    """Whether a passing fault that does not pass counts as a refusal in the end."""
    order = task.order
    if order.kind.is_patient:
        return False
    return order.state is OrderState.EXECUTING and goes_back(task)


def goes_back(task: OpenTask) -> bool:
    """Whether the order is undone when `task` fails for good. Not of a kind that only goes forward;
    nor behind its turning point, nor where a run before this one may have been behind it: what
    stands later in the plan was never sent if this was found absent.
    """
    order = task.order
    assert order.plan is not None, "a task belongs to a plan"
    if order.kind.direction is Direction.FORWARD:
        return False
    turning_point = order.plan.turning_point
    if turning_point is None:
        return True
    return order.stage <= turning_point and (not order.is_doubted or _was_absent(task))


def _was_absent(task: OpenTask) -> bool:
    return any(sent.outcome and sent.outcome.verdict is Verdict.ABSENT for sent in task.sent)


def was_as_meant(task: OpenTask) -> bool:
    """It was only read back, by an order that sends nothing unless it must."""
    return task.order.kind.reads_first and is_of_before(task)


def is_of_before(task: OpenTask) -> bool:
    """Whether only a run before this one, or before a person's resend, can have sent it."""
    return task.order.is_doubted and all(sent.intent is Intent.READ_BACK for sent in task.sent)


def to_undo(order: OpenOrder) -> list[Task]:
    """What is done, and what failed without a clear word that nothing was done. Of an order that a
    run before this one may have sent, also what comes later in the plan; but nothing behind its
    turning point, since it would not go back if that had been sent.
    """
    assert order.plan is not None, "an order that went out has a plan"
    last = order.plan.turning_point
    stages = order.stages if last is None else order.stages[: last + 1]
    return [task.task for stage in stages for task in stage if _may_stand(task)]


def _may_stand(task: OpenTask) -> bool:
    if task.state is not TaskState.FAILED:
        return task.state in PASSED or task.order.is_doubted
    assert task.outcome is not None, "a task fails by an outcome"
    if task.outcome.verdict is Verdict.DIFFERENT:
        return False
    if task.outcome.verdict is not Verdict.PERMANENT:
        return True
    if not task.sent:
        return task.order.is_doubted
    if any(sent.outcome is not None and sent.outcome.is_partial for sent in task.sent):
        return True
    # A refused read-back says nothing about the command that was in doubt.
    return task.sent[-1].intent is Intent.READ_BACK and not task.was_exists
