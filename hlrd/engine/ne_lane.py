"""The tasks that wait for one NE, by priority, and which of them goes next."""

from collections import deque

from hlrd import limits
from hlrd.engine.book import OpenTask


class NELane:
    """Urgent first, and none starves: waiting lifts a task by a class every `LANE_AGEING_S`."""

    def __init__(self) -> None:
        self._lanes: tuple[deque[OpenTask], ...] = tuple(deque() for _ in range(limits.PRIORITIES))
        self._counts = [0] * limits.PRIORITIES
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def count(self, priority: int) -> int:
        return self._counts[priority]

    def put(self, task: OpenTask, now: float) -> None:
        priority = task.order.urgency
        task.lane_priority = priority
        task.ready_since = now
        self._lanes[priority].append(task)
        self._counts[priority] += 1
        self._waiting += 1

    def lift(self, task: OpenTask) -> None:
        """Move a waiting task to the lane of its order's urgency, keeping its age."""
        if task.lane_priority <= task.order.urgency:
            return
        self._counts[task.lane_priority] -= 1
        task.lane_priority = task.order.urgency
        self._lanes[task.lane_priority].append(task)
        self._counts[task.lane_priority] += 1

    def pop(self, now: float, *, urgent_only: bool) -> OpenTask | None:
        """The next task; with `urgent_only` none above PRIORITY_URGENT_MAX, however old."""
        best: int | None = None
        best_rank = 0.0
        last = limits.PRIORITY_URGENT_MAX + 1 if urgent_only else limits.PRIORITIES
        for priority in range(last):
            if not self._counts[priority]:
                continue
            head = self._head(priority)
            rank = priority - (now - head.ready_since) // limits.LANE_AGEING_S
            if best is None or rank < best_rank:
                best, best_rank = priority, rank
        if best is None:
            return None
        self._counts[best] -= 1
        self._waiting -= 1
        task = self._lanes[best].popleft()
        task.lane_priority = -1
        return task

    def _head(self, priority: int) -> OpenTask:
        """Only while its count says that there is one."""
        lane = self._lanes[priority]
        while lane[0].lane_priority != priority:
            lane.popleft()  # lifted to another lane
        return lane[0]
