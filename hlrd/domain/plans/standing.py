"""Stopping, resuming and closing a user.

The HLR is sent a command only when the effective level changes, and the DSMP and the platforms that
know the user only when the line is stopped or free again.
"""

from msgspec.structs import replace

from hlrd.domain import subscription, suspension
from hlrd.domain.lifecycle import UserState
from hlrd.domain.master import settled
from hlrd.domain.operation import Cause, Operation
from hlrd.domain.orders.group import MemberRemove
from hlrd.domain.orders.standing import (
    PreTerminate,
    Reinstate,
    Resume,
    Suspend,
    UserTerminate,
    VoluntarySuspend,
)
from hlrd.domain.plans import membership
from hlrd.domain.plans.plan import (
    PAY_FIRST,
    TERMINATED_USER,
    Ground,
    Impossible,
    Mark,
    Plan,
)
from hlrd.domain.plans.stages import Stages
from hlrd.domain.policy import Policy
from hlrd.domain.suspension import Change, Level, Reason
from hlrd.domain.user import User


def suspend(order: Suspend, user: User, ground: Ground) -> Plan | Impossible:
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    if must_pay_first(order, user, ground.routes.policy):
        return PAY_FIRST
    change = suspension.set_reason(user.reasons, order.reason, Level(order.level))
    marks = (Mark.NO_CHANGE,) if change.is_no_change else ()
    return _settled(order, user, change, ground, Cause.STOPPED, *marks)


def resume(order: Resume, user: User, ground: Ground) -> Plan | Impossible:
    if user.binding is None:
        return TERMINATED_USER
    change = suspension.clear_reason(user.reasons, order.reason)
    marks = (Mark.NOT_SUSPENDED_FOR_REASON,) if change.is_no_change else ()
    return _settled(order, user, change, ground, Cause.RESUMED, *marks)


def pre_terminate(order: PreTerminate, user: User, ground: Ground) -> Plan:
    if user.state is not UserState.ACTIVE:
        return Plan((), user, (Mark.NO_CHANGE,))
    after = replace(user, state=UserState.PRE_TERMINATED)
    return moved(user, after, ground, Cause.CLOSED)


def reinstate(order: Reinstate, user: User, ground: Ground) -> Plan | Impossible:
    if user.binding is None:
        return TERMINATED_USER
    if user.state is not UserState.PRE_TERMINATED:
        return Plan((), user, (Mark.NO_CHANGE,))
    after = replace(user, state=UserState.ACTIVE)
    return moved(user, after, ground, Cause.RESUMED)


def terminate(order: UserTerminate | MemberRemove, user: User, ground: Ground) -> Plan:
    """The products' functions go with the record of the HLR."""
    if user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    stages = Stages(user.binding, ground)
    held = list(user.products)
    while held:
        old = held.pop()
        stages.steps(subscription.closing(old, held, ground.products, stages.places), Cause.CLOSED)
        membership.unsubscribe(old, user.member, stages, ground)
    if ground.routes.has_network:
        stages.dsmp(Operation.CLOSE_RELATION, Cause.CLOSED)
        stages.hlr(Operation.REMOVE_SUBSCRIBER, Cause.CLOSED)
        stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    membership.withdraw(user.member, stages, ground)
    plan = stages.leading_to(User(UserState.TERMINATED, None, suspension.NO_REASONS))
    return plan if user.member is None else replace(plan, leaves_ec=True)


def must_pay_first(order: object, user: User, policy: Policy) -> bool:
    if policy.takes_voluntary_stop_in_arrears or not isinstance(order, VoluntarySuspend):
        return False
    return Reason.ARREARS in user.reasons


def _settled(
    order: Suspend | Resume, user: User, change: Change, ground: Ground, cause: Cause, *marks: Mark
) -> Plan:
    """The master's word counts, where the order has it."""
    reasons = settled(order, change.reasons, ground.source)
    if reasons is not change.reasons and reasons != change.reasons:
        marks = (Mark.STATE_MISMATCH,)
    after = replace(user, reasons=reasons)
    return moved(user, after, ground, cause, *marks)


def moved(before: User, after: User, ground: Ground, cause: Cause, *marks: Mark) -> Plan:
    """The commands, if any, that take the line from one effective level to the other."""
    assert before.binding is not None, "a user without a number has no line"
    stages = Stages(before.binding, ground)
    was, level = before.level, after.level
    if was != level:
        stages.hlr(Operation.SET_BARRING, cause, level)
        if not (was and level):
            tell_of_line(stages, after, ground, cause)
    return stages.leading_to(after, *marks)


def tell_of_line(stages: Stages, user: User, ground: Ground, cause: Cause) -> None:
    """What the user's products have goes the way of the base relation."""
    operation = Operation.PAUSE_RELATION if user.level else Operation.RESUME_RELATION
    stages.dsmp(operation, cause)
    if user.products:
        found = subscription.standing(user.products, ground.products, stages.places, operation)
        stages.steps(found, cause)
