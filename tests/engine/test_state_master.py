"""Whose word counts for the state of users, in the engine: by province, by version, by the whole
set that the master says."""

from typing import Any

import pytest

from hlrd.domain.master import Master, Masters, Mastery
from hlrd.domain.operation import Operation
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.suspension import Level, Reason
from tests.engine.stage import Stage, refusal, user_of

USERS = 200
TWO = Level.TWO_WAY


def a_stage(master: Master = Master.BOSS, users: int = 1) -> Stage:
    stage = Stage(masters=Masters(Master.BACKUP, {"200": master}))
    for n in range(1, users + 1):
        stage.users[str(n)] = user_of(n, user_id=str(n))
    return stage


def word(*reasons: tuple[Reason, int], version: int) -> dict[str, Any]:
    return {
        "state_version": version,
        "reasons": [LeveledReason(reason, level) for reason, level in reasons],
    }


def barrings(stage: Stage) -> dict[str, Level]:
    """Let everything succeed; the last level that the HLR was told, by number."""
    told: dict[str, Level] = {}
    while stage.hlr.sent or stage.dsmp.sent or stage.journal.backlog() or stage.lookup.wanted:
        stage.resolve()
        stage.accept()
        while stage.hlr.sent or stage.dsmp.sent:
            task = stage.reply().task
            if task.operation is Operation.SET_BARRING:
                told[task.binding.msisdn] = task.level
        stage.close()
    return told


def suspended(master: Master, other: str) -> dict[str, Level]:
    """What the HLR is left with by the master's orders, after the other one's were refused."""
    stage = a_stage(master, USERS)
    orders = [stage.suspend(n, str(n)) for n in range(1, USERS + 1)]
    refused = stage.submit(*orders, source=other)
    stage.resolve()
    assert {answer.refusal.code for answer in refused if answer.refusal} == {"NOT_STATE_MASTER"}
    assert len(refused) == USERS
    taken = stage.take(*orders, source=master)
    assert [answer.refusal for answer in taken] == [None] * USERS
    return barrings(stage)


def test_either_scheme_leaves_the_hlr_the_same_and_refuses_the_other_system() -> None:
    by_boss = suspended(Master.BOSS, "CRM")
    by_crm = suspended(Master.CRM, "BOSS")

    assert by_boss == by_crm
    assert list(by_boss.values()) == [TWO] * USERS


def test_under_backup_the_same_change_from_both_costs_its_commands_once() -> None:
    stage = a_stage(Master.BACKUP)
    stage.take(stage.suspend(1, "1", state_version=5), source="BOSS")
    stage.take(stage.suspend(1, "1", state_version=5), source="CRM")

    sent = [stage.reply().task.operation for _ in range(2)]
    stage.finish()

    assert sent == [Operation.SET_BARRING, Operation.PAUSE_RELATION]
    first, second = stage.receipts()
    assert first["result"] == second["result"] == "succeeded"
    assert second["marks"] == ["DUPLICATE_OF"]


def test_the_province_is_that_of_the_number_whatever_the_order_says() -> None:
    stage = a_stage(Master.CRM)
    elsewhere = stage.suspend(1, "1")
    elsewhere.province = "100"

    assert refusal(stage.take(elsewhere, source="BOSS")) == "NOT_STATE_MASTER"


def test_an_older_version_of_the_state_is_superseded() -> None:
    stage = a_stage()
    stage.take(stage.suspend(1, "1", state_version=8), source="BOSS")
    stage.take(stage.resume(1, "1", state_version=7), source="BOSS")

    stage.finish()

    assert stage.users["1"].reasons == {Reason.ARREARS: TWO}
    assert stage.receipts()[-1]["marks"] == ["SUPERSEDED"]


def test_a_newer_version_and_one_without_a_version_are_applied() -> None:
    stage = a_stage()
    stage.take(stage.suspend(1, "1", state_version=8), source="BOSS")
    stage.take(stage.resume(1, "1", state_version=9), source="BOSS")
    stage.take(stage.suspend(1, "1"), source="BOSS")

    stage.finish()

    assert stage.users["1"].reasons == {Reason.ARREARS: TWO}


def test_a_version_that_was_applied_before_the_lane_was_here_counts_too() -> None:
    stage = a_stage()
    stage.facts["applied"] = {"state": 8}
    stage.take(stage.suspend(1, "1", state_version=7), source="BOSS")

    stage.finish()

    assert not stage.users["1"].reasons
    assert stage.receipts()[-1]["marks"] == ["SUPERSEDED"]


def test_the_masters_set_counts_over_what_hlrd_had_worked_out() -> None:
    stage = a_stage()
    stage.users["1"] = user_of(1, {Reason.VOLUNTARY: TWO, Reason.FRAUD: TWO}, user_id="1")
    order = stage.suspend(1, "1", level=1, **word((Reason.ARREARS, 1), version=3))

    stage.take(order, source="BOSS")
    stage.finish()

    assert stage.users["1"].reasons == {Reason.ARREARS: 1, Reason.FRAUD: TWO}
    assert stage.receipts()[-1]["marks"] == ["STATE_MISMATCH"]


def test_a_set_that_is_what_hlrd_had_worked_out_is_no_mismatch() -> None:
    stage = a_stage()
    order = stage.suspend(1, "1", **word((Reason.ARREARS, 2), version=3))

    stage.take(order, source="BOSS")
    stage.finish()

    assert "marks" not in stage.receipts()[-1]


def test_a_resume_may_leave_the_line_stopped_by_the_masters_word() -> None:
    stage = a_stage()
    stage.users["1"] = user_of(1, {Reason.ARREARS: Level.ONE_WAY}, user_id="1")
    order = stage.resume(1, "1", **word((Reason.VOLUNTARY, 2), version=3))

    stage.take(order, source="BOSS")

    assert barrings(stage) == {"1064700000001": TWO}


def test_while_the_master_changes_a_change_of_state_is_told_to_come_back() -> None:
    masters = Masters(Master.BOSS, {})
    masters.put("200", Mastery(Master.BOSS, Master.CRM))
    stage = Stage(masters=masters)
    stage.users["7"] = user_of(1)

    for source in ("BOSS", "CRM", "OPS"):
        assert refusal(stage.take(stage.suspend(), source=source)) == "MASTER_SWITCHING"
    (answer,) = stage.take(stage.terminate(), source="CRM")
    assert answer.refusal is None, "what changes no state goes on"


def test_open_orders_of_a_province_are_counted_from_their_reading_to_their_close() -> None:
    stage = a_stage()
    counted = stage.engine.state_orders.open_of

    stage.submit(stage.suspend(1, "1"), source="BOSS")
    assert counted("200") == 1
    stage.resolve()
    assert (counted("200"), counted("100")) == (1, 0)
    stage.finish()

    assert counted("200") == 0


@pytest.mark.parametrize(("province", "mark"), [("200", "NO_CHANGE"), ("100", "SUPERSEDED")])
def test_a_new_master_counts_the_versions_anew(province: str, mark: str) -> None:
    stage = a_stage()
    stage.take(stage.suspend(1, "1", state_version=8), source="BOSS")
    stage.take(stage.suspend(1, "1", level=1, state_version=1), source="BOSS")
    while stage.commands():
        stage.reply()

    stage.engine.state_orders.forget_versions(province)
    stage.finish()

    assert stage.receipts()[-1]["marks"] == [mark]
