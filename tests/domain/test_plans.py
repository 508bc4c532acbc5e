from typing import Any

import pytest
from msgspec.structs import replace

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import UNDO, Cause, Operation, Task
from hlrd.domain.orders import (
    ArrearsSuspend,
    LeveledReason,
    MemberActivate,
    PaymentResume,
    Service,
    UserOpen,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.plans.plan import Ground, Impossible, Mark, Plan, Routes, undo
from hlrd.domain.publication import Products
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.user import User
from tests.domain.planning import plan_of

BINDING = Binding(
    UserId("7"), MSISDN("1064700000001"), IMSI("460040000000001"), ICCID("8986042020240000001"),
    "hlr1", "200", SealedKey("k", b""),
)  # fmt: skip
ROUTES = Routes("dsmp", {"hlr1": {"GPRS+SMS": 12}})
HEADER: dict[str, Any] = {
    "order_id": "A1", "province": "200", "operator_id": "op", "user_id": "7",
}  # fmt: skip
ACTIVATE = MemberActivate(**HEADER, ec_code="EC")
SUSPEND_1 = ArrearsSuspend(**HEADER, msisdn=BINDING.msisdn, level=1)
SUSPEND_2 = ArrearsSuspend(**HEADER, msisdn=BINDING.msisdn, level=2)
RESUME = PaymentResume(**HEADER, msisdn=BINDING.msisdn)
TERMINATE = UserTerminate(**HEADER, msisdn=BINDING.msisdn)
ACTIVE = User(UserState.ACTIVE, BINDING, NO_REASONS)
NEW = User(UserState.PROVISIONING, BINDING, NO_REASONS)
TERMINATED = User(UserState.TERMINATED, None, NO_REASONS)


def stopped(**reasons: Level) -> User:
    return User(UserState.ACTIVE, BINDING, {Reason(name): reasons[name] for name in reasons})


def user_open(**reasons: int) -> UserOpen:
    named = [LeveledReason(Reason(name), level) for name, level in reasons.items()]
    return UserOpen(
        **HEADER, msisdn=BINDING.msisdn, imsi=BINDING.imsi, iccid=BINDING.iccid,
        services=[Service.GPRS, Service.SMS], reasons=named,
    )  # fmt: skip


def planned(order: WorkOrder, user: User | None) -> Plan:
    made = plan_of(order, user, Ground(ROUTES, Products(), "55"))
    assert isinstance(made, Plan)
    return made


def commands(made: Plan) -> list[tuple[str, str, int]]:
    return [(t.ne, t.operation, int(t.level)) for stage in made.stages for t in stage]


OPENING = [("hlr1", "addKey", 0), ("hlr1", "addSubscriber", 0), ("dsmp", "openRelation", 0)]


def test_an_activation_adds_key_then_subscriber_then_relation() -> None:
    made = planned(ACTIVATE, NEW)

    assert commands(made) == OPENING
    assert made.user == ACTIVE
    assert made.stages[1][0].template == "12"
    assert [stage[0].transaction for stage in made.stages] == ["5500", "5501", "5502"]


@pytest.mark.parametrize("level", [1, 2])
def test_a_user_who_is_opened_stopped_has_no_service_before_the_bar(level: int) -> None:
    made = planned(user_open(ARREARS=level, EXPIRED=1), NEW)

    assert commands(made) == [
        ("hlr1", "addKey", 0),
        ("hlr1", "addSubscriber", level),
        ("hlr1", "setBarring", level),
        ("dsmp", "openRelation", 0),
        ("dsmp", "pauseRelation", 0),
    ]
    assert made.user.reasons == {Reason.ARREARS: level, Reason.EXPIRED: 1}


def test_a_member_of_an_enterprise_that_owes_is_opened_stopped_too() -> None:
    owing = [LeveledReason(Reason.ARREARS, 2)]

    made = planned(replace(ACTIVATE, reasons=owing), NEW)

    assert commands(made)[2] == ("hlr1", "setBarring", 2)
    assert made.user.reasons == {Reason.ARREARS: Level.TWO_WAY}


@pytest.mark.parametrize(
    ("order", "user", "wanted", "after", "marks"),
    [
        (SUSPEND_2, ACTIVE, ["setBarring 2", "pauseRelation 0"], {"ARREARS": 2}, ()),
        (SUSPEND_2, stopped(ARREARS=Level.ONE_WAY), ["setBarring 2"], {"ARREARS": 2}, ()),
        (SUSPEND_1, stopped(ARREARS=Level.TWO_WAY), [], {"ARREARS": 2}, (Mark.NO_CHANGE,)),
        (SUSPEND_2, stopped(VOLUNTARY=Level.TWO_WAY), [], {"ARREARS": 2, "VOLUNTARY": 2}, ()),
        (RESUME, stopped(ARREARS=Level.TWO_WAY), ["setBarring 0", "resumeRelation 0"], {}, ()),
        (
            RESUME,
            stopped(ARREARS=Level.TWO_WAY, LOST=Level.ONE_WAY),
            ["setBarring 1"],
            {"LOST": 1},
            (),
        ),
        (
            RESUME,
            stopped(OPERATOR=Level.TWO_WAY),
            [],
            {"OPERATOR": 2},
            (Mark.NOT_SUSPENDED_FOR_REASON,),
        ),
        (RESUME, ACTIVE, [], {}, (Mark.NOT_SUSPENDED_FOR_REASON,)),
        (SUSPEND_2, TERMINATED, [], {}, (Mark.NO_CHANGE,)),
        (TERMINATE, TERMINATED, [], {}, (Mark.NO_CHANGE,)),
    ],
)
def test_only_a_change_of_the_effective_level_costs_a_command(
    order: WorkOrder, user: User, wanted: list[str], after: Reasons, marks: tuple[Mark, ...]
) -> None:
    made = planned(order, user)

    assert [f"{operation} {level}" for _, operation, level in commands(made)] == wanted
    assert made.user.reasons == after
    assert made.marks == marks


def test_a_termination_goes_from_the_outside_in_and_the_key_last() -> None:
    made = planned(TERMINATE, stopped(FRAUD=Level.TWO_WAY))

    assert [operation for _, operation, _ in commands(made)] == [
        "closeRelation", "removeSubscriber", "removeKey",
    ]  # fmt: skip
    assert made.user == TERMINATED


@pytest.mark.parametrize(
    ("order", "user", "code"),
    [
        (SUSPEND_1, None, "USER_UNKNOWN"),
        (TERMINATE, None, "USER_UNKNOWN"),
        (RESUME, TERMINATED, "USER_TERMINATED"),
        (replace(SUSPEND_1, msisdn="1064700000009"), ACTIVE, "USER_NUMBER_MISMATCH"),
        (replace(ACTIVATE, services=[Service.VOICE]), NEW, "SERVICES_UNKNOWN"),
    ],
)
def test_what_lost_its_ground_is_impossible(order: WorkOrder, user: User, code: str) -> None:
    made = plan_of(order, user, Ground(ROUTES, Products(), "55"))

    assert isinstance(made, Impossible)
    assert made.code == code


def test_what_was_done_is_undone_in_reverse_and_only_what_can_be() -> None:
    done = [stage[0] for stage in planned(user_open(ARREARS=2), NEW).stages]

    back = [stage[0] for stage in undo(done)]

    assert [task.operation for task in back] == [
        Operation.CLOSE_RELATION, Operation.REMOVE_SUBSCRIBER, Operation.REMOVE_KEY,
    ]  # fmt: skip
    assert {task.cause for task in back} == {Cause.CLOSED}
    assert len({task.transaction for task in [*done, *back]}) == len(done) + len(back)


def test_an_undo_is_never_undone_but_for_changes_which_go_both_ways() -> None:
    changes = {Operation.CHANGE_CARD, Operation.CHANGE_NUMBER}

    assert set(UNDO) & set(UNDO.values()) == changes
    assert all(UNDO[change] is change for change in changes)
    assert not undo([Task(Operation.SET_BARRING, "hlr1", BINDING, Cause.STOPPED)])
