"""What headquarters is told of a member, by the relay: reported when it is opened, then each of its
products that is headquarters' business, and withdrawn when it leaves."""

from hlrd.domain import subscription
from hlrd.domain.group import PRODUCT_CLASS, SERVICES, Enterprises, Membership
from hlrd.domain.operation import Cause, Details, Operation
from hlrd.domain.orders import MemberActivate, OpeningMember, Source
from hlrd.domain.plans.plan import Ground
from hlrd.domain.plans.stages import Stages
from hlrd.domain.policy import Policy
from hlrd.domain.product import Holding
from hlrd.domain.subscription import Step


def lacks_ground(order: OpeningMember, enterprises: Enterprises, policy: Policy) -> bool:
    """Whether the enterprise has no product of the member's class, as far as that counts here."""
    if not enterprises.is_known(order.ec_code):
        return policy.ec_unknown != "accept"
    return enterprises.active_of_class(order.ec_code, order.product_class) is None


def join(order: OpeningMember, stages: Stages, ground: Ground) -> Membership | None:
    """Adds the report, if there is somebody to report to: not of one that headquarters opens, since
    that was reported. None: hlrd knows nothing of the enterprise, and nobody is told of the member.
    """
    is_reported = type(order) is MemberActivate
    upward = ground.routes.groups.upward(order.route) if is_reported else ""
    if is_reported and not upward and not ground.enterprises.is_known(order.ec_code):
        return None
    held = ground.enterprises.active_of_class(order.ec_code, order.product_class)
    member = Membership(order.ec_code, order.route, held.product if held else "")
    if upward:
        opened_with = {PRODUCT_CLASS: str(order.product_class), SERVICES: ",".join(order.services)}
        details = Details(ec_code=member.ec_code, product=member.product, attributes=opened_with)
        stages.steps([Step(Operation.REPORT_MEMBER, upward, details)], Cause.ORDERED)
    return member


def report(member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Once more, when the user has another number or card."""
    _tell(Operation.REPORT_MEMBER, member, stages, ground)


def withdraw(member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Last of all: a number that is still reported cannot be reported for its next user."""
    _tell(Operation.CANCEL_REPORT, member, stages, ground)


def subscribe(new: Holding, member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Before anything else that it brings."""
    _tell_of_product(Operation.SUBSCRIBE_MEMBER, new, member, stages, ground)


def unsubscribe(old: Holding, member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Behind all else that goes with it."""
    _tell_of_product(Operation.UNSUBSCRIBE_MEMBER, old, member, stages, ground)


def way_up(route: str, ground: Ground) -> str:
    """Who is told what headquarters must know; empty: nobody is. PBOSS is not told what it said."""
    return "" if ground.source == Source.PBOSS else ground.routes.groups.upward(route)


def _tell(operation: Operation, member: Membership | None, stages: Stages, ground: Ground) -> None:
    upward = "" if member is None else way_up(member.route, ground)
    if member is not None and upward:
        details = Details(ec_code=member.ec_code, product=member.product)
        cause = Cause.ORDERED if operation is Operation.REPORT_MEMBER else Cause.CLOSED
        stages.steps([Step(operation, upward, details)], cause)


def _tell_of_product(
    operation: Operation, held: Holding, member: Membership | None, stages: Stages, ground: Ground
) -> None:
    """Of class 1 all is headquarters' business; of the others what HLR and DSMP have of it."""
    if member is None or not held.ec_code:
        return
    upward = way_up(member.route, ground)
    if not upward or not _is_headquarters_business(held, ground):
        return
    details = Details(
        product=held.product,
        version=held.version,
        ec_code=held.ec_code,
        attributes={**held.attributes, PRODUCT_CLASS: str(held.product_class)},
    )
    cause = Cause.ORDERED if operation is Operation.SUBSCRIBE_MEMBER else Cause.CLOSED
    stages.steps([Step(operation, upward, details)], cause)


def _is_headquarters_business(held: Holding, ground: Ground) -> bool:
    return held.product_class == 1 or subscription.needs_network(held, ground.products)
