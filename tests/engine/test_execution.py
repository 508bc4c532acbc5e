from itertools import count
from typing import Any

import orjson
import pytest
from msgspec import structs

from hlrd import limits
from hlrd.domain import orders, trail
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level, Reason
from hlrd.ports import Acceptance, BindingEnd
from tests.engine.stage import Stage, user_of

BUSY, LOST, NO = Verdict.BUSY, Verdict.IN_DOUBT, Verdict.PERMANENT
NEEDS_KEY = Outcome(Verdict.PREREQUISITE, then=Operation.ADD_KEY)
THEN_CANCEL = Outcome(Verdict.FOLLOW_UP, then=Operation.CANCEL_LOCATION)


def opening() -> Stage:
    stage = Stage()
    stage.take(stage.activate())
    return stage


def suspending() -> Stage:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend())
    return stage


def test_stages_run_one_after_the_other_and_close_the_order() -> None:
    stage = opening()
    seen = []
    while stage.commands():
        seen += stage.commands()
        stage.reply()

    (closing,) = stage.close()

    assert seen == ["execute addKey", "execute addSubscriber", "execute openRelation"]
    assert (closing.state, closing.is_final, closing.binding_end) == ("succeeded", True, None)
    assert closing.user is None, "a user who is plainly active needs no row"
    assert stage.engine.open_orders() == 0


def test_silence_is_read_back_after_the_settle_time() -> None:
    stage = opening()
    stage.reply(LOST)

    stage.wait(stage.hlr.settle_s - 0.1)
    assert not stage.commands()
    stage.wait(0.2)
    assert stage.commands() == ["readBack addKey"]


def test_what_the_ne_took_is_asked_for_until_it_says_how_it_went() -> None:
    stage = opening()
    stage.reply(Verdict.PENDING)

    for _ in range(3):
        stage.wait(stage.hlr.poll_s - 0.1)
        assert not stage.commands()
        stage.wait(0.2)
        assert stage.commands() == ["readBack addKey"]
        stage.reply(Verdict.PENDING)
    stage.wait(stage.hlr.poll_s + 0.1)
    stage.reply(Verdict.APPLIED)

    assert stage.commands() == ["execute addSubscriber"]


@pytest.mark.parametrize(
    ("found", "then"),
    [(Verdict.APPLIED, "execute addSubscriber"), (Verdict.ABSENT, "execute addKey")],
)
def test_what_the_read_back_finds_decides(found: Verdict, then: str) -> None:
    stage = opening()
    stage.reply(LOST)
    stage.wait(11)

    stage.reply(found)

    assert stage.commands() == [then]


def test_a_read_back_that_is_lost_is_read_back_again() -> None:
    stage = opening()
    stage.reply(LOST)
    stage.wait(11)
    stage.reply(LOST)
    stage.wait(11)

    assert stage.commands() == ["readBack addKey"]


def test_what_exists_must_be_ours() -> None:
    for found, state in ((Verdict.APPLIED, "succeeded"), (Verdict.ABSENT, "failed")):
        stage = opening()
        stage.reply()
        stage.reply(Verdict.EXISTS)
        assert stage.commands() == ["readBack addSubscriber"]

        stage.reply(found)
        stage.finish()

        assert stage.receipts()[0]["result"] == state
        end = stage.journal.durable[0].binding_end
        assert end == (None if state == "succeeded" else BindingEnd.UNPROVEN)


def test_busy_costs_no_attempt_and_waits() -> None:
    stage = opening()
    for _ in range(3 * limits.TASK_ATTEMPTS_MAX):
        stage.reply(BUSY)
        assert not stage.commands()
        stage.wait(limits.RETRY_DELAY_S_MAX)

    assert stage.commands() == ["execute addKey"]


def test_an_opening_gives_up_a_passing_fault_and_a_suspension_never() -> None:
    tried = []
    for stage in (opening(), suspending()):
        tried.append(0)
        for _ in range(2 * limits.TASK_ATTEMPTS_MAX):
            if stage.commands() in (["execute addKey"], ["execute setBarring"]):
                tried[-1] += 1
                stage.reply(Verdict.TRANSIENT)
                stage.wait(limits.RETRY_DELAY_S_MAX)

    assert tried == [limits.TASK_ATTEMPTS_MAX, 2 * limits.TASK_ATTEMPTS_MAX]


def test_an_opening_that_fails_is_undone_in_reverse_and_its_number_is_idle_again() -> None:
    stage = opening()
    stage.reply()
    stage.reply()
    stage.reply(NO)

    undone = []
    while stage.commands():
        undone += stage.commands()
        stage.reply()
    (closing,) = stage.close()

    assert undone == ["execute removeSubscriber", "execute removeKey"]
    assert (closing.state, closing.binding_end) == ("failed", BindingEnd.ROLLED_BACK)
    receipt = orjson.loads(closing.receipt)
    assert (receipt["code"], receipt["operation"]) == ("NE_REFUSED", "openRelation")
    assert "msisdn" not in receipt


def test_a_task_that_was_given_up_may_stand_and_is_undone_too() -> None:
    stage = opening()
    while stage.commands() == ["execute addKey"]:
        stage.reply(Verdict.TRANSIENT)
        stage.wait(limits.RETRY_DELAY_S_MAX)

    assert stage.commands() == ["execute removeKey"]


@pytest.mark.parametrize("then", [[], [Verdict.TRANSIENT]])
def test_a_task_that_was_refused_half_done_is_undone_too(then: list[Verdict]) -> None:
    stage = opening()
    for verdict in (*then, NO):
        stage.reply(Outcome(verdict, is_partial=verdict is (then[0] if then else NO)))
        stage.wait(limits.RETRY_DELAY_S_MAX)

    assert stage.commands() == ["execute removeKey"]


def test_a_task_whose_read_back_is_refused_may_stand_and_is_undone_too() -> None:
    stage = opening()
    stage.reply(LOST)
    stage.wait(11)

    stage.reply(NO)

    assert stage.commands() == ["execute removeKey"]


def test_a_recovered_order_that_fails_undoes_what_an_earlier_run_may_have_done() -> None:
    stage = opening()
    record = _restarted(stage)
    stage.wait(11)
    assert stage.commands() == ["readBack addKey"]

    stage.reply(NO)
    undone = []
    while stage.commands():
        undone += stage.commands()
        stage.reply(Verdict.APPLIED)

    assert undone == ["readBack closeRelation", "readBack removeSubscriber", "readBack removeKey"]
    assert record


def test_a_recovered_order_is_read_back_from_its_first_task_once_the_nes_have_settled() -> None:
    stage = opening()
    _restarted(stage)
    assert not stage.commands()

    stage.wait(11)
    found = []
    while stage.commands():
        found += stage.commands()
        stage.reply(Verdict.APPLIED)
    stage.close()

    assert found == ["readBack addKey", "readBack addSubscriber", "readBack openRelation"]
    assert stage.receipts()[0]["result"] == "succeeded"


def _restarted(stage: Stage) -> Any:
    """Put a new engine on the stage, which recovers the only order."""
    order = next(iter(stage.engine._book.orders.values()))
    after = Stage(first_own_id=5_000, clock=stage.clock)
    record = _record_of(stage, order.id)
    vars(stage).update({name: value for name, value in vars(after).items() if name != "clock"})
    stage.engine.recover([(record.id, record.user_id, record.priority, False, record.kind)])
    stage.unpark([record])
    return record


def _record_of(stage: Stage, order_id: int) -> Any:
    one = stage.engine._book.orders[order_id]
    return Acceptance(
        one.id, one.source, one.order.order_id, one.kind.name, one.user_id, "op", "200",
        one.priority, one.content_hash, orders.encode(one.order), one.received_at, one.session,
        one.binding,
    )  # fmt: skip


def test_an_opening_that_was_lost_and_came_again_goes_before_the_order_that_depends_on_it() -> None:
    """Its number had clashed, so that only the order behind it was durable before the crash."""
    before = Stage()
    before.submit(before.activate())
    before.resolve()
    before.submit(before.suspend(1))
    before.resolve()
    behind = before.journal.accepts[1]
    stage = Stage(first_own_id=5_000, order_ids=count(5_000))
    stage.engine.recover([(behind.id, behind.user_id, 3, False, behind.kind)])
    stage.submit(stage.activate())
    stage.resolve()
    opening = stage.journal.accepts[0]
    stage.accept()
    stage.users["7"] = user_of(1)

    while stage.lookup.unparking:
        stage.unpark([behind, opening])
        stage.wait(11)
        stage.finish()

    opened, suspended = stage.receipts()
    assert (opened["id"], opened["result"]) == ("5000", "succeeded")
    assert (suspended["result"], suspended["effective_level"]) == ("succeeded", 2)


# Prerequisites and follow-ups.


def test_a_missing_prerequisite_is_run_first() -> None:
    stage = opening()
    stage.reply()
    stage.reply(NEEDS_KEY)

    assert stage.commands() == ["execute addKey"]
    stage.reply()
    assert stage.commands() == ["execute addSubscriber"]
    stage.finish()
    assert stage.receipts()[0]["result"] == "succeeded"


def test_a_prerequisite_that_fails_fails_the_task_that_waits() -> None:
    stage = opening()
    stage.reply()
    stage.reply(NEEDS_KEY)

    stage.reply(NO)

    assert stage.commands() == ["execute removeKey"]


def test_a_prerequisite_that_a_read_back_asks_for_may_fail_too() -> None:
    stage = opening()
    stage.reply()
    stage.reply()
    stage.reply(LOST)
    stage.wait(11)
    stage.reply(Outcome(Verdict.PREREQUISITE, then=Operation.RESUME_RELATION))
    assert stage.commands() == ["execute resumeRelation"]

    stage.reply(NO)

    assert stage.commands() == ["execute closeRelation"]


def test_a_follow_up_runs_behind_the_change_and_its_failure_undoes_nothing() -> None:
    stage = suspending()
    stage.reply(THEN_CANCEL)
    assert stage.commands() == ["execute cancelLocation"]

    stage.reply(NO)
    stage.finish()

    (receipt,) = stage.receipts()
    assert (receipt["result"], receipt["marks"]) == ("succeeded", ["FOLLOW_UP_MISSING"])


def test_a_read_back_may_owe_what_the_lost_answer_would_have_asked_for() -> None:
    stage = suspending()
    stage.reply(LOST)
    stage.wait(11)

    stage.reply(Outcome(Verdict.APPLIED, then=Operation.CANCEL_LOCATION))

    assert stage.commands() == ["execute cancelLocation"]


def test_an_ne_that_is_not_configured_fails_the_order_and_not_the_daemon() -> None:
    stage = Stage()
    user = user_of(1)
    assert user.binding is not None
    gone = structs.replace(user.binding, hlr="gone")
    stage.users["7"] = structs.replace(user, binding=gone)

    stage.take(stage.suspend())
    stage.close()

    (receipt,) = stage.receipts()
    assert (receipt["result"], receipt["ne_code"]) == ("fallout", "NE_NOT_CONFIGURED")


# Fallout.


def fallen() -> tuple[Stage, int, list[Any]]:
    """A suspension in fallout, and a resume that came behind it."""
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.submit(stage.suspend(), stage.resume())
    stage.resolve()
    records = list(stage.journal.accepts)
    ids = stage.accept()
    stage.reply(NO)
    return stage, ids[0], records


def test_a_forward_order_that_is_refused_blocks_its_user_and_says_so() -> None:
    stage, order_id, _ = fallen()
    (interim,) = stage.close()

    assert (interim.state, interim.is_final, interim.user) == ("fallout", False, None)
    assert stage.engine.show(order_id) == {"state": "fallout"}
    assert not stage.commands()
    assert not stage.engine._book.orders
    assert stage.engine.open_orders() == 2


def test_a_resent_order_is_read_back_and_those_behind_follow() -> None:
    stage, order_id, records = fallen()
    stage.close()

    for _ in range(2):  # a decision may be told twice
        stage.engine.release(order_id)
    assert len(stage.lookup.unparking) == 1
    stage.unpark(records)
    stage.wait(11)
    assert stage.commands() == ["readBack setBarring"]
    stage.reply(Verdict.ABSENT)
    stage.finish()

    assert [receipt["result"] for receipt in stage.receipts()] == [
        "fallout", "succeeded", "succeeded",
    ]  # fmt: skip
    stage.engine.release(order_id)
    assert not stage.lookup.unparking


def test_a_leg_that_was_taken_and_failed_is_tried_again_by_a_resend() -> None:
    """Its peer tells of the old failure as often as it is asked."""
    stage, order_id, records = fallen()
    stage.close()
    failed = Outcome(NO, "EC_UNKNOWN", is_standing=True)

    stage.engine.release(order_id)
    stage.unpark(records)
    stage.wait(11)
    stage.reply(failed)
    assert stage.commands() == ["execute setBarring"]
    stage.reply(Verdict.PENDING)
    stage.wait(stage.hlr.poll_s + 0.1)
    stage.reply(failed)
    stage.close()

    assert [receipt["result"] for receipt in stage.receipts()] == ["fallout", "fallout"]


def test_an_order_accepted_while_the_resend_is_read_is_not_forgotten() -> None:
    stage, order_id, records = fallen()
    stage.close()
    stage.engine.release(order_id)
    stage.submit(stage.suspend())
    stage.resolve()
    late = stage.journal.accepts[0]
    stage.accept()

    stage.unpark(records)
    stage.wait(11)
    stage.reply(Verdict.ABSENT)
    stage.finish()
    while stage.lookup.unparking:
        stage.unpark([late])
        stage.finish()

    assert [receipt["result"] for receipt in stage.receipts()][1:] == ["succeeded"] * 3


def test_a_fallout_of_an_earlier_run_waits_for_its_person_again() -> None:
    _, order_id, _ = fallen()
    after = Stage(first_own_id=5_000)
    fallen_out = (order_id, "7", 3, True, "ARREARS_SUSPEND")
    after.engine.recover([fallen_out, (order_id + 1, "7", 1, False, "PAYMENT_RESUME")])

    assert not after.lookup.unparking
    assert after.engine.show(order_id) == {"state": "fallout"}
    after.engine.release(order_id)
    assert after.lookup.unparking == [([order_id], ["7"])]


# Receipts.


def test_a_receipt_tells_state_level_and_what_still_stops_the_user() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1, {Reason.OPERATOR: Level.TWO_WAY})
    stage.take(stage.resume())
    (closing,) = stage.close()

    receipt = orjson.loads(closing.receipt)
    assert receipt["marks"] == ["NOT_SUSPENDED_FOR_REASON"]
    assert (receipt["user_state"], receipt["effective_level"]) == ("active", 2)
    assert receipt["remaining_reasons"] == ["OPERATOR"]
    assert (receipt["msisdn"], receipt["imsi"]) == ("1064700000001", "460040000000001")
    assert receipt["received_at"].endswith("+08:00")
    assert "first_command_at" not in receipt


def test_a_termination_ends_the_binding_with_the_quarantine_that_it_names() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.terminate(quarantine_days=30))
    while stage.commands():
        stage.reply()

    (closing,) = stage.close()

    assert (closing.binding_end, closing.quarantine_days) == (BindingEnd.TERMINATED, 30)
    assert closing.binding == user_of(1).binding
    assert closing.user is not None
    assert closing.user.state == "terminated"


def test_the_trail_tells_every_command_with_its_times() -> None:
    stage = opening()
    stage.clock.now += 0.25
    stage.reply(LOST)
    stage.wait(11)
    stage.reply(Verdict.APPLIED)
    stage.finish()

    first = trail.decode(stage.journal.durable[0].trail)[0].shown()["commands"]

    assert [(c["intent"], c["verdict"]) for c in first] == [
        ("execute", "inDoubt"), ("readBack", "applied"),
    ]  # fmt: skip
    assert first[0]["elapsed_ms"] == 250
    assert first[0]["at"] == "2026-01-01T08:16:40.000+08:00"


def test_a_waiter_is_called_once_with_the_final_receipt() -> None:
    stage = opening()
    (order_id,) = stage.engine._book.orders
    heard: list[bytes] = []
    stage.engine.when_closed(order_id, heard.append)
    forget = stage.engine.when_closed(order_id, lambda _: pytest.fail("called off"))
    forget()

    stage.finish()

    assert heard == [stage.journal.durable[0].receipt]
    assert not stage.engine._waiters


# Draining.


def test_a_draining_engine_sends_nothing_and_is_quiet_once_all_is_answered() -> None:
    stage = opening()
    stage.engine.drain()
    (refused,) = stage.submit(stage.activate("8"))
    assert refused.refusal is not None
    assert refused.refusal.status == 503

    assert not stage.engine.is_quiet()
    stage.reply()
    assert stage.engine.is_quiet()
    assert not stage.commands()
    assert stage.engine.open_orders() == 1
