"""What is decided of orders that fell out, as values."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain import orders
from hlrd.domain.catalogue import KINDS
from hlrd.domain.errors import BadRequest
from hlrd.domain.fallout import AUDITED, BULK, Act, EOMSRule, Way, act_of, done_of, way_of
from hlrd.domain.lifecycle import TaskState
from hlrd.domain.operation import Cause, Operation
from hlrd.domain.orders import ArrearsSuspend, UserOpen
from hlrd.domain.trail import TaskTrail

USER = {"order_id": "A1", "province": "200", "operator_id": "op", "user_id": "1"}
STOP = {**USER, "type": "ARREARS_SUSPEND", "msisdn": "1064800000001", "level": 2}
OPENED = {  # as the journal keeps it: the Ki is sealed elsewhere
    **USER, "type": "USER_OPEN", "msisdn": "1064800000001", "imsi": "460040000000001",
    "iccid": "8986011234567890123", "keyid": 1, "services": ["SMS"],
}  # fmt: skip

states = st.sampled_from(list(TaskState))


def a_task(transaction: str, state: str) -> TaskTrail:
    return TaskTrail(Operation.SET_BARRING, "hlr1", state, 0, "", transaction, Cause.STOPPED, [])


@given(st.dictionaries(st.sampled_from("1234"), st.tuples(states, states)))
def test_what_was_done_stands_unless_its_undo_was_done_too(
    told: dict[str, tuple[TaskState, TaskState]],
) -> None:
    trail = [
        a_task(name + suffix, state)
        for name, pair in told.items()
        for suffix, state in zip(("", "u"), pair, strict=True)
    ]

    assert done_of(trail) == {
        name
        for name, (forward, back) in told.items()
        if forward is TaskState.DONE and back is not TaskState.DONE
    }


@pytest.mark.parametrize("act", Act)
def test_an_order_on_its_way_back_never_runs_forward_by_a_skip(act: Act) -> None:
    forward, back = way_of(act, is_undo=False), way_of(act, is_undo=True)

    assert (forward, back) == {
        Act.SKIP: (Way.RESEND, Way.CANCEL),
        Act.FINISH: (Way.FINISH, Way.FINISH),
        Act.CANCEL: (Way.CANCEL, Way.CANCEL),
    }.get(act, (Way.RESEND, Way.RESEND))


@pytest.mark.parametrize(
    ("word", "forward", "back"),
    [
        ("resend", Act.RESEND, Act.RESEND),
        ("done", Act.FINISH, Act.SKIP),
        ("cancel", Act.CANCEL, Act.CANCEL),
        ("cannotBeDone", None, None),
        ("", None, None),
    ],
)
def test_an_answer_of_the_eoms_is_an_act_or_none(
    word: str, forward: Act | None, back: Act | None
) -> None:
    assert (act_of(word, is_undo=False), act_of(word, is_undo=True)) == (forward, back)


def test_every_act_stands_in_the_audit_trail_under_a_name_of_its_own() -> None:
    assert set(AUDITED) == set(Act)
    assert len(set(AUDITED.values())) == len(Act)
    assert Act.CHANGE not in BULK


@pytest.mark.parametrize(
    ("ne", "code", "is_taken"),
    [("hlr1", "3012", True), ("hlr12", "3099", True), ("hlr1", "4", False), ("dsmp1", "9", True)],
)
def test_a_rule_takes_what_its_patterns_name(ne: str, code: str, is_taken: bool) -> None:
    assert EOMSRule(["hlr*:30??", "dsmp1:*"]).takes(ne, code) is is_taken


def test_without_a_rule_nothing_goes_to_the_eoms_by_itself() -> None:
    assert not EOMSRule().takes("hlr1", "3012")


@given(st.sampled_from([1, 2]))
def test_a_change_leaves_every_other_field_as_it_was(level: int) -> None:
    order = orders.with_fields(orjson.dumps(STOP), {"level": level})

    assert isinstance(order, ArrearsSuspend)
    assert orjson.loads(orders.encode(order)).items() >= (STOP | {"level": level}).items()


def test_a_stored_opening_is_changed_though_its_key_is_sealed_elsewhere() -> None:
    order = orders.with_fields(orjson.dumps(OPENED), {"services": ["SMS", "GPRS"]})

    assert isinstance(order, UserOpen)
    assert order.services == ["GPRS", "SMS"]
    assert order.keyid == 1


def test_null_takes_a_field_out_and_a_mandatory_one_is_missed() -> None:
    dated = orders.with_fields(orjson.dumps(STOP | {"account_id": "7"}), {"account_id": None})
    with pytest.raises(BadRequest) as refused:
        orders.with_fields(orjson.dumps(STOP), {"level": None})

    assert isinstance(dated, ArrearsSuspend)
    assert dated.account_id is None
    assert (refused.value.code, refused.value.field) == ("FIELD_MISSING", "level")


def test_nobody_changes_whom_an_order_is_about() -> None:
    whom = {"user_id", "msisdn", "imsi", "iccid", "order_id", "province", "ec_code", "ki", "type"}

    assert [kind.name for kind in KINDS if kind.changeable & whom] == []
    assert any(kind.changeable for kind in KINDS)
