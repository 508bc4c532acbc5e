"""Orders that change whether a user may use the network: stopped, resumed, closed."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import MSISDNText
from hlrd.domain.orders.header import (
    LevelNumber,
    MonthText,
    NoteText,
    OrderIdText,
    UserHeader,
    VersionNumber,
)
from hlrd.domain.suspension import Level, Reason, Reasons


class LeveledReason(Struct, frozen=True, forbid_unknown_fields=True):
    """One suspension reason as upstream names it in a list."""

    reason: Reason
    level: LevelNumber


LeveledReasons = Annotated[list[LeveledReason], Meta(max_length=len(Reason))]


def reasons_of(named: list[LeveledReason]) -> Reasons:
    return {one.reason: Level(one.level) for one in named}


def refuse_bad_word(order: object) -> None:
    """The whole set of reasons, where an order says it, has a version and agrees with what the
    order does."""
    named: list[LeveledReason] | None = getattr(order, "reasons", None)
    if named is None:
        return
    if getattr(order, "state_version", None) is None:
        text = "reasons are the master's as of a state_version"
        raise BadRequest("STATE_VERSION_MISSING", text, "state_version")
    levels = reasons_of(named)
    if len(levels) != len(named):
        raise BadRequest("REASON_TWICE", "a reason is named twice", "reasons")
    reason = getattr(order, "reason", None)
    if reason is None:
        return
    level = getattr(order, "level", None)
    if level is not None and levels.get(reason, 0) < level:
        raise BadRequest("REASONS_CONTRADICT", f"{reason} is not in them at this level", "reasons")
    if level is None and reason in levels:
        raise BadRequest("REASONS_CONTRADICT", f"{reason} is in them still", "reasons")


class ArrearsSuspend(UserHeader, tag="ARREARS_SUSPEND", kw_only=True, forbid_unknown_fields=True):
    """欠费停机."""

    reason: ClassVar[Reason] = Reason.ARREARS

    msisdn: MSISDNText
    level: LevelNumber
    account_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | None = None
    bill_month: MonthText | None = None
    state_version: VersionNumber | None = None  #: counted by the state master, per user
    reasons: LeveledReasons | None = None  #: all that the master knows of, as of that version


class PaymentResume(UserHeader, tag="PAYMENT_RESUME", kw_only=True, forbid_unknown_fields=True):
    """缴费开机: takes ARREARS off and no other reason."""

    reason: ClassVar[Reason] = Reason.ARREARS

    msisdn: MSISDNText
    payment_id: OrderIdText | None = None
    state_version: VersionNumber | None = None  #: counted by the state master, per user
    reasons: LeveledReasons | None = None  #: all that the master knows of, as of that version


class VoluntarySuspend(
    UserHeader, tag="VOLUNTARY_SUSPEND", kw_only=True, forbid_unknown_fields=True
):
    """主动停机, 报停: the customer's own wish."""

    reason: ClassVar[Reason] = Reason.VOLUNTARY

    msisdn: MSISDNText
    level: LevelNumber = 2
    cause: NoteText | None = None
    state_version: VersionNumber | None = None  #: counted by the state master, per user
    reasons: LeveledReasons | None = None  #: all that the master knows of, as of that version


class VoluntaryResume(UserHeader, tag="VOLUNTARY_RESUME", kw_only=True, forbid_unknown_fields=True):
    """报开: takes VOLUNTARY off and no other reason."""

    reason: ClassVar[Reason] = Reason.VOLUNTARY

    msisdn: MSISDNText
    cause: NoteText | None = None
    state_version: VersionNumber | None = None  #: counted by the state master, per user
    reasons: LeveledReasons | None = None  #: all that the master knows of, as of that version


class OperatorSuspend(UserHeader, tag="OPERATOR_SUSPEND", kw_only=True, forbid_unknown_fields=True):
    """局方停机, and every other stop that is neither arrears nor the customer's wish; who may set
    which reason says `domain.authority`.
    """

    msisdn: MSISDNText
    reason: Reason
    level: LevelNumber = 2
    document: NoteText | None = None  #: number of the paper that asks for it
    cause: NoteText | None = None


class OperatorResume(UserHeader, tag="OPERATOR_RESUME", kw_only=True, forbid_unknown_fields=True):
    """局方开机, 解挂 and the like: takes the named reason off and no other."""

    msisdn: MSISDNText
    reason: Reason
    document: NoteText | None = None
    cause: NoteText | None = None


class PreTerminate(UserHeader, tag="PRE_TERMINATE", kw_only=True, forbid_unknown_fields=True):
    """预销户: stopped two-way, number and card kept, until REINSTATE or USER_TERMINATE."""

    msisdn: MSISDNText
    cause: NoteText | None = None


class Reinstate(UserHeader, tag="REINSTATE", kw_only=True, forbid_unknown_fields=True):
    """预销户恢复: back from PRE_TERMINATE, to the level that the user's reasons demand."""

    msisdn: MSISDNText
    cause: NoteText | None = None


class UserTerminate(UserHeader, tag="USER_TERMINATE", kw_only=True, forbid_unknown_fields=True):
    """销户."""

    msisdn: MSISDNText
    cause: NoteText | None = None
    quarantine_days: Annotated[int, Meta(ge=0, le=365)] | None = None  #: absent: the pool's own


OfStateMaster = ArrearsSuspend | PaymentResume | VoluntarySuspend | VoluntaryResume

Suspend = ArrearsSuspend | VoluntarySuspend | OperatorSuspend
"""Each sets its `reason`, at its `level`."""

Resume = PaymentResume | VoluntaryResume | OperatorResume
"""Each clears its `reason`."""
