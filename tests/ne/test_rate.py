"""The contract says how many commands a second may have, and no second has more."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.ne.rate import Rate

RATES = st.one_of(st.integers(1, 2_000).map(float), st.floats(1.0, 300.0))
GAPS = st.lists(
    st.one_of(
        st.just(0.0), st.floats(0.0, 0.01), st.floats(0.0, 0.3), st.sampled_from([0.5, 1.0, 1.5])
    ),
    max_size=120,
)


def sends(rate: Rate, times: Iterable[float]) -> list[float]:
    """When commands went, if as many as may go do so at each of `times`."""
    sent = []
    for now in times:
        for _ in range(rate.free(now)):
            rate.take(now)
            sent.append(now)
    return sent


def most_in_a_second(sent: list[float]) -> int:
    most = start = 0
    for end, now in enumerate(sent):
        while now - sent[start] >= 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most


def moments(gaps: list[float], start: float = 1e6) -> list[float]:
    times = [start]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(RATES, GAPS)
def test_no_second_ever_has_more_than_the_rate(commands_per_s: float, gaps: list[float]) -> None:
    sent = sends(Rate(commands_per_s), moments(gaps))

    assert most_in_a_second(sent) <= math.floor(commands_per_s)


@pytest.mark.parametrize("commands_per_s", [1.0, 3.0, 20.0, 40.0, 100.0, 999.5, 5_000.0])
def test_under_steady_demand_nearly_all_of_the_rate_is_used(commands_per_s: float) -> None:
    rate = Rate(commands_per_s)

    sent = sends(rate, (tick / 1000 for tick in range(10_000)))

    assert most_in_a_second(sent) <= commands_per_s
    assert len(sent) >= 10 * math.floor(commands_per_s) * 0.98


@given(RATES, GAPS, st.lists(st.floats(0.0, 0.0139), min_size=1, max_size=40))
def test_what_the_network_pushes_together_arrives_within_the_rate(
    commands_per_s: float, gaps: list[float], delays: list[float]
) -> None:
    sent = sends(Rate(commands_per_s), moments(gaps))

    arrived = sorted(now + delays[nth % len(delays)] for nth, now in enumerate(sent))

    assert most_in_a_second(arrived) <= math.floor(commands_per_s)


@given(st.floats(200.0, 1_000.0), st.lists(st.integers(0, 900), max_size=3))
def test_a_loop_that_is_late_now_and_then_loses_hardly_any_of_the_rate(
    commands_per_s: float, stalls_ms: list[int]
) -> None:
    starts = (1_000 * second + at for second, at in enumerate(stalls_ms))
    stalled = {start + late for start in starts for late in range(40)}
    ticks = (1e6 + tick / 1000 for tick in range(3_000) if tick not in stalled)

    sent = sends(Rate(commands_per_s), ticks)

    assert len(sent) >= 3 * math.floor(commands_per_s) * 0.97


def test_less_than_one_a_second_is_a_wait_between_two() -> None:
    rate = Rate(0.5)

    sent = sends(rate, (tick / 10 for tick in range(100)))

    assert sent == pytest.approx([0.0, 2.1, 4.2, 6.3, 8.4], abs=0.11)


@given(st.integers(1, 500), GAPS)
def test_it_says_when_there_will_be_more(commands_per_s: int, gaps: list[float]) -> None:
    rate = Rate(float(commands_per_s))
    sends(rate, moments(gaps))
    now = moments(gaps)[-1]

    before = rate.free(now)
    wait_s = rate.grows_in_s(now)

    assert rate.free(now + 0.99 * wait_s - 1e-6) <= before
    assert rate.free(now + wait_s + 1e-6) > before


def test_a_full_bucket_will_not_have_more() -> None:
    rate = Rate(100.0)

    assert rate.free(0.0) == rate.burst
    assert rate.grows_in_s(0.0) == math.inf


def test_what_could_not_wait_is_paid_back_by_the_next() -> None:
    rate = Rate(10.0)
    for _ in range(rate.burst + 1):
        rate.take(0.0)

    assert rate.free(0.2) == 0
    assert rate.free(0.21) == 1
