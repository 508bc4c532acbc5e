"""What a person decides of an order that fell out, and what it leaves of user and number."""

from typing import Any

import pytest

from hlrd.domain import orders
from hlrd.domain.errors import BadRequest, Refusal
from hlrd.domain.fallout import EOMSRule, Release, Way
from hlrd.domain.orders import ProductSubscribe
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.trail import decode
from hlrd.ports import BindingEnd, Closing
from tests.domain.products import a_content, a_product
from tests.engine.stage import Stage, user_of

REFUSED = Outcome(Verdict.PERMANENT, "3012", "no such profile")


class Fallen:
    """One order that fell out, with the records of its user."""

    def __init__(self, stage: Stage, *orders: Any) -> None:
        self.stage = stage
        stage.submit(*orders)
        stage.resolve()
        self.records = list(stage.journal.accepts)
        self.id = stage.accept()[0]

    def interim(self) -> Closing:
        (closing,) = self.stage.close()
        assert closing.fall is not None
        return closing

    def let_go(self, way: Way, **decided: Any) -> None:
        """Read back under the decision; what an earlier run may have sent has left every NE."""
        self.stage.releases[self.id] = Release(way, **decided)
        self.stage.engine.release(self.id)
        self.stage.unpark(self.records)
        self.stage.wait(11)


def suspended_in_vain() -> Fallen:
    stage = Stage()
    stage.users["7"] = user_of(1)
    fallen = Fallen(stage, stage.suspend())
    stage.reply(REFUSED)
    return fallen


def opened_in_vain() -> Fallen:
    """The DSMP refuses, and the HLR does not let the subscriber go."""
    stage = Stage()
    fallen = Fallen(stage, stage.activate())
    stage.reply()
    stage.reply()
    stage.reply(REFUSED, ne=stage.dsmp)
    stage.reply(Outcome(Verdict.PERMANENT, "9", "kept"))
    return fallen


def last(stage: Stage) -> Closing:
    return stage.journal.durable[-1]


def test_a_fall_says_where_the_order_is_stuck_and_in_whose_words() -> None:
    closing = suspended_in_vain().interim()

    fall = closing.fall
    assert fall is not None
    assert (fall.ne, fall.operation, fall.verdict) == ("hlr1", "setBarring", "permanent")
    assert (fall.code, fall.text, fall.is_undo, fall.to_eoms) == (
        "3012", "no such profile", False, False,
    )  # fmt: skip
    assert fall.step == decode(closing.trail)[0].transaction
    assert not closing.leaves_fallout


def test_on_the_way_back_it_is_stuck_where_the_undo_failed() -> None:
    fall = opened_in_vain().interim().fall

    assert fall is not None
    assert (fall.operation, fall.code, fall.is_undo) == ("removeSubscriber", "9", True)


def test_a_rule_sends_what_it_names_to_the_eoms_and_nothing_else() -> None:
    rule = EOMSRule(["hlr*:30??", "dsmp:*"])
    stage = Stage(eoms_rule=rule)
    stage.users["7"] = user_of(1)
    fallen = Fallen(stage, stage.suspend())
    stage.reply(REFUSED)

    fall = fallen.interim().fall

    assert fall is not None
    assert fall.to_eoms
    assert rule.takes("dsmp", "4")
    assert not rule.takes("hlr1", "3")


def test_a_resent_order_leaves_the_desk_with_its_final_receipt() -> None:
    fallen = suspended_in_vain()
    fallen.interim()

    fallen.let_go(Way.RESEND)
    fallen.stage.reply(Verdict.APPLIED)
    fallen.stage.finish()

    assert last(fallen.stage).leaves_fallout
    assert fallen.stage.receipts()[-1]["result"] == "succeeded"


def test_a_skipped_step_counts_as_done_and_the_receipt_says_so() -> None:
    fallen = suspended_in_vain()
    fall = fallen.interim().fall
    assert fall is not None

    fallen.let_go(Way.RESEND, skipped=frozenset({fall.step}))
    assert fallen.stage.commands() == ["readBack pauseRelation"]
    fallen.stage.reply(Verdict.APPLIED)
    fallen.stage.finish()

    receipt = fallen.stage.receipts()[-1]
    assert (receipt["result"], receipt["marks"]) == ("succeeded", ["STEP_SKIPPED"])
    assert receipt["effective_level"] == 2
    assert [task.state for task in decode(last(fallen.stage).trail)] == ["skipped", "done"]


def test_a_finished_order_sends_nothing_and_says_what_was_not_done() -> None:
    fallen = suspended_in_vain()
    fallen.interim()

    fallen.let_go(Way.FINISH, reason="done at the console")
    assert fallen.stage.commands() == []
    fallen.stage.finish()

    receipt = fallen.stage.receipts()[-1]
    assert (receipt["result"], receipt["marks"]) == ("succeeded", ["FORCED"])
    assert receipt["text"] == "done at the console"
    assert [one["operation"] for one in receipt["not_done"]] == ["setBarring", "pauseRelation"]
    assert receipt["remaining_reasons"] == ["ARREARS"]


def test_what_was_done_before_an_order_was_finished_is_not_told_as_missing() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    fallen = Fallen(stage, stage.suspend())
    stage.reply()
    stage.reply(REFUSED, ne=stage.dsmp)
    done = decode(fallen.interim().trail)[0].transaction

    fallen.let_go(Way.FINISH, done=frozenset({done}))
    stage.finish()

    receipt = stage.receipts()[-1]
    assert receipt["not_done"] == [{"operation": "pauseRelation", "ne": "dsmp"}]
    assert [task.state for task in decode(last(stage).trail)] == ["done", "waiting"]


def test_the_orders_behind_a_finished_one_begin_from_what_it_planned() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    fallen = Fallen(stage, stage.suspend(), stage.resume())
    stage.reply(REFUSED)
    fallen.interim()

    fallen.let_go(Way.FINISH)
    stage.close()

    assert stage.commands() == ["execute setBarring"]


def test_a_cancelled_order_is_undone_in_reverse_and_its_number_goes_back() -> None:
    fallen = opened_in_vain()
    fallen.interim()
    stage = fallen.stage

    fallen.let_go(Way.CANCEL, reason="the customer has gone")
    seen = []
    while stage.commands():
        seen += stage.commands()
        stage.reply(Verdict.APPLIED)
    stage.finish()

    assert seen == ["readBack closeRelation", "readBack removeSubscriber", "readBack removeKey"]
    assert last(stage).binding_end is BindingEnd.ROLLED_BACK
    receipt = stage.receipts()[-1]
    assert (receipt["result"], receipt["code"]) == ("failed", "CANCELLED_BY_STAFF")
    assert receipt["text"] == "the customer has gone"


def test_a_roll_back_that_a_person_helped_over_a_step_locks_the_number() -> None:
    fallen = opened_in_vain()
    fall = fallen.interim().fall
    assert fall is not None
    stage = fallen.stage

    fallen.let_go(Way.CANCEL, skipped=frozenset({fall.step}))
    while stage.commands():
        stage.reply(Verdict.APPLIED)
    stage.finish()

    assert last(stage).binding_end is BindingEnd.UNPROVEN
    assert stage.receipts()[-1]["marks"] == ["STEP_SKIPPED", "NUMBER_LOCKED"]


def test_a_roll_back_that_fails_again_is_a_fallout_again() -> None:
    fallen = opened_in_vain()
    fallen.interim()
    stage = fallen.stage

    fallen.let_go(Way.CANCEL)
    stage.reply(Verdict.APPLIED, ne=stage.dsmp)
    stage.reply(Verdict.ABSENT)
    stage.reply(REFUSED)
    again = fallen.interim()

    assert again.fall is not None
    assert (again.fall.operation, again.fall.is_undo) == ("removeSubscriber", True)


@pytest.mark.parametrize(("is_bulk", "urgency"), [(False, 3), (True, 4)])
def test_one_of_many_runs_behind_what_upstream_waits_for(is_bulk: bool, urgency: int) -> None:
    fallen = suspended_in_vain()
    fallen.interim()

    fallen.let_go(Way.RESEND, is_bulk=is_bulk)

    shown = fallen.stage.engine.show(fallen.id)
    assert shown is not None
    assert shown["urgency"] == urgency


def test_an_urgent_order_behind_it_makes_one_of_many_urgent_too() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    fallen = Fallen(stage, stage.suspend(), stage.resume())
    stage.reply(REFUSED)
    fallen.interim()

    fallen.let_go(Way.RESEND, is_bulk=True)

    shown = stage.engine.show(fallen.id)
    assert shown is not None
    assert shown["urgency"] == 1


def test_an_errand_is_sent_as_a_command_and_answered_once() -> None:
    stage = Stage()
    fallen = Fallen(stage, stage.activate())
    task = stage.hlr.sent[0].task
    stage.reply()
    stage.finish()
    told: list[Outcome] = []

    stage.engine.errand(task, lambda _, outcome: told.append(outcome))
    assert stage.commands() == [f"execute {task.operation}"]
    stage.reply(Verdict.PENDING)

    assert [one.verdict for one in told] == [Verdict.PENDING]
    assert fallen.id not in stage.engine.fallout


def test_one_that_could_not_come_in_at_once_is_read_back_all_the_same() -> None:
    """An order of its user was accepted while it was read, so it stands in line once more."""
    fallen = suspended_in_vain()
    fallen.interim()
    stage = fallen.stage
    stage.releases[fallen.id] = Release(Way.RESEND)
    stage.engine.release(fallen.id)
    stage.submit(stage.resume())
    stage.resolve()
    late = stage.journal.accepts[0]
    stage.accept()
    stage.unpark(fallen.records)
    while stage.lookup.unparking:
        stage.unpark([*fallen.records, late])
    stage.wait(11)

    assert stage.commands() == ["readBack setBarring"]


# A change.

VIDEO = a_product("VIDEO", a_content("VIDEO", "V1"))


def changed(stage: Stage, fallen: Fallen, **fields: Any) -> None:
    stored = stage.stored(fallen.records[0])
    stage.engine.rejudge(stored, orders.with_fields(stored.payload, fields))


def test_services_that_the_home_of_the_number_has_no_template_for_are_refused() -> None:
    fallen = opened_in_vain()

    changed(fallen.stage, fallen, services=["GPRS", "SMS"])
    with pytest.raises(BadRequest) as refused:
        changed(fallen.stage, fallen, services=["VOICE"])

    assert refused.value.code == "SERVICES_UNKNOWN"


def test_a_version_that_was_never_offered_is_refused() -> None:
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.products.stage(VIDEO)
    stage.products.activate(VIDEO.id, VIDEO.version)
    header = stage.header(msisdn="1064700000001", product=VIDEO.id)
    fallen = Fallen(stage, ProductSubscribe(**header))

    with pytest.raises(Refusal) as refused:
        changed(stage, fallen, product_version=VIDEO.version + 1)

    assert refused.value.code.startswith("PRODUCT_")
