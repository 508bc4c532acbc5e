"""What carries out the order of a batch, as the engine sees it: a network element that takes its
one task and answers when every child has come to its end.
"""

from collections.abc import Callable
from typing import Final

from hlrd import limits
from hlrd.domain.outcome import Counts, Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.ports import Command, Intent

_NOT_BEGUN: Final = Outcome(Verdict.ABSENT)
_LATER: Final = Outcome(Verdict.NOT_SENT)


class Peer:
    """Implements `ports.NE`. To begin what has begun is to wait for it, so that a read-back, which
    only a start of hlrd sends, may always say that nothing was done.
    """

    def __init__(self, answer: Callable[[Command, Outcome], None]) -> None:
        """`answer`: `Outcomes.put`."""
        self.name = BATCHES
        self.settle_s = 0.0
        self.poll_s = 0.0
        self.on_order: Callable[[int], None] = lambda order: None  #: this one has its turn
        self._answer = answer
        self._held: dict[int, Command] = {}  #: by order; bounded by `free`
        self._is_draining = False

    # As the engine uses it.

    def free(self) -> int:
        return limits.FAN_OUTS_MAX - len(self._held)

    def window(self) -> int:
        return limits.FAN_OUTS_MAX

    def wants(self, waiting: int) -> None:
        """It has all that it needs."""

    def execute(self, command: Command) -> None:
        if command.intent is Intent.READ_BACK:
            self._answer(command, _NOT_BEGUN)
        elif self._is_draining:
            self._answer(command, _LATER)
        else:
            order = int(command.task.details.text)
            self._held[order] = command
            self.on_order(order)

    # As the walks use it.

    def done(self, order: int, counts: Counts) -> None:
        text = f"{counts.ok} succeeded, {counts.failed} failed, {counts.left} left"
        self._give(order, Outcome(Verdict.DONE, "", text, counts=counts))

    def refused(self, order: int, code: str, text: str) -> None:
        self._give(order, Outcome(Verdict.PERMANENT, code, text))

    def drain(self) -> None:
        """Give everything back; the next start begins it again, and finds how far it is."""
        self._is_draining = True
        for order in list(self._held):
            self._give(order, _LATER)

    def _give(self, order: int, outcome: Outcome) -> None:
        """One that is not held was given back, or is asked about after the start's own wait."""
        command = self._held.pop(order, None)
        if command is not None:
            self._answer(command, outcome)
