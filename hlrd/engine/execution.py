"""The course of one order: its stages, what each answer makes of it, and the way back."""

from collections.abc import Callable

from hlrd import metrics
from hlrd.domain.catalogue import Direction
from hlrd.domain.lifecycle import OrderEvent, OrderState, TaskEvent, TaskState, UserState
from hlrd.domain.operation import Task
from hlrd.domain.outcome import FINAL, Decision, Outcome, Step, Verdict, decide
from hlrd.domain.plans.plan import Ground, Impossible, Routes, undo
from hlrd.domain.publication import Products
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.engine.book import Lane, OpenOrder, OpenTask
from hlrd.engine.dispatch import Dispatch, found
from hlrd.engine.segments import Segments
from hlrd.engine.timers import Timers
from hlrd.ports import Clock, Intent

NOT_CONFIGURED = Outcome(
    Verdict.PERMANENT, "NE_NOT_CONFIGURED", "the configuration has no network element of that name"
)


class Execution:
    """Runs the first order of each lane. Ends each by one call of `on_end`."""

    def __init__(
        self,
        *,
        clock: Clock,
        chance: Callable[[], float],
        dispatch: Dispatch,
        routes: Routes,
        products: Products,
        segments: Segments,
        doubt_until: float,
        on_end: Callable[[OpenOrder], None],
    ) -> None:
        """`doubt_until`: when commands of an earlier run have surely left every NE's queue."""
        self._clock = clock
        self._chance = chance
        self._dispatch = dispatch
        self._routes = routes
        self._products = products
        self._segments = segments
        self._doubt_until = doubt_until
        self._on_end = on_end
        self.timers: Timers[OpenTask] = Timers()

    def start(self, lane: Lane) -> None:
        """Start the lane's first order, if it is durable and not started."""
        if not lane.is_known or not lane.queue or lane.queue[0].state is not OrderState.QUEUED:
            return
        if self._segments.keeps(lane):
            return
        order = lane.queue[0]
        user = lane.user
        if order.kind.opens_user:
            user = User(UserState.PROVISIONING, order.binding, NO_REASONS)
        elif len(lane.queue) > 1 and any(behind.kind.opens_user for behind in lane.queue):
            # The opening it came behind was lost in a crash and came again: no user of its own.
            user = None
        ground = Ground(self._routes, self._products, str(order.id))
        plan = order.kind.plan(order.order, user, ground)
        if isinstance(plan, Impossible):
            self._end_impossible(order, plan)
            return
        order.move(OrderEvent.STARTED)
        order.plan = plan
        order.binding = user.binding if user else None
        self._run(order, plan.stages)

    def hurry(self, lane: Lane, priority: int) -> None:
        """Make the orders of `lane` at least as urgent as one that must wait for them."""
        for order in lane.queue:
            if order.urgency > priority:
                order.urgency = priority
                for task in order.history:
                    self._dispatch.lift(task)

    def on_timer(self) -> None:
        for task in self.timers.take_due(self._clock.monotonic()):
            if task.state is TaskState.WAITING:
                self._release(task)
                continue
            if task.state is TaskState.DELAYED:
                task.move(TaskEvent.DUE)
            self._put(task)

    def on_outcome(self, task: OpenTask, outcome: Outcome) -> None:
        is_read_back = task.sent[-1].intent is Intent.READ_BACK
        if is_read_back:
            metrics.TASKS_READ_BACK.labels(task.task.ne, found(outcome)).inc()
        if task.was_exists and outcome.verdict is Verdict.ABSENT:
            # What stands in the way is not this card's record, so no resend can succeed.
            outcome = task.outcome = Outcome(Verdict.DIFFERENT, outcome.code, outcome.text)
        elif outcome.is_standing and _is_of_before(task):
            # A person who resends it wants it tried again, not told how it went the last time.
            outcome = task.outcome = Outcome(Verdict.ABSENT, outcome.code, outcome.text)
        decision = FINAL.get(outcome.verdict) or decide(
            outcome,
            attempt=task.attempt,
            is_read_back=is_read_back,
            settle_s=self._dispatch.settle_s(task.task.ne),
            poll_s=self._dispatch.poll_s(task.task.ne),
            gives_up=self._gives_up(task.order),
            jitter=self._chance(),
        )
        if not is_read_back:
            task.was_exists = outcome.verdict is Verdict.EXISTS
        task.attempt += decision.counts
        self._act(task, outcome, decision, is_read_back)

    # What a decision does.

    def _act(
        self, task: OpenTask, outcome: Outcome, decision: Decision, is_read_back: bool
    ) -> None:
        match decision.step:
            case Step.DONE:
                task.move(TaskEvent.CONFIRMED)
                self._done(task)
            case Step.DONE_THEN:
                task.move(TaskEvent.CONFIRMED)
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

    def _release(self, task: OpenTask) -> None:
        if not self._dispatch.knows(task.task.ne):
            task.move(TaskEvent.RELEASED)
            task.move(TaskEvent.WRITTEN)
            task.outcome = NOT_CONFIGURED
            task.move(TaskEvent.REFUSED)
            self._failed(task)
        elif task.order.is_doubted:
            task.move(TaskEvent.DOUBTED)
            self._later(task, self._doubt_until - self._clock.monotonic())
        else:
            task.move(TaskEvent.RELEASED)
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
        elif order.kind.direction is Direction.BACKWARD:
            order.move(OrderEvent.STEP_FAILED_BACKWARD)
            self._run(order, undo(_to_undo(order)))
        else:
            order.move(OrderEvent.STEP_FAILED_FORWARD)
            self._on_end(order)

    def _end_of_stages(self, order: OpenOrder) -> None:
        is_undo = order.state is OrderState.COMPENSATING
        order.move(OrderEvent.UNDONE if is_undo else OrderEvent.STEPS_DONE)
        self._on_end(order)

    @staticmethod
    def _last_stage_done(order: OpenOrder) -> bool:
        return all(task.state is TaskState.DONE for task in order.stages[order.stage])

    def _end_impossible(self, order: OpenOrder, why: Impossible) -> None:
        order.plan = None
        order.move(OrderEvent.NO_LONGER_POSSIBLE)
        order.impossible = why
        self._on_end(order)

    @staticmethod
    def _gives_up(order: OpenOrder) -> bool:
        return order.kind.direction is Direction.BACKWARD and order.state is OrderState.EXECUTING


def _is_of_before(task: OpenTask) -> bool:
    """Whether only a run before this one, or before a person's resend, can have sent it."""
    return task.order.is_doubted and all(sent.intent is Intent.READ_BACK for sent in task.sent)


def _to_undo(order: OpenOrder) -> list[Task]:
    """What is done, and what failed without a clear word that nothing was done. Of an order that a
    run before this one may have sent, also what comes later in the plan.
    """
    return [task.task for stage in order.stages for task in stage if _may_stand(task)]


def _may_stand(task: OpenTask) -> bool:
    if task.state is not TaskState.FAILED:
        return task.state is TaskState.DONE or task.order.is_doubted
    assert task.outcome is not None, "a task fails by an outcome"
    if task.outcome.verdict is Verdict.DIFFERENT:
        return False
    if task.outcome.verdict is not Verdict.PERMANENT:
        return True
    if not task.sent:
        return task.order.is_doubted
    if any(sent.outcome is not None and sent.outcome.is_partial for sent in task.sent):
        return True
    # A refused read-back says nothing about the command that was in doubt.
    return task.sent[-1].intent is Intent.READ_BACK and not task.was_exists
