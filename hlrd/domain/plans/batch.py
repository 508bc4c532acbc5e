"""An order that is carried out by its children: one task, for the part of hlrd that posts them."""

from typing import Final

from hlrd.domain.operation import NOBODY, Cause, Details, Operation
from hlrd.domain.orders.batch import FanOut
from hlrd.domain.plans.plan import Ground, Plan
from hlrd.domain.plans.stages import Stages
from hlrd.domain.subscription import Step
from hlrd.domain.user import User

BATCHES: Final = "@batches"
"""Who takes the task, as if it were a network element; none that is configured has such a name."""


def fan_out(order: FanOut, user: User | None, ground: Ground) -> Plan:
    stages = Stages(NOBODY, ground)
    details = Details(text=ground.transaction)
    stages.steps([Step(Operation.FAN_OUT, BATCHES, details)], Cause.ORDERED)
    return stages.leading_to(None)
