"""Wrong passwords lock a name, whoever has it; floods of logins are bounded."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.login import Bucket, Lockout, LockRules, Throttle

RULES = LockRules(lock_after=5, lock_s=300.0)
GAP = st.floats(min_value=0, max_value=RULES.lock_s - 0.001)


def a_lockout(names_max: int = 1_000) -> Lockout:
    return Lockout(RULES, names_max=names_max)


def fail(lockout: Lockout, times: int, *, user: str = "crm", now: float = 0.0) -> bool:
    return [lockout.failed(user, now) for _ in range(times)][-1]


@given(gaps=st.lists(GAP, min_size=5, max_size=5))
def test_wrong_passwords_in_a_row_lock_whatever_the_pace(gaps: Sequence[float]) -> None:
    lockout, now = a_lockout(), 0.0

    for count, gap in enumerate(gaps, 1):
        now += gap
        assert lockout.locked_for_s("crm", now) == 0
        assert lockout.failed("crm", now) == (count == RULES.lock_after)

    assert lockout.locked_for_s("crm", now) == pytest.approx(RULES.lock_s)


@given(count=st.integers(1, 4), gap=st.floats(min_value=300.001, max_value=1e6))
def test_wrong_passwords_are_forgotten_after_the_time_of_a_lock(count: int, gap: float) -> None:
    lockout = a_lockout()
    fail(lockout, count)

    assert not fail(lockout, RULES.lock_after - 1, now=gap)


@given(now=st.floats(0, 299.9))
def test_a_lock_is_released_by_time_alone_and_nothing_counts_from_before(now: float) -> None:
    lockout = a_lockout()
    fail(lockout, RULES.lock_after)

    assert lockout.locked_for_s("crm", now) == RULES.lock_s - now
    assert lockout.locked_for_s("crm", RULES.lock_s) == 0
    assert not fail(lockout, RULES.lock_after - 1, now=RULES.lock_s)


def test_the_right_password_or_staff_ends_the_count() -> None:
    lockout = a_lockout()
    fail(lockout, RULES.lock_after - 1)
    lockout.passed("crm")
    assert not fail(lockout, RULES.lock_after - 1, now=1.0)

    fail(lockout, 1, now=1.0)
    assert lockout.locked(["crm", "boss"], 1.0) == {"crm": RULES.lock_s}
    lockout.passed("crm")
    assert lockout.locked_for_s("crm", 1.0) == 0


def test_names_are_locked_each_for_itself() -> None:
    lockout = a_lockout()

    fail(lockout, RULES.lock_after)

    assert lockout.locked_for_s("boss", 0.0) == 0


def test_no_flood_of_names_takes_more_memory_or_ends_a_lock() -> None:
    """All that the throttle lets through while a lock holds fits in what is remembered."""
    names_max = 100
    lockout = a_lockout(names_max)
    fail(lockout, RULES.lock_after)

    for number in range(names_max - 1):
        lockout.failed(f"nobody{number}", 1.0)
    assert lockout.locked_for_s("crm", 1.0) > 0
    for number in range(1_000):
        lockout.failed(f"somebody{number}", 2.0)

    assert len(lockout._failures) == names_max
    assert limits.LOGIN_NAMES_MAX >= limits.LOGINS_PER_S * limits.LOCK_S_MAX + limits.LOGINS_BURST


def test_old_names_are_forgotten_as_new_ones_come() -> None:
    lockout = a_lockout()
    for number in range(500):
        lockout.failed(f"nobody{number}", 0.0)

    lockout.failed("crm", RULES.lock_s)

    assert len(lockout._failures) == 1


# Floods.


def a_throttle() -> Throttle:
    return Throttle(one=Bucket(5.0, 10), all=Bucket(20.0, 40))


@given(gaps=st.lists(st.floats(0, 1), max_size=200))
def test_an_address_gets_its_burst_and_its_rate_and_no_more(gaps: Sequence[float]) -> None:
    throttle, now, taken = a_throttle(), 0.0, list[float]()

    for gap in gaps:
        now += gap
        if throttle.take("a", now) == 0:
            taken.append(now)

    for first in range(len(taken)):
        within = [moment for moment in taken[first:] if moment <= taken[first] + 2.0]
        assert len(within) <= 10 + 5 * 2.0 + 1


def test_who_waits_as_long_as_told_gets_in() -> None:
    throttle = a_throttle()
    assert [throttle.take("a", 0.0) for _ in range(10)] == [0.0] * 10

    wait_s = throttle.take("a", 0.0)

    assert 0 < wait_s <= 0.2 + 1e-9
    assert throttle.take("a", wait_s / 2) > 0
    assert throttle.take("a", wait_s + 1e-9) == 0


def test_one_address_does_not_use_up_what_others_may() -> None:
    throttle = a_throttle()
    for _ in range(1_000):
        throttle.take("flood", 0.0)

    assert throttle.take("honest", 0.0) == 0


def test_all_addresses_together_have_a_bound_and_cost_bounded_memory() -> None:
    throttle = a_throttle()

    taken = sum(throttle.take(f"a{number}", number / 1_000) == 0 for number in range(10_000))

    assert taken <= 40 + 20 * 10 + 1
    assert throttle.addresses() <= 40 + 20 * 2
