import os

from hypothesis import given
from hypothesis import strategies as st

from loadtest.poolbench.meter import Meter, quantile


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_the_smallest_value_that_its_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    ascending = sorted(values)

    found = quantile(ascending, share)

    below = sum(value < found for value in values)
    upto = sum(value <= found for value in values)
    assert found in values
    assert below < share * len(values) + 1e-9
    assert upto >= share * len(values) - 1e-9


def test_of_no_values_a_quantile_is_zero() -> None:
    assert quantile([], 0.99) == 0.0


def test_only_the_measured_time_makes_the_rate_but_every_number_is_held_against_the_tables() -> (
    None
):
    meter = Meter(os.getpid())
    meter.took(1, 9.0)
    meter.begin()
    for number in range(2, 12):
        meter.took(number, 0.001 * number)
    meter.end()
    meter.took(12, 9.0)

    found = meter.figures()

    assert (found.acknowledged, found.distinct) == (12, 12)
    assert round(found.per_s * found.seconds) == 10
    assert (found.p50_ms, found.p99_ms) == (6.0, 11.0)
    assert not meter.is_on


def test_a_number_acknowledged_twice_shows() -> None:
    meter = Meter(os.getpid())
    meter.begin()
    meter.took(7, 0.001)
    meter.took(7, 0.001)
    meter.end()

    found = meter.figures()

    assert (found.acknowledged, found.distinct) == (2, 1)


def test_the_first_end_counts() -> None:
    meter = Meter(os.getpid())
    meter.begin()
    meter.took(1, 0.001)
    meter.end()
    seconds = meter.figures().seconds

    meter.end()

    assert meter.figures().seconds == seconds
