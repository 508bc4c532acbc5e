"""The shapes of a work order (工单); `hlrd.domain.catalogue` says the rest of each kind."""

from hlrd.domain.orders.opening import MemberActivate, UserOpen
from hlrd.domain.orders.product import ProductPublish, ProductSubscribe, ProductUnsubscribe
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

Opening = MemberActivate | UserOpen
ProductOrder = ProductPublish | ProductSubscribe | ProductUnsubscribe
OfUser = (
    MemberActivate
    | UserOpen
    | ArrearsSuspend
    | PaymentResume
    | VoluntarySuspend
    | VoluntaryResume
    | OperatorSuspend
    | OperatorResume
    | PreTerminate
    | Reinstate
    | UserTerminate
    | ProductSubscribe
    | ProductUnsubscribe
)
WorkOrder = OfUser | ProductPublish
