"""Queries that belong to no order: asked behind the orders, once, and called off in time."""

from hlrd import limits
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.engine.execution import NOT_CONFIGURED
from hlrd.ports import Intent
from tests.engine.stage import Stage

ABSENT = Outcome(Verdict.ABSENT)
Answers = dict[str, Outcome]


def questions(count: int, ne: str = "hlr1") -> list[Task]:
    nobody = UserId(""), IMSI(""), ICCID(""), SealedKey("", b"")
    return [
        Task(
            Operation.FIND_NUMBER,
            ne,
            Binding(nobody[0], MSISDN(f"10647{n:08d}"), nobody[1], nobody[2], ne, "200", nobody[3]),
            Cause.CLOSED,
        )
        for n in range(count)
    ]


def inquire(stage: Stage, tasks: list[Task]) -> tuple[Answers, object]:
    answers: Answers = {}

    def note(task: Task, outcome: Outcome) -> None:
        assert task.binding.msisdn not in answers
        answers[task.binding.msisdn] = outcome

    return answers, stage.engine.inquire(tasks, note)


def test_an_inquiry_is_a_query_and_its_answer_comes_back_as_it_is() -> None:
    stage = Stage()

    answers, _ = inquire(stage, questions(2))

    assert {command.intent for command in stage.hlr.sent} == {Intent.READ_BACK}
    stage.reply(ABSENT)
    stage.reply(Outcome(Verdict.APPLIED, text="IMSI 460040000000001"))
    assert [answer.verdict for answer in answers.values()] == [Verdict.ABSENT, Verdict.APPLIED]


def test_an_order_goes_before_every_inquiry_that_waits() -> None:
    stage = Stage()
    stage.hlr.places = 0
    answers, _ = inquire(stage, questions(30))
    stage.take(stage.activate())

    stage.hlr.places = 2  # a small window keeps no place for the urgent
    stage.engine.on_free("hlr1")

    assert [command.task.operation for command in stage.hlr.sent] == [
        Operation.ADD_KEY,
        Operation.FIND_NUMBER,
    ]
    assert not answers


def test_inquiries_leave_the_last_place_to_the_urgent() -> None:
    stage = Stage()
    stage.hlr.places = limits.RESERVED_SESSIONS_FROM

    inquire(stage, questions(limits.RESERVED_SESSIONS_FROM))

    assert len(stage.hlr.sent) == stage.hlr.places - 1


def test_what_is_called_off_is_never_asked_and_leaves_nothing_waiting() -> None:
    stage = Stage()
    stage.hlr.places = 0
    answers, call_off = inquire(stage, questions(30))
    others, _ = inquire(stage, questions(1))

    assert callable(call_off)
    call_off()
    stage.hlr.places = 40
    stage.engine.on_free("hlr1")

    assert len(stage.hlr.sent) == 1
    stage.reply(ABSENT)
    assert not answers
    assert len(others) == 1
    assert stage.hlr.wanted == 0


def test_what_was_asked_before_it_is_called_off_is_still_answered() -> None:
    stage = Stage()
    stage.hlr.places = 1
    answers, call_off = inquire(stage, questions(3))

    assert callable(call_off)
    call_off()
    stage.reply(ABSENT)

    assert list(answers.values()) == [ABSENT]
    assert stage.engine.is_quiet()


def test_an_ne_that_is_not_configured_is_answered_at_once() -> None:
    stage = Stage()

    answers, _ = inquire(stage, questions(1, ne="gone"))

    assert list(answers.values()) == [NOT_CONFIGURED]


def test_an_inquiry_in_flight_keeps_the_engine_from_being_quiet() -> None:
    stage = Stage()
    inquire(stage, questions(1))

    assert not stage.engine.is_quiet()
    stage.reply(ABSENT)
    assert stage.engine.is_quiet()
