"""The outages of a campaign are as many as were asked for, and drawn by the seed alone."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.torture.outages import EARLIEST, LATEST, Kind, Outage, draw


def kills(outages: list[Outage]) -> int:
    return sum(1 + each.is_doubled for each in outages if each.kind is Kind.KILL)


@given(kill=st.integers(0, 40), restart=st.integers(0, 6), seed=st.integers())
def test_as_many_are_drawn_as_were_asked_for(kill: int, restart: int, seed: int) -> None:
    drawn = draw(kills=kill, pg_restarts=restart, random=Random(seed))

    stops = [each.kind for each in drawn if each.kind is not Kind.KILL]
    assert kills(drawn) == kill
    assert stops.count(Kind.CRASH) == min(restart, 1)
    assert stops.count(Kind.RESTART) == max(restart - 1, 0)


@given(st.integers())
def test_they_come_in_order_and_while_the_clients_are_at_work(seed: int) -> None:
    moments = [each.at for each in draw(kills=20, pg_restarts=3, random=Random(seed))]

    assert moments == sorted(moments)
    assert EARLIEST <= moments[0] <= moments[-1] <= LATEST


@given(st.integers())
def test_a_seed_draws_the_same_again(seed: int) -> None:
    first, second = (draw(kills=9, pg_restarts=2, random=Random(seed)) for _ in range(2))

    assert first == second
