"""What the network must hold of each user in the end, by the orders that upstream meant. Pure.

Orders count in upstream's own order, whenever they arrived. The rules are those of a suspension: a
set of reasons, each with its level, the highest of which bars the line.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtest.storm.book import OPENINGS, Kind, Order, Told

ARREARS: Final = "ARREARS"
VOLUNTARY: Final = "VOLUNTARY"
_SETS: Final[Mapping[Kind, str]] = {Kind.STOP: ARREARS, Kind.REPORT_STOP: VOLUNTARY}


@dataclass(slots=True)
class Wanted:
    user: str
    msisdn: str = ""
    imsi: str = ""
    iccid: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    has_product: bool = False
    imsis: list[str] = field(default_factory=list)  #: cards, one after the other
    levels: list[int] = field(default_factory=list)  #: that the line goes through, if all is sent
    contexts: list[bool] = field(default_factory=list)  #: on and off, the same
    once: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What an HLR must have done exactly so often: verb and IMSI."""

    @property
    def level(self) -> int:
        return max(self.reasons.values(), default=0)


def of(user: str, orders: Iterable[tuple[Order, Told]]) -> Wanted:
    """By the orders of the user that succeeded, each with its receipt."""
    wanted = Wanted(user)
    for order, told in sorted(orders, key=lambda each: each[0].place):
        _apply(wanted, order, told)
    return wanted


def _apply(wanted: Wanted, order: Order, told: Told) -> None:
    before = wanted.level
    if order.kind in OPENINGS:
        _open(wanted, told)
    elif order.kind in _SETS:
        reason = _SETS[order.kind]
        wanted.reasons[reason] = max(order.level, wanted.reasons.get(reason, 0))
    elif order.kind is Kind.PAY:
        wanted.reasons.pop(ARREARS, None)
    elif order.kind is Kind.REPLACE:
        _replace(wanted, told)
    else:
        wanted.has_product = order.kind is Kind.SUBSCRIBE
        wanted.contexts.append(wanted.has_product)
    if wanted.level != before:
        wanted.levels.append(wanted.level)


def _open(wanted: Wanted, told: Told) -> None:
    wanted.msisdn, wanted.imsi, wanted.iccid = told.msisdn, told.imsi, told.iccid
    wanted.imsis.append(told.imsi)
    wanted.once["ADD KI", told.imsi] += 1
    wanted.once["ADD TPLSUB", told.imsi] += 1


def _replace(wanted: Wanted, told: Told) -> None:
    wanted.once["ADD KI", told.imsi] += 1
    wanted.once["MOD IMSI", told.imsi] += 1
    wanted.once["RMV KI", wanted.imsi] += 1
    wanted.imsi, wanted.iccid = told.imsi, told.iccid
    wanted.imsis.append(told.imsi)


def is_part_of(done: Sequence[int], path: Sequence[int]) -> bool:
    """Whether `done` is `path` with some of it left out: each step at most once, and in order."""
    left = iter(path)
    return all(step in left for step in done)
