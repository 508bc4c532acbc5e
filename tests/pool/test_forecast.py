"""How long the idle numbers of a pool last, at today's rate."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.pool.draw import Flow
from hlrd.pool.forecast import Day, Forecast, forecasts, today

MIDNIGHT = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # in Beijing
DAY, DAY_BEFORE = date(2026, 11, 21), date(2026, 11, 20)


def forecast(
    idle: int, days: list[Day], *, after: timedelta, low_water: int | None = None
) -> Forecast:
    flows = [Flow("iot", "200", "hlr1", idle)]
    (row,) = forecasts(flows, days, {"iot": low_water}, MIDNIGHT + after)
    return row


def drawn(count: int, day: date = DAY, returned: int = 0) -> Day:
    return Day("iot", "200", day, count, returned)


def test_the_day_is_that_of_beijing() -> None:
    assert today(MIDNIGHT) == DAY
    assert today(MIDNIGHT - timedelta(seconds=1)) == DAY_BEFORE


def test_half_a_day_counts_twice() -> None:
    row = forecast(1_000, [drawn(50)], after=timedelta(hours=12))

    assert (row.numbers_per_day, row.days_left) == (100.0, 10.0)


def test_what_was_put_back_was_not_used() -> None:
    row = forecast(1_000, [drawn(70, returned=20)], after=timedelta(hours=12))

    assert (row.drawn_today, row.days_left) == (50, 10.0)


def test_yesterday_stands_in_for_a_day_that_is_younger_than_an_hour() -> None:
    days = [drawn(40), drawn(200, DAY_BEFORE)]

    young = forecast(1_000, days, after=timedelta(minutes=59))
    grown = forecast(1_000, days, after=timedelta(hours=1))

    assert (young.numbers_per_day, young.days_left) == (200.0, 5.0)
    assert grown.numbers_per_day == 960.0


def test_at_no_rate_it_lasts_for_ever() -> None:
    assert forecast(5, [], after=timedelta(hours=5)).days_left is None
    assert forecast(5, [drawn(1, returned=3)], after=timedelta(hours=5)).days_left is None


@pytest.mark.parametrize(("low_water", "is_low"), [(None, False), (10, False), (11, True)])
def test_below_the_mark_is_low(low_water: int | None, is_low: bool) -> None:
    row = forecast(10, [], after=timedelta(hours=5), low_water=low_water)

    assert row.is_low is is_low


def test_home_hlrs_are_told_apart_and_summed_up() -> None:
    flows = [
        Flow("iot", "200", "hlr1", 10),
        Flow("iot", "200", "hlr2", 5),
        Flow("b", "210", "x", 1),
    ]

    rows = forecasts(flows, [], {}, MIDNIGHT)

    assert [(row.pool, row.province, row.idle) for row in rows] == [
        ("b", "210", 1),
        ("iot", "200", 15),
    ]
    assert rows[1].idle_by_hlr == {"hlr1": 10, "hlr2": 5}


@given(
    idle=st.integers(0, 10**9),
    count=st.integers(0, 10**7),
    before=st.integers(0, 10**7),
    minutes=st.integers(0, 1439),
)
def test_what_is_left_after_the_days_left_is_nothing(
    idle: int, count: int, before: int, minutes: int
) -> None:
    days = [drawn(count), drawn(before, DAY_BEFORE)]

    row = forecast(idle, days, after=timedelta(minutes=minutes))

    if row.days_left is None:
        assert row.numbers_per_day == 0
    else:
        assert row.days_left == pytest.approx(idle / row.numbers_per_day, rel=0.1, abs=0.06)
