"""The catalogue of order kinds: one row a kind, and every other part reads from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from hlrd.domain import authority
from hlrd.domain.conflict import Nature
from hlrd.domain.lifecycle import UserState
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Reinstate,
    Source,
    UserOpen,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.orders.header import UserHeader
from hlrd.domain.plans import opening, product, standing
from hlrd.domain.plans.plan import (
    OTHER_NUMBER,
    PRE_TERMINATED_USER,
    UNKNOWN_USER,
    Ground,
    Impossible,
    Plan,
)
from hlrd.domain.user import User


class Direction(StrEnum):
    """Where an order goes when one of its tasks fails for good."""

    BACKWARD = "backward"  #: what was done is undone in reverse order; the order fails
    FORWARD = "forward"  #: nothing is undone; the order waits for a person


Planner: TypeAlias = Callable[[Any, Any, Ground], Plan | Impossible]
"""Of an order of the kind's shape and its user; of None where the kind is of no user."""


@dataclass(frozen=True, slots=True)
class OrderKind:
    name: str
    chinese: str
    shape: type[WorkOrder]
    nature: Nature
    direction: Direction
    priority: int  #: when the order names none
    sources: frozenset[Source]
    planner: Planner
    is_state_change: bool = False  #: only the master of user state may send it
    takes_pre_terminated: bool = False  #: it may be of a user who is pre-terminated

    @property
    def opens_user(self) -> bool:
        return self.nature is Nature.OPEN

    @property
    def is_of_user(self) -> bool:
        return issubclass(self.shape, UserHeader)

    def is_possible_for(self, user: User | None) -> bool:
        """Pre-termination overrides all but its own end."""
        is_closing = user is not None and user.state is UserState.PRE_TERMINATED
        return self.takes_pre_terminated or not is_closing

    def plan(self, order: WorkOrder, user: User | None, ground: Ground) -> Plan | Impossible:
        """`user` as every earlier order left it."""
        if self.is_of_user and user is None:
            return UNKNOWN_USER
        if not self.opens_user and _has_other_number(user, order):
            return OTHER_NUMBER  # the opening it came behind was refused; this is another's
        if not self.is_possible_for(user):
            return PRE_TERMINATED_USER
        return self.planner(order, user, ground)


_STATE_SOURCES: Final = frozenset({Source.BOSS, Source.CRM, Source.OPS})
_CLOSING_SOURCES: Final = frozenset({Source.BOSS, Source.CRM, Source.ESOP, Source.OPS})
"""BOSS closes who owes for too long (欠费预销户)."""

KINDS: Final = (
    OrderKind(
        "MEMBER_ACTIVATE", "成员基础通信功能开通", MemberActivate, Nature.OPEN, Direction.BACKWARD,
        2, frozenset({Source.ESOP, Source.OPS}), opening.open_user,
    ),
    OrderKind(
        "USER_OPEN", "用户开户", UserOpen, Nature.OPEN, Direction.BACKWARD, 1,
        frozenset({Source.CRM, Source.OPS}), opening.open_user,
    ),
    OrderKind(
        "ARREARS_SUSPEND", "欠费停机", ArrearsSuspend, Nature.SUSPEND, Direction.FORWARD, 3,
        _STATE_SOURCES, standing.suspend, is_state_change=True,
    ),
    OrderKind(
        "PAYMENT_RESUME", "缴费开机", PaymentResume, Nature.RESUME, Direction.FORWARD, 1,
        _STATE_SOURCES, standing.resume, is_state_change=True,
    ),
    OrderKind(
        "VOLUNTARY_SUSPEND", "主动停机", VoluntarySuspend, Nature.SUSPEND, Direction.FORWARD, 2,
        _STATE_SOURCES, standing.suspend, is_state_change=True,
    ),
    OrderKind(
        "VOLUNTARY_RESUME", "报开", VoluntaryResume, Nature.RESUME, Direction.FORWARD, 2,
        _STATE_SOURCES, standing.resume, is_state_change=True,
    ),
    OrderKind(
        "OPERATOR_SUSPEND", "局方停机", OperatorSuspend, Nature.SUSPEND, Direction.FORWARD, 0,
        authority.ALL_SOURCES, standing.suspend,
    ),
    OrderKind(
        "OPERATOR_RESUME", "局方开机", OperatorResume, Nature.RESUME, Direction.FORWARD, 2,
        authority.ALL_SOURCES, standing.resume,
    ),
    OrderKind(
        "PRE_TERMINATE", "预销户", PreTerminate, Nature.SUSPEND, Direction.FORWARD, 3,
        _CLOSING_SOURCES, standing.pre_terminate, takes_pre_terminated=True,
    ),
    OrderKind(
        "REINSTATE", "预销户恢复", Reinstate, Nature.RESUME, Direction.FORWARD, 2,
        _CLOSING_SOURCES, standing.reinstate, takes_pre_terminated=True,
    ),
    OrderKind(
        "USER_TERMINATE", "销户", UserTerminate, Nature.TERMINATE, Direction.FORWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}), standing.terminate,
        takes_pre_terminated=True,
    ),
    OrderKind(  # a target that refuses it takes nothing back: the version stays staged
        "PRODUCT_PUBLISH", "产品发布", ProductPublish, Nature.PRODUCT, Direction.BACKWARD, 2,
        frozenset({Source.CRM, Source.OPS}), product.publish,
    ),
    OrderKind(
        "PRODUCT_SUBSCRIBE", "产品定购", ProductSubscribe, Nature.PRODUCT, Direction.BACKWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}), product.subscribe,
    ),
    OrderKind(
        "PRODUCT_UNSUBSCRIBE", "产品退订", ProductUnsubscribe, Nature.PRODUCT, Direction.FORWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}), product.unsubscribe,
    ),
)  # fmt: skip

BY_SHAPE: Final[Mapping[type, OrderKind]] = {kind.shape: kind for kind in KINDS}
BY_NAME: Final[Mapping[str, OrderKind]] = {kind.name: kind for kind in KINDS}


def plan_of(order: WorkOrder, user: User | None, ground: Ground) -> Plan | Impossible:
    return BY_SHAPE[type(order)].plan(order, user, ground)


def _has_other_number(user: User | None, order: WorkOrder) -> bool:
    if user is None or user.binding is None:
        return False
    return user.binding.msisdn != getattr(order, "msisdn", None)
