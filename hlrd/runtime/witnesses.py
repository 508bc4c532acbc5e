"""Whether headquarters knows a number: where it has the HLRs, its relays are asked for them."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.runtime.recycle import Inquire


class Witnesses:
    """Is an `Inquire`: asks every relay, since a member is known to the one that it went up by."""

    def __init__(self, inquire: Inquire, relays: Sequence[str]) -> None:
        self._inquire = inquire
        self._relays = relays

    def __call__(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None], /
    ) -> Callable[[], None]:
        asked = [
            replace(task, ne=relay, transaction=str(place))
            for place, task in enumerate(tasks)
            for relay in self._relays
        ]
        heard: list[list[Outcome]] = [[] for _ in tasks]

        def listen(task: Task, outcome: Outcome) -> None:
            place = int(task.transaction)
            heard[place].append(outcome)
            if len(heard[place]) == len(self._relays):
                on_outcome(tasks[place], _together(heard[place]))

        return self._inquire(asked, listen)


def _together(heard: Sequence[Outcome]) -> Outcome:
    """Absent only where it is so with all; what one has found counts most."""
    found = [one for one in heard if one.verdict is Verdict.APPLIED]
    unsure = [one for one in heard if one.verdict is not Verdict.ABSENT]
    return next(iter([*found, *unsure]), heard[0])
