"""Timers: what is due comes in its order, and what is done with does not stay."""

from hypothesis import given
from hypothesis import strategies as st

from hlrd.engine.timers import Timers


@given(st.lists(st.tuples(st.floats(0, 100), st.integers())), st.floats(0, 100))
def test_what_is_due_comes_in_its_order(entries: list[tuple[float, int]], now: float) -> None:
    timers: Timers[int] = Timers()
    for due, item in entries:
        timers.add(due, item)

    taken = timers.take_due(now)

    expected = sorted((due, place) for place, (due, _) in enumerate(entries) if due <= now)
    assert taken == [entries[place][1] for _, place in expected]
    assert timers.next_due() == min((due for due, _ in entries if due > now), default=None)


def test_those_who_wait_no_more_do_not_pile_up() -> None:
    timers: Timers[int] = Timers()
    waiting = set(range(100_000, 100_500))
    for number, item in enumerate([*waiting, *range(100_000)]):
        timers.add(1_000.0 + number % 7, item)
        timers.tidy(waiting.__contains__)

    assert len(timers) < 4_096
    assert set(timers.take_due(2_000.0)) >= waiting
