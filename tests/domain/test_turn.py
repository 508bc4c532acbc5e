"""Which order of a user goes next: openings, then upstream's sequence, then arrival."""

from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.catalogue import BY_SHAPE, OrderKind
from hlrd.domain.lifecycle import OrderState, UserState
from hlrd.domain.orders import (
    ArrearsSuspend,
    MemberActivate,
    OperatorResume,
    OperatorSuspend,
    PaymentResume,
    ProductSubscribe,
    UserTerminate,
    WorkOrder,
)
from hlrd.domain.plans.plan import Mark
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.turn import (
    RUN,
    Needless,
    Run,
    Turn,
    Wait,
    business_key,
    coalescing,
    in_order,
    judge,
    steps_of,
)
from hlrd.domain.user import User

NUMBER: dict[str, Any] = {"msisdn": "1064700000001"}
PATIENCE_S = 5.0


@dataclass(eq=False)
class Entry:
    """An order in its line."""

    id: int
    order: WorkOrder
    state: OrderState = OrderState.QUEUED
    received: float = 0.0
    place: int = 0
    after: int = 0
    is_doubted: bool = False
    repeat_of: int | None = None
    kind: OrderKind = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.place or self.id
        self.kind = BY_SHAPE[type(self.order)]


def header(**said: Any) -> dict[str, Any]:
    return {"order_id": "A", "province": "200", "operator_id": "op", "user_id": "7"} | said


def suspend(id: int, *, level: int = 2, **said: Any) -> Entry:
    return Entry(id, ArrearsSuspend(**header(**said), **NUMBER, level=level))


def resume(id: int, **said: Any) -> Entry:
    return Entry(id, PaymentResume(**header(**said), **NUMBER))


def other_suspend(id: int, **said: Any) -> Entry:
    return Entry(id, OperatorSuspend(**header(**said), **NUMBER, reason=Reason.FRAUD))


def terminate(id: int, **said: Any) -> Entry:
    return Entry(id, UserTerminate(**header(**said), **NUMBER))


def subscribe(id: int, **said: Any) -> Entry:
    return Entry(id, ProductSubscribe(**header(**said), **NUMBER, product="P"))


def opening(id: int, **said: Any) -> Entry:
    return Entry(id, MemberActivate(**header(**said), ec_code="EC"))


def user(reasons: Reasons = NO_REASONS) -> User:
    return User(UserState.ACTIVE, None, reasons)


def turn(*line: Entry, applied: dict[str, int] | None = None, now: float = 1.0, **of: Any) -> Turn:
    of.setdefault("user", user())
    return judge(line, applied=applied or {}, now=now, patience_s=PATIENCE_S, **of)


def ids(line: Any) -> list[int]:
    return [one.id for one in line]


# The line.


def test_without_numbers_orders_run_as_they_came() -> None:
    line = [suspend(1), terminate(2), resume(3)]

    assert ids(in_order(line)) == [1, 2, 3]


@pytest.mark.parametrize("arrival", list(permutations((1, 2, 3))))
def test_upstreams_sequence_goes_before_arrival(arrival: tuple[int, ...]) -> None:
    line = [suspend(place, seq=seq) for place, seq in enumerate(arrival, start=1)]

    assert [one.order.seq for one in in_order(line)] == [1, 2, 3]


def test_orders_without_a_number_keep_their_place_among_those_that_have_one() -> None:
    line = [suspend(1, seq=9), terminate(2), resume(3, seq=8)]

    assert ids(in_order(line)) == [3, 2, 1]


def test_without_numbers_the_time_that_upstream_took_an_order_counts() -> None:
    line = [resume(1, accept_time="20261122100001"), suspend(2, accept_time="20261122100000")]

    assert ids(in_order(line)) == [2, 1]


def test_an_opening_goes_before_what_depends_on_it_whatever_came_first() -> None:
    line = [suspend(1, seq=1), opening(2, seq=5), resume(3)]

    assert ids(in_order(line)) == [2, 1, 3]


def test_what_came_late_stays_behind_what_may_have_begun() -> None:
    begun, late, next_one = terminate(1, seq=8), suspend(2, seq=7), suspend(3, seq=6)
    late.after = begun.id

    assert ids(in_order([begun, late, next_one])) == [1, 3, 2]


def test_what_was_dated_ahead_stands_where_it_fell_due() -> None:
    dated = suspend(1, seq=1)
    dated.place = 10
    line = [dated, suspend(9, seq=5), suspend(11, seq=4)]

    assert ids(in_order(line)) == [11, 1, 9]


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 5), st.booleans()), max_size=7),
    st.integers(0, 7),
)
def test_a_line_is_the_same_orders_and_the_same_whoever_stands_where(
    said: list[tuple[int | None, bool]], barrier: int
) -> None:
    line = [
        opening(n) if opens else suspend(n, seq=seq) for n, (seq, opens) in enumerate(said, start=1)
    ]
    if line:
        line[-1].after = min(barrier, len(line) - 1)
    ordered = in_order(line)

    assert sorted(ids(ordered)) == ids(line)
    assert ids(in_order(line)) == ids(ordered)
    opens = [one.kind.opens_user for one in ordered]
    assert opens == sorted(opens, reverse=True)
    free = [one for one in ordered if not one.kind.opens_user and one.id > (line[-1].after)]
    numbers = [one.order.seq for one in free if one.order.seq is not None]
    assert numbers == sorted(numbers)


# The turn.


def test_nothing_stands_against_an_order_that_says_nothing() -> None:
    assert turn(suspend(1)) is RUN


def test_a_late_order_is_superseded_by_a_later_one_about_the_same_reason() -> None:
    late = suspend(1, seq=4)

    assert turn(late, applied={"": 5, "ARREARS": 5}) == Needless((0,), Mark.SUPERSEDED)
    assert turn(late, applied={"": 5, "ARREARS": 3}) == RUN
    assert turn(late, applied={"": 5, "FRAUD": 5}) == RUN, "another reason is another matter"


def test_of_products_each_has_its_own_history() -> None:
    late = subscribe(1, seq=4)

    assert turn(late, applied={"": 5, "product:P": 5}) == Needless((0,), Mark.SUPERSEDED)
    assert turn(late, applied={"": 5, "product:Q": 5}) == RUN


def test_a_termination_is_never_superseded() -> None:
    assert turn(terminate(1, seq=4), applied={"": 9, "ARREARS": 9}) == RUN


def test_a_gap_is_waited_for_and_then_told() -> None:
    early = resume(1, seq=7)
    early.received = 100.0

    assert turn(early, applied={"": 5}, now=100.0) == Wait("PREDECESSOR_MISSING", 105.0)
    assert turn(early, applied={"": 5}, now=104.9) == Wait("PREDECESSOR_MISSING", 105.0)
    assert turn(early, applied={"": 5}, now=105.0) == Run((Mark.PREDECESSOR_MISSING,))
    assert turn(early, applied={"": 6}, now=100.0) == RUN


def test_the_first_number_of_a_user_has_no_gap_before_it() -> None:
    assert turn(suspend(1, seq=7)) == RUN


def test_a_predecessor_that_stands_in_the_line_is_not_missing() -> None:
    first, behind = resume(3, seq=7), suspend(4, seq=6)
    behind.after = 3

    assert turn(first, behind, applied={"": 5}) == RUN


def test_the_same_business_done_under_another_id_is_not_done_again() -> None:
    again = suspend(2)
    again.repeat_of = 1

    assert turn(again) == Needless((0,), Mark.DUPLICATE_OF)


def test_for_a_user_who_is_not_there_nothing_counts_as_done() -> None:
    again = suspend(2, seq=1)
    again.repeat_of = 1

    assert turn(again, user=None, applied={"": 9, "ARREARS": 9}) is RUN


# Coalescing.


def test_a_stop_and_the_resume_behind_it_take_each_other_back() -> None:
    assert turn(suspend(1), resume(2)) == Needless((0, 1), Mark.COALESCED)


def test_every_stop_for_the_reason_goes_with_the_resume() -> None:
    line = suspend(1, level=1), other_suspend(2), suspend(3), resume(4)

    assert turn(*line) == Needless((0, 2, 3), Mark.COALESCED)


def test_a_resume_of_another_reason_takes_nothing_back() -> None:
    other = Entry(2, OperatorResume(**header(), **NUMBER, reason=Reason.FRAUD))

    assert turn(suspend(1), other) == RUN


def test_what_the_user_is_stopped_for_already_must_be_cleared() -> None:
    assert turn(suspend(1), resume(2), user=user({Reason.ARREARS: Level.ONE_WAY})) == RUN


def test_what_may_have_been_sent_is_never_taken_back() -> None:
    doubted = suspend(1)
    doubted.is_doubted = True

    assert turn(doubted, resume(2)) == RUN


def test_what_is_not_durable_takes_nothing_back() -> None:
    arriving = resume(2)
    arriving.state = OrderState.RECEIVED

    assert turn(suspend(1), arriving) == RUN


@pytest.mark.parametrize("between", [terminate, subscribe], ids=["terminate", "product"])
def test_what_could_tell_the_difference_stands_between(between: Any) -> None:
    assert turn(suspend(1), between(2), resume(3)) == RUN


def test_nothing_is_taken_back_beyond_an_order_that_is_missing() -> None:
    assert turn(suspend(1, seq=6), resume(2, seq=8), applied={"": 5}) == RUN
    assert turn(suspend(1, seq=6), resume(2, seq=7), applied={"": 5}) != RUN


def test_the_twin_of_a_resume_that_was_done_takes_no_later_stop_back() -> None:
    twin = resume(2)
    twin.repeat_of = 99

    assert turn(suspend(1), twin) == RUN


@pytest.mark.parametrize(
    ("late", "applied"),
    [
        ({"seq": 7}, {"": 8, "ARREARS": 8}),
        ({"state_version": 7}, {"state": 8}),
    ],
    ids=["sequence", "version"],
)
def test_a_resume_that_came_too_late_takes_no_stop_back(
    late: dict[str, int], applied: dict[str, int]
) -> None:
    assert turn(suspend(1), resume(2, **late), applied=applied) == RUN


@pytest.mark.parametrize(
    ("version", "expected"),
    [(7, Needless((0,), Mark.SUPERSEDED)), (8, RUN), (9, RUN)],
)
def test_an_older_version_of_the_state_is_superseded(version: int, expected: Turn) -> None:
    assert turn(suspend(1, state_version=version), applied={"state": 8}) == expected


def test_an_order_that_succeeded_moves_the_version_of_the_state_on() -> None:
    done, failed = suspend(1, state_version=8), suspend(2, state_version=9, seq=3)
    done.state, failed.state = OrderState.SUCCEEDED, OrderState.FAILED

    assert steps_of(done) == (("state", 8),)
    assert steps_of(failed) == (("", 3),)


def test_a_resume_older_than_the_stop_takes_it_not_back() -> None:
    older, newer = resume(2, state_version=7), resume(2, state_version=9)

    assert turn(suspend(1, state_version=8), older) == RUN
    assert turn(suspend(1, state_version=8), newer) == Needless((0, 1), Mark.COALESCED)


def test_a_resume_that_says_the_whole_set_takes_no_stop_back_alone() -> None:
    word = {"state_version": 3, "reasons": []}

    assert turn(suspend(1), resume(2, **word)) == RUN


@given(st.lists(st.sampled_from((suspend, resume, other_suspend)), min_size=1, max_size=6))
def test_taking_back_leaves_the_reasons_as_running_all_would(kinds: list[Any]) -> None:
    line = [kind(n) for n, kind in enumerate(kinds, start=1)]
    places = coalescing(line, user(), {})

    assert reasons_after(one for n, one in enumerate(line) if n not in places) == reasons_after(
        line
    )


def reasons_after(line: Any) -> set[str]:
    reasons: set[str] = set()
    for one in line:
        change = reasons.discard if isinstance(one.order, PaymentResume) else reasons.add
        change(one.order.reason)
    return reasons


# What is kept.


def test_a_business_key_names_user_kind_reason_level_and_version_or_root() -> None:
    keys = [
        business_key(one.kind, one.order)
        for one in (
            suspend(1, state_version=3),
            suspend(2, state_version=4),
            suspend(3, state_version=3, level=1),
            resume(4, state_version=3),
            suspend(5, root_order_id="R1"),
            subscribe(6, root_order_id="R1"),
        )
    ]

    assert None not in keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "entry", [suspend(1, seq=1), opening(2, root_order_id="R"), terminate(3, root_order_id="R")]
)
def test_what_is_about_no_reason_or_product_has_no_business_key(entry: Entry) -> None:
    assert business_key(entry.kind, entry.order) is None


def test_what_failed_was_applied_to_nothing_but_its_number_is_used_up() -> None:
    done, failed = suspend(1, seq=4), suspend(2, seq=5)
    done.state, failed.state = OrderState.SUCCEEDED, OrderState.FAILED

    assert steps_of(done) == (("", 4), ("ARREARS", 4))
    assert steps_of(failed) == (("", 5),)
    assert steps_of(suspend(3)) == ()
