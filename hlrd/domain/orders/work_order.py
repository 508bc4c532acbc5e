"""The shapes of a work order (工单); `hlrd.domain.catalogue` says the rest of each kind."""

from hlrd.domain.orders.batch import FanOut
from hlrd.domain.orders.change import NumberChange, SIMReplace
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
    PartnerMemberImport,
    PartnerProductPublish,
)
from hlrd.domain.orders.opening import MemberActivate, MemberOpen, UserOpen
from hlrd.domain.orders.product import ProductPublish, ProductSubscribe, ProductUnsubscribe
from hlrd.domain.orders.repair import NERepair
from hlrd.domain.orders.standing import (
    ArrearsSuspend,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    Reinstate,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
)

Opening = MemberActivate | MemberOpen | UserOpen
OpeningNamed = MemberOpen | UserOpen
"""… with number and card as upstream names them."""

OpeningMember = MemberActivate | MemberOpen
"""… who is a member of an enterprise."""

ProductOrder = ProductPublish | ProductSubscribe | ProductUnsubscribe
OfUser = (
    MemberActivate
    | MemberOpen
    | UserOpen
    | ArrearsSuspend
    | PaymentResume
    | VoluntarySuspend
    | VoluntaryResume
    | OperatorSuspend
    | OperatorResume
    | PreTerminate
    | Reinstate
    | SIMReplace
    | NumberChange
    | UserTerminate
    | ProductSubscribe
    | ProductUnsubscribe
    | MemberProductSubscribe
    | MemberProductUnsubscribe
    | MemberRemove
    | NERepair
)
OfGroup = ECProductSubscribe | ECProductCancel | PartnerProductPublish | PartnerMemberImport
WorkOrder = OfUser | OfGroup | ProductPublish | FanOut
