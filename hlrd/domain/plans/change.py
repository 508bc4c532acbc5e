"""Another card, or another number, for a user who goes on as he is: stopped if he is stopped.

Up to the switch at the HLR a failure is undone; from then on there is no way but forward, as the
card in the customer's hand, or the number that he was told, is the new one.
"""

from msgspec.structs import replace

from hlrd.domain import subscription, suspension
from hlrd.domain.operation import Cause, Details, Operation
from hlrd.domain.orders.change import NumberChange, SIMReplace
from hlrd.domain.plans import membership
from hlrd.domain.plans.plan import TERMINATED_USER, Ground, Impossible, Plan
from hlrd.domain.plans.stages import Stages
from hlrd.domain.plans.standing import tell_of_line
from hlrd.domain.suspension import Level, Reason
from hlrd.domain.user import User


def replace_card(order: SIMReplace, user: User, ground: Ground) -> Plan | Impossible:
    """A stopped line stays stopped throughout; LOST alone goes with the card that was lost."""
    if user.binding is None:
        return TERMINATED_USER
    now, new = user.binding, ground.target
    assert new is not None, "a card was taken when the order was"
    if new.hlr != now.hlr:
        return Impossible("HOME_HLR_DIFFERS", f"the number is at {now.hlr}, the card at {new.hlr}")
    target = replace(now, imsi=new.imsi, iccid=new.iccid, key=new.key)
    after = replace(user, binding=target, reasons=_without_lost(user))
    stages = Stages(now, ground)
    stages.act_on(target)
    stages.hlr(Operation.ADD_KEY, Cause.ORDERED, user.level)
    turning_point = len(stages)
    stages.act_on(now)
    stages.hlr(Operation.CHANGE_CARD, Cause.ORDERED, user.level, details=Details(target=target))
    if after.level != user.level:
        stages.act_on(target)
        stages.hlr(Operation.SET_BARRING, Cause.RESUMED, after.level)
        stages.act_on(now)
    stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    if after.level is Level.NONE and user.level is not Level.NONE:
        tell_of_line(stages, after, ground, Cause.RESUMED)
    stages.act_on(target)
    membership.report(user.member, stages, ground)
    return stages.leading_to(after, turning_point=turning_point)


def change_number(order: NumberChange, user: User, ground: Ground) -> Plan | Impossible:
    """What the data services know of the old number ends before it begins under the new one, so
    that nobody is charged twice.
    """
    if user.binding is None:
        return TERMINATED_USER
    now, new = user.binding, ground.target
    assert new is not None, "a number was taken when the order was"
    if new.hlr != now.hlr:
        text = f"the card is at {now.hlr}, the new number at {new.hlr}"
        return Impossible("HOME_HLR_DIFFERS", text)
    target = replace(now, msisdn=new.msisdn)
    after = replace(user, binding=target, numbers_before=(*user.numbers_before, now.msisdn))
    stages = Stages(now, ground)
    stages.hlr(Operation.CHANGE_NUMBER, Cause.ORDERED, details=Details(target=target))
    _leave(stages, user, ground)
    stages.act_on(target)
    _enter(stages, after, ground)
    return stages.leading_to(after, turning_point=0)


def _leave(stages: Stages, user: User, ground: Ground) -> None:
    for step in subscription.under_number_ended(user.products, ground.products, stages.places):
        stages.steps([step], Cause.RENUMBERED)
    stages.dsmp(Operation.CLOSE_RELATION, Cause.RENUMBERED)
    for held in reversed(user.products):
        membership.unsubscribe(held, user.member, stages, ground)
    membership.withdraw(user.member, stages, ground)


def _enter(stages: Stages, user: User, ground: Ground) -> None:
    membership.report(user.member, stages, ground)
    for held in user.products:
        membership.subscribe(held, user.member, stages, ground)
    stages.dsmp(Operation.OPEN_RELATION, Cause.RENUMBERED)
    if user.level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
    for step in subscription.under_number_begun(user.products, ground.products, stages.places):
        stages.steps([step], Cause.RENUMBERED)
        pause = subscription.paused(step) if user.level else None
        if pause is not None:
            stages.steps([pause], Cause.STOPPED)


def _without_lost(user: User) -> suspension.Reasons:
    return suspension.clear_reason(user.reasons, Reason.LOST).reasons
