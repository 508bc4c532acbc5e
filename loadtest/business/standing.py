"""How a user stands (用户状态): the reasons for which it is stopped, counted by the state master,
and the schemes by which CRM and BOSS share that work. Pure.

| master | decides | sends 开通类 | the other learns it by |
| BOSS   | BOSS    | BOSS        | 用户状态变更请求 to CRM |
| CRM    | CRM     | CRM         | 用户状态变更类订单 to BOSS |
| backup | BOSS    | BOSS, CRM or both | both |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from msgspec import Struct, field

from loadtest.business.paper import Kind, To


class Reason(StrEnum):
    ARREARS = "ARREARS"
    VOLUNTARY = "VOLUNTARY"


class Master(StrEnum):
    BOSS = "BOSS"
    CRM = "CRM"
    BACKUP = "backup"


class Side(StrEnum):
    BOSS = "BOSS"
    CRM = "CRM"


class Sends(StrEnum):
    """Who orders of the network under `Master.BACKUP`."""

    BOSS = "BOSS"
    CRM = "CRM"
    BOTH = "both"


class Change(Struct, frozen=True, gc=False):
    reason: Reason
    level: int  #: 1 one-way, 2 two-way; 0 takes the reason off
    cause: str = ""  #: 停机原因, in words

    @property
    def act(self) -> str:
        """The kind of order that asks the network for it."""
        return ACTS[self.reason, self.level > 0]


ACTS: Final[Mapping[tuple[Reason, bool], str]] = {
    (Reason.ARREARS, True): "ARREARS_SUSPEND",
    (Reason.ARREARS, False): "PAYMENT_RESUME",
    (Reason.VOLUNTARY, True): "VOLUNTARY_SUSPEND",
    (Reason.VOLUNTARY, False): "VOLUNTARY_RESUME",
}


class Standing(Struct, gc=False):
    """Of one user, at one of the two systems."""

    reasons: dict[str, int] = field(default_factory=dict)
    state_version: int = 0
    cause: str = ""

    @property
    def level(self) -> int:
        return max(self.reasons.values(), default=0)

    def decide(self, change: Change) -> None:
        """The master's own: a new version."""
        if change.level:
            self.reasons = {**self.reasons, change.reason.value: change.level}
            self.cause = change.cause or change.reason.value
        else:
            self.reasons = {one: at for one, at in self.reasons.items() if one != change.reason}
            self.cause = next(iter(self.reasons), "")
        self.state_version += 1

    def copy(self, other: "Standing") -> bool:
        """The other side's word; False for one that is older than what is known."""
        if other.state_version < self.state_version:
            return False
        self.reasons, self.state_version = dict(other.reasons), other.state_version
        self.cause = other.cause
        return True

    def word(self) -> dict[str, Any]:
        """As an order carries it."""
        reasons = [{"reason": one, "level": at} for one, at in self.reasons.items()]
        return {"state_version": self.state_version, "reasons": reasons}


@dataclass(frozen=True, slots=True)
class Scheme:
    decides: Side
    sends: frozenset[Side]  #: orders of the network

    def of_crm(self) -> Sequence[tuple[Kind, To]]:
        """What CRM decomposes a change into. What BOSS sends alone, BOSS answers for."""
        network = To.HLRD if Side.CRM in self.sends else To.BOSS
        return ((Kind.STATE, To.BOSS), (Kind.PROVISIONING, network))

    def of_boss(self, *, is_asked_by_crm: bool) -> Sequence[tuple[Kind, To]]:
        """What BOSS decomposes a change into; empty where it is CRM's."""
        parts: list[tuple[Kind, To]] = []
        if Side.BOSS in self.sends:
            parts.append((Kind.PROVISIONING, To.HLRD))
        if self.decides is Side.BOSS and not is_asked_by_crm:
            parts.append((Kind.STATE, To.CRM))
        return tuple(parts)


_BACKUP_SENDS: Final = {
    Sends.BOSS: frozenset({Side.BOSS}),
    Sends.CRM: frozenset({Side.CRM}),
    Sends.BOTH: frozenset(Side),
}


@cache
def scheme(master: Master, sends: Sends) -> Scheme:
    """`sends` counts under backup alone."""
    match master:
        case Master.BOSS:
            return Scheme(Side.BOSS, frozenset({Side.BOSS}))
        case Master.CRM:
            return Scheme(Side.CRM, frozenset({Side.CRM}))
        case Master.BACKUP:
            return Scheme(Side.BOSS, _BACKUP_SENDS[sends])
