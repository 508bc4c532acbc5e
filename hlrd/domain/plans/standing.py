"""Stopping, resuming and closing a user."""

from msgspec.structs import replace

from hlrd.domain import subscription, suspension
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import Cause, Operation
from hlrd.domain.orders import ArrearsSuspend, PaymentResume, UserTerminate
from hlrd.domain.plans.plan import TERMINATED_USER, Ground, Impossible, Mark, Plan
from hlrd.domain.plans.stages import Stages
from hlrd.domain.publication import Products
from hlrd.domain.suspension import Level, Reason
from hlrd.domain.user import User


def suspend(order: ArrearsSuspend, user: User, ground: Ground) -> Plan:
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    change = suspension.set_reason(user.reasons, Reason.ARREARS, Level(order.level))
    stages = Stages(user.binding, ground)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, change.after)
    if change.before is Level.NONE and change.moves_level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
        _relations(stages, user, ground.products, Operation.PAUSE_RELATION, Cause.STOPPED)
    marks = (Mark.NO_CHANGE,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def resume(order: PaymentResume, user: User, ground: Ground) -> Plan | Impossible:
    if user.binding is None:
        return TERMINATED_USER
    change = suspension.clear_reason(user.reasons, Reason.ARREARS)
    stages = Stages(user.binding, ground)
    if change.moves_level:
        stages.hlr(Operation.SET_BARRING, Cause.RESUMED, change.after)
    if change.after is Level.NONE and change.moves_level:
        stages.dsmp(Operation.RESUME_RELATION, Cause.RESUMED)
        _relations(stages, user, ground.products, Operation.RESUME_RELATION, Cause.RESUMED)
    marks = (Mark.NOT_SUSPENDED_FOR_REASON,) if change.is_no_change else ()
    return stages.leading_to(replace(user, reasons=change.reasons), *marks)


def _relations(
    stages: Stages, user: User, products: Products, operation: Operation, cause: Cause
) -> None:
    """What the user's products have goes the way of the base relation."""
    if user.products:
        found = subscription.standing(user.products, products, stages.places, operation)
        stages.steps(found, cause)


def terminate(order: UserTerminate, user: User, ground: Ground) -> Plan:
    """The products' functions go with the record of the HLR."""
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    stages = Stages(user.binding, ground)
    held = list(user.products)
    while held:
        old = held.pop()
        stages.steps(subscription.closing(old, held, ground.products, stages.places), Cause.CLOSED)
    stages.dsmp(Operation.CLOSE_RELATION, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_SUBSCRIBER, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    return stages.leading_to(User(UserState.TERMINATED, None, suspension.NO_REASONS))
