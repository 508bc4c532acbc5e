"""Sessions end when they are not heard of, when their time is over, and to make room."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.orders import Source
from hlrd.domain.session import End, Session, SessionRules, Sessions

RULES = SessionRules(idle_close_s=10.0, lifetime_s=100.0, per_account_max=3)
MOMENT = st.floats(min_value=0, max_value=1e6)


def a_session(number: int, *, now: float, user: str = "crm") -> Session:
    name = f"{user}-{number}"
    return Session(name, name.encode(), user, Source.CRM, "::1", since=now, heard_at=now)


def a_desk(count: int = 1, *, now: float = 0.0) -> tuple[Sessions, list[Session]]:
    sessions = Sessions(RULES)
    opened = [a_session(number, now=now) for number in range(count)]
    for session in opened:
        assert sessions.open(session) == []
    return sessions, opened


@given(gaps=st.lists(st.floats(min_value=0, max_value=RULES.idle_close_s - 0.001), max_size=30))
def test_a_session_that_is_heard_of_often_enough_lives_for_its_lifetime(
    gaps: Sequence[float],
) -> None:
    sessions, (one,) = a_desk()
    now = 0.0

    for gap in gaps:
        now += gap
        if now < RULES.lifetime_s:
            assert sessions.heard(one.digest, now) is one
        else:
            assert sessions.heard(one.digest, now) is None


@given(heard=MOMENT, silence=st.floats(min_value=0, max_value=50))
def test_a_session_ends_by_silence_and_at_no_other_moment(heard: float, silence: float) -> None:
    sessions, (one,) = a_desk(now=heard)

    is_idle = heard + silence - heard >= RULES.idle_close_s
    over = sessions.due(heard + silence)

    assert over == ([(one, End.IDLE)] if is_idle else [])


def test_what_is_over_is_not_heard_of_again_before_anybody_looks() -> None:
    sessions, (one,) = a_desk()

    assert sessions.heard(one.digest, 10.0) is None
    assert sessions.heard(one.digest, 10.0) is None, "it was not brought back"
    assert sessions.due(10.0) == [(one, End.IDLE)]
    assert sessions.due(10.0) == []
    assert sessions.get(one.id) is None


def test_a_lifetime_is_not_prolonged_by_what_is_heard() -> None:
    sessions, (one,) = a_desk()
    for now in range(0, 100, 9):
        sessions.heard(one.digest, float(now))

    assert sessions.due(99.9) == []
    assert sessions.due(100.0) == [(one, End.EXPIRED)]


@given(heard=st.permutations(range(3)))
def test_the_one_longest_unheard_of_makes_room(heard: Sequence[int]) -> None:
    sessions, opened = a_desk(3)
    for moment, number in enumerate(heard, 1):
        sessions.heard(opened[number].digest, float(moment))

    displaced = sessions.open(a_session(9, now=5.0))

    assert displaced == [opened[heard[0]]]
    assert sessions.heard(displaced[0].digest, 5.0) is None
    assert len(sessions.of("crm")) == RULES.per_account_max


def test_who_is_over_already_makes_room_without_being_displaced() -> None:
    sessions, opened = a_desk(3)
    sessions.heard(opened[1].digest, 9.0)
    sessions.heard(opened[2].digest, 9.0)

    assert sessions.open(a_session(9, now=11.0)) == []
    assert sessions.due(11.0) == [(opened[0], End.IDLE)]


def test_accounts_do_not_make_room_for_one_another() -> None:
    sessions, opened = a_desk(3)

    assert sessions.open(a_session(1, now=1.0, user="boss")) == []
    assert all(sessions.get(one.id) is one for one in opened)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["open", "hear", "look", "close"]),
            st.integers(0, 40),
            st.floats(0, 8),
        ),
        max_size=80,
    )
)
def test_an_account_never_has_more_than_it_may_and_no_token_outlives_its_session(
    steps: Sequence[tuple[str, int, float]],
) -> None:
    sessions, now, opened = Sessions(RULES), 0.0, list[Session]()
    for step, number, passed in steps:
        now += passed
        one = opened[number % len(opened)] if opened else None
        if step == "open":
            opened.append(a_session(len(opened), now=now, user=f"user{number % 2}"))
            sessions.open(opened[-1])
        elif step == "look":
            sessions.due(now)
        elif one is not None and step == "hear":
            is_live = one in sessions.all() and sessions.end_of(one, now) is None
            assert sessions.heard(one.digest, now) is (one if is_live else None)
        elif one is not None and sessions.get(one.id) is one:
            sessions.remove(one)
            assert sessions.heard(one.digest, now) is None
        for user in ("user0", "user1"):
            live = [each for each in sessions.of(user) if sessions.end_of(each, now) is None]
            assert len(live) <= RULES.per_account_max


@pytest.mark.parametrize("digest", [b"", b"nobody"])
def test_a_token_of_nobody_finds_nothing(digest: bytes) -> None:
    sessions, _ = a_desk()

    assert sessions.heard(digest, 1.0) is None


def test_no_token_shows_when_a_session_is_printed() -> None:
    assert "digest" not in repr(a_session(1, now=0.0))
