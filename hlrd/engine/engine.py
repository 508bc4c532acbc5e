"""The engine as the world sees it: one method an event, and what it holds joined together."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from msgspec.structs import replace

from hlrd import limits, metrics
from hlrd.domain.catalogue import BY_NAME, OrderKind
from hlrd.domain.delivery import NO_ENDPOINTS, Endpoints
from hlrd.domain.fallout import EOMSRule, Fall
from hlrd.domain.group import Enterprises
from hlrd.domain.identity import Binding, UserId
from hlrd.domain.lifecycle import OrderEvent, OrderState
from hlrd.domain.master import Masters
from hlrd.domain.operation import Task
from hlrd.domain.orders import WorkOrder
from hlrd.domain.orders.group import OfMember
from hlrd.domain.outcome import Outcome
from hlrd.domain.plans.plan import Mark, Routes
from hlrd.domain.publication import Check, Products
from hlrd.domain.routing import RouteTable
from hlrd.domain.suspension import Level, Reason
from hlrd.domain.turn import ANY
from hlrd.engine import completion
from hlrd.engine.book import Book, Inquiry, Lane, OpenOrder, OpenTask
from hlrd.engine.dispatch import Dispatch
from hlrd.engine.execution import NOT_CONFIGURED, Execution
from hlrd.engine.fallout import Fallout, fall_of, rejudge
from hlrd.engine.groups import Groups
from hlrd.engine.intake import Intake
from hlrd.engine.overflow import Overflow
from hlrd.engine.parking import Parking
from hlrd.engine.products import ProductRules
from hlrd.engine.punctuality import Punctuality
from hlrd.engine.recall import Recall
from hlrd.engine.segments import Segments
from hlrd.engine.state_orders import StateOrders
from hlrd.engine.turns import BEHIND_FALLOUT, Turns, wait_of
from hlrd.pool.allocator import Allocator
from hlrd.ports import (
    NE,
    Answer,
    Clash,
    Clock,
    Command,
    Facts,
    Intent,
    Journal,
    Lookup,
    StoredOrder,
    Submission,
    Vault,
)

_BY_HAND: Final = EOMSRule()
_log: Final = structlog.get_logger(__name__)


class Engine:
    """Not thread-safe: every call comes from one event loop, and none from within a port."""

    def __init__(
        self,
        *,
        clock: Clock,
        chance: Callable[[], float],
        journal: Journal,
        lookup: Lookup,
        allocator: Allocator,
        vault: Vault,
        nes: Mapping[str, NE],
        routes: Routes,
        homes: RouteTable,
        products: Products,
        script_checks: Mapping[str, Check],
        masters: Masters,
        order_ids: Iterator[int],
        first_own_id: int,
        eoms_rule: EOMSRule = _BY_HAND,
        predecessor_wait_s: float = limits.PREDECESSOR_WAIT_S,
        endpoints: Endpoints = NO_ENDPOINTS,
        enterprises: Enterprises | None = None,
        member_wait_s: float = limits.MEMBER_WAIT_S,
    ) -> None:
        """`products`: as the journal holds them; `script_checks` by dialect. `chance` gives numbers
        in [0, 1). Orders with an id below `first_own_id` come from an earlier run, which may have
        sent any part of them. `enterprises`: as the journal holds them; `member_wait_s`: how long
        orders of members wait for theirs. `eoms_rule`: which fallouts go to the EOMS by themselves.
        """
        self._clock = clock
        self._journal = journal
        self._products = products
        self._enterprises = Enterprises() if enterprises is None else enterprises
        self._book = Book()
        self._parking = Parking()
        self._punctuality = Punctuality(self._book)
        self.segments = Segments(self._book)
        self.state_orders = StateOrders(self._book)
        self.fallout = Fallout(self._parking)
        self._eoms_rule = eoms_rule
        self._routes = routes
        self._product_rules = ProductRules(products, routes, script_checks)
        self._waiters: defaultdict[int, list[Callable[[bytes], None]]] = defaultdict(list)
        self._dispatch = Dispatch(clock=clock, nes=nes, on_outcome=self._on_task_outcome)
        settle_s = max((ne.settle_s for ne in nes.values()), default=0.0)
        self._execution = Execution(
            clock=clock,
            chance=chance,
            dispatch=self._dispatch,
            routes=routes,
            products=products,
            enterprises=self._enterprises,
            segments=self.segments,
            doubt_until=clock.monotonic() + settle_s,
            predecessor_wait_s=predecessor_wait_s,
            on_end=self._end,
        )
        self._groups = Groups(
            self._enterprises,
            routes=routes,
            products=products,
            book=self._book,
            parking=self._parking,
            clock=clock,
            wait_s=member_wait_s,
        )
        self._execution.gates.append(self._groups.gate)
        self._order_ids = order_ids
        self._turns = Turns(self._parking, first_own_id)
        self._due_at_once: set[int] = set()
        self._recall = Recall(
            book=self._book,
            parking=self._parking,
            fallout=self.fallout,
            execution=self._execution,
            on_end=self._end,
        )
        self._intake = Intake(
            clock=clock,
            book=self._book,
            parking=self._parking,
            execution=self._execution,
            allocator=allocator,
            journal=journal,
            lookup=lookup,
            vault=vault,
            routes=routes,
            homes=homes,
            segments=self.segments,
            product_rules=self._product_rules,
            groups=self._groups,
            masters=masters,
            endpoints=endpoints,
            order_ids=order_ids,
            turns=self._turns,
        )
        self._overflow = Overflow(
            clock=clock,
            book=self._book,
            parking=self._parking,
            fallout=self.fallout,
            segments=self.segments,
            groups=self._groups,
            turns=self._turns,
            dispatch=self._dispatch,
            execution=self._execution,
            lookup=lookup,
            first_own_id=first_own_id,
            is_draining=lambda: self._intake.is_draining,
        )

    # From the API.

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None]
    ) -> None:
        """Judge these orders; `on_answers` gets one answer each, in order, once all are durable
        or refused."""
        self._intake.submit(submissions, on_answers)

    def when_closed(self, order_id: int, on_receipt: Callable[[bytes], None]) -> Callable[[], None]:
        """Call back once with the final receipt of an open order; returns how to call this off."""
        self._waiters[order_id].append(on_receipt)

        def forget() -> None:
            waiters = self._waiters.get(order_id)
            if waiters and on_receipt in waiters:
                waiters.remove(on_receipt)
                if not waiters:
                    del self._waiters[order_id]

        return forget

    def show(self, order_id: int) -> dict[str, Any] | None:
        """State and tasks of an order in memory, and why it waits; None for one that is closed, or
        waits for its time."""
        order = self._book.orders.get(order_id)
        if order is None:
            return self._show_parked(order_id)
        return {
            "state": order.state,
            "urgency": order.urgency,
            "trail": completion.trail_of(order),
            "waits": wait_of(order, self._book.lanes[order.user_id], self._wall_of),
        }

    def _show_parked(self, order_id: int) -> dict[str, Any] | None:
        if order_id in self.fallout:
            return {"state": OrderState.FALLOUT}
        if order_id not in self._parking:
            return None
        before = self.fallout.of_user(self._parking.user_of(order_id))
        waits = None if before is None else {"reason": BEHIND_FALLOUT, "order": str(before)}
        return {"state": OrderState.PARKED, "waits": waits}

    def _wall_of(self, monotonic_s: float) -> datetime:
        return self._clock.wall() + timedelta(seconds=monotonic_s - self._clock.monotonic())

    def cancel(self, order_id: int, stored: StoredOrder | None = None) -> None:
        """Call an order off before its first command: it closes as cancelled. `stored`: one that is
        not in memory. Conflict where that is too late."""
        self._recall.cancel(order_id, None if stored is None else self._overflow.entry(stored))

    def is_in_memory(self, order_id: int) -> bool:
        return order_id in self._book.orders

    def chase(self, order_id: int, before: int) -> None:
        """Urge an open order on, with those of its user that go before it."""
        self._recall.chase(order_id, before)
        self.refill()

    def lack_of(self, kind: str, payload: bytes, *, is_bound: bool) -> Mapping[str, Any] | None:
        """What a parked order would only wait for in memory. `is_bound`: its user is."""
        code = self._groups.lack_of(kind, payload, is_bound=is_bound)
        return {"reason": code} if code else None

    def hold_of(self, binding: Binding | None) -> Mapping[str, Any] | None:
        """Why no order of this binding is started."""
        return self.segments.hold_of(binding)

    def release(self, *order_ids: int) -> None:
        """Take orders out of fallout, each as the journal says that a person decided. Telling of
        one twice is as telling once."""
        for order_id in order_ids:
            if self.fallout.release(order_id):
                _log.info("fallout_released", order=order_id)
        self.refill()

    def rejudge(self, stored: StoredOrder, order: WorkOrder) -> None:
        """Raises what stands against `order` in the place of the stored one."""
        if isinstance(order, OfMember):
            self._groups.check_member(order, stored.user, is_first=True)
        rejudge(stored, order, self._product_rules, self._routes)

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        """Ask NEs what belongs to no order, behind all orders. `on_outcome` is called once for each
        that is asked, perhaps before this returns; returns how to call off what is not asked yet.
        """
        return self._inquire(tasks, on_outcome, Intent.READ_BACK)

    def errand(self, task: Task, on_outcome: Callable[[Task, Outcome], None]) -> Callable[[], None]:
        """The same for a command that belongs to no order, such as a sheet about one: sent once,
        and whoever sends it looks after it from then on."""
        return self._inquire([task], on_outcome, Intent.EXECUTE)

    def _inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None], intent: Intent
    ) -> Callable[[], None]:
        inquiries = []
        for task in tasks:
            if self._dispatch.knows(task.ne):
                inquiries.append(Inquiry(task, partial(on_outcome, task), intent))
            else:
                on_outcome(task, NOT_CONFIGURED)
        self._dispatch.ask(inquiries)
        return partial(self._dispatch.call_off, inquiries)

    def release_segment(self) -> None:
        """The orders of the segment that was held go on."""
        for user_id in self.segments.release():
            lane = self._book.lanes.get(user_id)
            if lane is not None:
                self._execution.start(lane)
        self.refill()

    # From the journal.

    def recover(self, open_orders: Sequence[tuple[int, UserId, int, bool, str]]) -> None:
        """Take over open orders of an earlier run: (id, user, priority, whether it waits for a
        person, kind), in order of id."""
        for order_id, user_id, priority, is_fallout, kind in open_orders:
            if is_fallout:
                self.fallout.put(order_id, user_id, priority)
            self._parking.add(order_id, user_id, priority, nature=BY_NAME[kind].nature)
        metrics.ORDERS_RECOVERED.inc(len(open_orders))
        self.refill()

    def recover_resumes(self, resumes: Iterable[tuple[int, datetime]]) -> None:
        """Which of them are payment resumes, and since when: (id, accepted), the oldest first."""
        self._punctuality.recover(
            (order_id, self._clock.monotonic() - (self._clock.wall() - at).total_seconds())
            for order_id, at in resumes
        )

    def next_place(self) -> int:
        """Among the orders of any user, for one that falls due."""
        return next(self._order_ids)

    def has_room_for_due(self) -> bool:
        return len(self._parking) < limits.DUE_WAITING_MAX and not self._intake.is_draining

    def on_due(self, due: Sequence[tuple[int, UserId, int, str]]) -> None:
        """Orders that were dated ahead have their place in the journal now: (id, user, priority,
        kind). One that is here is being called off, or was due before its acceptance was told."""
        for order_id, user_id, priority, kind in due:
            here = self._book.orders.get(order_id)
            if here is None:
                self._take_up(order_id, user_id, priority, BY_NAME[kind])
            elif here.state is OrderState.RECEIVED:
                self._due_at_once.add(order_id)
        self.refill()

    def _take_up(self, order_id: int, user_id: UserId, priority: int, kind: OrderKind) -> None:
        self._parking.add(order_id, user_id, priority, nature=kind.nature)
        self._overflow.miss(user_id)

    def on_resolved(self, facts: Sequence[Facts]) -> None:
        self._intake.on_resolved(facts)
        self.refill()

    def on_leased(self) -> None:
        self._intake.on_leased()
        self.refill()

    def on_accepted(self, order_ids: Sequence[int]) -> None:
        with self._dispatch.gathered():
            for order_id in order_ids:
                order = self._book.orders[order_id]
                if order.due_at is not None:
                    self._put_off(order)
                    continue
                order.move(OrderEvent.JOURNALED)
                self._punctuality.begin(order)
                self._intake.on_accepted(order)
                if self._overflow.must_park(order):
                    self._overflow.park(order)
                else:
                    self._execution.start(self._book.lanes[order.user_id])
        self.refill()

    def _put_off(self, order: OpenOrder) -> None:
        """It waits in the journal alone until its time comes."""
        order.move(OrderEvent.DATED_AHEAD)
        lane = self._book.lanes[order.user_id]
        lane.put_off += 1
        self._intake.on_accepted(order)
        if order.order.seq is not None:
            lane.apply(ANY, order.order.seq)
        lane = self._book.remove(order)
        if order.id in self._due_at_once:
            self._due_at_once.remove(order.id)
            self._take_up(order.id, order.user_id, order.priority, order.kind)
        self._execution.start(lane)

    def on_clash(self, order_id: int, clash: Clash) -> None:
        self._intake.on_clash(self._book.orders[order_id], clash)
        self.refill()

    def on_closed(self, order_ids: Sequence[int]) -> None:
        now = self._clock.monotonic()
        self._intake.rate.count(len(order_ids), now)
        for order_id in order_ids:
            order = self._book.orders[order_id]
            metrics.ORDER_DURATION.labels(order.kind.name).observe(now - _ready(order))
            metrics.ORDERS_CLOSED.labels(order.kind.name, order.state).inc()
            self._punctuality.end(order)
            marks = () if order.plan is None else order.plan.marks
            if marks and Mark.STATE_MISMATCH in marks:
                metrics.STATE_MISMATCHES.labels(order.source).inc()
            activated = completion.activated(order)
            if activated is not None:
                self._products.activate(activated.id, activated.version)
            if order.kind.is_of_enterprise:
                for waiting in self._groups.closed(order):
                    self._execution.start(waiting)
            lane = self._book.remove(order)
            self._overflow.closed(order.user_id)
            self._execution.start(lane)
            for on_receipt in self._waiters.pop(order_id, ()):
                on_receipt(order.receipt)
        self.refill()

    def refill(self) -> None:
        """Read orders back from the journal, as far as memory has room."""
        self._overflow.refill()

    def on_unparked(self, stored: Sequence[StoredOrder]) -> None:
        """Orders read back from the journal, each user's in order of id."""
        self._overflow.on_unparked(stored)

    # From the network and the clock.

    def on_outcomes(self, answered: Iterable[tuple[Command, Outcome]]) -> None:
        """What NEs answered in one turn of the loop: many at a time cost less than one by one."""
        with self._dispatch.gathered():
            for command, outcome in answered:
                self._dispatch.answer(command, outcome)

    def _on_task_outcome(self, task: OpenTask, outcome: Outcome) -> None:
        self._execution.on_outcome(task, outcome)

    def on_free(self, ne: str) -> None:
        self._dispatch.pump(ne)

    def on_timer(self) -> None:
        self._execution.on_timer()

    def next_due(self) -> float | None:
        """When `on_timer` is to be called next, in monotonic seconds."""
        return self._execution.next_due()

    # Stopping and watching.

    def drain(self) -> None:
        """Take nothing more and send nothing more; what is open stays in the journal."""
        self._intake.is_draining = True
        self._dispatch.is_stopped = True

    def is_quiet(self) -> bool:
        """Drained: nothing in flight, nothing unanswered, nothing to be made durable."""
        return not (
            self._dispatch.in_flight() or self._intake.arriving() or self._journal.backlog()
        )

    def observe(self) -> None:
        """Refresh the gauges that are cheaper to count now than to keep."""
        counts = [0] * limits.PRIORITIES
        oldest = [0.0] * limits.PRIORITIES
        now = self._clock.monotonic()
        for order in self._book:
            counts[order.priority] += 1
            oldest[order.priority] = max(oldest[order.priority], now - order.received)
        for priority in range(limits.PRIORITIES):
            label = str(priority)
            metrics.ORDERS_OPEN.labels(label, "memory").set(counts[priority])
            metrics.ORDERS_OPEN.labels(label, "parked").set(self._parking.count(priority))
            metrics.ORDERS_OLDEST_AGE.labels(label).set(oldest[priority])
        metrics.ORDERS_FALLOUT.set(len(self.fallout))
        self._groups.observe()
        self._dispatch.observe()
        self._punctuality.observe(now)

    def lowest_open_id(self) -> int | None:
        """The smallest id in memory; every lower one is refused, closed or parked."""
        return min(self._book.orders, default=None)

    def stop_enterprise(self, ec_code: str, reason: Reason, level: Level) -> list[Binding]:
        """As `Groups.stop`."""
        return self._groups.stop(ec_code, reason, level)

    def orders_in_memory(self) -> int:
        return len(self._book)

    def open_orders(self) -> int:
        return len(self._book) + len(self._parking)

    # Ends.

    def _end(self, order: OpenOrder) -> None:
        fall = fall_of(order, self._eoms_rule)
        closing = completion.closing(order, self._clock.wall(), fall)
        if fall is None and order.kind.is_of_enterprise:
            closing = replace(closing, enterprise=self._groups.after(order))
        order.receipt = closing.receipt
        lane = self._book.lanes[order.user_id]
        if fall is None:
            _take_effect(lane, order)
            self._journal.close(closing)
        else:
            self._journal.close(closing)
            _tell_fallout(order, fall, waiting=len(lane.queue) - 1)
            self._overflow.set_aside(order, lane)


def _ready(order: OpenOrder) -> float:
    """Since when it could run, in monotonic seconds."""
    if order.due_at is None:
        return order.received
    return order.received + max(0.0, (order.due_at - order.received_at).total_seconds())


def _tell_fallout(order: OpenOrder, fall: Fall, *, waiting: int) -> None:
    _log.warning(
        "order_in_fallout",
        order=order.id,
        kind=order.kind.name,
        ne=fall.ne,
        code=fall.code,
        waiting_behind=waiting,
    )


def _take_effect(lane: Lane, order: OpenOrder) -> None:
    """What the order leaves of its user, for the orders behind it."""
    lane.note(order)
    if order.state is OrderState.SUCCEEDED and order.plan is not None:
        lane.user, lane.is_known = order.plan.user, True
    elif order.kind.opens_user:
        lane.user, lane.is_known, lane.opening_failed = None, True, True
