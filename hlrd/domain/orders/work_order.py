"""The shapes of a work order (工单); `hlrd.domain.catalogue` says the rest of each kind."""

from hlrd.domain.orders.opening import MemberActivate, UserOpen
from hlrd.domain.orders.product import ProductPublish, ProductSubscribe, ProductUnsubscribe
from hlrd.domain.orders.standing import ArrearsSuspend, PaymentResume, UserTerminate

Opening = MemberActivate | UserOpen
ProductOrder = ProductPublish | ProductSubscribe | ProductUnsubscribe
OfUser = (
    MemberActivate
    | UserOpen
    | ArrearsSuspend
    | PaymentResume
    | UserTerminate
    | ProductSubscribe
    | ProductUnsubscribe
)
WorkOrder = OfUser | ProductPublish
