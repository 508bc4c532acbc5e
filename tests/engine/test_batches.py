"""Orders that others carry out: one task for the part of hlrd that does it, and its counts."""

from typing import Any

import orjson
import pytest

from hlrd.domain.errors import NotAllowed, NotFound
from hlrd.domain.operation import Operation
from hlrd.domain.orders.batch import BatchOrder, ECResumeAll, ECSuspendAll
from hlrd.domain.outcome import Counts, Outcome, Verdict
from hlrd.domain.plans.batch import BATCHES
from hlrd.domain.suspension import Level, Reason
from tests.engine.stage import FakeNE, Stage

EC: dict[str, Any] = {"province": "200", "operator_id": "op", "ec_code": "EC1"}
STOP = ECSuspendAll(order_id="S", **EC)
GO = ECResumeAll(order_id="R", **EC)
FILE = BatchOrder(
    order_id="B", province="200", operator_id="op", batch="1", child="MEMBER_ACTIVATE", rows=9
)


@pytest.fixture
def peer() -> FakeNE:
    return FakeNE(BATCHES)


@pytest.fixture
def stage(peer: FakeNE) -> Stage:
    made = Stage()
    staged = Stage(nes={ne.name: ne for ne in (made.hlr, made.dsmp, peer)})
    staged.facts = {"has_members": True}
    return staged


def answer(stage: Stage, peer: FakeNE, outcome: Outcome) -> dict[str, Any]:
    """The receipt that follows."""
    command = peer.sent.pop(0)
    stage.engine.on_outcomes([(command, outcome)])
    (closing,) = stage.close()
    receipt: dict[str, Any] = orjson.loads(closing.receipt)
    return receipt


def test_an_ec_is_stopped_by_one_task_that_names_its_order(stage: Stage, peer: FakeNE) -> None:
    (answered,) = stage.take(STOP)

    (command,) = peer.sent
    assert command.task.operation is Operation.FAN_OUT
    assert command.task.details.text == str(answered.id)


def test_the_receipt_says_how_many_children_came_to_what(stage: Stage, peer: FakeNE) -> None:
    stage.take(STOP)

    receipt = answer(stage, peer, Outcome(Verdict.DONE, counts=Counts(97, 2, 1, "OVERTAKEN")))

    assert receipt["result"] == "succeeded"
    assert (receipt["rows_ok"], receipt["rows_failed"], receipt["rows_left"]) == (97, 2, 1)
    assert receipt["marks"] == ["OVERTAKEN"]
    assert "user_id" not in receipt


def test_the_resume_of_an_ec_does_not_wait_for_its_stop(stage: Stage, peer: FakeNE) -> None:
    """One child of the stop in fallout would keep all members stopped."""
    stage.take(STOP)
    stage.take(GO)

    assert len(peer.sent) == 2


def test_a_batch_that_is_not_there_fails_and_waits_for_nobody(stage: Stage, peer: FakeNE) -> None:
    stage.take(FILE)

    receipt = answer(stage, peer, Outcome(Verdict.PERMANENT, "BATCH_UNKNOWN", "no such batch"))

    assert (receipt["result"], receipt["ne_code"]) == ("failed", "BATCH_UNKNOWN")


def test_the_source_of_an_ecs_order_has_the_right_to_its_reason(stage: Stage) -> None:
    fraud = ECSuspendAll(order_id="F", reason=Reason.FRAUD, **EC)

    (refused,) = stage.take(fraud, source="BOSS")
    (taken,) = stage.take(fraud, source="OPS")

    assert isinstance(refused.refusal, NotAllowed)
    assert refused.refusal.code == "REASON_NOT_ALLOWED"
    assert taken.refusal is None


def test_only_the_master_of_state_stops_an_ec(stage: Stage) -> None:
    (refused,) = stage.take(STOP, source="CRM")

    assert refused.refusal is not None
    assert refused.refusal.code == "NOT_STATE_MASTER"


@pytest.mark.parametrize("order", [STOP, GO])
def test_an_ec_never_told_of_and_without_members_is_refused(
    stage: Stage, peer: FakeNE, order: ECSuspendAll | ECResumeAll
) -> None:
    """Its members may be open all the same, and nobody would learn that none was stopped."""
    stage.facts = {"has_members": False}

    (refused,) = stage.take(order)

    assert isinstance(refused.refusal, NotFound)
    assert (refused.refusal.code, refused.refusal.field) == ("EC_UNKNOWN", "ec_code")
    assert not peer.sent


def test_an_ec_that_is_stopped_is_resumed_though_its_last_member_has_left(
    stage: Stage, peer: FakeNE
) -> None:
    stage.engine.stop_enterprise("EC1", Reason.ARREARS, Level.TWO_WAY)
    stage.facts = {"has_members": False}

    (taken,) = stage.take(GO)

    assert taken.refusal is None
    assert len(peer.sent) == 1
