"""Tasks to NEs: who waits for which NE, and what is sent when an NE can take it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from hlrd import limits, metrics
from hlrd.domain.lifecycle import TaskEvent, TaskState
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.engine.book import Inquiry, OpenTask, Sent
from hlrd.engine.ne_lane import NELane
from hlrd.ports import NE, Clock, Command, Intent

# Looking a member up in its enum takes 70 ns in CPython 3.11, and a global name 6: these are looked
# up for every task.
_EXECUTE: Final = Intent.EXECUTE
_READ_BACK: Final = Intent.READ_BACK
_READY: Final = TaskState.READY
_WRITTEN: Final = TaskEvent.WRITTEN


class Dispatch:
    """Holds every task from ready to answered."""

    def __init__(
        self,
        *,
        clock: Clock,
        nes: Mapping[str, NE],
        on_outcome: Callable[[OpenTask, Outcome], None],
    ) -> None:
        self._clock = clock
        self._nes = nes
        self._lanes = {name: NELane() for name in nes}
        self._on_outcome = on_outcome
        self._sent: dict[int, OpenTask] = {}
        self._asked: dict[int, Inquiry] = {}
        self._command_id = 0
        self._gathering = False
        self._to_pump: set[str] = set()
        self.is_stopped = False  #: draining: nothing more is sent

    def knows(self, ne: str) -> bool:
        return ne in self._nes

    def is_crowded(self, ne: str, priority: int) -> bool:
        """Whether so many tasks wait there, as urgent or more, that no more orders should come."""
        lane = self._lanes.get(ne)
        if not lane:
            return False
        return lane.is_longer(memory_share(), priority)

    def in_flight(self) -> int:
        return len(self._sent) + len(self._asked)

    def settle_s(self, ne: str) -> float:
        return self._nes[ne].settle_s

    def poll_s(self, ne: str) -> float:
        return self._nes[ne].poll_s

    def put(self, task: OpenTask) -> None:
        """Make `task` wait for its NE; it is sent as soon as it may."""
        name = task.task.ne
        lane = self._lanes[name]
        if not (len(lane) or self.is_stopped):
            ne = self._nes[name]
            if ne.free() > 1:  # nobody waits, and the place that may be reserved is left
                self._send(ne, task)
                return
        lane.put(task, self._clock.monotonic())
        if self._gathering:
            self._to_pump.add(name)
        else:
            self.pump(name)

    def ask(self, inquiries: Collection[Inquiry]) -> None:
        """Ask when their NEs have places that no order wants more."""
        now = self._clock.monotonic()
        for inquiry in inquiries:
            self._lanes[inquiry.task.ne].put_inquiry(inquiry, now)
        for name in sorted({inquiry.task.ne for inquiry in inquiries}):
            self.pump(name)

    def call_off(self, inquiries: Collection[Inquiry]) -> None:
        """What was not asked yet is not asked any more."""
        for name in {inquiry.task.ne for inquiry in inquiries}:
            lane = self._lanes[name]
            lane.call_off([one for one in inquiries if one.task.ne == name])
            self._nes[name].wants(len(lane))

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Look at each NE once, at the end, for all that is put and answered meanwhile."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            to_pump, self._to_pump = self._to_pump, set()
            for name in sorted(to_pump):
                self.pump(name)

    def lift(self, task: OpenTask) -> None:
        if task.lane_priority >= 0:
            self._lanes[task.task.ne].lift(task)

    def withdraw(self, task: OpenTask) -> None:
        """It is not sent any more."""
        if task.lane_priority >= 0:
            lane = self._lanes[task.task.ne]
            lane.withdraw(task)
            self._nes[task.task.ne].wants(len(lane))

    def pump(self, name: str) -> None:
        """Send what waits for this NE and what it can take; the last free place of a large window
        is kept for the urgent."""
        lane = self._lanes[name]
        if not len(lane):
            return
        ne = self._nes[name]
        free = 0 if self.is_stopped else ne.free()
        if free > 0:
            kept = 1 if ne.window() >= limits.RESERVED_SESSIONS_FROM else 0
            now = self._clock.monotonic()
            while free > kept or (free and lane.has_urgent):
                task = lane.pop(now, urgent_only=free <= kept)
                if task is None:
                    break
                if isinstance(task, Inquiry):
                    self._send_inquiry(ne, task)
                else:
                    self._send(ne, task)
                free -= 1
        ne.wants(len(lane))

    def answer(self, command: Command, outcome: Outcome) -> None:
        """Only within `gathered`."""
        task = self._sent.pop(command.id, None)
        if task is None:
            self._to_pump.add(command.task.ne)
            self._asked.pop(command.id).on_outcome(outcome)
            return
        sent = task.sent[-1]
        sent.elapsed_s = self._clock.monotonic() - sent.started
        sent.outcome = task.outcome = outcome
        self._to_pump.add(command.task.ne)
        self._on_outcome(task, outcome)

    def observe(self) -> None:
        """Refresh the gauges."""
        doubted = dict.fromkeys(self._nes, 0)
        for task in self._sent.values():
            doubted[task.task.ne] += task.state is TaskState.READING
        for name, lane in self._lanes.items():
            metrics.TASKS_IN_DOUBT.labels(name).set(doubted[name])
            for priority in range(limits.PRIORITIES):
                metrics.NE_READY.labels(name, str(priority)).set(lane.count(priority))

    def _send(self, ne: NE, task: OpenTask) -> None:
        intent = _EXECUTE if task.state is _READY else _READ_BACK
        self._command_id += 1
        command = Command(self._command_id, task.task, intent)
        now = self._clock.monotonic()
        task.move(_WRITTEN)
        task.sent.append(Sent(intent, now))
        if task.order.started is None:
            task.order.started = now
        self._sent[command.id] = task
        ne.execute(command)

    def _send_inquiry(self, ne: NE, inquiry: Inquiry) -> None:
        self._command_id += 1
        command = Command(self._command_id, inquiry.task, inquiry.intent)
        inquiry.state = TaskState.SENT
        self._asked[command.id] = inquiry
        ne.execute(command)


def memory_share() -> int:
    """Orders in memory that one home that does not move may hold up."""
    return max(1, int(limits.NE_MEMORY_SHARE * limits.ORDERS_IN_MEMORY_MAX))


def found(outcome: Outcome) -> str:
    """The label of a read-back's result."""
    return outcome.verdict if outcome.verdict in _FOUND else "fault"


_FOUND = frozenset(
    {Verdict.APPLIED, Verdict.ABSENT, Verdict.DIFFERENT, Verdict.DONE, Verdict.NO_CHANGE}
)
