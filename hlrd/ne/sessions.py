"""How many sessions an NE should have, as a decision: what to open and what to close, now.

Throughput is sessions over latency, so sessions follow the queue: up at once, down after a long
idleness. Decided here from counts, without a socket; done by the driver.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

WAITING_PER_SESSION: Final = 2
"""One more session for so many tasks that wait. A session costs a login, a wait costs a latency."""

OPENING_MAX: Final = 4
"""Sessions being opened at once. A storm of logins is how a restarted NE is brought down again."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The sessions of one NE as they stand."""

    idle_since: Sequence[float]  #: of each idle session, the longest idle first
    busy: int  #: connected and not idle, for whatever reason
    opening: int
    waiting: int  #: tasks that wait for this NE

    @property
    def total(self) -> int:
        return len(self.idle_since) + self.busy + self.opening


@dataclass(frozen=True, slots=True)
class Bounds:
    sessions_min: int
    sessions_max: int
    idle_close_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    open: int = 0
    close: int = 0  #: of the longest idle


class Setback(Enum):
    """Why a session did not open: the first and the longest wait before the next try, seconds."""

    FAULT = (0.05, 5.0)  #: no connection, no answer
    TURNED_AWAY = (1.0, 30.0)  #: no more sessions just now; the old ones may be ours of before
    REFUSED = (10.0, 120.0)  #: wrong account: each try may count towards its lock
    STOLEN = (0.1, 30.0)  #: somebody else uses the account: logging in at once takes it from them


FORGIVEN_S: Final = 10.0
"""A login that lasts so long was not stolen. That it answers a command at once says nothing."""


class Backoff:
    """When the next session may be opened, after setbacks in a row. `now` is monotonic seconds."""

    __slots__ = ("_set_at", "last", "setbacks", "until")

    def __init__(self) -> None:
        self.setbacks = 0  #: in a row
        self.until = 0.0
        self._set_at = 0.0  #: when `last` was
        self.last: Setback | None = None  #: the one that `until` is of

    def proved(self, now: float) -> None:
        """A session did what sessions are for. It says nothing of a limit or of an account."""
        if self.last is Setback.STOLEN and now < self.until + FORGIVEN_S:
            return
        self.setbacks = 0
        if self.last is Setback.FAULT:
            self.until = 0.0

    def set_back(
        self, setback: Setback, now: float, *, jitter: float, began: float = math.inf
    ) -> None:
        """`jitter` in [0, 1): the wait is between half and all of its ceiling. `began`: when the
        try began. One from before the last setback is no try after it: an NE that goes down with
        ten sessions has hung up once, not ten times in a row.
        """
        if setback is self.last and began < self._set_at:
            return
        if self.last is Setback.STOLEN and now >= self.until + FORGIVEN_S:
            self.setbacks = 0
        first_s, longest_s = setback.value
        ceiling_s = min(longest_s, first_s * 2.0 ** min(self.setbacks, 16))
        self.setbacks += 1
        until = now + ceiling_s * (0.5 + 0.5 * jitter)
        if until > self.until:
            self.until = until
            self.last = setback
            self._set_at = now

    def start_over(self) -> None:
        """What set us back is no more: another account or address."""
        self.setbacks = 0
        self.until = 0.0
        self.last = None


def plan(counts: Counts, bounds: Bounds, *, window: int, backoff: Backoff, now: float) -> Plan:
    """What to open and close, for an NE whose breaker is closed.

    `window` is what the NE takes at once; sessions beyond it would only idle.
    """
    if now >= backoff.until and (opening := _missing(counts, bounds, window, backoff)):
        return Plan(open=opening)
    return Plan(close=_surplus(counts, bounds, now))


def _missing(counts: Counts, bounds: Bounds, window: int, backoff: Backoff) -> int:
    served = len(counts.idle_since) + WAITING_PER_SESSION * counts.opening
    unserved = max(0, counts.waiting - served)
    wanted = counts.total + -(-unserved // WAITING_PER_SESSION)
    ceiling = max(bounds.sessions_min, min(bounds.sessions_max, window))
    target = min(ceiling, max(bounds.sessions_min, wanted))
    is_proven = counts.total > counts.opening and not backoff.setbacks
    at_once = OPENING_MAX if is_proven else 1  # a wrong account is tried once, not four times
    return max(0, min(target - counts.total, at_once - counts.opening))


def _surplus(counts: Counts, bounds: Bounds, now: float) -> int:
    if counts.waiting:
        return 0
    spare = max(0, counts.total - bounds.sessions_min)
    tired = sum(now - since >= bounds.idle_close_s for since in counts.idle_since)
    return min(spare, tired)
