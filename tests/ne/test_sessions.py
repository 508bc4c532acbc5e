"""How many sessions to have: enough for the queue, never too many, and no to and fro."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.ne.sessions import OPENING_MAX, Backoff, Bounds, Counts, Plan, Setback, plan

NOW = 1_000.0
BOUNDS = Bounds(sessions_min=2, sessions_max=8, idle_close_s=120.0)


def a_plan(
    *,
    idle_for: tuple[float, ...] = (),
    busy: int = 0,
    opening: int = 0,
    waiting: int = 0,
    bounds: Bounds = BOUNDS,
    window: int = 100,
    backoff: Backoff | None = None,
) -> Plan:
    idle_since = [NOW - seconds for seconds in idle_for]
    counts = Counts(idle_since, busy, opening, waiting)
    return plan(counts, bounds, window=window, backoff=backoff or Backoff(), now=NOW)


def test_the_first_session_is_opened_alone() -> None:
    assert a_plan(waiting=1_000) == Plan(open=1)


def test_once_one_is_up_more_are_opened_but_few_at_once() -> None:
    assert a_plan(busy=1, waiting=1_000) == Plan(open=OPENING_MAX)
    assert a_plan(busy=1, opening=3, waiting=1_000) == Plan(open=OPENING_MAX - 3)


def test_the_minimum_is_kept_without_any_work() -> None:
    assert a_plan(idle_for=(0.0,)) == Plan(open=1)
    assert a_plan(idle_for=(0.0, 0.0)) == Plan()


@pytest.mark.parametrize(("waiting", "opened"), [(0, 0), (1, 1), (2, 1), (3, 2), (7, 4)])
def test_one_more_session_for_every_two_that_wait(waiting: int, opened: int) -> None:
    assert a_plan(busy=2, waiting=waiting).open == opened


def test_what_idle_sessions_will_take_needs_no_new_ones() -> None:
    assert a_plan(idle_for=(1.0, 1.0, 1.0), waiting=3) == Plan()


def test_sessions_that_the_window_leaves_no_use_for_are_not_opened() -> None:
    assert a_plan(busy=3, waiting=1_000, window=3) == Plan()


def test_a_surplus_session_is_closed_when_it_was_idle_for_long() -> None:
    assert a_plan(idle_for=(121.0, 120.0, 119.0), busy=1) == Plan(close=2)


def test_the_minimum_is_not_closed_however_idle() -> None:
    assert a_plan(idle_for=(500.0, 400.0, 300.0)) == Plan(close=1)


def test_nothing_is_closed_while_tasks_wait() -> None:
    assert a_plan(idle_for=(500.0,) * 4, waiting=1) == Plan()


def test_after_a_setback_nothing_is_opened_until_its_time_and_then_one() -> None:
    backoff = Backoff()
    backoff.set_back(Setback.FAULT, NOW - 0.049, jitter=0.999)
    assert a_plan(busy=2, waiting=100, backoff=backoff) == Plan()

    backoff = Backoff()
    backoff.set_back(Setback.FAULT, NOW - 0.051, jitter=0.999)
    assert a_plan(busy=2, waiting=100, backoff=backoff) == Plan(open=1)


@pytest.mark.parametrize("setback", list(Setback))
def test_the_wait_after_setbacks_doubles_up_to_a_limit(setback: Setback) -> None:
    first_s, longest_s = setback.value
    backoff, now, waits = Backoff(), 0.0, []

    for _ in range(12):
        backoff.set_back(setback, now, jitter=1.0)
        waits.append(backoff.until - now)
        now = backoff.until

    assert waits[0] == pytest.approx(first_s)
    assert waits[1] == pytest.approx(2 * first_s)
    assert waits[-1] == pytest.approx(longest_s)


@pytest.mark.parametrize("setback", list(Setback))
def test_tries_that_were_under_way_together_are_set_back_once(setback: Setback) -> None:
    """An NE that goes down hangs up on all its young sessions: that is no ten stolen logins."""
    backoff = Backoff()

    for session in range(10):
        backoff.set_back(setback, NOW + session * 0.001, jitter=1.0, began=NOW - 5.0)

    assert backoff.setbacks == 1
    assert backoff.until == pytest.approx(NOW + setback.value[0])

    backoff.set_back(setback, NOW + 2.0, jitter=1.0, began=NOW + 1.0)
    assert backoff.setbacks == 2


@given(st.floats(0.0, 0.999), st.integers(0, 20))
def test_jitter_leaves_at_least_half_of_the_wait(jitter: float, before: int) -> None:
    backoff = Backoff()
    for _ in range(before):
        backoff.set_back(Setback.FAULT, 0.0, jitter=0.0)

    backoff.set_back(Setback.FAULT, 100.0, jitter=jitter)

    ceiling_s = min(5.0, 0.05 * 2.0**before)
    assert 0.5 * ceiling_s <= backoff.until - 100.0 + 1e-9 <= ceiling_s + 2e-9


def test_a_session_that_works_ends_the_wait_after_faults_but_not_after_a_refusal() -> None:
    after_fault, after_refusal = Backoff(), Backoff()
    after_fault.set_back(Setback.FAULT, NOW, jitter=0.5)
    after_refusal.set_back(Setback.REFUSED, NOW, jitter=0.5)

    after_fault.proved(NOW)
    after_refusal.proved(NOW)

    assert after_fault.until <= NOW
    assert after_refusal.until > NOW


COUNTS = st.builds(
    Counts,
    idle_since=st.lists(st.floats(0.0, NOW), max_size=12).map(sorted),
    busy=st.integers(0, 12),
    opening=st.integers(0, 6),
    waiting=st.integers(0, 10_000),
)


@given(COUNTS, st.integers(0, 10), st.integers(0, 10), st.integers(1, 40))
def test_a_plan_keeps_every_bound(counts: Counts, least: int, more: int, window: int) -> None:
    bounds = Bounds(least, max(1, least + more), idle_close_s=120.0)

    wanted = plan(counts, bounds, window=window, backoff=Backoff(), now=NOW)

    assert wanted.open == 0 or wanted.close == 0
    assert wanted.open == 0 or counts.total + wanted.open <= bounds.sessions_max
    assert wanted.open == 0 or counts.opening + wanted.open <= OPENING_MAX
    assert wanted.close == 0 or counts.total - wanted.close >= bounds.sessions_min
    assert all(NOW - since >= 120.0 for since in counts.idle_since[: wanted.close])


@dataclass
class Simulation:
    """Sessions under random work, a tick at a time, each tick a plan."""

    bounds: Bounds
    now: float = 0.0
    idle: list[float] = field(default_factory=list)  #: when last used
    busy: list[float] = field(default_factory=list)  #: done at
    opening: list[float] = field(default_factory=list)  #: open at
    waiting: int = 0
    opened: int = 0
    closed: int = 0

    def step(self, arriving: int, service_s: float) -> None:
        self.now += 1.0
        self.idle += [self.now for done in self.busy if done <= self.now]
        self.busy = [done for done in self.busy if done > self.now]
        self.idle += [self.now for done in self.opening if done <= self.now]
        self.opening = [done for done in self.opening if done > self.now]
        self.waiting += arriving
        while self.waiting and self.idle:
            self.idle.pop()
            self.busy.append(self.now + service_s)
            self.waiting -= 1
        self.idle.sort()
        self._apply()

    def _apply(self) -> None:
        counts = Counts(self.idle, len(self.busy), len(self.opening), self.waiting)
        wanted = plan(counts, self.bounds, window=100, backoff=Backoff(), now=self.now)
        assert all(self.now - since >= 30.0 for since in self.idle[: wanted.close])
        self.idle = self.idle[wanted.close :]
        self.opening += [self.now + 1.0] * wanted.open
        self.opened += wanted.open
        self.closed += wanted.close
        total = len(self.idle) + len(self.busy) + len(self.opening)
        assert total <= self.bounds.sessions_max


@given(
    st.lists(st.tuples(st.integers(0, 6), st.floats(0.5, 5.0)), max_size=300),
    st.integers(0, 3),
    st.integers(3, 12),
)
def test_under_any_load_sessions_do_not_come_and_go(
    load: list[tuple[int, float]], least: int, most: int
) -> None:
    simulation = Simulation(Bounds(least, most, idle_close_s=30.0))

    for arriving, service_s in load:
        simulation.step(arriving, service_s)

    thirties = 1 + len(load) // 30
    assert simulation.closed <= most * thirties
    assert simulation.opened <= most * thirties + most


@given(st.integers(1, 500), st.integers(1, 12))
def test_all_that_waits_is_served_and_the_surplus_goes(burst: int, most: int) -> None:
    simulation = Simulation(Bounds(0, most, idle_close_s=30.0))
    simulation.step(burst, 0.5)

    for _ in range(burst + 80):
        simulation.step(0, 0.5)

    assert simulation.waiting == 0
    assert (simulation.idle, simulation.busy, simulation.opening) == ([], [], [])
