"""From an order and its user to the tasks that bring the network there. Pure.

A plan is a tuple of stages: the tasks of one stage may run side by side, the next stage starts when
all of them are done. It is made when the order is first within its user, so that it starts from
what every earlier order really left behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hlrd.domain import suspension
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import UNDO, Cause, Details, Operation, Task
from hlrd.domain.order import (
    ArrearsSuspend,
    Opening,
    PaymentResume,
    Service,
    UserOpen,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.suspension import Level, Reason, Reasons
from hlrd.domain.user import User


class Mark(StrEnum):
    """What a success receipt says beside "succeeded"."""

    NO_CHANGE = "NO_CHANGE"
    NOT_SUSPENDED_FOR_REASON = "NOT_SUSPENDED_FOR_REASON"


@dataclass(frozen=True, slots=True)
class Routes:
    """Where tasks go that the binding does not decide."""

    dsmp: str
    templates: Mapping[str, Mapping[str, int]]  #: HLR -> services joined by "+" -> template number


class Plan(Struct, frozen=True, gc=False):
    stages: tuple[tuple[Task, ...], ...]
    user: User  #: the user once all stages are done
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Impossible:
    """The order can no longer be carried out: what went before took its ground away."""

    code: str
    text: str


UNKNOWN_USER: Final = Impossible("USER_UNKNOWN", "the user was never opened, or its opening failed")
TERMINATED_USER: Final = Impossible("USER_TERMINATED", "the user is terminated")
OTHER_NUMBER: Final = Impossible("USER_NUMBER_MISMATCH", "the user has another number")


def services_key(services: list[Service]) -> str:
    """`services` sorted, as a decoded order has them."""
    return "+".join(services)


def plan(
    order: WorkOrder, user: User | None, routes: Routes, transaction: str
) -> Plan | Impossible:
    """`transaction` names the order towards peers that recognise a repeat by it."""
    if user is None:
        return UNKNOWN_USER
    if isinstance(order, Opening):
        return _open(order, user, routes, transaction)
    if user.binding is not None and user.binding.msisdn != order.msisdn:
        return OTHER_NUMBER  # the opening it came behind was refused; this is somebody else's
    match order:
        case ArrearsSuspend():
            return _suspend(order, user, routes, transaction)
        case PaymentResume():
            return _resume(user, routes, transaction)
        case UserTerminate():
            return _terminate(user, routes, transaction)


def undo(done: list[Task]) -> tuple[tuple[Task, ...], ...]:
    """The stages that take back what was done, last first; what has no undo is left as it is."""
    return tuple(
        (
            replace(
                task,
                operation=UNDO[task.operation],
                cause=Cause.CLOSED,
                transaction=task.transaction + "u",
                details=_reversed(task.details),
            ),
        )
        for task in reversed(done)
        if task.operation in UNDO
    )


def _reversed(details: Details) -> Details:
    if not details.undo_script:
        return details
    return replace(details, script=details.undo_script, undo_script=details.script)


class _Stages:
    """Collects one task a stage and numbers their transactions."""

    def __init__(self, binding: Binding, routes: Routes, transaction: str) -> None:
        self._binding = binding
        self._routes = routes
        self._transaction = transaction
        self._stages: list[tuple[Task, ...]] = []

    def hlr(
        self, operation: Operation, cause: Cause, level: Level = Level.NONE, template: str = ""
    ) -> None:
        self._add(operation, self._binding.hlr, cause, level, template)

    def dsmp(self, operation: Operation, cause: Cause) -> None:
        self._add(operation, self._routes.dsmp, cause, Level.NONE, "")

    def _add(
        self, operation: Operation, ne: str, cause: Cause, level: Level, template: str
    ) -> None:
        name = f"{self._transaction}{len(self._stages):02d}"
        self._stages.append((Task(operation, ne, self._binding, cause, level, template, name),))

    def leading_to(self, user: User, *marks: Mark) -> Plan:
        return Plan(tuple(self._stages), user, marks)


def _open(order: Opening, user: User, routes: Routes, transaction: str) -> Plan | Impossible:
    assert user.binding is not None, "an opening order always has its binding"
    reasons: Reasons = suspension.NO_REASONS
    if isinstance(order, UserOpen) and order.arrears_level is not None:
        reasons = {Reason.ARREARS: Level(order.arrears_level)}
    level = suspension.effective(reasons)
    template = routes.templates.get(user.binding.hlr, {}).get(services_key(order.services))
    if template is None:
        return Impossible("SERVICES_UNKNOWN", "the home HLR has no template for these services")
    stages = _Stages(user.binding, routes, transaction)
    stages.hlr(Operation.ADD_KEY, Cause.ORDERED)
    stages.hlr(Operation.ADD_SUBSCRIBER, Cause.ORDERED, level, str(template))
    if level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, level)
    stages.dsmp(Operation.OPEN_RELATION, Cause.ORDERED)
    if level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
    return stages.leading_to(User(UserState.ACTIVE, user.binding, reasons))


def _suspend(order: ArrearsSuspend, user: User, routes: Routes, transaction: str) -> Plan:
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    change = suspension.set_reason(user.reasons, Reason.ARREARS, Level(order.level))
    stages = _Stages(user.binding, routes, transaction)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, change.after)
    if change.before is Level.NONE and change.moves_level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
    marks = (Mark.NO_CHANGE,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def _resume(user: User, routes: Routes, transaction: str) -> Plan | Impossible:
    if user.binding is None:
        return TERMINATED_USER
    change = suspension.clear_reason(user.reasons, Reason.ARREARS)
    stages = _Stages(user.binding, routes, transaction)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.RESUMED, change.after)
    if change.after is Level.NONE and change.moves_level:
        stages.dsmp(Operation.RESUME_RELATION, Cause.RESUMED)
    marks = (Mark.NOT_SUSPENDED_FOR_REASON,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def _terminate(user: User, routes: Routes, transaction: str) -> Plan:
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    stages = _Stages(user.binding, routes, transaction)
    stages.dsmp(Operation.CLOSE_RELATION, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_SUBSCRIBER, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    return stages.leading_to(User(UserState.TERMINATED, None, suspension.NO_REASONS))
