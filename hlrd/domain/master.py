"""Who is master of user state (状态主控), province by province, and what the master's word does.

hlrd is no third master: it keeps reasons as intent for the network. Who is not the master may not
stop or resume; and where the master says all reasons of a user, they count, whatever hlrd had
worked out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hlrd.domain.authority import may_clear
from hlrd.domain.errors import NotAllowed, Unavailable
from hlrd.domain.orders.header import Source
from hlrd.domain.orders.standing import LeveledReason, Resume, Suspend, reasons_of
from hlrd.domain.suspension import Reasons

SWITCHING_RETRY_S: Final = 5.0


class Master(StrEnum):
    BOSS = "BOSS"
    CRM = "CRM"
    BACKUP = "backup"  #: BOSS and CRM alike; the same change from both counts once

    def takes(self, source: str) -> bool:
        """Staff may change state whoever is master."""
        return source == Source.OPS or self in (Master.BACKUP, source)


@dataclass(frozen=True, slots=True)
class Mastery:
    """Of one province."""

    master: Master
    next: Master | None = None  #: whom it goes to, once the orders under way are carried out


class Masters:
    """One for the whole daemon: the engine asks it about every change of state, and a switch
    changes it between two orders."""

    def __init__(self, usual: Master, named: Mapping[str, Master]) -> None:
        """`named`: by province, where it is not the `usual` one."""
        self.usual = usual
        self._usual = Mastery(usual)
        self._by_province = {province: Mastery(master) for province, master in named.items()}

    def of(self, province: str) -> Mastery:
        return self._by_province.get(province, self._usual)

    def put(self, province: str, mastery: Mastery) -> None:
        self._by_province[province] = mastery

    def provinces(self) -> Iterable[str]:
        """Those that something was said of."""
        return sorted(self._by_province)

    def refuse(self, province: str, source: str) -> None:
        """NotAllowed: it is not the master. Unavailable: the province changes its master, so that
        nobody's word counts until that is over."""
        mastery = self.of(province)
        if mastery.next is not None and (
            mastery.master.takes(source) or mastery.next.takes(source)
        ):
            text = f"province {province} goes over to {mastery.next} as master of user state"
            raise Unavailable("MASTER_SWITCHING", text, SWITCHING_RETRY_S, "type")
        if not mastery.master.takes(source):
            text = f"{mastery.master} is the master of user state in province {province}"
            raise NotAllowed("NOT_STATE_MASTER", text, "type")


def told(reasons: Reasons, named: list[LeveledReason], source: str) -> Reasons:
    """The reasons once `source` has said all it knows of. What it has no right to clear stays: a
    master that does not name FRAUD does not know of it."""
    kept = {reason: level for reason, level in reasons.items() if not may_clear(source, reason)}
    return {**kept, **reasons_of(named)}


def settled(order: Suspend | Resume, reasons: Reasons, source: str) -> Reasons:
    """What counts after `order`, if hlrd has worked out `reasons`."""
    named = getattr(order, "reasons", None)
    return reasons if named is None else told(reasons, named, source)
