"""How long a client wants to wait for its order to close: `Prefer: wait=N` (RFC 7240) or the
order's own `mode` and `deadline_ms`. A preference is soft: one that cannot be read is ignored."""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from hlrd import limits
from hlrd.domain.orders import WorkOrder

PREFER: Final = "Prefer"
_WAIT: Final = re.compile(r'\A\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(?:;.*)?\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float
    applied: str | None = None  #: for Preference-Applied, when the header asked


def wanted(prefer: str | None, order: WorkOrder) -> Wait | None:
    """None: answer as soon as the order is durable."""
    asked = preferred_s(prefer)
    if asked is not None:
        seconds = min(asked, int(limits.SYNC_WAIT_S_MAX))
        return Wait(float(seconds), f"wait={seconds}") if seconds else None
    if order.mode == "sync":
        deadline_s = (order.deadline_ms or limits.SYNC_WAIT_S_MAX * 1e3) / 1e3
        return Wait(min(deadline_s, limits.SYNC_WAIT_S_MAX))
    return None


def asked_s(request: web.Request, *, usual_s: float) -> float:
    """How long the request wants to wait for what is no order."""
    asked = preferred_s(request.headers.get(PREFER))
    return usual_s if asked is None else min(asked, limits.SYNC_WAIT_S_MAX)


def preferred_s(prefer: str | None) -> int | None:
    """What the header asks for, however long."""
    for preference in (prefer or "").split(","):
        found = _WAIT.match(preference)
        if found:
            return int(found[1])
    return None
