"""When an NE is left alone, and when it is tried again."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.lifecycle import IllegalTransition, advance
from hlrd.ne.breaker import BREAKER, Breaker, BreakerEvent, BreakerState

IMPOSSIBLE = {
    (BreakerState.CLOSED, BreakerEvent.PROBED),
    (BreakerState.OPEN, BreakerEvent.TRIPPED),
    (BreakerState.HALF_OPEN, BreakerEvent.TRIPPED),
}


def a_breaker(*, faults_max: int = 3, probe_s: float = 0.5) -> Breaker:
    return Breaker(faults_max=faults_max, probe_s=probe_s)


def an_open_breaker(now: float = 100.0) -> Breaker:
    breaker = a_breaker(faults_max=1)
    assert breaker.faulted(now)
    return breaker


@pytest.mark.parametrize(("state", "event"), list(product(BreakerState, BreakerEvent)))
def test_every_pair_is_a_row_of_the_table_or_illegal(
    state: BreakerState, event: BreakerEvent
) -> None:
    assert ((state, event) in BREAKER) is ((state, event) not in IMPOSSIBLE)
    if (state, event) in IMPOSSIBLE:
        with pytest.raises(IllegalTransition):
            advance(BREAKER, state, event)


@pytest.mark.parametrize("state", list(BreakerState))
def test_any_answer_closes_the_breaker_at_once(state: BreakerState) -> None:
    assert BREAKER[state, BreakerEvent.ANSWERED] is BreakerState.CLOSED


@given(st.lists(st.booleans()), st.integers(1, 6))
def test_it_opens_at_so_many_faults_in_a_row_and_not_before(
    faults: list[bool], faults_max: int
) -> None:
    breaker = a_breaker(faults_max=faults_max)
    in_a_row = 0

    for is_fault in faults:
        in_a_row = in_a_row + 1 if is_fault else 0
        if is_fault:
            has_opened = breaker.faulted(1.0)
            assert has_opened is (in_a_row == faults_max)
        else:
            breaker.answered()

        assert breaker.is_closed is (in_a_row < faults_max)


def test_a_probe_is_due_a_period_after_opening_and_a_period_after_each_probe() -> None:
    breaker = an_open_breaker(now=100.0)

    assert not breaker.probe_is_due(100.49)
    assert breaker.probe_is_due(100.5)
    breaker.probed(100.6)
    breaker.faulted(100.7)

    assert breaker.state is BreakerState.OPEN
    assert not breaker.probe_is_due(101.09)
    assert breaker.probe_is_due(101.1)


def test_a_fault_of_an_older_command_does_not_put_off_the_next_probe() -> None:
    breaker = an_open_breaker(now=100.0)

    breaker.faulted(100.4)

    assert breaker.probe_is_due(100.5)


def test_a_closed_breaker_needs_no_probe() -> None:
    assert not a_breaker().probe_is_due(1e9)


def test_it_tells_when_it_closes_and_only_then() -> None:
    breaker = an_open_breaker()
    breaker.probed(101.0)

    assert breaker.answered()
    assert not breaker.answered()
    assert breaker.faults == 0
