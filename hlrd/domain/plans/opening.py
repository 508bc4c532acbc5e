"""Opening a user: a member's report, key, subscriber, barring if it is opened stopped, data
services. Where headquarters has the network, the report is all: the rest is its answer to it."""

from hlrd.domain.group import Enterprises, Membership
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import Cause, Operation
from hlrd.domain.orders import MemberActivate, Opening, OpeningMember, Service
from hlrd.domain.orders.standing import reasons_of
from hlrd.domain.plans import membership
from hlrd.domain.plans.plan import (
    EC_NOT_READY,
    EC_ROUTE_MISSING,
    Ground,
    Impossible,
    Plan,
)
from hlrd.domain.plans.stages import Stages
from hlrd.domain.suspension import NO_REASONS, Reasons, effective, merged
from hlrd.domain.user import User


def services_key(services: list[Service]) -> str:
    """`services` sorted, as a decoded order has them."""
    return "+".join(services)


def open_user(order: Opening, user: User, ground: Ground) -> Plan | Impossible:
    assert user.binding is not None, "an opening order always has its binding"
    if isinstance(order, OpeningMember) and membership.lacks_ground(
        order, ground.enterprises, ground.routes.policy
    ):
        return EC_NOT_READY
    if not ground.routes.has_network:
        return _by_report_alone(order, user, ground)
    template = ground.routes.templates.get(user.binding.hlr, {}).get(services_key(order.services))
    if template is None:
        return Impossible("SERVICES_UNKNOWN", "the home HLR has no template for these services")
    stages = Stages(user.binding, ground)
    member = membership.join(order, stages, ground) if isinstance(order, OpeningMember) else None
    reasons = _reasons(order, member, ground.enterprises)
    level = effective(reasons)
    stages.hlr(Operation.ADD_KEY, Cause.ORDERED)
    stages.hlr(Operation.ADD_SUBSCRIBER, Cause.ORDERED, level, str(template))
    if level:
        stages.hlr(Operation.SET_BARRING, Cause.STOPPED, level)
    stages.dsmp(Operation.OPEN_RELATION, Cause.ORDERED)
    if level:
        stages.dsmp(Operation.PAUSE_RELATION, Cause.STOPPED)
    return stages.leading_to(User(UserState.ACTIVE, user.binding, reasons, member=member))


def _by_report_alone(order: Opening, user: User, ground: Ground) -> Plan | Impossible:
    assert user.binding is not None
    assert isinstance(order, MemberActivate), "no other kind is taken without the network"
    stages = Stages(user.binding, ground)
    member = membership.join(order, stages, ground)
    if not len(stages):
        return EC_ROUTE_MISSING
    return stages.leading_to(User(UserState.ACTIVE, user.binding, NO_REASONS, member=member))


def _reasons(order: Opening, member: Membership | None, enterprises: Enterprises) -> Reasons:
    """Those that upstream names, and those that a member shares with its enterprise: whatever ends
    them for all its members ends them for this one too.
    """
    named = reasons_of(order.reasons) if order.reasons else NO_REASONS
    shared = enterprises.stops_of(member.ec_code) if member else NO_REASONS
    return merged(named, shared) if shared else named
