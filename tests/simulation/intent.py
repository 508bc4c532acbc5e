"""What the network must hold, by a model that shares nothing with the engine: the accepted orders
of each user in order of id, their results, and three rules of arithmetic.
"""

from dataclasses import dataclass

from hlrd.domain import order as orders
from hlrd.domain.identity import Binding
from hlrd.domain.order import (
    ArrearsSuspend,
    MemberActivate,
    PaymentResume,
    UserOpen,
    UserTerminate,
    WorkOrder,
)
from tests.simulation.database import Database
from tests.simulation.world import promise


@dataclass(slots=True)
class Wanted:
    """One user as the closed orders leave it."""

    binding: Binding | None = None
    level: int = 0
    was_opened: bool = False


def replay(database: Database) -> dict[str, Wanted]:
    """Also checks that no order has a result that its user's state does not allow."""
    users: dict[str, Wanted] = {}
    for order_id, record in sorted(database.orders.items()):
        user = users.setdefault(record.user_id, Wanted())
        closing = database.final[order_id]
        order = orders.decode_stored(record.payload)
        if isinstance(order, MemberActivate | UserOpen):
            promise(user.binding is None and not user.was_opened, f"{order_id} opens twice")
            if closing.state == "succeeded":
                _open(user, order, record.binding)
        elif _is_possible(user, order):
            promise(closing.state == "succeeded", f"{order_id} is {closing.state}, not done")
            _change(user, order)
        else:
            promise(closing.state == "failed", f"{order_id} is {closing.state} on a user without")
    return users


def _open(user: Wanted, order: MemberActivate | UserOpen, binding: Binding | None) -> None:
    user.binding, user.was_opened = binding, True
    user.level = getattr(order, "arrears_level", None) or 0


def _is_possible(user: Wanted, order: WorkOrder) -> bool:
    assert not isinstance(order, MemberActivate)
    if user.binding is not None:
        return user.binding.msisdn == order.msisdn
    return user.was_opened and not isinstance(order, PaymentResume)


def _change(user: Wanted, order: WorkOrder) -> None:
    if user.binding is None:
        return
    match order:
        case ArrearsSuspend():
            user.level = max(user.level, order.level)
        case PaymentResume():
            user.level = 0
        case UserTerminate():
            user.binding, user.level = None, 0
