"""The turns of a user's orders: sequence, twins, dates, and what is called off or urged on."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from msgspec import structs

from hlrd import limits
from hlrd.domain.errors import Conflict
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderState, UserState
from hlrd.domain.orders import BEIJING, OperatorSuspend
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import NO_REASONS, Reason
from hlrd.domain.turn import Note
from hlrd.domain.user import User
from hlrd.ports import Acceptance, BindingEnd
from tests.engine.stage import FIRST_ID, Stage, refusal, user_of


def a_stage(**changes: Any) -> Stage:
    """With the user 7, who has the number 1."""
    stage = Stage(**changes)
    stage.users["7"] = user_of(1)
    return stage


def numbered(**applied: int) -> dict[str, Any]:
    """How far the user's sequence has come."""
    return {"applied": {"": max(applied.values())} | applied}


def marks(stage: Stage) -> list[tuple[str, list[str]]]:
    return [(receipt["result"], receipt.get("marks", [])) for receipt in stage.receipts()]


def fraud(stage: Stage, **changes: Any) -> OperatorSuspend:
    named = {"msisdn": "1064700000001", "reason": Reason.FRAUD}
    return OperatorSuspend(**stage.header(**changes), **named)


# Sequence.


def test_a_late_order_is_superseded_without_a_command() -> None:
    stage = a_stage()
    stage.facts = numbered(ARREARS=9)

    stage.take(stage.suspend(seq=8))

    assert not stage.commands()
    stage.close()
    assert marks(stage) == [("succeeded", ["SUPERSEDED"])]
    assert stage.receipts()[0]["effective_level"] == 0


def test_what_was_applied_goes_with_the_close_record_and_is_known_at_once() -> None:
    stage = a_stage()
    stage.take(stage.suspend(seq=5))
    stage.reply()
    stage.reply()

    (closing,) = stage.close()
    assert closing.applied == (("", 5), ("ARREARS", 5))


def test_an_order_that_says_nothing_of_its_turn_costs_nothing() -> None:
    stage = a_stage()

    stage.submit(stage.suspend())
    (wanted,) = stage.lookup.wanted
    stage.resolve()

    assert (wanted.has_seq, wanted.business_key, wanted.is_dated) == (False, None, False)
    assert stage.journal.accepts[0].turn is None


def test_an_order_waits_for_the_one_missing_before_it_and_then_runs_marked() -> None:
    stage = a_stage()
    stage.facts = numbered(ARREARS=5)
    stage.take(stage.suspend(seq=7))
    (order_id,) = stage.engine._book.orders

    assert not stage.commands()
    told = stage.engine.show(order_id)
    assert told is not None
    assert told["waits"]["reason"] == "PREDECESSOR_MISSING"
    stage.wait(limits.PREDECESSOR_WAIT_S)
    stage.finish()

    assert marks(stage) == [("succeeded", ["PREDECESSOR_MISSING"])]


def test_the_missing_one_goes_first_when_it_comes_in_time() -> None:
    stage = a_stage()
    stage.facts = numbered(ARREARS=5)
    stage.take(stage.resume(seq=7))
    stage.wait(1.0)

    stage.take(fraud(stage, seq=6))
    stage.finish()

    assert [receipt["type"] for receipt in stage.receipts()] == [
        "OPERATOR_SUSPEND",
        "PAYMENT_RESUME",
    ]
    assert all("PREDECESSOR_MISSING" not in found for _, found in marks(stage))


def test_a_payment_that_overtook_its_stop_never_leaves_the_line_stopped() -> None:
    """Case 10: the resume came first, with the later number."""
    stage = a_stage()
    stage.facts = numbered(ARREARS=5)
    stage.take(stage.resume(seq=7))
    stage.take(stage.suspend(seq=6))
    stage.finish()

    assert marks(stage) == [("succeeded", ["COALESCED"])] * 2
    assert stage.receipts()[-1]["effective_level"] == 0
    assert not stage.hlr.sent


def test_an_order_that_upstream_has_earlier_waits_for_one_that_has_begun() -> None:
    """And says so in the journal, since a crash would forget which had begun."""
    stage = a_stage()
    stage.submit(stage.terminate(seq=9))
    stage.resolve()
    (begun,) = stage.journal.accepts
    stage.accept()
    stage.submit(stage.suspend(seq=8))
    stage.resolve()
    (late,) = stage.journal.accepts

    assert late.turn == Note(None, begun.id, None)
    again = a_stage(first_own_id=5_000, order_ids=count(5_000))
    again.engine.recover(
        [(one.id, one.user_id, one.priority, False, one.kind) for one in (begun, late)]
    )
    again.lookup.unparking.clear()
    again.engine.on_unparked([stored(again, begun), stored(again, late)])

    again.wait(11)
    assert {command.task.transaction[:4] for command in again.dsmp.sent + again.hlr.sent} == {
        str(begun.id)
    }


def stored(stage: Stage, record: Acceptance) -> Any:
    found = stage.stored(record)
    names = type(found).__slots__
    return type(found)(**{name: getattr(found, name) for name in names} | {"turn": record.turn})


# Coalescing.


def test_a_stop_that_waits_for_its_element_is_taken_back_by_the_payment() -> None:
    stage = a_stage()
    stage.hlr.places = 0
    stage.take(stage.suspend())
    assert stage.hlr.wanted == 1

    stage.take(stage.resume())

    assert stage.hlr.wanted == 0
    stage.close()
    assert marks(stage) == [("succeeded", ["COALESCED"])] * 2
    assert stage.engine.open_orders() == 0


def test_a_stop_that_was_sent_is_carried_out_before_the_payment() -> None:
    stage = a_stage()
    stage.take(stage.suspend())

    stage.take(stage.resume())
    stage.finish()

    assert marks(stage) == [("succeeded", []), ("succeeded", [])]


def test_a_stop_that_a_run_before_may_have_sent_is_not_taken_back() -> None:
    before = a_stage()
    before.submit(before.suspend())
    before.resolve()
    (record,) = before.journal.accepts
    stage = a_stage(first_own_id=5_000, order_ids=count(5_000))
    stage.engine.recover([(record.id, record.user_id, 3, False, record.kind)])
    stage.unpark([record])

    stage.take(stage.resume())
    stage.wait(11)

    assert stage.commands() == ["readBack setBarring"]


def test_withdrawn_tasks_are_let_go_even_while_their_element_is_away() -> None:
    stage = Stage()
    stage.hlr.places = 0
    for n in range(1, 400):
        stage.users[str(n)] = user_of(n, user_id=str(n))
        stage.take(stage.suspend(n, user=str(n)))
        stage.take(stage.resume(n, user=str(n)))
        stage.close()

    lane = stage.engine._dispatch._lanes["hlr1"]
    assert len(lane) == 0
    assert sum(map(len, lane._fresh)) < 200


# The same by another id.


def test_the_twin_of_a_running_order_waits_for_it_and_needs_no_command() -> None:
    stage = a_stage()
    (first,) = stage.take(stage.suspend(state_version=3), source="BOSS")
    (second,) = stage.take(stage.suspend(state_version=3), source="OPS")

    assert len(stage.commands()) == 1
    stage.finish()

    assert marks(stage) == [("succeeded", []), ("succeeded", ["DUPLICATE_OF"])]
    assert stage.receipts()[1]["duplicate_of"] == str(first.id)
    assert second.id != first.id


def test_the_twin_of_a_closed_order_is_told_by_the_journal() -> None:
    stage = a_stage()
    stage.facts = {"repeat_of": 77}

    stage.take(stage.resume(root_order_id="R1"))
    stage.close()

    assert marks(stage) == [("succeeded", ["DUPLICATE_OF"])]
    assert stage.receipts()[0]["duplicate_of"] == "77"


def test_the_journal_keeps_the_key_by_which_twins_are_told() -> None:
    stage = a_stage()
    stage.submit(stage.suspend(root_order_id="R1"))
    stage.resolve()

    assert stage.journal.accepts[0].turn == Note(None, 0, "ARREARS_SUSPEND ARREARS 2 root:R1")


def test_the_twin_of_an_order_that_failed_runs() -> None:
    stage = a_stage()
    stage.take(stage.terminate())
    stage.users["7"] = User(UserState.TERMINATED, None, NO_REASONS)
    stage.finish()
    again = a_stage()
    again.facts = {"repeat_of": None}

    again.take(again.resume(root_order_id="R1"))
    again.close()

    assert marks(again) == [("succeeded", ["NOT_SUSPENDED_FOR_REASON"])]


# Dated ahead.


def at(stage: Stage, seconds: float) -> str:
    due = stage.clock.wall() + timedelta(seconds=seconds)
    return due.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def take_dated(stage: Stage, order: Any) -> Acceptance:
    """Accepted, and out of memory."""
    stage.submit(order)
    stage.resolve()
    record = stage.journal.accepts[-1]
    stage.accept()
    return record


def fall_due(stage: Stage, record: Acceptance) -> None:
    assert record.turn is not None
    note = structs.replace(record.turn, place=stage.engine.next_place())
    stage.engine.on_due([(record.id, record.user_id, record.priority, record.kind)])
    stage.lookup.unparking.clear()
    stage.engine.on_unparked([stored(stage, structs.replace(record, turn=note))])


def test_an_order_dated_ahead_leaves_memory_and_runs_when_it_falls_due() -> None:
    stage = a_stage()
    answers = stage.submit(stage.suspend(effective_time=at(stage, 3_600)))
    stage.resolve()
    (record,) = stage.journal.accepts
    stage.accept()

    assert answers[0].state == OrderState.SCHEDULED
    assert not stage.engine._book.orders
    assert not stage.engine.open_orders()
    assert record.turn is not None
    assert record.turn.due_at == datetime(2026, 1, 1, 1, 16, 40, tzinfo=UTC)
    fall_due(stage, record)
    stage.finish()
    assert marks(stage) == [("succeeded", [])]
    assert stage.journal.durable[0].was_dated


def test_what_its_time_no_longer_allows_fails_with_a_receipt() -> None:
    stage = a_stage()
    record = take_dated(stage, stage.resume(effective_time=at(stage, 60)))
    stage.take(stage.terminate())
    stage.finish()

    fall_due(stage, record)
    stage.close()

    assert stage.receipts()[-1]["result"] == "failed"
    assert stage.receipts()[-1]["code"] == "USER_TERMINATED"


def test_more_than_62_days_ahead_is_refused() -> None:
    stage = a_stage()
    answers = stage.submit(stage.suspend(effective_time=at(stage, 63 * 86_400)))
    stage.resolve()

    assert refusal(answers) == "EFFECTIVE_TIME_TOO_FAR"


def test_orders_behind_an_opening_that_is_dated_ahead_are_dated_as_it_is() -> None:
    stage = Stage()
    opening = take_dated(stage, stage.activate(effective_time=at(stage, 600)))
    assert opening.turn is not None
    assert opening.binding is not None
    stage.users["7"] = User(UserState.PROVISIONING, opening.binding, NO_REASONS)

    stage.submit(stage.suspend(msisdn=opening.binding.msisdn))
    stage.resolve()
    stage.facts = {"opens_at": opening.turn.due_at}
    assert stage.lookup.wanted[0].is_dated
    stage.resolve()

    assert stage.journal.accepts[0].turn == Note(opening.turn.due_at, 0, None)


def test_what_waits_for_its_time_counts_among_the_open_orders_of_its_user() -> None:
    stage = a_stage()
    stage.facts = {"scheduled": limits.USER_ORDERS_OPEN_MAX}

    answers = stage.submit(stage.suspend(effective_time=at(stage, 60)))
    stage.resolve()

    assert refusal(answers) == "USER_QUEUE_FULL"


def test_an_order_that_fell_due_before_its_acceptance_was_told_is_taken_up() -> None:
    stage = a_stage()
    stage.submit(stage.suspend(effective_time=at(stage, 1)))
    stage.resolve()
    (record,) = stage.journal.accepts
    stage.engine.on_due([(record.id, record.user_id, record.priority, record.kind)])

    stage.accept()

    assert stage.lookup.unparking == [([record.id], [])]


# Calling off.


def test_an_order_that_waits_for_its_element_can_be_called_off() -> None:
    stage = a_stage()
    stage.hlr.places = 0
    stage.take(stage.suspend())

    stage.engine.cancel(FIRST_ID)

    assert stage.hlr.wanted == 0
    stage.close()
    assert marks(stage) == [("cancelled", [])]
    assert stage.engine.open_orders() == 0


def test_an_opening_that_is_called_off_gives_number_and_card_back() -> None:
    stage = Stage()
    stage.hlr.places = 0
    stage.take(stage.activate())

    stage.engine.cancel(FIRST_ID)
    (closing,) = stage.close()

    assert closing.binding_end is BindingEnd.ROLLED_BACK
    assert closing.binding is not None
    assert "msisdn" not in stage.receipts()[0]


def test_those_behind_an_order_that_is_called_off_go_on() -> None:
    stage = a_stage()
    stage.hlr.places = 0
    stage.take(stage.suspend(), stage.terminate())

    stage.engine.cancel(FIRST_ID)
    assert not stage.dsmp.sent, "not before it is durable"
    stage.close()

    assert stage.dsmp.sent


def test_once_a_command_was_sent_it_is_too_late() -> None:
    stage = a_stage()
    stage.take(stage.suspend())

    with pytest.raises(Conflict) as refused:
        stage.engine.cancel(FIRST_ID)

    assert refused.value.code == "ORDER_BEGUN"


def test_what_a_run_before_may_have_sent_is_not_called_off() -> None:
    before = a_stage()
    before.submit(before.suspend())
    before.resolve()
    (record,) = before.journal.accepts
    stage = a_stage(first_own_id=5_000, order_ids=count(5_000))
    stage.engine.recover([(record.id, record.user_id, 3, False, record.kind)])

    with pytest.raises(Conflict) as refused:
        stage.engine.cancel(record.id, stage.stored(record))

    assert refused.value.code == "ORDER_BEGUN"


def test_an_order_that_waits_for_its_time_is_called_off_though_a_run_before_took_it() -> None:
    stage = a_stage(first_own_id=5_000, order_ids=count(5_000))
    before = a_stage()
    record = take_dated(before, before.suspend(effective_time=at(before, 60)))

    stage.engine.cancel(record.id, stored(stage, record))
    (closing,) = stage.close()

    assert closing.state == OrderState.CANCELLED
    assert closing.was_dated
    assert stage.engine.open_orders() == 0


def test_what_is_closed_or_waits_for_a_person_is_not_called_off() -> None:
    stage = a_stage()
    stage.take(stage.suspend())
    stage.reply(Verdict.PERMANENT)

    with pytest.raises(Conflict) as in_fallout:
        stage.engine.cancel(FIRST_ID)
    with pytest.raises(Conflict) as closed:
        stage.engine.cancel(7)

    assert (in_fallout.value.code, closed.value.code) == ("ORDER_IN_FALLOUT", "ORDER_CLOSED")


# Urging on, and what it is good for.


def test_an_order_that_is_chased_passes_the_others() -> None:
    stage = Stage()
    stage.hlr.places = 0
    for n in (1, 2):
        stage.users[str(n)] = user_of(n, user_id=str(n))
        stage.take(stage.suspend(n, user=str(n), priority=4))

    stage.engine.chase(FIRST_ID + 1, 4)
    stage.hlr.places = 1
    stage.engine.on_free("hlr1")

    assert stage.hlr.sent[0].task.binding.user_id == "2"


def test_a_parked_order_that_is_chased_is_read_back_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 0)
    stage = Stage()
    for n in (1, 2, 3):
        stage.users[str(n)] = user_of(n, user_id=str(n))
        stage.take(stage.suspend(n, user=str(n), priority=4))

    stage.engine.chase(FIRST_ID + 2, 4)
    taken = stage.engine._parking.take(2)

    assert taken == [FIRST_ID + 2, FIRST_ID]
    assert stage.engine._parking.count(limits.PRIORITY_CHASED) == 1
    for order_id in (FIRST_ID, FIRST_ID + 1, FIRST_ID + 2):
        stage.engine._parking.remove(order_id, 4)
    assert [stage.engine._parking.count(n) for n in range(limits.PRIORITIES)] == [0] * 6
    assert not stage.engine._parking._lifted


def test_an_urgent_order_lifts_those_before_it_out_of_the_journal_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = a_stage()
    stage.hlr.places = 0
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 0)
    records = []
    for order in (stage.suspend(priority=5), stage.terminate(priority=0)):
        stage.submit(order)
        stage.resolve()
        records += stage.journal.accepts
        stage.accept()
    monkeypatch.undo()

    stage.engine.refill()
    stage.unpark(records)

    first, _ = stage.engine._book
    assert (first.kind.name, first.urgency) == ("ARREARS_SUSPEND", 0)
    assert stage.engine._dispatch._lanes["hlr1"].has_urgent


def test_what_a_fallout_held_up_comes_back_as_urgent_as_what_waits_behind_it() -> None:
    stage = a_stage()
    stage.submit(stage.suspend(priority=5))
    stage.resolve()
    (record,) = stage.journal.accepts
    stage.accept()
    stage.reply(Verdict.PERMANENT)
    stage.close()
    stage.submit(stage.terminate(priority=0))
    stage.resolve()
    (behind,) = stage.journal.accepts
    stage.accept()
    stage.hlr.places = 0

    stage.engine.release(record.id)
    stage.unpark([record, behind])

    assert [order.urgency for order in stage.engine._book] == [0, 0]


@pytest.mark.parametrize(("kind", "is_alarm"), [("resume", True), ("terminate", False)])
def test_a_stop_or_resume_behind_a_fallout_is_an_alarm(
    kind: str, is_alarm: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = a_stage()
    stage.take(stage.suspend())
    stage.reply(Verdict.PERMANENT)

    (answer,) = stage.take(getattr(stage, kind)())

    assert ("order_blocked_by_fallout" in capsys.readouterr().out) == is_alarm
    assert stage.engine.show(answer.id) == {
        "state": OrderState.PARKED,
        "waits": {"reason": "ORDER_IN_FALLOUT", "order": str(FIRST_ID)},
    }


@pytest.mark.parametrize("kind", ["resume", "activate"])
def test_a_termination_that_is_parked_refuses_as_one_in_memory_does(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = a_stage()
    monkeypatch.setattr(limits, "ORDERS_IN_MEMORY_MAX", 0)
    stage.take(stage.terminate())
    assert len(stage.engine._parking) == 1

    assert refusal(stage.take(getattr(stage, kind)())) == "CONFLICT_IN_FLIGHT"


# Recycled numbers and cards that others hold.


def test_a_late_order_for_the_old_user_of_a_number_does_not_touch_the_new_one() -> None:
    stage = Stage()
    stage.users["8"] = user_of(1, user_id="8")
    stage.users["7"] = User(UserState.TERMINATED, None, NO_REASONS)

    assert refusal(stage.take(stage.suspend(1, user="7", level=1))) == "USER_TERMINATED"
    stage.users["7"] = user_of(2)
    assert refusal(stage.take(stage.suspend(1, user="7"))) == "USER_NUMBER_MISMATCH"


def test_an_opening_with_a_number_that_another_opens_with_is_refused() -> None:
    stage = Stage()
    stage.submit(stage.open(3, user="1"))
    stage.resolve()

    answers = stage.submit(stage.open(3, user="2"))
    stage.resolve()

    assert refusal(answers) == "NUMBER_OR_CARD_TAKEN"


def test_users_do_not_wait_for_each_other() -> None:
    stage = Stage()
    for n in (1, 2):
        stage.users[str(n)] = user_of(n, user_id=str(n))
    stage.facts = numbered(ARREARS=5)
    stage.take(stage.suspend(1, user="1", seq=9))

    stage.take(stage.suspend(2, user="2", seq=6))

    assert [command.task.binding.user_id for command in stage.hlr.sent] == [UserId("2")]
