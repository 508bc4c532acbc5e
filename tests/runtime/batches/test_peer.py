"""What the engine takes for a network element: begun once, answered once, given back on a drain."""

from hlrd import limits
from hlrd.domain.operation import NOBODY, Cause, Details, Operation, Task
from hlrd.domain.outcome import Counts, Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.ports import Command, Intent
from hlrd.runtime.batches.peer import Peer


def command(order: int, intent: Intent = Intent.EXECUTE) -> Command:
    details = Details(text=str(order))
    return Command(order, Task(Operation.FAN_OUT, BATCHES, NOBODY, Cause.ORDERED, details=details),
                   intent)  # fmt: skip


class Answers:
    def __init__(self) -> None:
        self.given: list[tuple[int, Outcome]] = []
        self.peer = Peer(lambda asked, outcome: self.given.append((asked.id, outcome)))
        self.orders: list[int] = []
        self.peer.on_order = self.orders.append

    @property
    def verdicts(self) -> list[tuple[int, Verdict]]:
        return [(order, outcome.verdict) for order, outcome in self.given]


def test_an_order_is_answered_when_its_last_child_has_ended() -> None:
    answers = Answers()
    counts = Counts(2, 1, 0)

    answers.peer.execute(command(7))
    answers.peer.execute(command(8))
    before = list(answers.given)
    answers.peer.done(7, counts)
    answers.peer.done(7, counts)

    assert answers.orders == [7, 8]
    assert before == []
    assert answers.verdicts == [(7, Verdict.DONE)]
    assert answers.given[0][1].counts == counts


def test_after_a_restart_it_is_begun_again_which_changes_nothing() -> None:
    answers = Answers()

    answers.peer.execute(command(7, Intent.READ_BACK))

    assert answers.verdicts == [(7, Verdict.ABSENT)]
    assert answers.orders == []


def test_a_drain_gives_every_order_back() -> None:
    answers = Answers()
    answers.peer.execute(command(7))

    answers.peer.drain()
    answers.peer.execute(command(8))

    assert answers.verdicts == [(7, Verdict.NOT_SENT), (8, Verdict.NOT_SENT)]
    assert answers.peer.free() == limits.FAN_OUTS_MAX


def test_one_that_is_not_there_is_refused() -> None:
    answers = Answers()
    answers.peer.execute(command(7))

    answers.peer.refused(7, "BATCH_UNKNOWN", "no such batch")

    assert answers.given == [(7, Outcome(Verdict.PERMANENT, "BATCH_UNKNOWN", "no such batch"))]
