"""Whom an NE serves: the urgent soon, and everybody in the end, whatever the mix."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlrd import limits
from hlrd.domain.lifecycle import TaskState
from hlrd.engine.ne_lane import NELane

URGENT = range(limits.PRIORITY_URGENT_MAX + 1)
OTHERS = range(limits.PRIORITY_URGENT_MAX + 1, limits.PRIORITIES)


def a_task(priority: int) -> Any:
    return SimpleNamespace(
        order=SimpleNamespace(urgency=priority, stage=0), lane_priority=-1, state=TaskState.READY
    )


def popped(lane: NELane, now: float) -> int:
    task = lane.pop(now, urgent_only=False)
    assert task is not None
    return task.order.urgency  # type: ignore[union-attr]


@pytest.mark.parametrize("bulk", [4, 5])
@given(flood=st.lists(st.integers(0, 3), min_size=1, max_size=12), per_s=st.sampled_from((1, 50)))
@settings(max_examples=40, deadline=None)
def test_the_least_urgent_is_served_under_any_flood(
    bulk: int, flood: list[int], per_s: int
) -> None:
    """One comes for every one that is sent, so that the rest is never empty."""
    lane, now = NELane(), 0.0
    for priority in flood:
        lane.put(a_task(priority), now)
    lane.put(a_task(bulk), now)

    for turn in range(40_000):
        now += 1 / per_s
        if popped(lane, now) == bulk:
            break
        lane.put(a_task(flood[turn % len(flood)]), now)
    else:
        pytest.fail("it is never served")

    most_s = (bulk + 1) * limits.LANE_AGEING_S
    most_turns = (len(flood) + 2) * (limits.URGENT_IN_A_ROW + 1)
    assert now <= most_s + most_turns / per_s + 1


@given(
    bulk=st.integers(1, 300),
    waited_s=st.floats(0, 100_000),
    urgent=st.lists(st.sampled_from(URGENT), min_size=1, max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_the_urgent_wait_for_the_urgent_and_for_one_in_sixteen_besides(
    bulk: int, waited_s: float, urgent: list[int]
) -> None:
    """However long bulk has waited, and however much of it there is."""
    lane = NELane()
    for place in range(bulk):
        lane.put(a_task(OTHERS[place % len(OTHERS)]), 0.0)
    for priority in urgent:
        lane.put(a_task(priority), waited_s)

    served: list[int] = []
    while sum(priority in URGENT for priority in served) < len(urgent):
        served.append(popped(lane, waited_s))

    others = len(served) - len(urgent)
    assert others <= len(urgent) // limits.URGENT_IN_A_ROW + 1
    assert [one for one in served if one in URGENT] == sorted(urgent)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=200))
@settings(max_examples=100, deadline=None)
def test_a_lane_gives_out_what_it_was_given_less_what_was_withdrawn(
    steps: list[tuple[int, bool, bool]],
) -> None:
    lane, now = NELane(), 0.0
    waiting: deque[Any] = deque()
    for priority, pops, withdraws in steps:
        now += 7.0
        task = a_task(priority)
        lane.put(task, now)
        waiting.append(task)
        if withdraws:
            lane.withdraw(waiting.popleft())
        elif pops:
            waiting.remove(lane.pop(now, urgent_only=False))
        assert len(lane) == len(waiting)
        assert [lane.count(n) for n in range(limits.PRIORITIES)] == [
            sum(one.lane_priority == n for one in waiting) for n in range(limits.PRIORITIES)
        ]

    while waiting:
        waiting.remove(lane.pop(now, urgent_only=False))
    assert lane.pop(now, urgent_only=False) is None
