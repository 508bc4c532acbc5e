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
    enterprise, and nobody is told of the member."""
    upward = ground.routes.groups.upward(order.route)
    if not upward and not ground.enterprises.is_known(order.ec_code):
        return None
    held = ground.enterprises.active_of_class(order.ec_code, order.product_class)
    member = Membership(order.ec_code, order.route, held.product if held else "")
    report(member, stages, ground)
    return member


def report(member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Number and card as they are; once more when the user has another."""
    _tell(Operation.REPORT_MEMBER, member, stages, ground)


def withdraw(member: Membership | None, stages: Stages, ground: Ground) -> None:
    """Last of all: a number that is still reported cannot be reported for its next user."""
    _tell(Operation.CANCEL_REPORT, member, stages, ground)


def _tell(operation: Operation, member: Membership | None, stages: Stages, ground: Ground) -> None:
    if member is None:
        return
    upward = ground.routes.groups.upward(member.route)
    if upward:
        details = Details(ec_code=member.ec_code, product=member.product)
        cause = Cause.ORDERED if operation is Operation.REPORT_MEMBER else Cause.CLOSED
        stages.steps([Step(operation, upward, details)], cause)
