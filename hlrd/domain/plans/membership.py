"""What headquarters is told of a member: reported when it is opened, withdrawn when it leaves."""

from hlrd.domain.group import Enterprises, Membership
from hlrd.domain.operation import Cause, Details, Operation
from hlrd.domain.orders.opening import MemberActivate
from hlrd.domain.plans.plan import Ground
from hlrd.domain.plans.stages import Stages
from hlrd.domain.policy import Policy
from hlrd.domain.subscription import Step


def lacks_ground(order: MemberActivate, enterprises: Enterprises, policy: Policy) -> bool:
    """Whether the enterprise has no product of the member's class, as far as that counts here."""
    if not enterprises.is_known(order.ec_code):
        return policy.ec_unknown != "accept"
    return enterprises.active_of_class(order.ec_code, order.product_class) is None


def join(order: MemberActivate, stages: Stages, ground: Ground) -> Membership | None:
    """Adds the report, if there is somebody to report to. None: hlrd knows nothing of the
    enterprise, and nobody was told of the member."""
    upward = ground.routes.groups.upward(order.route)
    if not upward and not ground.enterprises.is_known(order.ec_code):
        return None
    held = ground.enterprises.active_of_class(order.ec_code, order.product_class)
    member = Membership(order.ec_code, order.route, held.product if held else "")
    if upward:
        stages.steps([_told(Operation.REPORT_MEMBER, upward, member)], Cause.ORDERED)
    return member


def leave(member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Last of all: a number that is still reported cannot be reported for its next user."""
    upward = "" if member is None else ground.routes.groups.upward(member.route)
    if member is not None and upward:
        stages.steps([_told(Operation.CANCEL_REPORT, upward, member)], Cause.CLOSED)


def _told(operation: Operation, ne: str, member: Membership) -> Step:
    return Step(operation, ne, Details(ec_code=member.ec_code, product=member.product))
