"""What every dialect owes the engine, against the core of its emulator."""

import pytest

from adapters import DIALECTS
from hlrd.domain.errors import HlrdError, ProtocolError
from hlrd.domain.operation import UNDO, Operation
from hlrd.domain.outcome import Verdict
from hlrd.domain.plans.plan import undo
from hlrd.ne.adapter import AccountError
from tests.adapters.conformance import (
    EMULATED,
    KEY,
    KI,
    PASSWORD,
    RELAYS,
    Played,
    a_binding,
    a_task,
    an_adapter,
    ground,
    the_task,
)

STEPS = [(dialect, operation) for dialect, ne in EMULATED.items() for operation in ne.life]
QUERIED = [step for step in STEPS if an_adapter(step[0]).read_back(the_task(*step)) is not None]
DONE = (Verdict.DONE, Verdict.NO_CHANGE)
TAKEN = ([Verdict.DONE], [Verdict.PENDING])

each_dialect = pytest.mark.parametrize("dialect", list(EMULATED))
each_step = pytest.mark.parametrize(("dialect", "operation"), STEPS)


def before(dialect: str, operation: Operation) -> Played:
    """An NE on which all that comes before `operation` in a user's life is done."""
    played = Played(dialect)
    for earlier in EMULATED[dialect].life:
        if earlier is operation:
            break
        live(played, dialect, earlier)
    for task in ground(operation):
        played.execute(task)
    return played


def live(played: Played, dialect: str, operation: Operation) -> None:
    for task in ground(operation):
        played.execute(task)
    assert played.execute(the_task(dialect, operation)).verdict in DONE


def test_every_dialect_is_emulated() -> None:
    assert EMULATED.keys() == DIALECTS.keys()


@each_dialect
def test_every_operation_of_a_dialect_is_lived_through(dialect: str) -> None:
    assert set(EMULATED[dialect].life) == an_adapter(dialect).operations


@each_step
def test_a_task_is_exactly_one_request_on_the_wire(dialect: str, operation: Operation) -> None:
    played = Played(dialect)

    requests = EMULATED[dialect].requests().feed(played.request(the_task(dialect, operation)))

    assert len(requests) == 1


@each_step
def test_a_task_whose_ground_is_laid_is_done(dialect: str, operation: Operation) -> None:
    played = before(dialect, operation)

    outcome = played.execute(the_task(dialect, operation))

    assert outcome.verdict is Verdict.DONE
    assert outcome.is_known


@each_step
def test_sending_a_task_again_ends_as_sending_it_once(dialect: str, operation: Operation) -> None:
    played = before(dialect, operation)
    played.execute(the_task(dialect, operation))

    again = played.execute(the_task(dialect, operation))

    assert again.verdict in (*DONE, Verdict.EXISTS)
    assert played.read_back(the_task(dialect, operation)).verdict in (*DONE, Verdict.APPLIED)


@each_step
def test_a_task_that_was_done_is_read_back_as_done(dialect: str, operation: Operation) -> None:
    played = before(dialect, operation)
    played.execute(the_task(dialect, operation))

    found = played.read_back(the_task(dialect, operation))

    assert found.verdict in (*DONE, Verdict.APPLIED)


@pytest.mark.parametrize(("dialect", "operation"), QUERIED)
def test_a_task_that_was_not_done_is_read_back_as_absent(
    dialect: str, operation: Operation
) -> None:
    played = before(dialect, operation)

    found = played.read_back(the_task(dialect, operation))

    assert found.verdict is Verdict.ABSENT


@pytest.mark.parametrize(("dialect", "operation"), [s for s in STEPS if s not in QUERIED])
def test_a_task_without_a_query_is_done_by_its_read_back(
    dialect: str, operation: Operation
) -> None:
    played = before(dialect, operation)

    found = played.read_back(the_task(dialect, operation))

    assert found.verdict is Verdict.DONE


@pytest.mark.parametrize(("dialect", "operation"), [s for s in STEPS if s[1] in UNDO])
def test_what_was_done_can_be_undone(dialect: str, operation: Operation) -> None:
    played = before(dialect, operation)
    task = the_task(dialect, operation)
    played.execute(task)
    ((back,),) = undo([task])

    undone = played.execute(back)

    assert undone.verdict is Verdict.DONE
    assert played.read_back(back).verdict in (*DONE, Verdict.APPLIED)


@each_step
def test_people_see_a_task_without_its_secrets(dialect: str, operation: Operation) -> None:
    adapter = an_adapter(dialect)

    shown = adapter.masked(the_task(dialect, operation))

    assert KI not in shown.upper()
    assert PASSWORD not in shown
    assert adapter.account.password not in repr(adapter.account)
    assert KI not in repr(KEY)


@each_dialect
def test_a_keepalive_is_one_harmless_request(dialect: str) -> None:
    played = Played(dialect)
    request = played.adapter.keepalive()

    requests = EMULATED[dialect].requests().feed(request)
    played.reply(request)

    assert len(requests) == 1
    assert played.execute(the_task(dialect, EMULATED[dialect].life[0])).verdict is Verdict.DONE


@each_dialect
def test_a_reply_is_the_same_byte_by_byte(dialect: str) -> None:
    task = the_task(dialect, EMULATED[dialect].life[0])
    played = Played(dialect)
    wire = played.exchange(played.request(task))
    decoder = played.adapter.decoder()

    replies = [reply for at in range(len(wire)) for reply in decoder.feed(wire[at : at + 1])]

    assert [played.adapter.classify(task, reply).verdict for reply in replies] in TAKEN


@each_dialect
def test_noise_is_a_broken_protocol_and_nothing_else(dialect: str) -> None:
    decoder = an_adapter(dialect).decoder()

    with pytest.raises(ProtocolError):
        decoder.feed(b"\x00\xff nonsense\r\n---    END\r\n\r\n" * 40_000)


@each_dialect
@pytest.mark.parametrize(
    "options",
    [{"no_such": "1"}, {"code.4711": "busy"}],
)
def test_an_unusable_option_stops_the_start(dialect: str, options: dict[str, str]) -> None:
    with pytest.raises(AccountError) as refused:
        an_adapter(dialect, **options)

    assert next(iter(options)) in str(refused.value)
    assert isinstance(refused.value, HlrdError)


INQUIRED = [
    (dialect, inquiry) for dialect in EMULATED for inquiry in sorted(an_adapter(dialect).inquiries)
]
each_inquiry = pytest.mark.parametrize(("dialect", "inquiry"), INQUIRED)


@each_inquiry
def test_an_inquiry_finds_the_record_while_it_is_there(dialect: str, inquiry: Operation) -> None:
    played = Played(dialect)
    found = []

    for operation in EMULATED[dialect].life:
        found.append(played.read_back(a_task(inquiry)).verdict)
        live(played, dialect, operation)
    found.append(played.read_back(a_task(inquiry)).verdict)

    assert found[0] is found[-1] is Verdict.ABSENT
    assert Verdict.APPLIED in found
    assert set(found) == {Verdict.ABSENT, Verdict.APPLIED}


@each_inquiry
def test_an_inquiry_names_the_card_that_it_found(dialect: str, inquiry: Operation) -> None:
    last = Operation.CANCEL_REPORT if dialect in RELAYS else Operation.REMOVE_SUBSCRIBER
    played = before(dialect, last)

    found = played.read_back(a_task(inquiry, binding=a_binding(imsi="001010000000009")))

    assert found.verdict is Verdict.APPLIED
    assert "001010000000001" in found.text


@each_inquiry
def test_an_inquiry_is_one_request(dialect: str, inquiry: Operation) -> None:
    request = an_adapter(dialect).read_back(a_task(inquiry))

    assert request is not None
    assert len(EMULATED[dialect].requests().feed(request)) == 1
