"""What intake and the engine know of the turns of orders: read with them, kept with them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import structs

from hlrd import limits
from hlrd.domain.errors import Busy
from hlrd.domain.lifecycle import OrderState, UserState
from hlrd.domain.orders import BEIJING
from hlrd.domain.turn import ANY, Note, business_key, in_order, is_counted, sequence_of
from hlrd.engine.book import Lane, OpenOrder
from hlrd.engine.execution import NOT_BEGUN
from hlrd.engine.parking import Parking
from hlrd.ports import Facts, StoredOrder, Wanted

BEHIND_EARLIER: Final = "EARLIER_ORDER"
BEHIND_FALLOUT: Final = "ORDER_IN_FALLOUT"


class Turns:
    def __init__(self, parking: Parking, first_own_id: int) -> None:
        """Orders with an id below `first_own_id` are of a run before this one."""
        self._parking = parking
        self._first_own_id = first_own_id

    @staticmethod
    def wanted(entry: OpenOrder, wanted: Wanted) -> Wanted:
        """With what must be read for the order's turn; most need nothing."""
        order, kind = entry.order, entry.kind
        is_dated = order.effective_time is not None or entry.waits_for_opening
        has_seq = is_counted(kind, order) and kind.is_of_user
        entry.business_key = business_key(kind, order)
        if not (has_seq or is_dated or entry.business_key):
            return wanted
        return structs.replace(
            wanted,
            has_seq=has_seq,
            business_key=entry.business_key,
            is_dated=is_dated,
        )

    @staticmethod
    def learn(entry: OpenOrder, lane: Lane, facts: Facts | StoredOrder) -> None:
        """What the lane knows itself is newer than what was read."""
        if lane.applied is None and is_counted(entry.kind, entry.order):
            lane.applied = dict(facts.applied)
        if entry.business_key is not None:
            entry.repeat_of = (lane.done or {}).get(entry.business_key) or facts.repeat_of

    def is_before_opening(self, entry: OpenOrder, lane: Lane) -> bool:
        """Whether the opening of its user is dated ahead. Then so is the order."""
        user = lane.user
        if user is None or user.state is not UserState.PROVISIONING or entry.kind.opens_user:
            return False
        opening = _opening_of(lane)
        if opening is None:
            return not self._parking.has(entry.user_id)
        return opening.due_at is not None

    @staticmethod
    def opens_at(lane: Lane, facts: Facts) -> datetime | None:
        """When the opening of the user falls due: it is on its way to the journal, or there."""
        opening = _opening_of(lane)
        return facts.opens_at if opening is None else opening.due_at

    def check_room(self, entry: OpenOrder, lane: Lane, facts: Facts) -> None:
        """They will all fall due, perhaps at once."""
        waiting = facts.scheduled + lane.put_off + len(lane.queue)
        if waiting + self._parking.count_of(entry.user_id) >= limits.USER_ORDERS_OPEN_MAX:
            text = "too many orders of this user are open or wait for their time"
            raise Busy("USER_QUEUE_FULL", text, limits.RETRY_AFTER_S_MAX, "user_id")

    def note(self, entry: OpenOrder, lane: Lane) -> Note | None:
        """What the journal is to keep of the order's turn."""
        seq = sequence_of(entry)
        if seq is not None and entry.due_at is None:
            entry.after = self._after(entry, lane, seq)
        if entry.due_at is None and not entry.after and entry.business_key is None:
            return None
        used_up = ((ANY, seq),) if seq is not None and entry.due_at is not None else ()
        return Note(entry.due_at, entry.after, entry.business_key, used_up)

    def _after(self, entry: OpenOrder, lane: Lane, seq: int) -> int:
        """Behind what may have begun, though upstream has it later: it must end as it began."""
        if self._parking.is_blocked(entry.user_id):
            return entry.id - 1
        begun = [
            other.place
            for other in lane.queue
            if (other.state not in NOT_BEGUN or other.is_doubted) and _is_later(other, seq)
        ]
        if self._parking.has(entry.user_id):
            begun.append(self._first_own_id - 1)
        return max(begun, default=0)


def _opening_of(lane: Lane) -> OpenOrder | None:
    return next((order for order in lane.queue if order.kind.opens_user), None)


def _is_later(other: OpenOrder, seq: int) -> bool:
    others = sequence_of(other)
    return others is not None and others > seq


def wait_of(
    order: OpenOrder, lane: Lane, wall_of: Callable[[float], datetime]
) -> Mapping[str, str] | None:
    """Why the order is not started, for people; None for one that is, or is about to be."""
    if order.state is not OrderState.QUEUED:
        return None
    before = next((one for one in lane.queue if one.state not in NOT_BEGUN), None)
    line = in_order(lane.queue)
    if before is None and line[0] is not order:
        before = line[0]
    if before is not None:
        return {"reason": BEHIND_EARLIER, "order": str(before.id)}
    if lane.waits is None:
        return None
    told = {"reason": lane.waits.code}
    if lane.waits.until is not None:
        until = wall_of(lane.waits.until).astimezone(BEIJING)
        told["until"] = until.isoformat(timespec="milliseconds")
    return told


def waiting_behind(order: OpenOrder, queue: Sequence[OpenOrder]) -> Sequence[OpenOrder]:
    """Orders that may begin at any time, and are to go behind this one."""
    if len(queue) < 2:
        return ()
    line = in_order(queue)
    behind = line[line.index(order) + 1 :]
    return [other for other in behind if other.state is OrderState.QUEUED]
