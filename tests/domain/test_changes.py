"""Changes of card and number: what they hold, and the commands they come to."""

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hlrd.domain.claim import card_of, claim_of, number_of, target_of
from hlrd.domain.errors import BadRequest
from hlrd.domain.group import GroupPlaces, Membership
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import Cause, Operation, Task
from hlrd.domain.orders import NumberChange, SIMReplace, decode
from hlrd.domain.plans.plan import Ground, Impossible, Plan, Routes, undo
from hlrd.domain.publication import Products
from hlrd.domain.suspension import Level, Reason, Reasons
from hlrd.domain.user import User
from tests.domain.orders import GOOD, KI
from tests.domain.planning import plan_of

NOW = Binding(
    UserId("12"),
    MSISDN("1064700000001"),
    IMSI("460040000000001"),
    ICCID("89860420202400000019"),
    "hlr1",
    "200",
    SealedKey("k1", b"old"),
)
NEW_CARD = replace(
    NOW,
    imsi=IMSI("460040000000002"),
    iccid=ICCID("89860420202400000027"),
    key=SealedKey("k1", b"new"),
)
NEW_NUMBER = replace(NOW, msisdn=MSISDN("1064700000002"))
ROUTES = Routes("dsmp", {"hlr1": {"GPRS+SMS": 1}})
HEADER: dict[str, Any] = {"order_id": "A1", "province": "200", "operator_id": "op", "user_id": "12"}
LEVELS = st.sampled_from([Level.ONE_WAY, Level.TWO_WAY])
REASONS = st.dictionaries(st.sampled_from(list(Reason)), LEVELS, max_size=4)
BARS = (Operation.SET_BARRING,)


def planned(
    order: SIMReplace | NumberChange, target: Binding, reasons: Reasons, **changes: object
) -> Plan:
    user = replace(User(UserState.ACTIVE, NOW, reasons), **changes)
    made = plan_of(order, user, Ground(ROUTES, Products(), "55", target=target))
    assert isinstance(made, Plan)
    return made


def a_replacement(reasons: Reasons) -> Plan:
    order = SIMReplace(**HEADER, msisdn=NOW.msisdn)
    return planned(order, NEW_CARD, reasons)


def a_renumbering(reasons: Reasons) -> Plan:
    order = NumberChange(**HEADER, msisdn=NOW.msisdn)
    return planned(order, NEW_NUMBER, reasons)


def tasks_of(plan: Plan) -> list[Task]:
    return [task for stage in plan.stages for task in stage]


def shown(plan: Plan) -> list[str]:
    return [
        f"{task.operation}={task.level:d}" if task.operation in BARS else task.operation
        for task in tasks_of(plan)
    ]


# --- what is held --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [NEW_CARD, NEW_NUMBER])
def test_a_claim_holds_what_is_new_and_nothing_that_the_user_has(target: Binding) -> None:
    claim = claim_of(NOW, target)

    held = {claim.user_id, claim.msisdn, claim.imsi, claim.iccid}
    assert held.isdisjoint({NOW.user_id, NOW.msisdn, NOW.imsi, NOW.iccid})
    assert target_of(claim) == target
    assert (number_of(claim), card_of(claim)) == (
        target.msisdn if target.msisdn != NOW.msisdn else None,
        target.iccid if target.iccid != NOW.iccid else None,
    )


# --- another card --------------------------------------------------------------------------------


def test_a_card_that_was_lost_ends_the_stop_for_its_loss() -> None:
    plan = a_replacement({Reason.LOST: Level.TWO_WAY})

    assert shown(plan) == ["addKey", "changeCard", "setBarring=0", "removeKey", "resumeRelation"]
    assert plan.user == User(UserState.ACTIVE, NEW_CARD, {})


def test_a_line_that_is_stopped_for_anything_else_stays_stopped_without_a_command() -> None:
    plan = a_replacement({Reason.ARREARS: Level.TWO_WAY})

    assert shown(plan) == ["addKey", "changeCard", "removeKey"]
    assert [task.level for task in tasks_of(plan)[:2]] == [Level.TWO_WAY, Level.TWO_WAY]
    assert plan.user is not None
    assert plan.user.reasons == {Reason.ARREARS: Level.TWO_WAY}


def test_of_several_reasons_the_loss_alone_goes_and_the_level_falls_to_the_highest_left() -> None:
    plan = a_replacement({Reason.LOST: Level.TWO_WAY, Reason.ARREARS: Level.ONE_WAY})

    assert shown(plan) == ["addKey", "changeCard", "setBarring=1", "removeKey"]


@given(REASONS)
def test_the_new_card_is_never_less_stopped_than_its_user(reasons: Reasons) -> None:
    plan = a_replacement(reasons)
    user = plan.user
    assert user is not None
    bars = [task.level for task in tasks_of(plan) if task.operation is Operation.SET_BARRING]

    before = max(reasons.values(), default=Level.NONE)
    assert user.level == (bars[-1] if bars else before)
    assert set(reasons) - set(user.reasons) <= {Reason.LOST}
    assert all(task.level == before for task in tasks_of(plan)[:2])


def test_the_key_of_the_new_card_comes_before_the_switch_and_that_of_the_old_goes_after() -> None:
    first, switch, last = tasks_of(a_replacement({}))

    assert (first.binding, switch.binding, last.binding) == (NEW_CARD, NOW, NOW)
    assert switch.details.target == NEW_CARD
    assert a_replacement({}).turning_point == 1


@pytest.mark.parametrize("plan", [a_replacement({}), a_renumbering({})])
def test_up_to_the_switch_everything_can_be_taken_back(plan: Plan) -> None:
    assert plan.turning_point is not None
    done = [task for stage in plan.stages[: plan.turning_point + 1] for task in stage]

    back = [task for stage in undo(done) for task in stage]

    assert len(back) == len(done)
    switch = back[0]
    assert switch.details.target == NOW
    assert (switch.binding.msisdn, switch.binding.imsi) != (NOW.msisdn, NOW.imsi)


# --- another number ------------------------------------------------------------------------------


def test_relations_end_under_the_old_number_before_they_begin_under_the_new() -> None:
    plan = a_renumbering({})

    assert shown(plan) == ["changeNumber", "closeRelation", "openRelation"]
    _, closing, opening = tasks_of(plan)
    assert (closing.binding.msisdn, opening.binding.msisdn) == (NOW.msisdn, NEW_NUMBER.msisdn)
    assert {closing.cause, opening.cause} == {Cause.RENUMBERED}
    assert plan.turning_point == 0


def test_a_stopped_line_is_stopped_under_its_new_number_too() -> None:
    plan = a_renumbering({Reason.VOLUNTARY: Level.ONE_WAY})

    assert shown(plan) == ["changeNumber", "closeRelation", "openRelation", "pauseRelation"]
    assert plan.user is not None
    assert plan.user.reasons == {Reason.VOLUNTARY: Level.ONE_WAY}
    assert plan.user.numbers_before == (NOW.msisdn,)


def test_an_order_that_names_the_number_from_before_the_change_is_the_users_still() -> None:
    order = SIMReplace(**HEADER, msisdn="1064700000009")

    plan = planned(order, NEW_CARD, {}, numbers_before=(MSISDN("1064700000009"),))

    assert plan.user is not None
    assert plan.user.binding == NEW_CARD


@pytest.mark.parametrize(
    ("order", "target"),
    [
        (SIMReplace(**HEADER, msisdn=NOW.msisdn), NEW_CARD),
        (NumberChange(**HEADER, msisdn=NOW.msisdn), NEW_NUMBER),
    ],
)
def test_what_has_another_home_by_now_cannot_be_had(
    order: SIMReplace | NumberChange, target: Binding
) -> None:
    moved = replace(target, hlr="hlr2")
    user = User(UserState.ACTIVE, NOW, {})

    made = plan_of(order, user, Ground(ROUTES, Products(), "55", target=moved))

    assert isinstance(made, Impossible)
    assert made.code == "HOME_HLR_DIFFERS"


# --- what the orders say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "code", "field"),
    [
        ("SIM_REPLACE", {"imsi": "460040000000002"}, "CARD_INCOMPLETE", "iccid"),
        ("SIM_REPLACE", {"ki": KI, "keyid": 1}, "CARD_INCOMPLETE", "iccid"),
        (
            "SIM_REPLACE",
            {"iccid": NEW_CARD.iccid, "ki": KI, "keyid": 1},
            "CARD_INCOMPLETE",
            "imsi",
        ),
        (
            "SIM_REPLACE",
            {"iccid": NEW_CARD.iccid, "imsi": NEW_CARD.imsi, "ki": KI},
            "KEY_INCOMPLETE",
            "keyid",
        ),
        ("SIM_REPLACE", {"iccid": NEW_CARD.iccid, "lot": "L1"}, "CARD_AND_LOT", "lot"),
        ("NUMBER_CHANGE", {"reservation": "7"}, "NUMBER_NOT_NAMED", "new_msisdn"),
        ("NUMBER_CHANGE", {"new_msisdn": "8613800000001"}, "NUMBER_SAME", "new_msisdn"),
    ],
)
def test_a_change_that_does_not_say_enough_or_too_much_is_refused(
    kind: str, changes: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(msgspec.json.encode(GOOD[kind] | changes))

    assert (refused.value.code, refused.value.field) == (code, field)


# --- members -------------------------------------------------------------------------------------

MEMBER = Membership("EC1", "BOSS1", "P1")
UPWARD = dataclasses.replace(ROUTES, groups=GroupPlaces(relays={"BOSS1": "boss1"}))


def test_headquarters_is_told_of_a_members_new_card_when_it_is_in_use() -> None:
    plan = a_members(SIMReplace(**HEADER, msisdn=NOW.msisdn), NEW_CARD)

    *_, removal, report = tasks_of(plan)
    assert (removal.operation, report.operation) == (Operation.REMOVE_KEY, Operation.REPORT_MEMBER)
    assert (report.ne, report.binding, report.details.ec_code) == ("boss1", NEW_CARD, "EC1")


def test_a_members_report_goes_from_the_old_number_to_the_new() -> None:
    plan = a_members(NumberChange(**HEADER, msisdn=NOW.msisdn), NEW_NUMBER)

    told = [task for task in tasks_of(plan) if task.ne == "boss1"]
    assert [(task.operation, task.binding.msisdn) for task in told] == [
        (Operation.CANCEL_REPORT, NOW.msisdn),
        (Operation.REPORT_MEMBER, NEW_NUMBER.msisdn),
    ]


def a_members(order: SIMReplace | NumberChange, target: Binding) -> Plan:
    user = User(UserState.ACTIVE, NOW, {}, member=MEMBER)
    made = plan_of(order, user, Ground(UPWARD, Products(), "55", target=target))
    assert isinstance(made, Plan)
    return made
