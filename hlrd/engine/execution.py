"""The course of one order: its stages, what each answer makes of it, and the way back."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from hlrd import metrics
from hlrd.domain.claim import target_of
from hlrd.domain.fallout import Way
from hlrd.domain.group import Enterprises
from hlrd.domain.lifecycle import OrderEvent, OrderState, TaskEvent, TaskState, UserState
from hlrd.domain.operation import Task
from hlrd.domain.outcome import FINAL, Decision, Outcome, Step, Verdict, decide
from hlrd.domain.plans.plan import Ground, Impossible, Mark, Plan, Routes, undo
from hlrd.domain.publication import Products
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.turn import (
    NONE_APPLIED,
    RUN,
    Run,
    Turn,
    Wait,
    coalescing,
    in_order,
    is_counted,
    judge,
)
from hlrd.domain.user import User
from hlrd.engine.book import Lane, OpenOrder, OpenTask
from hlrd.engine.dispatch import Dispatch, found
from hlrd.engine.fallout import as_left
from hlrd.engine.segments import Segments
from hlrd.engine.timers import Timers
from hlrd.engine.wayback import PASSED, gives_up, goes_back, is_of_before, to_undo, was_as_meant
from hlrd.ports import Clock, Intent

NOT_CONFIGURED = Outcome(
    Verdict.PERMANENT, "NE_NOT_CONFIGURED", "the configuration has no network element of that name"
)


NOT_BEGUN: Final = frozenset({OrderState.RECEIVED, OrderState.QUEUED})

# Looking a member up in its enum takes 70 ns in CPython 3.11, and a global name 6: these are looked
# up for every order and task.
_QUEUED: Final = OrderState.QUEUED
_CONFIRMED: Final = TaskEvent.CONFIRMED
_RELEASED: Final = TaskEvent.RELEASED
_READ_BACK: Final = Intent.READ_BACK
_DONE: Final = Step.DONE
_EXISTS: Final = Verdict.EXISTS

Gate: TypeAlias = Callable[[OpenOrder, Lane], Wait | None]
"""Why an order whose turn it is must wait all the same. Whoever lets it go calls `start` again,
unless it gave a time."""


class Execution:
    """Runs one order of each lane at a time. Ends each by one call of `on_end`."""

    def __init__(
        self,
        *,
        clock: Clock,
        chance: Callable[[], float],
        dispatch: Dispatch,
        routes: Routes,
        products: Products,
        enterprises: Enterprises,
        segments: Segments,
        doubt_until: float,
        predecessor_wait_s: float,
        on_end: Callable[[OpenOrder], None],
    ) -> None:
        """`doubt_until`: when commands of an earlier run have surely left every NE's queue.
        `predecessor_wait_s`: how long an order waits for one missing before it in sequence.
        """
        self._clock = clock
        self._chance = chance
        self._dispatch = dispatch
        self._routes = routes
        self._products = products
        self._enterprises = enterprises
        self._segments = segments
        self._doubt_until = doubt_until
        self._on_end = on_end
        self._predecessor_wait_s = predecessor_wait_s
        self.timers: Timers[OpenTask] = Timers()
        self.turns: Timers[Lane] = Timers()  #: lanes whose next order waits for a time at most
        self.gates: list[Gate] = []

    def start(self, lane: Lane) -> None:
        """Let the order of the lane go whose turn it is, if any may."""
        if not lane.is_known or not lane.queue:
            return
        line = self._line(lane)
        if line is None or self._segments.keeps(lane, line[0]):
            return
        turn = self._turn(lane, line)
        if isinstance(turn, Wait):
            self._wait(lane, turn)
            return
        lane.waits = None
        if isinstance(turn, Run):
            line[0].marks = turn.marks
            self._begin(lane, line[0])
        else:
            self._pass_over(lane, [line[place] for place in turn.places], turn.mark)

    def _line(self, lane: Lane) -> Sequence[OpenOrder] | None:
        """Its orders as they are to run; None while one runs or is being made durable."""
        queue = lane.queue
        if len(queue) == 1:
            return queue if queue[0].state is _QUEUED else None
        if any(order.state not in NOT_BEGUN for order in queue):
            return self._taken_back(lane)
        line = _released_first(in_order(queue))
        return line if line[0].state is OrderState.QUEUED else None

    def _taken_back(self, lane: Lane) -> Sequence[OpenOrder] | None:
        """The line with the order under way, if a resume behind it makes it needless in time."""
        under_way = [order for order in lane.queue if order.state not in NOT_BEGUN]
        first = under_way[0]
        if len(under_way) > 1 or not self.is_unsent(first) or lane.user is None:
            return None
        line = [first, *in_order([order for order in lane.queue if order is not first])]
        if not coalescing(line, lane.user, lane.applied or NONE_APPLIED):
            return None
        self.withdraw(first)
        return line

    def _turn(self, lane: Lane, line: Sequence[OpenOrder]) -> Turn:
        order = line[0]
        if order.release is not None:
            return RUN  # it had its turn before it fell out
        if len(line) == 1 and order.repeat_of is None and not is_counted(order.kind, order.order):
            turn: Turn = RUN
        else:
            turn = judge(
                line,
                user=lane.user,
                applied=lane.applied or NONE_APPLIED,
                now=self._clock.monotonic(),
                patience_s=self._predecessor_wait_s,
            )
        if isinstance(turn, Run):
            for gate in self.gates:
                wait = gate(order, lane)
                if wait is not None:
                    return wait
        return turn

    def _wait(self, lane: Lane, wait: Wait) -> None:
        if wait != lane.waits and wait.until is not None:
            self.turns.add(wait.until, lane)
            self.turns.tidy(_waits)
        lane.waits = wait

    def _pass_over(self, lane: Lane, orders: Sequence[OpenOrder], mark: Mark) -> None:
        """They succeed as they are: nothing is sent for them, and their user stays as it is."""
        for order in orders:
            order.move(OrderEvent.NEEDLESS)
            order.plan = Plan((), lane.user, (mark,))
            order.binding = None if lane.user is None else lane.user.binding
            metrics.ORDERS_NEEDLESS.labels(mark).inc()
            self._on_end(order)

    # Before the first command.

    @staticmethod
    def is_unsent(order: OpenOrder) -> bool:
        """It is under way, and surely no command of it has gone out."""
        return (
            order.state is OrderState.EXECUTING
            and order.started is None
            and not order.is_doubted
            and order.release is None
        )

    def withdraw(self, order: OpenOrder) -> None:
        """Take an unsent order back into the line."""
        for task in order.history:
            self._dispatch.withdraw(task)
        order.dissolve()
        order.plan, order.stage, order.pending = None, 0, 0
        order.move(OrderEvent.WITHDRAWN)

    def _begin(self, lane: Lane, order: OpenOrder) -> None:
        user = lane.user
        if order.kind.opens_user:
            user = User(UserState.PROVISIONING, order.binding, NO_REASONS)
        target = None if order.claim is None else target_of(order.claim)
        ground = Ground(
            self._routes, self._products, str(order.id), self._enterprises, order.source, target
        )
        plan = order.kind.plan(order.order, user, ground)
        if isinstance(plan, Impossible):
            self._end_impossible(order, plan)
            return
        order.move(OrderEvent.STARTED)
        order.plan = plan
        order.binding = user.binding if user else None
        order.is_doubted = order.is_doubted or order.kind.reads_first
        if order.release is None or order.release.way is Way.RESEND:
            self._run(order, plan.stages)
        else:
            self._end_by_word(order, plan)

    def hurry(self, lane: Lane, priority: int) -> None:
        """Make the orders of `lane` at least as urgent as one that must wait for them."""
        for order in lane.queue:
            if order.urgency > priority:
                order.urgency = priority
                for task in order.history:
                    self._dispatch.lift(task)

    def next_due(self) -> float | None:
        """When `on_timer` is to be called, in monotonic seconds."""
        dues = [due for due in (self.timers.next_due(), self.turns.next_due()) if due is not None]
        return min(dues, default=None)

    def on_timer(self) -> None:
        for lane in self.turns.take_due(self._clock.monotonic()):
            self.start(lane)
        for task in self.timers.take_due(self._clock.monotonic()):
            if task.state is TaskState.WAITING:
                self._release(task)
                continue
            if task.state is TaskState.DELAYED:
                task.move(TaskEvent.DUE)
            self._put(task)

    def on_outcome(self, task: OpenTask, outcome: Outcome) -> None:
        is_read_back = task.sent[-1].intent is _READ_BACK
        if is_read_back:
            metrics.TASKS_READ_BACK.labels(task.task.ne, found(outcome)).inc()
        if task.was_exists and outcome.verdict is Verdict.ABSENT:
            # What stands in the way is not this card's record, so no resend can succeed.
            outcome = task.outcome = Outcome(Verdict.DIFFERENT, outcome.code, outcome.text)
        elif outcome.is_standing and is_of_before(task):
            # A person who resends it wants it tried again, not told how it went the last time.
            outcome = task.outcome = Outcome(Verdict.ABSENT, outcome.code, outcome.text)
        decision = FINAL.get(outcome.verdict) or decide(
            outcome,
            attempt=task.attempt,
            is_read_back=is_read_back,
            settle_s=self._dispatch.settle_s(task.task.ne),
            poll_s=self._dispatch.poll_s(task.task.ne),
            gives_up=gives_up(task),
            jitter=self._chance(),
        )
        if not is_read_back:
            task.was_exists = outcome.verdict is _EXISTS
        if decision.step is _DONE:
            task.move(_CONFIRMED)
            self._done(task)
            return
        task.attempt += decision.counts
        self._act(task, outcome, decision, is_read_back)

    # What any other decision does.

    def _act(
        self, task: OpenTask, outcome: Outcome, decision: Decision, is_read_back: bool
    ) -> None:
        match decision.step:
            case Step.DONE_THEN:
                task.move(TaskEvent.CONFIRMED)
                if not was_as_meant(task):
                    self._owe(task, outcome)
                self._done(task)
            case Step.FIRST:
                task.move(TaskEvent.POSTPONED)
                self._owe(task, outcome, is_prerequisite=True, delay_s=decision.delay_s)
            case Step.RESEND if is_read_back:
                task.move(TaskEvent.FOUND_ABSENT)
                self._put(task)
            case Step.RESEND:
                task.move(TaskEvent.POSTPONED)
                metrics.TASKS_RETRIED.labels(task.task.ne).inc()
                self._later(task, decision.delay_s)
            case Step.READ_BACK:
                task.move(TaskEvent.LOST)
                self._later(task, decision.delay_s)
            case Step.AWAIT:
                task.move(TaskEvent.TAKEN_ON)
                self._later(task, decision.delay_s)
            case Step.FAIL:
                task.move(TaskEvent.REFUSED)
                self._failed(task)

    def _owe(
        self,
        task: OpenTask,
        outcome: Outcome,
        *,
        is_prerequisite: bool = False,
        delay_s: float = 0.0,
    ) -> None:
        """Run the operation that `outcome` names: before `task` again, or after it."""
        assert outcome.then is not None, "the dialect's table names the operation owed"
        owed = OpenTask(
            Task(
                outcome.then,
                task.task.ne,
                task.task.binding,
                task.task.cause,
                transaction=f"{task.task.transaction}p",
                details=task.task.details,
            ),
            task.order,
            owed_by=task if is_prerequisite else None,
            is_follow_up=not is_prerequisite,
        )
        task.order.pending += 1
        task.order.history.append(owed)
        if delay_s > 0:
            self.timers.add(self._clock.monotonic() + delay_s, owed)
        else:
            self._release(owed)

    def _later(self, task: OpenTask, delay_s: float) -> None:
        if delay_s > 0:
            self.timers.add(self._clock.monotonic() + delay_s, task)
            return
        if task.state is TaskState.DELAYED:
            task.move(TaskEvent.DUE)
        self._put(task)

    def _put(self, task: OpenTask) -> None:
        self._dispatch.put(task)

    # Stages.

    def _run(self, order: OpenOrder, stages: tuple[tuple[Task, ...], ...]) -> None:
        order.stages = tuple([tuple([OpenTask(task, order) for task in stage]) for stage in stages])
        order.stage = -1
        self._next_stage(order)

    def _next_stage(self, order: OpenOrder) -> None:
        order.stage += 1
        if order.stage == len(order.stages):
            self._end_of_stages(order)
            return
        stage = order.stages[order.stage]
        order.pending = len(stage)
        order.history.extend(stage)
        for task in stage:
            self._release(task)

    def _end_by_word(self, order: OpenOrder, plan: Plan) -> None:
        """As a person decided of a fallout: everything taken back, or nothing more sent. What is
        taken back had not come past its turning point."""
        assert order.release is not None, "a person let it go"
        if order.release.way is Way.CANCEL:
            order.move(OrderEvent.ROLL_BACK_ORDERED)
            last = plan.turning_point
            stages = plan.stages if last is None else plan.stages[: last + 1]
            self._run(order, undo([task for stage in stages for task in stage]))
            return
        tasks = [task for stage in plan.stages for task in stage]
        order.history.extend(as_left(tasks, order, order.release))
        order.move(OrderEvent.FORCED)
        self._on_end(order)

    def _release(self, task: OpenTask) -> None:
        release = task.order.release
        if release is not None and task.task.transaction in release.skipped:
            task.move(TaskEvent.PASSED_OVER)
            self._done(task)
        elif not self._dispatch.knows(task.task.ne):
            task.move(TaskEvent.RELEASED)
            task.move(TaskEvent.WRITTEN)
            task.outcome = NOT_CONFIGURED
            task.move(TaskEvent.REFUSED)
            self._failed(task)
        elif task.order.is_doubted:
            task.move(TaskEvent.DOUBTED)
            self._later(task, self._doubt_until - self._clock.monotonic())
        else:
            task.move(_RELEASED)
            self._put(task)

    def _done(self, task: OpenTask) -> None:
        order = task.order
        order.pending -= 1
        if task.owed_by is not None:
            self._later(task.owed_by, 0.0)
        elif order.pending == 0:
            self._stage_over(order)

    def _failed(self, task: OpenTask) -> None:
        if task.is_follow_up:
            self._done(task)  # the change itself stands; the receipt says that this is missing
            return
        order = task.order
        order.pending -= 1
        if task.owed_by is not None:
            # Without its prerequisite the task itself cannot go on; it fails with that answer.
            waiting = task.owed_by
            waiting.outcome = task.outcome
            if waiting.state is TaskState.DELAYED:
                waiting.move(TaskEvent.DUE)
            waiting.move(TaskEvent.WRITTEN)
            waiting.move(TaskEvent.REFUSED)
            order.pending -= 1
            task = waiting
        order.failure = order.failure or task
        if order.pending == 0:
            self._stage_over(order)

    def _stage_over(self, order: OpenOrder) -> None:
        if order.failure is None or (
            order.state is OrderState.COMPENSATING and self._last_stage_done(order)
        ):
            self._next_stage(order)
        elif order.state is OrderState.COMPENSATING:
            order.move(OrderEvent.UNDO_FAILED)
            self._on_end(order)
        elif goes_back(order.failure):
            order.move(OrderEvent.STEP_FAILED_BACKWARD)
            self._run(order, undo(to_undo(order)))
        else:
            order.move(OrderEvent.STEP_FAILED_FORWARD)
            self._on_end(order)

    def _end_of_stages(self, order: OpenOrder) -> None:
        is_undo = order.state is OrderState.COMPENSATING
        order.move(OrderEvent.UNDONE if is_undo else OrderEvent.STEPS_DONE)
        self._on_end(order)

    @staticmethod
    def _last_stage_done(order: OpenOrder) -> bool:
        return all(task.state in PASSED for task in order.stages[order.stage])

    def _end_impossible(self, order: OpenOrder, why: Impossible) -> None:
        order.plan = None
        order.move(OrderEvent.NO_LONGER_POSSIBLE)
        order.impossible = why
        self._on_end(order)


def _released_first(line: Sequence[OpenOrder]) -> Sequence[OpenOrder]:
    """What fell out had begun: nothing goes before it, whatever came meanwhile."""
    return sorted(line, key=lambda order: order.release is None)


def _waits(lane: Lane) -> bool:
    return lane.waits is not None
