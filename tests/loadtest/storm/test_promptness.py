"""An urgent order that was late is found, unless its HLR was away."""

from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from loadtest.storm import promptness, timing
from loadtest.storm.book import Kind
from loadtest.storm.promptness import EVERYWHERE, Absence, Urgent, began_s, judged_s, percentile


def urgent(
    took_s: float, *, hlr: str = "hlr1", posted_s: float = 100.0, kind: Kind = Kind.PAY
) -> Urgent:
    return Urgent("U-1", kind, hlr, posted_s, posted_s + took_s)


AWAY = Absence("hlr3", 90.0, 150.0)


def test_an_order_counts_from_its_post() -> None:
    assert judged_s(urgent(2.0), [AWAY]) == 2.0


def test_an_order_whose_hlr_was_away_counts_from_its_return() -> None:
    assert judged_s(urgent(53.0, hlr="hlr3"), [AWAY]) == 3.0


def test_an_order_that_was_done_before_its_hlr_went_counts_as_it_is() -> None:
    assert judged_s(urgent(5.0, hlr="hlr3", posted_s=80.0), [AWAY]) == 5.0


def test_while_hlrd_itself_is_away_nothing_counts() -> None:
    absences = [Absence(EVERYWHERE, 149.0, 160.0), AWAY]

    assert judged_s(urgent(61.0), absences) == 1.0
    assert judged_s(urgent(61.0, hlr="hlr3"), absences) == 1.0


def test_an_order_that_overtook_another_counts_from_that_ones_arrival() -> None:
    assert began_s(10.0, None) == 10.0
    assert began_s(10.0, 9.0) == 10.0
    assert began_s(10.0, 12.0) == 12.0
    assert began_s(10.0, 99.0) == 10.0 + limits.PREDECESSOR_WAIT_S


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.sampled_from([0.5, 0.99, 1.0]))
def test_as_many_as_the_share_says_are_at_most_the_percentile(
    seconds: list[float], share: float
) -> None:
    found = percentile(sorted(seconds), share)

    assert found in seconds
    assert sum(each <= found for each in seconds) >= share * len(seconds)


def rows_of(storm: list[Urgent], absences: list[Absence] | None = None) -> dict[str, bool]:
    calm = [urgent(0.05) for _ in range(100)]
    made = timing.rows(calm, storm, absences or [], unanswered_s=4.0, slow_factor=5.0)
    return {row.what: row.holds for row in made}


def test_urgent_orders_in_time_hold() -> None:
    assert all(rows_of([urgent(0.2) for _ in range(200)]).values())


def test_a_late_urgent_order_is_found_if_it_is_more_than_one_in_a_hundred() -> None:
    in_time = [urgent(0.2) for _ in range(200)]

    assert rows_of([*in_time, *(urgent(6.0) for _ in range(2))])["in the storm: payments"]
    assert not rows_of([*in_time, *(urgent(6.0) for _ in range(4))])["in the storm: payments"]


def test_a_payment_beyond_five_minutes_is_found_wherever_it_was() -> None:
    late = [urgent(460.0, hlr="hlr3") for _ in range(3)]
    found = rows_of(late, [AWAY])

    assert not found["all payments"]
    assert not found["at hlr3, from its return"]


def test_a_slow_hlr_may_take_so_many_times_longer_and_no_more() -> None:
    assert rows_of([urgent(8.0, hlr="hlr2")])["at hlr2, which is slow"]
    assert not rows_of([urgent(10.0, hlr="hlr2")])["at hlr2, which is slow"]


def test_what_the_calm_took_is_the_measure() -> None:
    row = promptness.row("calm", [urgent(0.5)], (), bound_s=1.0)

    assert (row.p50_s, row.p99_s, row.max_s, row.orders) == (0.5, 0.5, 0.5, 1)
