"""The catalogue of order kinds: one row a kind, and every other part reads from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hlrd.domain.conflict import Nature
from hlrd.domain.order import (
    ArrearsSuspend,
    MemberActivate,
    PaymentResume,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Source,
    UserOpen,
    UserTerminate,
    WorkOrder,
)


class Direction(StrEnum):
    """Where an order goes when one of its tasks fails for good."""

    BACKWARD = "backward"  #: what was done is undone in reverse order; the order fails
    FORWARD = "forward"  #: nothing is undone; the order waits for a person


@dataclass(frozen=True, slots=True)
class OrderKind:
    name: str
    chinese: str
    shape: type[WorkOrder]
    nature: Nature
    direction: Direction
    priority: int  #: when the order names none
    sources: frozenset[Source]
    is_state_change: bool = False  #: only the master of user state may send it

    @property
    def opens_user(self) -> bool:
        return self.nature is Nature.OPEN


_STATE_SOURCES: Final = frozenset({Source.BOSS, Source.CRM, Source.OPS})

KINDS: Final = (
    OrderKind(
        "MEMBER_ACTIVATE", "成员基础通信功能开通", MemberActivate, Nature.OPEN, Direction.BACKWARD,
        2, frozenset({Source.ESOP, Source.OPS}),
    ),
    OrderKind(
        "USER_OPEN", "用户开户", UserOpen, Nature.OPEN, Direction.BACKWARD, 1,
        frozenset({Source.CRM, Source.OPS}),
    ),
    OrderKind(
        "ARREARS_SUSPEND", "欠费停机", ArrearsSuspend, Nature.SUSPEND, Direction.FORWARD, 3,
        _STATE_SOURCES, is_state_change=True,
    ),
    OrderKind(
        "PAYMENT_RESUME", "缴费开机", PaymentResume, Nature.RESUME, Direction.FORWARD, 1,
        _STATE_SOURCES, is_state_change=True,
    ),
    OrderKind(
        "USER_TERMINATE", "销户", UserTerminate, Nature.TERMINATE, Direction.FORWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}),
    ),
    OrderKind(  # a target that refuses it takes nothing back: the version stays staged
        "PRODUCT_PUBLISH", "产品发布", ProductPublish, Nature.PRODUCT, Direction.BACKWARD, 2,
        frozenset({Source.CRM, Source.OPS}),
    ),
    OrderKind(
        "PRODUCT_SUBSCRIBE", "产品定购", ProductSubscribe, Nature.PRODUCT, Direction.BACKWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}),
    ),
    OrderKind(
        "PRODUCT_UNSUBSCRIBE", "产品退订", ProductUnsubscribe, Nature.PRODUCT, Direction.FORWARD, 2,
        frozenset({Source.CRM, Source.ESOP, Source.OPS}),
    ),
)  # fmt: skip

BY_SHAPE: Final[Mapping[type, OrderKind]] = {kind.shape: kind for kind in KINDS}
BY_NAME: Final[Mapping[str, OrderKind]] = {kind.name: kind for kind in KINDS}
