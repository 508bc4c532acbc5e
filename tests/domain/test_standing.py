"""Whatever is set and cleared in whatever order, a command is a change of the effective level."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, SealedKey, UserId
from hlrd.domain.lifecycle import UserState
from hlrd.domain.operation import Cause, Task
from hlrd.domain.orders import (
    ArrearsSuspend,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    PreTerminate,
    Reinstate,
    UserTerminate,
    VoluntaryResume,
    VoluntarySuspend,
    WorkOrder,
)
from hlrd.domain.plans.plan import Ground, Impossible, Plan, Routes
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from tests.domain.products import a_content, a_product, held, published

BINDING = Binding(
    UserId("7"), MSISDN("1064700000001"), IMSI("460040000000001"), ICCID("8986042020240000001"),
    "hlr1", "200", SealedKey("k", b""),
)  # fmt: skip
FIELDS: Final[dict[str, Any]] = {
    "order_id": "A1", "province": "200", "operator_id": "op", "user_id": "7",
    "msisdn": BINDING.msisdn,
}  # fmt: skip
NEWS = a_product("NEWS", a_content(), platforms=("platform",))
GROUND = Ground(
    Routes("dsmp", {"hlr1": {}}, platforms=frozenset({"platform"})), published(NEWS), "55"
)
FREE = User(UserState.ACTIVE, BINDING, NO_REASONS, (held(NEWS),))

OF_OWN_KIND = {
    Reason.ARREARS: (ArrearsSuspend, PaymentResume),
    Reason.VOLUNTARY: (VoluntarySuspend, VoluntaryResume),
}


def suspend(reason: Reason, level: int) -> WorkOrder:
    if reason in OF_OWN_KIND:
        return OF_OWN_KIND[reason][0](**FIELDS, level=level)
    return OperatorSuspend(**FIELDS, reason=reason, level=level)


def resume(reason: Reason) -> WorkOrder:
    if reason in OF_OWN_KIND:
        return OF_OWN_KIND[reason][1](**FIELDS)
    return OperatorResume(**FIELDS, reason=reason)


ORDERS = st.lists(
    st.one_of(
        st.builds(suspend, st.sampled_from(Reason), st.sampled_from([1, 2])),
        st.builds(resume, st.sampled_from(Reason)),
        st.builds(PreTerminate, **{name: st.just(value) for name, value in FIELDS.items()}),
        st.builds(Reinstate, **{name: st.just(value) for name, value in FIELDS.items()}),
    ),
    max_size=20,
)


def carried_out(order: WorkOrder, user: User) -> tuple[User, list[Task]]:
    """The user afterwards, and every command."""
    made = BY_SHAPE[type(order)].plan(order, user, GROUND)
    if isinstance(made, Impossible):
        return user, []
    assert made.user is not None
    return made.user, [task for stage in made.stages for task in stage]


@given(ORDERS)
def test_the_hlr_is_sent_every_change_of_the_effective_level_and_nothing_else(
    orders: list[WorkOrder],
) -> None:
    user, at_hlr = FREE, Level.NONE
    for order in orders:
        user, tasks = carried_out(order, user)
        barrings = [task.level for task in tasks if task.ne == "hlr1"]

        assert barrings == ([] if user.level == at_hlr else [user.level])
        at_hlr = user.level


@given(ORDERS)
def test_the_others_are_told_when_the_line_is_stopped_or_free_again_and_only_then(
    orders: list[WorkOrder],
) -> None:
    user = FREE
    for order in orders:
        was_stopped = bool(user.level)
        user, tasks = carried_out(order, user)
        told = [(task.ne, task.operation) for task in tasks if task.ne != "hlr1"]

        operation = "pauseRelation" if user.level else "resumeRelation"
        both = [("dsmp", operation), ("dsmp", operation), ("platform", operation)]
        assert told == ([] if bool(user.level) == was_stopped else both)


@given(ORDERS, st.sampled_from(Reason))
def test_no_order_clears_a_reason_that_is_not_its_own(
    orders: list[WorkOrder], reason: Reason
) -> None:
    user, _ = carried_out(suspend(reason, 2), FREE)
    for order in orders:
        if order == resume(reason):
            continue
        user, _ = carried_out(order, user)

        assert user.reasons[reason] is Level.TWO_WAY
        assert user.level is Level.TWO_WAY


@given(ORDERS)
def test_a_reinstated_user_is_stopped_as_if_he_had_never_been_pre_terminated(
    orders: list[WorkOrder],
) -> None:
    user = FREE
    for order in orders:
        user, _ = carried_out(order, user)
    before, _ = carried_out(Reinstate(**FIELDS), user)

    closing, _ = carried_out(PreTerminate(**FIELDS), before)
    after, tasks = carried_out(Reinstate(**FIELDS), closing)

    assert closing.state is UserState.PRE_TERMINATED
    assert closing.level is Level.TWO_WAY
    assert after == before
    assert [int(task.level) for task in tasks if task.ne == "hlr1"] == (
        [] if before.level is Level.TWO_WAY else [before.level]
    )


def test_the_dsmp_hears_of_a_pre_termination_as_the_closing_that_it_is() -> None:
    _, tasks = carried_out(PreTerminate(**FIELDS), FREE)

    assert {task.cause for task in tasks} == {Cause.CLOSED}


@given(ORDERS)
def test_whatever_stopped_him_a_user_can_be_terminated_and_nothing_comes_after(
    orders: list[WorkOrder],
) -> None:
    user = FREE
    for order in orders:
        user, _ = carried_out(order, user)
    user, _ = carried_out(UserTerminate(**FIELDS), user)

    for order in orders:
        made = BY_SHAPE[type(order)].plan(order, user, GROUND)
        if isinstance(made, Plan):
            assert (made.stages, made.user, made.marks) == ((), user, ("NO_CHANGE",))
        else:
            assert made.code == "USER_TERMINATED"
