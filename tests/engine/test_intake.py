from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.errors import BadRequest
from hlrd.domain.lifecycle import NumberState, UserState
from hlrd.domain.master import Master, Masters
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.pool.draw import Exhausted, Lack, Pending
from hlrd.ports import Clash, NumberFact, Repeat, Submission
from tests.engine.stage import KI, Stage, card, refusal, user_of

GONE = User(UserState.TERMINATED, None, NO_REASONS)


def holds_nothing(stage: Stage) -> bool:
    engine = stage.engine
    return not (
        stage.allocator.held
        or stage.journal.accepts
        or engine._book.orders
        or engine._book.lanes
        or engine._intake._hand._keys
        or engine._intake._arriving
    )


@pytest.mark.parametrize(
    ("kind", "user", "facts", "code"),
    [
        ("suspend", None, {}, "USER_UNKNOWN"),
        ("terminate", None, {}, "USER_UNKNOWN"),
        ("suspend", GONE, {}, "USER_TERMINATED"),
        ("resume", GONE, {}, "USER_TERMINATED"),
        ("suspend", user_of(2), {}, "USER_NUMBER_MISMATCH"),
        ("terminate", user_of(2), {}, "USER_NUMBER_MISMATCH"),
        ("activate", user_of(1), {}, "USER_EXISTS"),
        ("activate", GONE, {}, "USER_TERMINATED"),
        ("open", user_of(1), {}, "USER_EXISTS"),
        ("open", None, {"number": None}, "NUMBER_UNKNOWN"),
        (
            "open",
            None,
            {"number": NumberFact("hlr1", "200", NumberState.IN_USE)},
            "NUMBER_NOT_IDLE",
        ),
        (
            "open",
            None,
            {"number": NumberFact("hlr1", "100", NumberState.IDLE)},
            "NUMBER_OF_OTHER_PROVINCE",
        ),
        ("open", None, {"card_is_free": False}, "CARD_NOT_IN_STOCK"),
        ("open", None, {"imsi_is_free": False}, "IMSI_IN_USE"),
        ("open", None, {"card": card(2)}, "IMSI_NOT_OF_CARD"),
        ("open", None, {"card": card(1, hlr="hlr2")}, "SERVICES_UNKNOWN"),
        ("named", None, {"card": None}, "CARD_UNKNOWN"),
        ("named", None, {"card": card(1), "card_is_free": False}, "CARD_NOT_IN_STOCK"),
    ],
)
def test_what_contradicts_the_journal_is_refused_and_holds_nothing(
    kind: str, user: User | None, facts: dict[str, Any], code: str
) -> None:
    stage = Stage()
    stage.facts = facts
    if user is not None:
        stage.users["7"] = user
    named = kind == "named"
    order = (
        stage.activate(iccid=card(1).iccid)
        if named
        else stage.open(1)
        if kind == "open"
        else getattr(stage, kind)()
    )

    answers = stage.submit(order)
    stage.resolve()

    assert refusal(answers) == code
    assert holds_nothing(stage)


@pytest.mark.parametrize(
    ("kind", "source", "code"),
    [
        ("activate", "BOSS", "SOURCE_NOT_ALLOWED"),
        ("suspend", "ESOP", "SOURCE_NOT_ALLOWED"),
        ("suspend", "CRM", "NOT_STATE_MASTER"),
        ("resume", "CRM", "NOT_STATE_MASTER"),
    ],
)
def test_a_source_sends_only_what_is_its_own(kind: str, source: str, code: str) -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)

    answers = stage.submit(getattr(stage, kind)(), source=source)
    stage.resolve()

    assert refusal(answers) == code
    assert holds_nothing(stage)


def test_with_both_as_backup_either_may_change_state() -> None:
    stage = Stage(masters=Masters(Master.BACKUP, {}))
    stage.users["7"] = user_of(1)

    (answer,) = stage.take(stage.suspend(), source="CRM")

    assert answer.refusal is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (Lack.POOL, "POOL_UNKNOWN"),
        (Lack.LOT, "LOT_UNKNOWN"),
        (Lack.NUMBERS, "POOL_EXHAUSTED"),
        (Lack.CARDS, "STOCK_EXHAUSTED"),
    ],
)
def test_an_empty_pool_is_refused_and_holds_nothing(what: Lack, code: str) -> None:
    stage = Stage()
    stage.allocator.script = [Exhausted(what)]

    answers = stage.submit(stage.activate())
    stage.resolve()

    assert refusal(answers) == code
    assert holds_nothing(stage)


def test_a_card_of_an_hlr_without_the_services_is_put_back() -> None:
    stage = Stage()

    answers = stage.submit(stage.activate(services=["VOICE"]))
    stage.resolve()

    assert refusal(answers) == "SERVICES_UNKNOWN"
    assert holds_nothing(stage)


def test_an_order_is_answered_when_it_is_durable_and_not_before() -> None:
    stage = Stage()

    answers = stage.submit(stage.activate())
    stage.resolve()
    assert not answers
    assert stage.allocator.held
    stage.accept()

    (answer,) = answers
    assert (answer.id, answer.state, answer.msisdn) == (1000, "queued", "1064700000001")
    assert not stage.allocator.held


def test_a_batch_is_answered_once_in_its_own_order() -> None:
    stage = Stage()
    undecoded = BadRequest("JSON_INVALID", "not a JSON document")
    calls: list[list[str | None]] = []

    stage.engine.submit(
        [
            Submission("OPS", stage.suspend()),
            Submission("OPS", None, undecoded),
            Submission("OPS", stage.activate("8")),
        ],
        lambda answers: calls.append([a.refusal.code if a.refusal else a.state for a in answers]),
    )
    stage.resolve()
    stage.accept()

    assert calls == [["USER_UNKNOWN", "JSON_INVALID", "queued"]]


def test_the_accept_record_says_by_which_session_an_order_came() -> None:
    stage = Stage()
    orders = [stage.activate("7"), stage.activate("8")]

    stage.engine.submit(
        [Submission("OPS", orders[0], session="ops-1-1"), Submission("OPS", orders[1])],
        lambda _: None,
    )
    stage.resolve()

    assert [record.session for record in stage.journal.accepts] == ["ops-1-1", None]


def test_an_empty_batch_is_answered_at_once() -> None:
    calls: list[object] = []

    Stage().engine.submit([], calls.append)

    assert calls == [[]]


def test_a_ki_is_kept_until_the_answer_and_never_stored() -> None:
    stage = Stage()

    stage.submit(stage.open(1))
    assert stage.engine._intake._hand._keys
    stage.resolve()
    (record,) = stage.journal.accepts
    stage.accept()

    assert KI.encode() not in record.payload
    assert KI not in repr(stage.engine._book.orders)
    assert not stage.engine._intake._hand._keys


# Repeats.


def test_a_repeat_within_the_batch_gets_the_same_answer() -> None:
    stage = Stage()
    order = stage.activate()

    first, again = stage.take(order, order)

    assert (first.id, first.msisdn) == (again.id, again.msisdn)
    assert (first.is_repeat, again.is_repeat) == (False, True)


def test_a_repeat_of_an_order_that_is_refused_is_refused_alike() -> None:
    stage = Stage()
    order = stage.suspend()

    answers = stage.take(order, order)

    assert [answer.refusal.code for answer in answers if answer.refusal] == ["USER_UNKNOWN"] * 2


def test_another_content_under_the_same_id_is_refused() -> None:
    stage = Stage()
    order = stage.activate()
    other = stage.activate(ec_code="EC2")
    other.order_id = order.order_id
    stage.take(order)

    assert refusal(stage.submit(other)) == "DUPLICATE_CONFLICT"


def test_a_repeat_of_a_closed_order_gets_its_receipt() -> None:
    stage = Stage()
    order = stage.activate()
    stage.submit(order)
    digest = next(iter(stage.engine._book.orders.values())).content_hash
    stage.facts = {"repeat": Repeat(5, digest, "succeeded", user_of(3).binding, b"{}")}

    again = stage.submit(order)
    stage.resolve()

    (answer,) = again
    assert (answer.id, answer.receipt, answer.is_repeat) == (5, b"{}", True)
    assert answer.msisdn == "1064700000003"
    assert holds_nothing(stage)


def test_another_content_than_the_journal_holds_is_refused() -> None:
    stage = Stage()
    stage.facts = {"repeat": Repeat(5, b"other", "queued", None, None)}

    answers = stage.submit(stage.activate())
    stage.resolve()

    assert refusal(answers) == "DUPLICATE_CONFLICT"


# Numbers that are not there yet.


def test_orders_of_a_user_wait_behind_one_that_waits_for_a_number() -> None:
    stage = Stage()
    stage.allocator.script = [Pending.PENDING, Pending.PENDING]

    first = stage.submit(stage.activate())
    second = stage.submit(stage.suspend())
    other = stage.take(stage.suspend(user="9"))
    assert refusal(other) == "USER_UNKNOWN"
    stage.engine.on_leased()
    assert not first + second
    stage.engine.on_leased()

    assert [record.kind for record in stage.journal.accepts] == [
        "MEMBER_ACTIVATE", "ARREARS_SUSPEND",
    ]  # fmt: skip
    stage.finish()
    assert [receipt["result"] for receipt in stage.receipts()] == ["succeeded", "succeeded"]


def test_when_no_number_comes_those_behind_are_judged_without_the_user() -> None:
    stage = Stage()
    stage.allocator.script = [Pending.PENDING, Exhausted(Lack.NUMBERS)]
    first = stage.submit(stage.activate())
    second = stage.submit(stage.suspend())
    stage.resolve()

    stage.engine.on_leased()

    assert (refusal(first), refusal(second)) == ("POOL_EXHAUSTED", "USER_UNKNOWN")
    assert holds_nothing(stage)


# Clashes.


def test_a_drawn_number_that_another_node_has_is_drawn_again_in_its_place() -> None:
    stage = Stage()
    stage.submit(stage.activate())
    stage.resolve()
    opening = stage.journal.accepts.pop(0)

    stage.engine.on_clash(opening.id, Clash.NUMBER)
    stage.resolve()

    assert stage.allocator.dropped == ["1064700000001"]
    (again,) = stage.journal.accepts
    assert again.id == opening.id
    assert again.binding is not None
    assert again.binding.msisdn == "1064700000002"


def test_those_behind_a_clash_do_not_run_before_it() -> None:
    stage = Stage()
    stage.submit(stage.activate())
    stage.resolve()
    late = stage.submit(stage.suspend(1))
    stage.resolve()
    opening, suspension = stage.journal.accepts
    stage.journal.accepts = []

    stage.engine.on_accepted([suspension.id])
    stage.engine.on_clash(opening.id, Clash.CARD)
    assert late
    assert not stage.commands()
    stage.resolve()
    stage.accept()

    assert stage.commands() == ["execute addKey"]


def test_a_named_number_that_clashes_is_refused_and_put_out_of_hand() -> None:
    stage = Stage()
    answers = stage.submit(stage.open(1))
    stage.resolve()
    record = stage.journal.accepts.pop()

    stage.engine.on_clash(record.id, Clash.NUMBER)

    assert refusal(answers) == "NUMBER_TAKEN"
    assert holds_nothing(stage)


def test_an_order_that_the_journal_has_already_is_a_repeat() -> None:
    stage = Stage()
    answers = stage.submit(stage.activate())
    stage.resolve()
    record = stage.journal.accepts.pop()

    stage.engine.on_clash(record.id, Clash.ORDER)
    binding = user_of(3).binding
    stage.facts = {"repeat": Repeat(5, record.content_hash, "queued", binding, None)}
    stage.resolve()

    (answer,) = answers
    assert (answer.id, answer.msisdn, answer.is_repeat) == (5, "1064700000003", True)
    assert holds_nothing(stage)


def test_a_user_that_another_node_opened_is_read_again_for_those_behind() -> None:
    stage = Stage()
    opening = stage.submit(stage.open(1))
    stage.submit(stage.suspend(1))
    stage.resolve()
    record, suspension = stage.journal.accepts
    stage.journal.accepts = []
    stage.engine.on_accepted([suspension.id])
    stage.users["7"] = user_of(2)

    stage.engine.on_clash(record.id, Clash.USER)
    stage.finish()

    assert refusal(opening) == "USER_EXISTS"
    (receipt,) = stage.receipts()
    assert (receipt["result"], receipt["code"]) == ("failed", "USER_NUMBER_MISMATCH")
    assert not stage.commands()


# Conflicts and admission.


def test_a_second_opening_of_a_user_is_a_conflict_and_a_suspension_waits() -> None:
    stage = Stage()
    stage.take(stage.activate())

    assert refusal(stage.take(stage.activate())) == "CONFLICT_IN_FLIGHT"
    (waiting,) = stage.take(stage.suspend(1))
    assert waiting.state == "queued"


def test_a_resume_behind_a_termination_is_refused() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.terminate())

    assert refusal(stage.take(stage.resume())) == "CONFLICT_IN_FLIGHT"


def test_one_user_has_so_many_open_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "USER_ORDERS_OPEN_MAX", 2)
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend(), stage.resume())

    assert refusal(stage.take(stage.suspend())) == "USER_QUEUE_FULL"


def test_bulk_is_refused_before_the_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDERS_OPEN_MAX", 10)
    stage = Stage()
    for n in range(8):
        stage.take(stage.activate(str(n), priority=0))

    for priority, code in ((5, "QUEUE_FULL"), (4, "QUEUE_FULL"), (3, None), (0, None)):
        (answer,) = stage.take(stage.activate(f"20{priority}", priority=priority))
        assert (answer.refusal.code if answer.refusal else None) == code
    assert refusal(stage.take(stage.activate("300", priority=0))) == "QUEUE_FULL"


def test_a_journal_that_is_behind_stops_the_intake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDERS_ARRIVING_MAX", 2)
    stage = Stage()
    stage.submit(stage.activate("1", priority=0), stage.activate("2", priority=0))

    answers = stage.submit(stage.activate("3", priority=0))

    assert refusal(answers) == "JOURNAL_BEHIND"
    stage.resolve()
    stage.accept()
    assert stage.take(stage.activate("3", priority=0))[0].refusal is None
