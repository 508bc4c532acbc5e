"""Who may set a suspension reason, and who may clear it: one row a reason.

Risk control and the management platforms post through the sources that speak for them: risk control
with the token of operator staff, the platforms through headquarters' PBOSS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hlrd.domain.orders.header import Source
from hlrd.domain.suspension import Reason


@dataclass(frozen=True, slots=True)
class Authority:
    set_by: frozenset[Source]
    cleared_by: frozenset[Source]
    kinds: str = ""  #: the order kinds that alone set and clear it; empty: OPERATOR_…


def _both(*sources: Source) -> Authority:
    return Authority(frozenset(sources), frozenset(sources))


def _with_kinds(kinds: str) -> Authority:
    """ESOP, a part of CRM, says so of members that it opens."""
    clearing = frozenset({_BOSS, _CRM, _OPS})
    return Authority(clearing | {Source.ESOP}, clearing, kinds)


_BOSS, _CRM, _OPS, _PBOSS = Source.BOSS, Source.CRM, Source.OPS, Source.PBOSS

AUTHORITIES: Final[Mapping[Reason, Authority]] = {
    Reason.ARREARS: _with_kinds("ARREARS_SUSPEND, PAYMENT_RESUME"),
    Reason.VOLUNTARY: _with_kinds("VOLUNTARY_SUSPEND, VOLUNTARY_RESUME"),
    Reason.LOST: _both(_CRM, _OPS),
    Reason.OPERATOR: _both(_OPS),
    Reason.M2M_MGMT: _both(_PBOSS, _OPS),
    Reason.CARD_SEPARATION: _both(_PBOSS, _OPS),
    Reason.REGION: _both(_PBOSS, _OPS),
    Reason.EXPIRED: _both(_BOSS, _CRM, _OPS),
    Reason.HIGH_USAGE: _both(_BOSS, _OPS),
    Reason.FRAUD: _both(_OPS),
}
"""LOST also goes by a SIM replacement (`plans.change`). A resume clears its own reason alone, so
that none of these is ever cleared by a payment.
"""

ALL_SOURCES: Final = frozenset(
    source
    for authority in AUTHORITIES.values()
    if not authority.kinds
    for source in authority.set_by | authority.cleared_by
)
"""Who may send orders that name their reason at all."""


def may_set(source: str, reason: Reason) -> bool:
    return source in AUTHORITIES[reason].set_by


def may_clear(source: str, reason: Reason) -> bool:
    return source in AUTHORITIES[reason].cleared_by
