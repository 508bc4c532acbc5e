"""What hlrd holds of users' state beside what their state master says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from hlrd.domain.identity import MSISDN, UserIdText
from hlrd.domain.master import Master, told
from hlrd.domain.orders.header import VersionNumber
from hlrd.domain.orders.standing import LeveledReason, LeveledReasons
from hlrd.domain.suspension import Reasons


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """The master's word on one user."""

    user_id: UserIdText
    reasons: LeveledReasons
    state_version: VersionNumber


@dataclass(frozen=True, slots=True)
class Held:
    """How hlrd has a user."""

    msisdn: MSISDN
    province: str
    reasons: Reasons
    version: int | None  #: of the state, as its master counted last
    is_busy: bool  #: an order of the user is open


class Stopped(Struct, frozen=True):
    """A user that hlrd has reasons for, told as the master tells of one."""

    user_id: str
    reasons: list[LeveledReason]
    state_version: int | None  #: as the master counted last


@dataclass(slots=True)
class Difference:
    user_id: str
    hlrd: Sequence[LeveledReason]
    master: Sequence[LeveledReason]
    order_id: str | None = None  #: of the repair
    refused: str | None = None  #: the code with which the repair was not taken


@dataclass(slots=True)
class Comparison:
    province: str
    master: Master
    compared: int = 0
    equal: int = 0
    unknown: int = 0  #: hlrd has no such user, or none with a number in this province
    busy: int = 0  #: with an open order, so not compared
    outdated: int = 0  #: hlrd has a later word of the master
    different: int = 0
    repairs: int = 0  #: orders taken for what differs
    differences: list[Difference] = field(default_factory=list)  #: the first of them

    @property
    def speaker(self) -> Master:
        """Whose rights count: under backup the state is BOSS's, whoever tells of it."""
        return Master.BOSS if self.master is Master.BACKUP else self.master

    def count(self, said: Said, held: Held | None) -> Difference | None:
        """Take one user into the sums."""
        if held is None or held.province != self.province:
            self.unknown += 1
        elif held.is_busy:
            self.busy += 1
        elif held.version is not None and held.version > said.state_version:
            self.outdated += 1
        else:
            return self._compare(said, held)
        return None

    def _compare(self, said: Said, held: Held) -> Difference | None:
        self.compared += 1
        if told(held.reasons, said.reasons, self.speaker) == held.reasons:
            self.equal += 1
            return None
        self.different += 1
        return Difference(said.user_id, named(held.reasons), said.reasons)


def named(reasons: Reasons) -> list[LeveledReason]:
    return [LeveledReason(reason, int(level)) for reason, level in sorted(reasons.items())]
