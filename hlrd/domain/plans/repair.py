"""Bringing a user's HLR record to what hlrd intends.

Its tasks are read back before anything is sent (`OrderKind.reads_first`), so that only what the HLR
lacks costs a command.
"""

from msgspec.structs import replace

from hlrd.domain import subscription
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.master import told
from hlrd.domain.operation import Cause, Operation
from hlrd.domain.orders.repair import NERepair, Subject
from hlrd.domain.plans.opening import services_key
from hlrd.domain.plans.plan import Ground, Impossible, Plan
from hlrd.domain.plans.stages import Stages
from hlrd.domain.plans.standing import tell_of_line
from hlrd.domain.suspension import Level
from hlrd.domain.user import User

NOT_APPROVED = Impossible("APPROVAL_MISSING", "the user has gone meanwhile: a removal is approved")


def repair(order: NERepair, user: User | None, ground: Ground) -> Plan | Impossible:
    if user is None or user.binding is None:
        return _remove(order, user, ground)
    after = user
    if order.reasons is not None:
        after = replace(
            user, reasons=told(user.reasons, order.reasons, order.said_by or ground.source)
        )
    stages = Stages(user.binding, ground)
    if Subject.EXISTENCE in order.check:
        template = _template(order, user.binding, ground)
        if template is None:
            return Impossible("SERVICES_UNKNOWN", "the home HLR has no template for these services")
        stages.hlr(Operation.ADD_KEY, Cause.ORDERED)
        stages.hlr(Operation.ADD_SUBSCRIBER, Cause.ORDERED, after.level, template)
    if Subject.SERVICES in order.check:
        _functions(stages, user, ground)
    if Subject.BARRING in order.check or after.level != user.level:
        cause = Cause.STOPPED if after.level else Cause.RESUMED
        stages.hlr(Operation.SET_BARRING, cause, after.level)
        if after.level != user.level and Level.NONE in (user.level, after.level):
            tell_of_line(stages, after, ground, cause)
    return stages.leading_to(after)


def _template(order: NERepair, binding: Binding, ground: Ground) -> str | None:
    assert order.services is not None, "fixed when the order was taken"
    found = ground.routes.templates.get(binding.hlr, {}).get(services_key(order.services))
    return None if found is None else str(found)


def _functions(stages: Stages, user: User, ground: Ground) -> None:
    for place, holding in enumerate(user.products):
        steps = subscription.joining(holding, user.products[:place], ground.products, stages.places)
        found = [step for step in steps if step.operation is Operation.ADD_FUNCTION]
        stages.steps(found, Cause.ORDERED)


def _remove(order: NERepair, user: User | None, ground: Ground) -> Plan | Impossible:
    """The record that nobody is meant to have."""
    if order.approved_by is None or order.imsi is None or order.hlr is None:
        return NOT_APPROVED
    stages = Stages(
        Binding(
            UserId(order.user_id),
            MSISDN(order.msisdn),
            IMSI(order.imsi),
            ICCID(""),
            order.hlr,
            order.province,
            SealedKey("", b""),
        ),
        ground,
    )
    stages.hlr(Operation.REMOVE_SUBSCRIBER, Cause.CLOSED)
    stages.hlr(Operation.REMOVE_KEY, Cause.CLOSED)
    return stages.leading_to(user)
