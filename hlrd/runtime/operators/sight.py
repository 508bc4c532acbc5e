"""Who may look, as far as it was answered not long ago: of reads alone, never of acts."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from hlrd import limits


class _Answered(NamedTuple):
    allowed: bool
    at: float


class Sight:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._answered: OrderedDict[str, _Answered] = OrderedDict()

    def note(self, operator: str, *, allowed: bool) -> None:
        self._answered[operator] = _Answered(allowed, self._monotonic())
        self._answered.move_to_end(operator)
        if len(self._answered) > limits.OPERATORS_KEPT_MAX:
            self._answered.popitem(last=False)

    def fresh(self, operator: str) -> bool | None:
        """None: ask again."""
        answered = self._answered.get(operator)
        if answered is None or self._monotonic() - answered.at >= limits.READ_RIGHT_FRESH_S:
            return None
        return answered.allowed

    def lasts(self, operator: str) -> bool:
        """Whether he may go on looking while nobody can be asked."""
        answered = self._answered.get(operator)
        if answered is None or not answered.allowed:
            return False
        return self._monotonic() - answered.at < limits.READ_RIGHT_STALE_S

    def forget(self) -> None:
        self._answered.clear()
