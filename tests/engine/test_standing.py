"""What may be done to a user, by whom and when: reasons, pre-termination, what a site decides."""

from dataclasses import replace
from typing import Any

import pytest

from hlrd.domain.authority import AUTHORITIES
from hlrd.domain.orders import (
    LeveledReason,
    OperatorResume,
    OperatorSuspend,
    PreTerminate,
    Reinstate,
    Source,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.policy import Policy
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from tests.engine.stage import ROUTES, Stage, refusal, user_of

MSISDN = "1064700000001"
STRICT = replace(ROUTES, policy=Policy(takes_voluntary_stop_in_arrears=False))


def stage_with(reasons: Reasons = NO_REASONS, **changes: Any) -> Stage:
    """User 7 is open, stopped for these reasons."""
    made = Stage(**changes)
    made.users["7"] = user_of(1, reasons)
    return made


def on(stage: Stage, kind: type[WorkOrder], **fields: Any) -> WorkOrder:
    return kind(**stage.header(), msisdn=MSISDN, **fields)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("kind", [OperatorSuspend, OperatorResume])
def test_a_reason_is_set_and_cleared_by_who_has_the_right_to_it(
    kind: type[WorkOrder], source: Source, reason: Reason
) -> None:
    stage = stage_with({Reason.LOST: Level.ONE_WAY})
    authority = AUTHORITIES[reason]
    allowed = authority.set_by if kind is OperatorSuspend else authority.cleared_by

    (answer,) = stage.take(on(stage, kind, reason=reason), source=source)

    if source in (Source.ESOP, Source.BBOSS, Source.BOSS1):
        assert refusal([answer]) == "SOURCE_NOT_ALLOWED"
    elif authority.kinds:
        assert refusal([answer]) == "REASON_OF_OTHER_KIND"
    elif source not in allowed:
        assert refusal([answer]) == "REASON_NOT_ALLOWED"
    else:
        assert answer.refusal is None


def test_an_opening_names_only_reasons_that_its_source_may_set() -> None:
    stage = Stage()
    owing = LeveledReason(Reason.ARREARS, 2)
    fraud = LeveledReason(Reason.FRAUD, 2)

    answers = stage.take(stage.open(1, reasons=[owing, fraud]), source="CRM")

    assert refusal(answers) == "REASON_NOT_ALLOWED"
    assert answers[0].refusal is not None
    assert answers[0].refusal.field == "reasons[1].reason"
    assert stage.allocator.held == []
    assert stage.take(stage.open(1, reasons=[owing]), source="CRM")[0].refusal is None


def test_of_who_is_pre_terminated_only_the_way_back_or_out_is_taken() -> None:
    stage = stage_with({Reason.ARREARS: Level.ONE_WAY})
    stage.take(on(stage, PreTerminate))
    stage.finish()

    for order in (
        stage.suspend(),
        stage.resume(),
        on(stage, VoluntarySuspend),
        on(stage, OperatorResume, reason=Reason.LOST),
    ):
        assert refusal(stage.take(order)) == "USER_PRE_TERMINATED"
    stage.take(on(stage, PreTerminate))
    stage.finish()
    assert stage.receipts()[-1]["marks"] == ["NO_CHANGE"]
    stage.take(stage.terminate())
    stage.finish()

    assert [receipt["user_state"] for receipt in stage.receipts()] == [
        "preTerminated", "preTerminated", "terminated",
    ]  # fmt: skip
    assert stage.receipts()[0]["effective_level"] == 2
    assert stage.receipts()[0]["remaining_reasons"] == ["ARREARS"]


def test_what_was_taken_before_a_pre_termination_was_done_fails_with_its_reason() -> None:
    stage = stage_with({Reason.ARREARS: Level.TWO_WAY})

    answers = stage.take(on(stage, PreTerminate), stage.resume(), on(stage, Reinstate))
    stage.finish()

    assert [answer.refusal for answer in answers] == [None] * 3
    assert [(r["type"], r["result"], r.get("code")) for r in stage.receipts()] == [
        ("PRE_TERMINATE", "succeeded", None),
        ("PAYMENT_RESUME", "failed", "USER_PRE_TERMINATED"),
        ("REINSTATE", "succeeded", None),
    ]


def test_what_waits_behind_a_reinstatement_is_taken() -> None:
    stage = stage_with({Reason.ARREARS: Level.TWO_WAY})
    stage.take(on(stage, PreTerminate))
    stage.finish()

    answers = stage.take(on(stage, Reinstate), stage.resume())
    stage.finish()

    assert [answer.refusal for answer in answers] == [None, None]
    assert stage.receipts()[-1]["effective_level"] == 0


def test_a_voluntary_stop_in_arrears_is_as_the_site_decides() -> None:
    owing = {Reason.ARREARS: Level.TWO_WAY}
    lenient = stage_with(owing)
    strict = stage_with(owing, routes=STRICT)

    assert lenient.take(on(lenient, VoluntarySuspend))[0].refusal is None
    assert refusal(strict.take(on(strict, VoluntarySuspend))) == "ARREARS_PAY_FIRST"
    assert strict.take(on(strict, OperatorSuspend, reason=Reason.LOST))[0].refusal is None


def test_who_came_to_owe_while_his_order_waited_is_told_so_by_its_receipt() -> None:
    stage = stage_with(routes=STRICT)

    stage.take(stage.suspend(), on(stage, VoluntarySuspend))
    stage.finish()

    assert [receipt.get("code") for receipt in stage.receipts()] == [None, "ARREARS_PAY_FIRST"]
    assert stage.users["7"].reasons == {Reason.ARREARS: Level.TWO_WAY}


@pytest.mark.parametrize("kind", [VoluntarySuspend, VoluntaryResume])
def test_the_customers_stop_is_the_state_masters_word(kind: type[WorkOrder]) -> None:
    stage = stage_with()

    assert refusal(stage.take(on(stage, kind), source="CRM")) == "NOT_STATE_MASTER"
    assert stage.take(on(stage, kind), source="BOSS")[0].refusal is None
