"""Has an order planned by the row of its kind."""

from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.orders import WorkOrder
from hlrd.domain.plans.plan import Ground, Impossible, Plan
from hlrd.domain.user import User


def plan_of(order: WorkOrder, user: User | None, ground: Ground) -> Plan | Impossible:
    return BY_SHAPE[type(order)].plan(order, user, ground)
