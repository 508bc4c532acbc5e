"""What memory has no room for: set down in the journal (parked), and read back in its turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain import orders
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.conflict import BLOCKED, Ruling
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderEvent, OrderState
from hlrd.domain.turn import NO_NOTE
from hlrd.engine.book import Book, Lane, OpenOrder
from hlrd.engine.dispatch import Dispatch
from hlrd.engine.execution import Execution
from hlrd.engine.fallout import Fallout
from hlrd.engine.groups import Groups, is_group_line
from hlrd.engine.parking import Parking
from hlrd.engine.segments import HELD_LINE, Segments
from hlrd.engine.turns import Turns, waiting_behind
from hlrd.ports import Clock, Lookup, StoredOrder

_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Reading:
    """A read of parked orders that is not answered."""

    taken: list[int]
    resent: frozenset[int]
    outdated: set[UserId] = field(default_factory=set)  #: an order of theirs closed meanwhile
    incomplete: set[UserId] = field(
        default_factory=set
    )  #: … was parked meanwhile, maybe an earlier
    crowded: set[UserId] = field(default_factory=set)  #: their NE has enough to wait for it


class Overflow:
    def __init__(
        self,
        *,
        clock: Clock,
        book: Book,
        parking: Parking,
        fallout: Fallout,
        segments: Segments,
        groups: Groups,
        turns: Turns,
        dispatch: Dispatch,
        execution: Execution,
        lookup: Lookup,
        first_own_id: int,
        is_draining: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._book = book
        self._parking = parking
        self._fallout = fallout
        self._segments = segments
        self._groups = groups
        self._turns = turns
        self._dispatch = dispatch
        self._execution = execution
        self._lookup = lookup
        self._first_own_id = first_own_id
        self._is_draining = is_draining
        self._reading: _Reading | None = None

    # Setting down.

    def set_aside(self, order: OpenOrder, lane: Lane) -> None:
        """Move a fallout order, and those behind it, out of memory until a person acts."""
        self._fallout.put(order.id, order.user_id, order.priority)
        for member in list(lane.queue):
            if member is not order:
                if member.state is not OrderState.QUEUED:
                    continue  # parked once it is durable, if it is not about to be closed
                member.move(OrderEvent.OVERFLOWED)
            self._set_down(member)
        self.refill()

    def must_park(self, order: OpenOrder) -> bool:
        """While orders are parked, the room that a read needs is left to them."""
        kept = limits.UNPARK_ORDERS if len(self._parking) and self._parking.has_line else 0
        is_full = len(self._book) > limits.ORDERS_IN_MEMORY_MAX - kept
        if is_full or self._parking.has(order.user_id):
            return True
        return self._is_crowded(self._home(order), order.priority)

    def _is_crowded(self, home: str, priority: int) -> bool:
        if home == HELD_LINE:
            return self._segments.is_crowded()
        if is_group_line(home):
            return self._groups.is_crowded(home)
        return self._dispatch.is_crowded(home, priority)

    def _home(self, order: OpenOrder) -> str:
        """The HLR that most of its work is for, or what it waits for; empty where none is known."""
        user = self._book.lanes[order.user_id].user
        binding = order.binding or (None if user is None else user.binding)
        return self._groups.line(order.order, user) or self._segments.line(binding)

    def park(self, order: OpenOrder) -> None:
        """Those that wait behind it go with it: upstream has it earlier, or it was durable late."""
        if self._parking.is_blocked(order.user_id):
            self._tell_blocked(order)
        for one in (order, *waiting_behind(order, self._book.lanes[order.user_id].queue)):
            one.move(OrderEvent.OVERFLOWED)
            self._set_down(one)
        self.miss(order.user_id)

    def _set_down(self, order: OpenOrder) -> None:
        home, nature = self._home(order), order.kind.nature
        self._parking.add(order.id, order.user_id, order.priority, home, nature)
        self._book.remove(order)

    def miss(self, user_id: UserId) -> None:
        """An order of the user was parked that a read under way may not know of."""
        if self._reading is not None and not self._parking.is_blocked(user_id):
            self._reading.incomplete.add(user_id)

    def _tell_blocked(self, order: OpenOrder) -> None:
        if BLOCKED[order.kind.nature] is Ruling.ALARM:
            metrics.ORDERS_BLOCKED.labels(order.kind.name).inc()
            _log.warning(
                "order_blocked_by_fallout",
                order=order.id,
                kind=order.kind.name,
                fallout=self._fallout.of_user(order.user_id),
            )

    def closed(self, user_id: UserId) -> None:
        """What a read under way says of the user is out of date."""
        if self._reading is not None:
            self._reading.outdated.add(user_id)

    # Reading back.

    def refill(self) -> None:
        """Read orders back from the journal: those to be resent, and parked ones when memory has
        room for as many as one read brings. One read at a time."""
        if not (self._parking.has_line or self._fallout.has_leaving):
            return
        if self._reading is not None or self._is_draining():
            return
        room = limits.ORDERS_IN_MEMORY_MAX - len(self._book)
        taken: list[int] = []
        if room >= limits.UNPARK_ORDERS:
            taken = self._parking.take(limits.UNPARK_ORDERS, self._is_crowded)
        resent = self._fallout.leaving(limits.RESEND_ORDERS_MAX)
        if taken or resent:
            self._reading = _Reading(taken, resent)
            self._lookup.unpark([*taken, *resent], self._fallout.users(resent))

    def _may_load(self, item: StoredOrder, reading: _Reading) -> bool:
        """Not what was never parked, or is here or closed since the journal was read; not before an
        order that was parked since; and not by a state of the user from before an order closed."""
        if item.id not in self._parking or self._parking.is_blocked(item.user_id):
            return False
        if item.user_id in reading.incomplete or item.user_id in reading.crowded:
            return False
        lane = self._book.lanes.get(item.user_id)
        return item.user_id not in reading.outdated or (lane is not None and lane.is_known)

    def _put_back(self, reading: _Reading, stored: Sequence[StoredOrder]) -> None:
        """What was asked for and could not be loaded stands in line again."""
        found = {item.id: item for item in stored}
        for order_id in reading.taken:
            if order_id in self._parking:
                item = found.get(order_id)
                assert item is not None, "a parked order is open in the journal"
                home = self._home_of(item)
                self._parking.put_back(order_id, item.user_id, item.priority, home)

    def _crowded(self, stored: Sequence[StoredOrder], reading: _Reading) -> set[UserId]:
        """Users whose home has enough to wait for it, as only the journal knew. All orders of a
        user stay or come together, and with one that a person wants they come."""
        urgency: dict[UserId, tuple[int, str]] = {}
        for item in stored:
            priority = -1 if item.id in reading.resent else item.priority
            most = priority, self._home_of(item)
            urgency[item.user_id] = min(urgency.get(item.user_id, most), most)
        return {
            user_id
            for user_id, (priority, home) in urgency.items()
            if priority >= 0 and self._is_crowded(home, priority)
        }

    def _home_of(self, item: StoredOrder) -> str:
        user = item.user
        binding = item.binding or (None if user is None else user.binding)
        return self._groups.line_of(item) or self._segments.line(binding)

    def _load(self, item: StoredOrder) -> None:
        entry = self.entry(item)
        lane = self._book.add(entry)
        if not lane.is_known:
            lane.user, lane.is_known = self._segments.user(item.user), True
        self._turns.learn(entry, lane, item)
        entry.move(OrderEvent.UNPARKED)
        self._book.enqueue(lane, entry)
        self._execution.hurry(lane, entry.urgency)
        self._parking.remove(item.id, item.priority)

    def entry(self, item: StoredOrder) -> OpenOrder:
        """An order as it was before it was set down in the journal."""
        order = orders.decode_stored(item.payload)
        turn = item.turn or NO_NOTE
        is_waiting = turn.due_at is not None and turn.place is None
        return OpenOrder(
            id=item.id,
            source=item.source,
            order=order,
            kind=BY_NAME[item.kind],
            user_id=item.user_id,
            priority=item.priority,
            urgency=_urgency(item),
            content_hash=item.content_hash,
            received_at=item.accepted_at,
            received=self._clock.monotonic()
            - (self._clock.wall() - item.accepted_at).total_seconds(),
            operator_id=order.operator_id,
            state=OrderState.SCHEDULED if is_waiting else OrderState.PARKED,
            binding=item.binding and self._segments.binding(item.binding),
            claim=item.claim and self._segments.binding(item.claim),
            is_doubted=self._may_be_sent(item) and not is_waiting,
            release=item.release,
            due_at=turn.due_at,
            place=turn.place or item.id,
            after=turn.after,
            business_key=turn.business_key,
        )

    def _may_be_sent(self, item: StoredOrder) -> bool:
        """By a run before this one, or before it fell out."""
        return item.id < self._first_own_id or item.release is not None

    def on_unparked(self, stored: Sequence[StoredOrder]) -> None:
        """Orders read back from the journal, each user's in order of id."""
        reading, self._reading = self._reading, None
        assert reading is not None, "nothing was asked for"
        self._fallout.left(reading.resent)
        reading.crowded = self._crowded(stored, reading)
        for item in stored:
            if self._may_load(item, reading):
                self._load(item)
        self._put_back(reading, stored)
        for user_id in dict.fromkeys(item.user_id for item in stored):
            lane = self._book.lanes.get(user_id)
            if lane is not None:
                self._execution.start(lane)
        self.refill()


def _urgency(item: StoredOrder) -> int:
    """One of many that were let go together stands behind what upstream waits for."""
    is_bulk = item.release is not None and item.release.is_bulk
    return max(item.priority, limits.PRIORITY_BATCH) if is_bulk else item.priority
