"""The breaker of one NE: when to stop sending because it does not answer, and when to go on.

Rule 1: every move is a row of BREAKER.
Rule 2: only silence and broken sessions are faults. An NE that refuses or is busy does answer.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from hlrd.domain.lifecycle import advance


class BreakerState(StrEnum):
    CLOSED = "closed"  #: commands flow
    OPEN = "open"  #: tasks wait; the next probe is not due yet, or has just failed
    HALF_OPEN = "halfOpen"  #: a probe is under way


class BreakerEvent(StrEnum):
    ANSWERED = "answered"  #: a command, a probe or a login was answered, whatever the answer
    FAULTED = "faulted"  #: refused connect, time-out or lost session; more are still allowed
    TRIPPED = "tripped"  #: the fault that was one too many in a row
    PROBED = "probed"  #: a probe was started


BREAKER: Final[Mapping[tuple[BreakerState, BreakerEvent], BreakerState]] = {
    (BreakerState.CLOSED, BreakerEvent.ANSWERED): BreakerState.CLOSED,
    (BreakerState.CLOSED, BreakerEvent.FAULTED): BreakerState.CLOSED,
    (BreakerState.CLOSED, BreakerEvent.TRIPPED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerEvent.ANSWERED): BreakerState.CLOSED,
    (BreakerState.OPEN, BreakerEvent.FAULTED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerEvent.PROBED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, BreakerEvent.ANSWERED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, BreakerEvent.FAULTED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, BreakerEvent.PROBED): BreakerState.HALF_OPEN,
}


class Breaker:
    """Counts faults in a row. `now` is monotonic seconds throughout."""

    __slots__ = ("_faults_max", "_probe_at", "_probe_s", "faults", "state")

    def __init__(self, *, faults_max: int, probe_s: float) -> None:
        self.state = BreakerState.CLOSED
        self.faults = 0  #: in a row
        self._faults_max = faults_max
        self._probe_s = probe_s
        self._probe_at = 0.0

    def set(self, *, faults_max: int, probe_s: float) -> None:
        self._faults_max = faults_max
        self._probe_s = probe_s

    @property
    def is_closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    def answered(self) -> bool:
        """Whether this closed the breaker."""
        self.faults = 0
        return self._move(BreakerEvent.ANSWERED)

    def faulted(self, now: float) -> bool:
        """Whether this opened a closed breaker."""
        self.faults += 1
        if not self.is_closed:
            self._move(BreakerEvent.FAULTED)
            return False
        if self.faults < self._faults_max:
            return self._move(BreakerEvent.FAULTED)
        self._probe_at = now + self._probe_s
        return self._move(BreakerEvent.TRIPPED)

    def probed(self, now: float) -> None:
        """A probe starts; the next is due a period after this start, however this one ends."""
        self._probe_at = now + self._probe_s
        self._move(BreakerEvent.PROBED)

    def probe_is_due(self, now: float) -> bool:
        """Whether another may start, should none be under way."""
        return not self.is_closed and now >= self._probe_at

    def _move(self, event: BreakerEvent) -> bool:
        before = self.state
        self.state = advance(BREAKER, before, event)
        return self.state is not before
