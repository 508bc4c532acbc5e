"""What one NE shows: its metrics, bound once, and the same counts for `Driver.show`."""

from collections.abc import Mapping
from typing import Final

from hlrd import metrics
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.session import Cause

READ_BACK: Final = "readBack"
"""The label of a query in `hlrd_ne_command_duration_seconds`, beside the operations."""


class Meters:
    def __init__(self, ne: str) -> None:
        self.in_flight: Final = metrics.NE_IN_FLIGHT.labels(ne)
        self.window: Final = metrics.NE_WINDOW.labels(ne)
        self.breaker_open: Final = metrics.NE_BREAKER_OPEN.labels(ne)
        self.on_standby: Final = metrics.NE_ON_STANDBY.labels(ne)
        self.halted: Final = metrics.NE_HALTED.labels(ne)
        self.commands = 0
        self.unknown_codes = 0
        self.late_replies = 0
        self.outcomes: Final = dict.fromkeys(Verdict, 0)
        self.session_ends: Final = dict.fromkeys(Cause, 0)
        labels = (*(operation.value for operation in Operation), READ_BACK)
        self._durations: Final = {
            label: metrics.NE_COMMAND_DURATION.labels(ne, label).observe for label in labels
        }
        self._outcomes: Final = {
            verdict: metrics.NE_OUTCOMES.labels(ne, verdict.value) for verdict in Verdict
        }
        self._session_ends: Final = {
            cause: metrics.NE_SESSION_ENDS.labels(ne, cause.value).inc for cause in Cause
        }
        self._unknown_codes: Final = metrics.NE_UNKNOWN_CODES.labels(ne).inc
        self._late_replies: Final = metrics.NE_LATE_REPLIES.labels(ne).inc
        self._ne = ne

    def answered(self, label: str, elapsed_s: float) -> None:
        self._durations[label](elapsed_s)

    def outcome(self, outcome: Outcome) -> None:
        verdict = outcome.verdict
        self.outcomes[verdict] += 1
        self._outcomes[verdict].value += 1
        if not outcome.is_known:
            self.unknown_codes += 1
            self._unknown_codes()

    def late(self) -> None:
        self.late_replies += 1
        self._late_replies()

    def session_ended(self, cause: Cause) -> None:
        self.session_ends[cause] += 1
        self._session_ends[cause]()

    def show_sessions(self, counts: Mapping[str, int]) -> None:
        for state, count in counts.items():
            metrics.NE_SESSIONS.labels(self._ne, state).set(count)
