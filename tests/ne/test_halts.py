"""When a hold, a drain or a blackout is in force."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hlrd.ne.halts import Halt, HaltKind, Halts

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

MAINTENANCE = Halt(HaltKind.BLACKOUT, "new release", NOON, NOON + HOUR)


def test_a_blackout_is_in_force_from_its_start_up_to_its_end() -> None:
    halts = Halts([MAINTENANCE])

    assert halts.at(NOON - timedelta(microseconds=1)) is None
    assert halts.at(NOON) is MAINTENANCE
    assert halts.at(NOON + HOUR - timedelta(microseconds=1)) is MAINTENANCE
    assert halts.at(NOON + HOUR) is None


def test_the_word_of_a_person_goes_first_and_a_drain_has_no_end() -> None:
    halts = Halts([MAINTENANCE])
    halts.standing = Halt(HaltKind.DRAIN, "moved to another site", NOON)

    assert halts.at(NOON) is halts.standing
    assert halts.at(NOON + 10_000 * HOUR) is halts.standing


@given(st.integers(0, 600), st.integers(1, 600))
def test_behind_a_hold_that_ended_a_blackout_is_still_seen(start_min: int, length_min: int) -> None:
    halts = Halts([MAINTENANCE])
    start = NOON - 5 * HOUR + timedelta(minutes=start_min)
    end = start + timedelta(minutes=length_min)
    halts.standing = Halt(HaltKind.HOLD, "asked for by phone", start, end)

    assert halts.at(end) is (MAINTENANCE if NOON <= end < NOON + HOUR else None)
