"""How an NE that says busy is given less, and by and by more again."""

from hypothesis import given
from hypothesis import strategies as st

from hlrd.ne.window import Window


@given(st.integers(1, 64), st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0))))
def test_the_window_stays_between_one_and_its_maximum(
    size_max: int, answers: list[tuple[bool, float]]
) -> None:
    window = Window(size_max=size_max)
    now = 0.0

    for is_busy, gap in answers:
        sent_at, now = now, now + gap
        before = window.size
        if is_busy:
            window.busy(now, sent_at=sent_at)
            assert window.size <= before
        else:
            window.answered()
            assert before <= window.size <= before + 1
        assert 1 <= window.size <= size_max
        assert window.rests_until - now <= 1.0


def test_busy_answers_of_one_batch_are_one_sign() -> None:
    window = Window(size_max=16)

    for answer in range(16):
        window.busy(1.0 + answer / 1000, sent_at=0.5)

    assert window.size == 13


def test_a_busy_answer_to_what_was_sent_since_lowers_again() -> None:
    window = Window(size_max=16)
    window.busy(1.0, sent_at=0.5)

    window.busy(2.0, sent_at=1.5)

    assert window.size == 11


def test_it_grows_by_one_for_each_window_of_answers() -> None:
    window = Window(size_max=16)
    window.busy(1.0, sent_at=0.5)

    for _ in range(14):
        window.answered()

    assert window.size == 14


def test_it_comes_back_to_its_maximum() -> None:
    window = Window(size_max=16)
    for second in range(20):
        window.busy(second, sent_at=second - 0.5)
    assert window.size == 1

    for _ in range(200):
        window.answered()

    assert window.size == 16
    assert window.is_full_size


@given(st.integers(1, 8), st.integers(8, 64), st.integers(0, 40))
def test_it_never_falls_below_its_minimum(size_min: int, size_max: int, busy: int) -> None:
    window = Window(size_min=size_min, size_max=size_max)

    for second in range(busy):
        window.busy(second, sent_at=second - 0.5)

    assert size_min <= window.size <= size_max


@given(st.integers(0, 20), st.integers(1, 64), st.integers(1, 64))
def test_other_bounds_hold_at_once_and_a_full_window_stays_full(
    busy: int, size_max: int, other_max: int
) -> None:
    window = Window(size_max=size_max)
    for second in range(busy):
        window.busy(second, sent_at=second - 0.5)
    was_full, before = window.size == size_max, window.size

    window.bound(size_min=1, size_max=other_max)

    assert window.size == (other_max if was_full else min(before, other_max))


def test_when_one_at_a_time_is_too_much_the_ne_is_left_alone_for_longer_and_longer() -> None:
    window = Window(size_max=1)
    now, rests = 0.0, []

    for _ in range(10):
        now += 2.0
        window.busy(now, sent_at=now - 0.001)
        rests.append(round(window.rests_until - now, 3))

    assert rests == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]


def test_an_answer_ends_the_growing_of_the_rest() -> None:
    window = Window(size_max=1)
    window.busy(1.0, sent_at=0.9)
    window.busy(2.0, sent_at=1.9)

    window.answered()
    window.busy(3.0, sent_at=2.9)

    assert round(window.rests_until - 3.0, 3) == 0.01
