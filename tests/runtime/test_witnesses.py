"""Whether headquarters knows a number, by the word of every relay."""

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd.domain.identity import MSISDN
from hlrd.domain.operation import NOBODY, Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.runtime.witnesses import Witnesses

RELAYS = ("bboss", "boss1")
VERDICTS = st.sampled_from([Verdict.ABSENT, Verdict.APPLIED, Verdict.PENDING, Verdict.BUSY])


def question(number: int) -> Task:
    binding = replace(NOBODY, msisdn=MSISDN(f"10649000000{number:02d}"))
    return Task(Operation.FIND_NUMBER, "hlr1", binding, Cause.CLOSED)


class FakeRelays:
    """Answer in whatever order the test wants."""

    def __init__(self) -> None:
        self.asked: list[Task] = []
        self.is_called_off = False
        self.on_outcome: Callable[[Task, Outcome], None]

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        self.asked, self.on_outcome = list(tasks), on_outcome
        return self._call_off

    def _call_off(self) -> None:
        self.is_called_off = True


@given(st.lists(st.tuples(VERDICTS, VERDICTS), min_size=1, max_size=5), st.randoms())
def test_a_number_is_clean_only_by_the_word_of_all(
    words: list[tuple[Verdict, Verdict]], chance: Random
) -> None:
    relays, told = FakeRelays(), dict[str, Outcome]()
    questions = [question(number) for number in range(len(words))]

    Witnesses(relays.inquire, RELAYS)(
        questions, lambda task, outcome: told.update({task.binding.msisdn: outcome})
    )
    for task in sorted(relays.asked, key=lambda _: chance.random()):
        said = words[int(task.binding.msisdn[-2:])][RELAYS.index(task.ne)]
        relays.on_outcome(task, Outcome(said))

    for task, said_by_all in zip(questions, words, strict=True):
        verdict = told[task.binding.msisdn].verdict
        assert (verdict is Verdict.ABSENT) == (set(said_by_all) == {Verdict.ABSENT})
        assert (verdict is Verdict.APPLIED) == (Verdict.APPLIED in said_by_all)


def test_nothing_is_said_before_each_relay_has_answered_and_it_can_be_called_off() -> None:
    relays, told = FakeRelays(), list[Outcome]()

    call_off = Witnesses(relays.inquire, RELAYS)([question(1)], lambda _, one: told.append(one))
    relays.on_outcome(relays.asked[0], Outcome(Verdict.ABSENT))
    call_off()

    assert told == []
    assert relays.is_called_off
    assert [task.ne for task in relays.asked] == list(RELAYS)
