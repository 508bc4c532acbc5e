"""The catalogue of order kinds: one row a kind, and every other part reads from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from hlrd.domain import authority
from hlrd.domain.conflict import Nature
from hlrd.domain.lifecycle import UserState
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    MemberOpen,
    NERepair,
    NumberChange,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    Reinstate,
    SIMReplace,
    Source,
    UserOpen,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.orders.batch import BatchOrder, ECResumeAll, ECSuspendAll, FanOut
from hlrd.domain.orders.group import (
    ECProductCancel,
    ECProductSubscribe,
    MemberProductSubscribe,
    MemberProductUnsubscribe,
    MemberRemove,
    OfEnterprise,
    PartnerMemberImport,
    PartnerProductPublish,
)
from hlrd.domain.orders.header import UserHeader
from hlrd.domain.plans import batch, change, group, opening, product, repair, standing
from hlrd.domain.plans.plan import (
    NO_MEMBER,
    OTHER_NUMBER,
    PRE_TERMINATED_USER,
    UNKNOWN_USER,
    Ground,
    Impossible,
    Plan,
)
from hlrd.domain.role import Role
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
    is_patient: bool = False  #: a passing fault is retried for ever, though a refusal undoes it
    is_state_change: bool = False  #: only the master of user state may send it
    takes_pre_terminated: bool = False  #: it may be of a user who is pre-terminated
    takes_unknown: bool = False  #: it may be of a user whom hlrd never knew
    reads_first: bool = False  #: each task is read back first, and sent only if need be
    role: Role | None = None  #: the daemon must play it to take one; None: in either it can

    # Asked many times an order. To ask a msgspec struct whether it is of another class takes longer
    # than all of these together.
    opens_user: bool = field(init=False)
    is_of_user: bool = field(init=False)
    is_of_enterprise: bool = field(init=False)
    is_fan_out: bool = field(init=False)
    is_versioned: bool = field(init=False)  #: it may carry a `state_version`

    def __post_init__(self) -> None:
        fields = self.shape.__struct_fields__
        object.__setattr__(self, "opens_user", self.nature is Nature.OPEN)
        object.__setattr__(self, "is_of_user", issubclass(self.shape, UserHeader))
        object.__setattr__(self, "is_of_enterprise", issubclass(self.shape, OfEnterprise))
        object.__setattr__(self, "is_fan_out", issubclass(self.shape, FanOut))
        object.__setattr__(self, "is_versioned", "state_version" in fields)

    @property
    def changeable(self) -> frozenset[str]:
        """Fields that staff may change in one that fell out: what is asked for, never of whom."""
        return _CHANGEABLE & set(self.shape.__struct_fields__) if self.is_of_user else frozenset()

    def is_possible_for(self, user: User | None) -> bool:
        """Pre-termination overrides all but its own end."""
        is_closing = user is not None and user.state is UserState.PRE_TERMINATED
        return self.takes_pre_terminated or not is_closing

    def is_about(self, user: User | None, order: WorkOrder) -> bool:
        """Whether `user` has, or had, the number that the order names: numbers are recycled."""
        return self.opens_user or not _has_other_number(user, order)

    def plan(self, order: WorkOrder, user: User | None, ground: Ground) -> Plan | Impossible:
        """`user` as every earlier order left it."""
        if self.is_of_user and user is None and not self.takes_unknown:
            return NO_MEMBER if self.nature is Nature.MEMBER else UNKNOWN_USER
        if not self.is_about(user, order):
            return OTHER_NUMBER  # the opening it came behind was refused; this is another's
        if not self.is_possible_for(user):
            return PRE_TERMINATED_USER
        return self.planner(order, user, ground)


_CHANGEABLE: Final = frozenset(
    {"services", "level", "attributes", "product_version", "quarantine_days"}
)

_STATE_SOURCES: Final = frozenset({Source.BOSS, Source.CRM, Source.OPS})
_CLOSING_SOURCES: Final = frozenset({Source.BOSS, Source.CRM, Source.ESOP, Source.OPS})
"""BOSS closes who owes for too long (欠费预销户)."""

_CUSTOMER_SOURCES: Final = frozenset({Source.CRM, Source.ESOP, Source.OPS})
"""Where customers order, persons and groups, or staff for them."""

_GROUP_SOURCES: Final = frozenset(
    {Source.ESOP, Source.BBOSS, Source.BOSS1, Source.PBOSS, Source.OPS}
)
"""A province's ESOP, or at headquarters the relays and the registry that its orders came by."""

_PARTNER_SOURCES: Final = frozenset({Source.BBOSS, Source.OPS})
"""Only the BBOSS joins provinces."""

KINDS: Final = (
    OrderKind(
        "MEMBER_ACTIVATE", "成员基础通信功能开通", MemberActivate, Nature.OPEN, Direction.BACKWARD,
        2, frozenset({Source.ESOP, Source.OPS}), opening.open_user, role=Role.PROVINCE,
    ),
    OrderKind(
        "MEMBER_OPEN", "成员网元开通", MemberOpen, Nature.OPEN, Direction.BACKWARD, 2,
        frozenset({Source.PBOSS, Source.OPS}), opening.open_user, role=Role.HQ,
    ),
    OrderKind(
        "USER_OPEN", "用户开户", UserOpen, Nature.OPEN, Direction.BACKWARD, 1,
        frozenset({Source.CRM, Source.OPS}), opening.open_user, role=Role.HQ,
    ),
    OrderKind(
        "ARREARS_SUSPEND", "欠费停机", ArrearsSuspend, Nature.SUSPEND, Direction.FORWARD, 3,
        _STATE_SOURCES, standing.suspend, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(
        "PAYMENT_RESUME", "缴费开机", PaymentResume, Nature.RESUME, Direction.FORWARD, 1,
        _STATE_SOURCES, standing.resume, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(
        "VOLUNTARY_SUSPEND", "主动停机", VoluntarySuspend, Nature.SUSPEND, Direction.FORWARD, 2,
        _STATE_SOURCES, standing.suspend, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(
        "VOLUNTARY_RESUME", "报开", VoluntaryResume, Nature.RESUME, Direction.FORWARD, 2,
        _STATE_SOURCES, standing.resume, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(
        "OPERATOR_SUSPEND", "局方停机", OperatorSuspend, Nature.SUSPEND, Direction.FORWARD, 0,
        authority.ALL_SOURCES, standing.suspend, role=Role.HQ,
    ),
    OrderKind(
        "OPERATOR_RESUME", "局方开机", OperatorResume, Nature.RESUME, Direction.FORWARD, 2,
        authority.ALL_SOURCES, standing.resume, role=Role.HQ,
    ),
    OrderKind(
        "PRE_TERMINATE", "预销户", PreTerminate, Nature.SUSPEND, Direction.FORWARD, 3,
        _CLOSING_SOURCES, standing.pre_terminate, takes_pre_terminated=True, role=Role.HQ,
    ),
    OrderKind(
        "REINSTATE", "预销户恢复", Reinstate, Nature.RESUME, Direction.FORWARD, 2,
        _CLOSING_SOURCES, standing.reinstate, takes_pre_terminated=True, role=Role.HQ,
    ),
    OrderKind(
        "USER_TERMINATE", "销户", UserTerminate, Nature.TERMINATE, Direction.FORWARD, 2,
        _CUSTOMER_SOURCES, standing.terminate,
        takes_pre_terminated=True,
    ),
    OrderKind(  # a target that refuses it takes nothing back: the version stays staged
        "PRODUCT_PUBLISH", "产品发布", ProductPublish, Nature.PRODUCT, Direction.BACKWARD, 2,
        frozenset({Source.CRM, Source.OPS}), product.publish,
    ),
    OrderKind(
        "PRODUCT_SUBSCRIBE", "产品定购", ProductSubscribe, Nature.PRODUCT, Direction.BACKWARD, 2,
        _CUSTOMER_SOURCES, product.subscribe, role=Role.HQ,
    ),
    OrderKind(
        "PRODUCT_UNSUBSCRIBE", "产品退订", ProductUnsubscribe, Nature.PRODUCT, Direction.FORWARD, 2,
        _CUSTOMER_SOURCES, product.unsubscribe, role=Role.HQ,
    ),
    OrderKind(  # backward up to the switch at the HLR, forward from there: `Plan.turning_point`
        "SIM_REPLACE", "补换卡", SIMReplace, Nature.CHANGE, Direction.BACKWARD, 1,
        _CUSTOMER_SOURCES, change.replace_card, role=Role.HQ,
    ),
    OrderKind(
        "NUMBER_CHANGE", "改号", NumberChange, Nature.CHANGE, Direction.BACKWARD, 2,
        _CUSTOMER_SOURCES, change.change_number, role=Role.HQ,
    ),
    OrderKind(
        "EC_SUSPEND_ALL", "集团统付停机", ECSuspendAll, Nature.SUSPEND, Direction.FORWARD, 3,
        _STATE_SOURCES, batch.fan_out, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(
        "EC_RESUME_ALL", "集团统付开机", ECResumeAll, Nature.RESUME, Direction.FORWARD, 1,
        _STATE_SOURCES, batch.fan_out, is_state_change=True, role=Role.HQ,
    ),
    OrderKind(  # a batch that is not there is refused; what its children did stands
        "BATCH", "批量工单", BatchOrder, Nature.BATCH, Direction.BACKWARD, 4,
        frozenset({Source.BOSS, Source.CRM, Source.ESOP, Source.OPS}), batch.fan_out,
    ),
    OrderKind(
        "EC_PRODUCT_SUBSCRIBE", "集团产品订购", ECProductSubscribe, Nature.PRODUCT,
        Direction.BACKWARD, 2, _GROUP_SOURCES, group.subscribe_ec, is_patient=True,
    ),
    OrderKind(
        "EC_PRODUCT_CANCEL", "集团产品退订", ECProductCancel, Nature.PRODUCT, Direction.FORWARD, 2,
        _GROUP_SOURCES, group.cancel_ec,
    ),
    OrderKind(
        "PARTNER_PRODUCT_PUBLISH", "发布到配合省", PartnerProductPublish, Nature.PRODUCT,
        Direction.BACKWARD, 2, _PARTNER_SOURCES, group.publish_to_partner,
    ),
    OrderKind(
        "PARTNER_MEMBER_IMPORT", "配合省成员纳入", PartnerMemberImport, Nature.PRODUCT,
        Direction.BACKWARD, 2, _PARTNER_SOURCES, group.import_partner_member,
    ),
    OrderKind(
        "MEMBER_PRODUCT_SUBSCRIBE", "成员产品订购", MemberProductSubscribe, Nature.MEMBER,
        Direction.BACKWARD, 2, _GROUP_SOURCES, group.subscribe_member, is_patient=True,
    ),
    OrderKind(
        "MEMBER_PRODUCT_UNSUBSCRIBE", "成员产品退订", MemberProductUnsubscribe, Nature.MEMBER,
        Direction.FORWARD, 2, _GROUP_SOURCES, group.unsubscribe_member,
    ),
    OrderKind(
        "MEMBER_REMOVE", "成员退出", MemberRemove, Nature.MEMBER, Direction.FORWARD, 2,
        _GROUP_SOURCES, group.remove_member, takes_pre_terminated=True,
    ),
    OrderKind(
        "NE_REPAIR", "稽核补发", NERepair, Nature.REPAIR, Direction.FORWARD, 5,
        frozenset({Source.OPS}), repair.repair, takes_pre_terminated=True, takes_unknown=True,
        reads_first=True, role=Role.HQ,
    ),
)  # fmt: skip

BY_SHAPE: Final[Mapping[type, OrderKind]] = {kind.shape: kind for kind in KINDS}
BY_NAME: Final[Mapping[str, OrderKind]] = {kind.name: kind for kind in KINDS}


def _has_other_number(user: User | None, order: WorkOrder) -> bool:
    if user is None or user.binding is None:
        return False
    msisdn = getattr(order, "msisdn", None)
    if msisdn is None and BY_SHAPE[type(order)].nature is Nature.MEMBER:
        return False  # upstream may not know the number yet
    return msisdn != user.binding.msisdn and msisdn not in user.numbers_before
