"""Group business: what an enterprise has on the platforms, and what its members have of it."""

import dataclasses
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from hlrd.domain import publication, subscription
from hlrd.domain.errors import Refusal
from hlrd.domain.group import (
    LEAD_PROVINCE,
    PARTNER_PROVINCES,
    PRODUCT_CLASS,
    GroupPlaces,
    Membership,
    Subscription,
)
from hlrd.domain.lifecycle import ECState
from hlrd.domain.operation import NOBODY, Cause, Details, Operation
from hlrd.domain.orders import Source
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
    PartnerMemberImport,
    PartnerProductPublish,
)
from hlrd.domain.plans import membership, product, standing
from hlrd.domain.plans.plan import (
    EC_NOT_READY,
    EC_ROUTE_MISSING,
    TERMINATED_USER,
    Ground,
    Impossible,
    Mark,
    Plan,
)
from hlrd.domain.plans.stages import Stages
from hlrd.domain.product import Holding
from hlrd.domain.role import Role
from hlrd.domain.subscription import Step
from hlrd.domain.user import User

NO_CHANGE: Final = Plan((), None, (Mark.NO_CHANGE,))
EC_UNKNOWN: Final = Impossible("EC_UNKNOWN", "hlrd was told of no such enterprise")
EC_PRODUCT_RENEWED: Final = Impossible(
    "EC_PRODUCT_RENEWED", "the enterprise subscribed after this order was taken; cancel that"
)
NOT_A_MEMBER: Final = Impossible("NOT_A_MEMBER", "the user is no member of this enterprise")


# Enterprises.


def subscribe_ec(order: ECProductSubscribe, _: User | None, ground: Ground) -> Plan | Impossible:
    wanted, places = order.content(), _places_of(ground)
    if ground.enterprises.active(order.ec_code, order.product) == wanted:
        return NO_CHANGE
    if lacks_way(wanted, places):
        return EC_ROUTE_MISSING
    stages = Stages(NOBODY, ground)
    for leg in _legs(wanted, places):
        stages.at_once(_steps(Operation.SUBSCRIBE_EC, leg, wanted, places), Cause.ORDERED)
    return stages.leading_to(None)


def cancel_ec(order: ECProductCancel, _: User | None, ground: Ground) -> Plan | Impossible:
    """The other way round: the gateway closes first. What the enterprise has only since the order
    was taken, dated ahead, stays: members may have it.
    """
    places = _places_of(ground)
    found = ground.enterprises.find(order.ec_code, order.product)
    if found is None or found.state is ECState.PENDING:
        return NO_CHANGE
    if found.state is ECState.ACTIVE:
        return EC_PRODUCT_RENEWED
    held = found.subscription
    if lacks_way(held, places):
        return EC_ROUTE_MISSING
    stages = Stages(NOBODY, ground)
    for leg in reversed(_legs(held, places)):
        stages.at_once(_steps(Operation.UNSUBSCRIBE_EC, leg, held, places), Cause.CLOSED)
    return stages.leading_to(None)


def publish_to_partner(
    order: PartnerProductPublish, _: User | None, ground: Ground
) -> Plan | Impossible:
    if ground.enterprises.active(order.ec_code, order.product) == order.content():
        return NO_CHANGE
    return Plan((), None)


def import_partner_member(
    order: PartnerMemberImport, _: User | None, ground: Ground
) -> Plan | Impossible:
    if not ground.enterprises.is_known(order.ec_code):
        return EC_UNKNOWN
    return Plan((), None)


def lacks_way(wanted: Subscription, places: GroupPlaces) -> bool:
    """Whether somebody who must be told of it is not configured."""
    if places.role_missing is Role.HQ and not places.upward(wanted.route):
        return True
    if places.leaves_to_headquarters(wanted.product_class, wanted.route):
        return False
    return places.lacks(wanted.product_class, is_straight=wanted.is_straight)


def _places_of(ground: Ground) -> GroupPlaces:
    """PBOSS is not told what it said itself."""
    places = ground.routes.groups
    if ground.source != Source.PBOSS:
        return places
    return dataclasses.replace(places, relays={}, registry="")


def _legs(wanted: Subscription, places: GroupPlaces) -> tuple[tuple[str, ...], ...]:
    """Headquarters is told as well, where a way there is configured: of class 1, which is its own,
    before any platform is; of class 2 and 3 beside the province's."""
    legs = places.legs(wanted.product_class, is_straight=wanted.is_straight)
    upward = places.upward(wanted.route)
    if not upward:
        return legs
    if places.leaves_to_headquarters(wanted.product_class, wanted.route):
        return ((upward,),)
    if wanted.product_class == 1 or not legs:
        return (upward,), *legs
    return (upward, *legs[0]), *legs[1:]


def _steps(
    operation: Operation, leg: Iterable[str], wanted: Subscription, places: GroupPlaces
) -> list[Step]:
    upward = places.upward(wanted.route)
    return [Step(operation, ne, _details(wanted, is_upward=ne == upward)) for ne in leg]


def _details(wanted: Subscription, *, is_upward: bool) -> Details:
    attributes = {PRODUCT_CLASS: str(wanted.product_class)}
    if is_upward:
        attributes[LEAD_PROVINCE] = wanted.lead_province
        if wanted.partner_provinces:
            attributes[PARTNER_PROVINCES] = ",".join(wanted.partner_provinces)
    return Details(
        product=wanted.product,
        version=wanted.version,
        ec_code=wanted.ec_code,
        ec_name=wanted.ec_name,
        attributes=attributes,
    )


# Members.


def subscribe_member(
    order: MemberProductSubscribe, user: User, ground: Ground
) -> Plan | Impossible:
    held = ground.enterprises.active(order.ec_code, order.product)
    if user.binding is None:
        return TERMINATED_USER
    if not _is_member(user, order.ec_code):
        return NOT_A_MEMBER
    if held is None:
        return EC_NOT_READY
    if lacks_way_to(held, user.member, ground):
        return EC_ROUTE_MISSING
    offered = ground.products.get(held.product, held.version)
    try:
        chosen = publication.choose(offered, order.attributes)
    except Refusal as refusal:
        return Impossible(refusal.code, refusal.detail)
    new = Holding(
        offered.id, offered.version, chosen, held.ec_code, held.product_class, held.is_straight
    )
    return product.take_on(new, user, ground)


def unsubscribe_member(order: MemberProductUnsubscribe, user: User, ground: Ground) -> Plan:
    """Forward only. What the user has of the product otherwise is none of the enterprise's."""
    old = next((one for one in _held_of(user, order.ec_code) if one.product == order.product), None)
    return product.give_up(old, user, ground)


def remove_member(order: MemberRemove, user: User, ground: Ground) -> Plan | Impossible:
    """What the user has of the enterprise, then the list, then perhaps the user: surely where
    headquarters has the network, since it closes whose report is withdrawn."""
    if user.member is not None and not _is_member(user, order.ec_code):
        return NOT_A_MEMBER
    if order.terminate or (user.member is not None and not ground.routes.has_network):
        return standing.terminate(order, user, ground)
    if user.member is None or user.binding is None:
        return Plan((), user, (Mark.NO_CHANGE,))
    stages = Stages(user.binding, ground)
    left = user.products
    for old in reversed(_held_of(user, order.ec_code)):
        left = tuple(one for one in left if one is not old)
        stages.steps(subscription.leaving(old, left, ground.products, stages.places), Cause.CLOSED)
        membership.unsubscribe(old, user.member, stages, ground)
    membership.withdraw(user.member, stages, ground)
    after = replace(user, products=left, member=None)
    return replace(stages.leading_to(after), leaves_ec=True)


def lacks_way_to(held: Subscription, member: Membership | None, ground: Ground) -> bool:
    """Whether somebody who must be told of a member's product is not configured."""
    places = ground.routes.groups
    route = "" if member is None else member.route
    if places.role_missing is Role.HQ and not places.upward(route):
        return True
    if places.leaves_to_headquarters(held.product_class, route):
        return False
    return places.lacks(held.product_class, is_straight=held.is_straight)


def _is_member(user: User, ec_code: str) -> bool:
    return user.member is not None and user.member.ec_code == ec_code


def _held_of(user: User, ec_code: str) -> list[Holding]:
    return [one for one in user.products if one.ec_code == ec_code]
