"""The orders in memory, and the lane of each user that they run in.

An order is in the book from the moment it is read until it is refused, parked or durably closed; a
lane as long as it has anything of its user. What is not here is in the journal.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import Struct

from hlrd import limits
from hlrd.domain.catalogue import OrderKind
from hlrd.domain.fallout import Release
from hlrd.domain.identity import Binding, UserId
from hlrd.domain.lifecycle import ORDER, TASK, OrderEvent, OrderState, TaskEvent, TaskState, advance
from hlrd.domain.operation import Task
from hlrd.domain.orders import WorkOrder
from hlrd.domain.outcome import Outcome
from hlrd.domain.plans.plan import Impossible, Mark, Plan
from hlrd.domain.turn import Wait, steps_of
from hlrd.domain.user import User
from hlrd.ports import Answer, Intent


class Sent(Struct, eq=False, gc=False):
    """One command as it went, for the order's trail."""

    intent: Intent
    started: float  #: monotonic seconds
    elapsed_s: float = 0.0
    outcome: Outcome | None = None


class OpenTask(Struct, eq=False):
    """A task on its way."""

    task: Task
    order: "OpenOrder"
    state: TaskState = TaskState.WAITING
    attempt: int = 1  #: the counted try that is next or under way
    ready_since: float = 0.0
    lane_priority: int = -1  #: the NE lane it waits in; an entry in any other lane is stale
    was_exists: bool = False  #: in doubt because an add found something there, not for silence
    owed_by: "OpenTask | None" = None  #: the task that waits for this prerequisite
    is_follow_up: bool = False  #: owed after a task that is done; its failure undoes nothing
    outcome: Outcome | None = None  #: the last
    sent: list[Sent] = []

    def move(self, event: TaskEvent) -> None:
        self.state = advance(TASK, self.state, event)


class Inquiry(Struct, eq=False):
    """A query, or an errand, that belongs to no order: sent once, behind the orders, and answered
    as it comes."""

    task: Task
    on_outcome: Callable[[Outcome], None]
    intent: Intent = Intent.READ_BACK
    state: TaskState = TaskState.READY
    ready_since: float = 0.0
    lane_priority: int = -1  #: as of a task


class OpenOrder(Struct, eq=False):
    """An order that is not closed."""

    id: int
    source: str
    order: WorkOrder
    kind: OrderKind
    user_id: UserId
    priority: int
    content_hash: bytes
    received_at: datetime
    received: float  #: monotonic seconds
    operator_id: str
    session: str | None = None  #: that it came by; of one not durable yet
    urgency: int = 0  #: its priority, or that of a more urgent order waiting behind it
    state: OrderState = OrderState.RECEIVED
    is_in_hand: bool = False  #: what `binding` or `claim` holds is taken and not yet durably so
    binding: Binding | None = None  #: what the order binds, or acts on
    claim: Binding | None = None  #: what a change of card or number holds (`domain.claim`)
    is_doubted: bool = False  #: any of its tasks may have been sent by a run before this one
    due_at: datetime | None = None  #: it is dated ahead, and waits in the journal until then
    place: int = 0  #: in its lane, as `domain.turn` says; 0 until it is known
    after: int = 0  #: it goes behind the orders up to this place, whatever its sequence
    waits_for_opening: bool = False  #: that of its user is dated ahead
    business_key: str | None = None
    repeat_of: int | None = None  #: the order that did the same under another id
    marks: tuple[Mark, ...] = ()  #: what its receipt says beside the plan's
    release: Release | None = None  #: by which a person let it out of fallout
    plan: Plan | None = None
    stages: tuple[tuple[OpenTask, ...], ...] = ()
    stage: int = 0
    pending: int = 0  #: tasks of the stage not done
    history: list[OpenTask] = []  #: every task, also of an undo
    failure: OpenTask | None = None  #: the task that made it fail
    impossible: Impossible | None = None  #: why it could not even be planned
    started: float | None = None  #: the first command, monotonic seconds
    receipt: bytes = b""  #: once it ended
    on_durable: list[Callable[[Answer], None]] = []

    def move(self, event: OrderEvent) -> None:
        self.state = advance(ORDER, self.state, event)

    def dissolve(self) -> None:
        """Break the ring of order and tasks, so that its memory is free at once."""
        self.stages = ()
        self.history = []
        self.failure = None


_NOT_BEGUN = frozenset({OrderState.RECEIVED, OrderState.QUEUED})


class Lane(Struct, eq=False):
    """One user: its orders as they were accepted. One runs; `domain.turn` says which is next."""

    user_id: UserId
    queue: list[OpenOrder] = []
    user: User | None = None  #: as the closed orders, and an opening in the queue, leave it
    is_known: bool = False  #: `user` was read, or follows from an order here
    arriving: int = 0  #: orders read and not answered; each holds the lane
    applied: dict[str, int] | None = None  #: as `domain.turn` has it; None until an order needs it
    done: dict[str, int] | None = None  #: business keys of orders that ended here, and their ids
    opening_failed: bool = False  #: the last one of its user: what depended on it fails as well
    put_off: int = 0  #: orders of it that were dated ahead, in its time
    waits: Wait | None = None  #: why none of its orders runs

    def note(self, order: OpenOrder) -> None:
        """`order` ended: what that means for those of its user that come after it in sequence, or
        do the same under another id."""
        if self.applied is not None:
            for subject, seq in steps_of(order):
                self.apply(subject, seq)
        if order.business_key is not None and order.state is OrderState.SUCCEEDED:
            self._repeat(order.business_key, order.repeat_of or order.id)

    def apply(self, subject: str, seq: int) -> None:
        if self.applied is not None:
            self.applied[subject] = max(seq, self.applied.get(subject, seq))

    def _repeat(self, key: str, order_id: int) -> None:
        done = self.done = self.done or {}
        done.setdefault(key, order_id)
        while len(done) > limits.USER_ORDERS_OPEN_MAX:
            del done[next(iter(done))]
        for other in self.queue:
            if other.business_key == key and other.state in _NOT_BEGUN:
                other.repeat_of = other.repeat_of or done[key]


class Book:
    def __init__(self) -> None:
        self.orders: dict[int, OpenOrder] = {}
        self.lanes: dict[UserId, Lane] = {}
        self._by_key: dict[tuple[str, str], OpenOrder] = {}

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[OpenOrder]:
        return iter(self.orders.values())

    def by_key(self, source: str, order_id: str) -> OpenOrder | None:
        return self._by_key.get((source, order_id))

    def add(self, order: OpenOrder) -> Lane:
        order.place = order.place or order.id
        self.orders[order.id] = order
        self._by_key[order.source, order.order.order_id] = order
        lane = self.lanes.get(order.user_id)
        if lane is None:
            lane = self.lanes[order.user_id] = Lane(order.user_id)
        return lane

    def enqueue(self, lane: Lane, order: OpenOrder) -> None:
        """Give `order` its place, by id; one that the journal refused and that is judged again has
        it already. Usually the last, but a parked order goes before those read after it."""
        queue = lane.queue
        place = len(queue)
        while place and queue[place - 1].id > order.id:
            place -= 1
        if place and queue[place - 1] is order:
            return
        queue.insert(place, order)

    def remove(self, order: OpenOrder) -> Lane:
        """Forget `order`; its lane too when nothing of the user is left."""
        del self.orders[order.id]
        key = order.source, order.order.order_id
        if (
            self._by_key.get(key) is order
        ):  # and not the same order, unparked while this repeat arrived
            del self._by_key[key]
        order.dissolve()
        lane = self.lanes[order.user_id]
        if order in lane.queue:
            lane.queue.remove(order)
        self.release(lane)
        return lane

    def release(self, lane: Lane) -> None:
        if not lane.queue and not lane.arriving:
            self.lanes.pop(lane.user_id, None)
