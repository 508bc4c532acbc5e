"""The tasks that wait for one NE, by priority, and which of them goes next."""

from collections import deque
from collections.abc import Collection
from typing import Final

from hlrd import limits
from hlrd.domain.lifecycle import TaskState
from hlrd.engine.book import Inquiry, OpenTask

_WAITS: Final = frozenset({TaskState.READY, TaskState.IN_DOUBT, TaskState.TAKEN})

_Line = deque[OpenTask | Inquiry]
_LAST: Final = limits.PRIORITIES - 1
_URGENT: Final = range(limits.PRIORITY_URGENT_MAX + 1)
_OTHERS: Final = range(limits.PRIORITY_URGENT_MAX + 1, limits.PRIORITIES)
_WITHDRAWN_MAX: Final = 64
"""Withdrawn tasks kept beside as many as wait, so that a sweep is worth its walk."""


class NELane:
    """Urgent first, and none starves: of `URGENT_IN_A_ROW` and one more that are sent, one is not
    urgent, and among those waiting lifts a task by a class every `LANE_AGEING_S`. So however long
    bulk has waited, what is urgent passes it.

    Within a class an order that is under way goes before one that is not: so orders end one after
    the other, and few are half done at any time.
    """

    def __init__(self) -> None:
        self._fresh: tuple[_Line, ...] = tuple(deque() for _ in range(limits.PRIORITIES))
        self._going: tuple[_Line, ...] = tuple(deque() for _ in range(limits.PRIORITIES))
        self._counts = [0] * limits.PRIORITIES
        self._count = 0
        self._withdrawn = 0  #: of which some may still stand in a line
        self._in_a_row = 0  #: urgent tasks since the last that was not

    def __len__(self) -> int:
        return self._count

    @property
    def has_urgent(self) -> bool:
        return any(self._counts[: limits.PRIORITY_URGENT_MAX + 1])

    def is_longer(self, count: int, priority: int) -> bool:
        """Whether more than so many tasks of this priority, or more urgent, wait."""
        return self._count > count and sum(self._counts[: priority + 1]) > count

    def count(self, priority: int) -> int:
        return self._counts[priority]

    def put(self, task: OpenTask, now: float) -> None:
        task.ready_since = now
        self._count += 1
        self._join(task)

    def put_inquiry(self, inquiry: Inquiry, now: float) -> None:
        """Behind the orders that wait; it has no urgency, but it ages as they do."""
        inquiry.ready_since = now
        inquiry.lane_priority = _LAST
        self._count += 1
        self._counts[_LAST] += 1
        self._fresh[_LAST].append(inquiry)

    def call_off(self, inquiries: Collection[Inquiry]) -> None:
        """Take off those of them that wait here still."""
        waiting = [inquiry for inquiry in inquiries if inquiry.lane_priority == _LAST]
        for inquiry in waiting:
            inquiry.lane_priority = -1
        self._count -= len(waiting)
        self._counts[_LAST] -= len(waiting)
        line = self._fresh[_LAST]
        kept = [one for one in line if one.lane_priority == _LAST]
        line.clear()
        line.extend(kept)

    def lift(self, task: OpenTask) -> None:
        """Move a waiting task to the lane of its order's urgency, keeping its age."""
        if task.lane_priority > task.order.urgency:
            self._counts[task.lane_priority] -= 1
            self._join(task)

    def withdraw(self, task: OpenTask) -> None:
        """Take a waiting task off."""
        priority = task.lane_priority
        task.lane_priority = -1
        self._counts[priority] -= 1
        self._count -= 1
        self._withdrawn += 1
        if self._withdrawn > self._count + _WITHDRAWN_MAX:
            self._sweep()

    def pop(self, now: float, *, urgent_only: bool) -> OpenTask | Inquiry | None:
        """The next task; with `urgent_only` none above PRIORITY_URGENT_MAX, however old."""
        best: _Line | None = None
        if urgent_only or self._in_a_row < limits.URGENT_IN_A_ROW:
            best = self._oldest(_URGENT, now)
        if best is not None:
            self._in_a_row += not urgent_only
        elif not urgent_only:
            self._in_a_row = 0
            best = self._oldest(_OTHERS, now) or self._oldest(_URGENT, now)
        if best is None:
            return None
        task = best.popleft()
        self._counts[task.lane_priority] -= 1
        self._count -= 1
        task.lane_priority = -1
        return task

    def _sweep(self) -> None:
        """Let go of what was withdrawn, which else stays until its line gets to it."""
        self._withdrawn = 0
        for lines in (self._fresh, self._going):
            for priority, line in enumerate(lines):
                kept = [one for one in line if one.lane_priority == priority]
                line.clear()
                line.extend(kept)

    def _oldest(self, priorities: range, now: float) -> _Line | None:
        """The line of the best class, one class better for every `LANE_AGEING_S` of waiting."""
        best: _Line | None = None
        best_rank = 0.0
        for priority in priorities:
            if not self._counts[priority]:
                continue
            line = self._line(priority)
            rank = priority - (now - line[0].ready_since) // limits.LANE_AGEING_S
            if best is None or rank < best_rank:
                best, best_rank = line, rank
        return best

    def _join(self, task: OpenTask) -> None:
        priority = task.lane_priority = task.order.urgency
        self._counts[priority] += 1
        lines = self._going if task.order.stage else self._fresh
        lines[priority].append(task)

    def _line(self, priority: int) -> _Line:
        """The line whose head is next; there is one, as the count says."""
        going = self._going[priority]
        _skip_lifted(going, priority)
        if going:
            return going
        fresh = self._fresh[priority]
        _skip_lifted(fresh, priority)
        return fresh


def _skip_lifted(line: _Line, priority: int) -> None:
    """Take off what went on to another lane."""
    while line and (line[0].lane_priority != priority or line[0].state not in _WAITS):
        line.popleft()
