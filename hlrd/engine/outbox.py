"""The receipts of one endpoint that are in memory: which go now, which wait, what must be noted.

Rule 1: receipts of one user go one after the other, by their numbers; users do not wait for each
other.
Rule 2: what goes well costs no row: the cursor says that everything up to it is settled. What has
to wait gets a row, so that the cursor can pass it by.
Rule 3: an endpoint that does not answer is sent one receipt now and then, until it answers.

Times are seconds of the epoch.
"""

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

from hlrd import limits
from hlrd.domain.delivery import (
    GIVE_UP_S,
    Endpoint,
    Marks,
    Outgoing,
    Reception,
    Reply,
    Row,
    delay_s,
    next_try,
)
from hlrd.domain.lifecycle import DELIVERY, DeliveryEvent, DeliveryState, advance
from hlrd.ne.breaker import Breaker

_FAULTS_MAX: Final = 5  # in a row
_PROBE_S: Final = 1.0
_PROBE_S_MAX: Final = 60.0


@dataclass(slots=True, eq=False)
class _Lane:
    """The receipts of one user, by number."""

    waiting: list[Outgoing] = field(default_factory=list)
    is_in_flight: bool = False


class Outbox:
    def __init__(
        self,
        endpoint: Endpoint,
        *,
        cursor: int,
        chance: Callable[[], float],
        failing_since: float | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.read_to = cursor  #: receipts up to it are in memory, or settled
        self.has_more_rows = False  #: in the database, than memory has room for
        self.failing_since = failing_since
        self.is_gone = False
        self.in_flight = 0
        self._chance = chance
        self._breaker = Breaker(faults_max=_FAULTS_MAX, probe_s=_PROBE_S)
        self._probe_s = _PROBE_S
        self._paused_until = 0.0
        self._lanes: dict[str, _Lane] = {}
        self._due: list[tuple[float, int, str]] = []  #: heads of lanes; some out of date
        self._fresh: dict[int, None] = {}  #: receipts without a row, ascending
        self._known: set[int] = set()  #: beyond the cursor, and had a row at the start
        self._held = 0
        self._expires_at = 0.0  #: nothing does before
        self._rows: dict[int, Row] = {}
        self._delivered: set[int] = set()
        self._is_dirty = False

    # Filling.

    @property
    def room(self) -> int:
        """Fresh receipts to be read; 0 until it is worth a reading."""
        if self.has_more_rows or self._held >= limits.DELIVERIES_HELD_MAX:
            return 0
        free = limits.DELIVERIES_FRESH_MAX - len(self._fresh)
        return free if 2 * free >= limits.DELIVERIES_FRESH_MAX else 0

    @property
    def has_room_for_rows(self) -> bool:
        return self.has_more_rows and self._held <= 0.9 * limits.DELIVERIES_HELD_MAX

    def skip(self, seqs: Iterable[int]) -> None:
        """Receipts beyond the cursor that have rows: no page brings them as fresh ones."""
        self._known.update(seqs)

    def add_rows(self, rows: Iterable[Outgoing]) -> None:
        """Receipts that wait; those that are here already are due as said now. Read after `marks`
        were made durable: what was settled since is not taken again.
        """
        for row in rows:
            if self._is_settled(row.seq):
                continue
            lane = self._lanes.get(row.user_id)
            here = lane and next((one for one in lane.waiting if one.seq == row.seq), None)
            if here:
                self._bring_forward(here, row.due_at)
                continue
            row.has_row = True
            self._held += 1
            self._add(row)

    def add_page(self, page: Iterable[Outgoing], read_to: int) -> None:
        """Receipts never tried, ascending; there is no other of this endpoint up to `read_to`."""
        for receipt in page:
            if receipt.seq in self._known:
                self._known.discard(receipt.seq)
                continue
            lane = self._lanes.get(receipt.user_id)
            self._fresh[receipt.seq] = None
            if lane is not None and lane.waiting[0].has_row and not lane.is_in_flight:
                self._hold(receipt)
            self._add(receipt)
        self._is_dirty = self._is_dirty or read_to > self.read_to
        self.read_to = read_to

    def nothing_up_to(self, seq: int) -> None:
        """The source has no receipt up to there that was not read."""
        self.read_to = max(self.read_to, seq)

    def _bring_forward(self, receipt: Outgoing, due_at: float) -> None:
        if due_at < receipt.due_at:
            receipt.due_at = due_at
            self._queue(receipt.user_id)

    def _is_settled(self, seq: int) -> bool:
        row = self._rows.get(seq)
        return seq in self._delivered or (row is not None and row.state is DeliveryState.DEAD)

    def _add(self, receipt: Outgoing) -> None:
        self._expires_at = 0.0
        lane = self._lanes.setdefault(receipt.user_id, _Lane())
        insort(lane.waiting, receipt, key=_by_number)
        if lane.waiting[0] is receipt:
            self._queue(receipt.user_id)

    # Sending.

    def take(self, now: float, most: int | None = None) -> list[Outgoing]:
        """What goes now; each is to be settled."""
        taken: list[Outgoing] = []
        while (most is None or len(taken) < most) and self._may_send(now):
            receipt = self._next(now)
            if receipt is None:
                break
            self._lanes[receipt.user_id].is_in_flight = True
            self.in_flight += 1
            taken.append(receipt)
            if not self._breaker.is_closed:
                self._breaker.probed(now)
        return taken

    def next_due(self, now: float) -> float | None:
        """When to ask `take` again should nothing happen before; None: never."""
        if self.is_gone or not self._due or self.in_flight >= self.endpoint.in_flight_max:
            return None
        if not self._breaker.is_closed:
            return now + _PROBE_S
        return max(self._due[0][0], self._paused_until)

    def is_barred(self, now: float) -> bool:
        """Whether nothing but a probe is sent."""
        return self.is_gone or now < self._paused_until or not self._breaker.is_closed

    def _may_send(self, now: float) -> bool:
        if self.is_gone or now < self._paused_until:
            return False
        if self._breaker.is_closed:
            return self.in_flight < self.endpoint.in_flight_max
        return self.in_flight == 0 and self._breaker.probe_is_due(now)

    def _next(self, now: float) -> Outgoing | None:
        """The one that is due first; a probe takes also one that is not due yet."""
        while self._due:
            due_at, seq, user_id = self._due[0]
            if self._breaker.is_closed and due_at > now:
                return None
            heappop(self._due)
            lane = self._lanes.get(user_id)
            if lane is None or lane.is_in_flight:
                continue
            head = lane.waiting[0]
            if (head.seq, head.due_at) == (seq, due_at):
                return head
        return None

    # What became of it.

    def settle(self, receipt: Outgoing, reply: Reply, now: float) -> DeliveryState:
        self._lanes[receipt.user_id].is_in_flight = False
        self.in_flight -= 1
        self._is_dirty = True
        self._learn(reply, now)
        if reply.reception is Reception.TAKEN:
            return self._taken(receipt)
        return self._not_taken(receipt, reply, now)

    def expire(self, now: float) -> int:
        """Give up what could not be tried for 24 hours because the endpoint is away; how many."""
        if self.failing_since is None or not self.is_barred(now) or now < self._expires_at:
            return 0
        idle = [lane for lane in self._lanes.values() if not lane.is_in_flight]
        ends = [
            (self._started(receipt, now) + GIVE_UP_S, receipt)
            for lane in idle
            for receipt in lane.waiting
        ]
        old = [receipt for end, receipt in ends if now >= end]
        self._expires_at = min((end for end, _ in ends if now < end), default=now)
        if self.in_flight:  # their lanes are looked at later
            self._expires_at = min(self._expires_at, now + _PROBE_S_MAX)
        for receipt in old:
            self._give_up(receipt, "the endpoint was away")
        return len(old)

    def reopen(self, endpoint: Endpoint) -> None:
        """After a reload: nothing of what kept from it counts any more."""
        self.endpoint = endpoint
        self.is_gone = False
        self._paused_until = 0.0

    def hasten(self, now: float) -> None:
        """All that wait are due now."""
        heads = [lane.waiting[0] for lane in self._lanes.values()]
        for head in heads:
            head.due_at = min(head.due_at, now)
        self._due = [(head.due_at, head.seq, head.user_id) for head in heads]
        heapify(self._due)

    def _started(self, receipt: Outgoing, now: float) -> float:
        """Its first failure; an endpoint that was away already would have failed it as it came."""
        if receipt.since is not None:
            return receipt.since
        return now if self.failing_since is None else max(receipt.closed_at, self.failing_since)

    def _learn(self, reply: Reply, now: float) -> None:
        if reply.reception is Reception.TAKEN:
            self.failing_since = None
        elif reply.reception is not Reception.REFUSED:
            self.failing_since = self.failing_since or now
        if reply.reception is Reception.FAILED:
            self._breaker.faulted(now)
            self._rest(min(2 * self._probe_s, _PROBE_S_MAX))
            return
        self.is_gone = self.is_gone or reply.reception is Reception.GONE
        self._paused_until = max(self._paused_until, now + reply.retry_after_s)
        if self._breaker.answered():
            self.hasten(now)
        self._rest(_PROBE_S)

    def _rest(self, probe_s: float) -> None:
        self._probe_s = _PROBE_S if self._breaker.is_closed else probe_s
        self._breaker.set(faults_max=_FAULTS_MAX, probe_s=self._probe_s)

    def _taken(self, receipt: Outgoing) -> DeliveryState:
        self._remove(receipt)
        if receipt.has_row:
            self._rows.pop(receipt.seq, None)
            self._delivered.add(receipt.seq)
        return advance(DELIVERY, DeliveryState.PENDING, DeliveryEvent.TAKEN)

    def _not_taken(self, receipt: Outgoing, reply: Reply, now: float) -> DeliveryState:
        receipt.failures += 1
        receipt.since = self._started(receipt, now)
        wait_s = max(delay_s(receipt.failures, self._chance()), reply.retry_after_s)
        due_at = next_try(now, since=receipt.since, wait_s=wait_s)
        if due_at is None:
            return self._give_up(receipt, reply.said)
        receipt.due_at = due_at
        for waiting in self._lanes[receipt.user_id].waiting:
            self._hold(waiting)
        self._note(receipt, DeliveryState.PENDING, reply.said)
        self._queue(receipt.user_id)
        return advance(DELIVERY, DeliveryState.PENDING, DeliveryEvent.NOT_TAKEN)

    def _give_up(self, receipt: Outgoing, said: str) -> DeliveryState:
        state = advance(DELIVERY, DeliveryState.PENDING, DeliveryEvent.GIVEN_UP)
        self._remove(receipt)
        self._note(receipt, state, said)
        return state

    def _remove(self, receipt: Outgoing) -> None:
        lane = self._lanes[receipt.user_id]
        lane.waiting.remove(receipt)
        if receipt.has_row:
            self._held -= 1
        else:
            del self._fresh[receipt.seq]
        if lane.waiting:
            self._queue(receipt.user_id)
        else:
            del self._lanes[receipt.user_id]

    def _hold(self, receipt: Outgoing) -> None:
        """It waits, so it gets a row."""
        receipt.content = None
        if receipt.has_row:
            return
        receipt.has_row = True
        del self._fresh[receipt.seq]
        self._held += 1
        self._note(receipt, DeliveryState.PENDING, "")

    def _queue(self, user_id: str) -> None:
        head = self._lanes[user_id].waiting[0]
        heappush(self._due, (head.due_at, head.seq, user_id))

    # What must become durable, and what people are shown.

    def marks(self) -> Marks | None:
        """None: nothing changed since the last call."""
        if not self._is_dirty:
            return None
        self._is_dirty = False
        rows, self._rows = self._rows, {}
        delivered, self._delivered = self._delivered, set()
        return Marks(self.cursor, self.failing_since, list(rows.values()), sorted(delivered))

    @property
    def cursor(self) -> int:
        return next(iter(self._fresh), self.read_to + 1) - 1

    @property
    def waiting(self) -> int:
        return len(self._fresh) + self._held

    @property
    def oldest(self) -> float | None:
        """When the one that waits longest was closed."""
        heads = (lane.waiting[0].closed_at for lane in self._lanes.values())
        return min(heads, default=None)

    def state(self, now: float) -> str:
        if self.is_gone:
            return "gone"
        if now < self._paused_until:
            return "paused"
        return "open" if self._breaker.is_closed else "away"

    def _note(self, receipt: Outgoing, state: DeliveryState, said: str) -> None:
        self._is_dirty = True
        self._rows[receipt.seq] = Row(
            receipt.seq,
            receipt.user_id,
            receipt.closed_at,
            state,
            receipt.failures,
            receipt.since,
            receipt.due_at,
            said,
        )


def _by_number(receipt: Outgoing) -> int:
    return receipt.seq
