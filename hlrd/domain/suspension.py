"""Why a user is suspended: a set of independent reasons, each with a level of its own.

The effective level is the highest of the set, and only a change of it costs a command; a resume
clears its own reason and no other. (Seed CRM与BOSS重点问题讨论, slides 25 and 26, store the reason
of a stop, 停机原因; the set of reasons is how this operator's own IoT interface encodes it.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    ARREARS = "ARREARS"  #: 欠费停机: set by credit control, cleared by payment only
    VOLUNTARY = "VOLUNTARY"  #: 主动停机, 报停: customer or EC
    LOST = "LOST"  #: 挂失停机: cleared by 解挂 or a SIM replacement
    OPERATOR = "OPERATOR"  #: 局方停机, 强制停机: operator staff only
    M2M_MGMT = "M2M_MGMT"  #: M2M 管理停机: management platform
    CARD_SEPARATION = "CARD_SEPARATION"  #: 机卡分离停机: platform
    REGION = "REGION"  #: 区域限制停机: platform
    EXPIRED = "EXPIRED"  #: 商品到期失效停机: cleared by renewal
    HIGH_USAGE = "HIGH_USAGE"  #: 高额停机: cleared by its own order, not by payment alone
    FRAUD = "FRAUD"  #: 违规停机: risk control only


class Level(IntEnum):
    NONE = 0
    ONE_WAY = 1  #: 单向停机, 半停: originating traffic barred
    TWO_WAY = 2  #: 双停: originating and terminating traffic and packet data barred


_NO_LEVEL: Final = Level.NONE
"""Asked for several times an order; to look it up in its enum takes ten times as long."""

Reasons = Mapping[Reason, Level]
NO_REASONS: Final[Reasons] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Change:
    """What setting or clearing one reason does to the set."""

    reasons: Reasons  #: the set afterwards
    before: Level  #: effective level before
    after: Level  #: effective level afterwards
    is_no_change: bool  #: the set is as it was: already set at that level or above, or not set

    @property
    def moves_level(self) -> bool:
        return self.before != self.after


def effective(reasons: Reasons) -> Level:
    return max(reasons.values()) if reasons else _NO_LEVEL


def merged(one: Reasons, other: Reasons) -> Reasons:
    """Each reason of both, at the higher of its levels."""
    both = {**one, **other}
    return {reason: max(one.get(reason, level), level) for reason, level in both.items()}


def set_reason(reasons: Reasons, reason: Reason, level: Level) -> Change:
    """Add `reason`, or raise it; a lower level than the one that stands changes nothing."""
    before = effective(reasons)
    if reasons.get(reason, _NO_LEVEL) >= level:
        return Change(reasons, before, before, is_no_change=True)
    raised = {**reasons, reason: level}
    return Change(raised, before, effective(raised), is_no_change=False)


def clear_reason(reasons: Reasons, reason: Reason) -> Change:
    """Take `reason` off and leave every other one alone."""
    before = effective(reasons)
    if reason not in reasons:
        return Change(reasons, before, before, is_no_change=True)
    rest = {other: level for other, level in reasons.items() if other is not reason}
    return Change(rest, before, effective(rest), is_no_change=False)
