"""From an order as it was read to an accept record in the journal, or a refusal.

In this order: load, repeat, right of the source, times, conflict with what is in flight, user and
resources; then, and only then, a number is drawn. Whatever is refused holds nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from msgspec import Struct, structs

from hlrd import metrics
from hlrd.domain import orders
from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.claim import target_of
from hlrd.domain.conflict import Nature
from hlrd.domain.delivery import Endpoints
from hlrd.domain.errors import Conflict, Refusal
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderState, UserState
from hlrd.domain.master import Masters
from hlrd.domain.orders import (
    Change,
    OfUser,
    Opening,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    WorkOrder,
)
from hlrd.domain.orders.batch import ECFanOut
from hlrd.domain.orders.group import MemberProductSubscribe, OfMember
from hlrd.domain.orders.repair import NERepair
from hlrd.domain.orders.work_order import OfGroup
from hlrd.domain.plans.plan import Routes
from hlrd.domain.product import Product
from hlrd.domain.routing import RouteTable
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.engine import changes, eligibility, repairs
from hlrd.engine.admission import DrainRate, judge
from hlrd.engine.book import Book, Lane, OpenOrder
from hlrd.engine.execution import Execution
from hlrd.engine.groups import Groups
from hlrd.engine.hand import Hand
from hlrd.engine.parking import Parking
from hlrd.engine.products import ProductRules
from hlrd.engine.segments import Segments
from hlrd.engine.state_orders import province_of
from hlrd.engine.turns import Turns
from hlrd.engine.wants import names_a_number, names_what_may_be_held, wanted, was_drawn
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Pending
from hlrd.ports import (
    Acceptance,
    Answer,
    Clash,
    Clock,
    Facts,
    Journal,
    Lookup,
    Repeat,
    Submission,
    Vault,
    Wanted,
)

REFUSAL_OF_CLASH: Final = {
    Clash.USER: ("USER_EXISTS", "the user is open already", "user_id"),
    Clash.NUMBER: ("NUMBER_TAKEN", "the number was bound a moment ago", "msisdn"),
    Clash.CARD: ("CARD_TAKEN", "the card was bound a moment ago", "iccid"),
}


class Batch:
    """The answers to one call of `submit`, given back together when the last one is known."""

    def __init__(self, size: int, on_answers: Callable[[list[Answer]], None]) -> None:
        self._answers: list[Answer | None] = [None] * size
        self._left = size
        self._on_answers = on_answers

    def give(self, index: int, answer: Answer) -> None:
        assert self._answers[index] is None, "an order is answered once"
        self._answers[index] = answer
        self._left -= 1
        if self._left == 0:
            self._on_answers([answer for answer in self._answers if answer is not None])


class _Arrival(Struct, eq=False):
    """An order between its reading and its judgement."""

    order: OpenOrder
    batch: Batch
    index: int
    is_again: bool = False  #: the journal refused it, and it keeps its place in its lane


class Intake:
    def __init__(
        self,
        *,
        clock: Clock,
        book: Book,
        parking: Parking,
        execution: Execution,
        allocator: Allocator,
        journal: Journal,
        lookup: Lookup,
        vault: Vault,
        routes: Routes,
        homes: RouteTable,
        segments: Segments,
        product_rules: ProductRules,
        groups: Groups,
        masters: Masters,
        endpoints: Endpoints,
        order_ids: Iterator[int],
        turns: Turns,
    ) -> None:
        self._clock = clock
        self._book = book
        self._parking = parking
        self._execution = execution
        self._allocator = allocator
        self._journal = journal
        self._lookup = lookup
        self._hand = Hand(allocator=allocator, vault=vault, routes=routes, segments=segments)
        self._routes = routes
        self._homes = homes
        self._segments = segments
        self._product_rules = product_rules
        self._groups = groups
        self._masters = masters
        self._endpoints = endpoints
        self._order_ids = order_ids
        self._turns = turns
        self._arriving: dict[int, _Arrival] = {}
        self._reading_again: dict[int, Lane] = {}
        # By user, its orders that cannot be judged yet: the first waits for a number, or for an
        # order that the journal refused and that is judged again; the others behind it.
        self._waiting: dict[UserId, deque[tuple[_Arrival, Facts]]] = {}
        self._clashed: dict[UserId, int] = {}  #: orders that are judged again
        self._unanswered = 0
        self._read_at, self._read_s = clock.wall(), clock.monotonic()  #: the last batch was read
        self.rate = DrainRate(self._read_s)
        self.is_draining = False

    def arriving(self) -> int:
        """Orders read and not yet durable or refused."""
        return self._unanswered

    # Reading.

    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None]
    ) -> None:
        """`on_answers` is called once, later or now, with one answer per order in their order."""
        if not submissions:
            on_answers([])
            return
        batch = Batch(len(submissions), on_answers)
        self._read_at, self._read_s = self._clock.wall(), self._clock.monotonic()
        for index, submission in enumerate(submissions):
            if submission.order is None:
                assert submission.refusal is not None, "an order is decoded or refused"
                self._refuse(batch, index, None, submission.refusal)
            else:
                self._read(submission, submission.order, batch, index)

    def _read(self, submission: Submission, order: WorkOrder, batch: Batch, index: int) -> None:
        source, kind = submission.source, BY_SHAPE[type(order)]
        metrics.ORDERS_RECEIVED.labels(kind.name, source).inc()
        priority = kind.priority if order.priority is None else order.priority
        digest = orders.content_hash(order)
        earlier = self._book.by_key(source, order.order_id)
        if earlier is not None:
            self._repeat_in_memory(earlier, digest, batch, index)
            return
        refusal: Refusal | None = judge(
            priority,
            open_orders=len(self._book) + len(self._parking),
            arriving=self._unanswered,
            is_draining=self.is_draining,
            rate=self.rate,
        )
        if refusal is not None:
            self._refuse(batch, index, order.order_id, refusal)
            return
        entry = OpenOrder(
            id=next(self._order_ids),
            source=source,
            order=order,
            kind=kind,
            user_id=orders.lane_of(order),
            priority=priority,
            urgency=priority,
            content_hash=digest,
            received_at=self._read_at,
            received=self._read_s,
            operator_id=order.operator_id,
            session=submission.session,
        )
        self._hand.keep_key(entry)
        lane = self._book.add(entry)
        lane.arriving += 1
        self._unanswered += 1
        self._arriving[entry.id] = _Arrival(entry, batch, index)
        self._lookup.resolve(self._turns.wanted(entry, wanted(entry)))

    # Judging.

    def on_resolved(self, facts: Sequence[Facts]) -> None:
        for fact in facts:
            lane = self._reading_again.pop(fact.token, None)
            if lane is None:
                self._take_turn(self._arriving[fact.token], fact)
                continue
            self._learn(lane, fact)
            lane.arriving -= 1
            self._book.release(lane)

    def on_leased(self) -> None:
        """Numbers or cards came in, or it is known that none will: judge those that wait."""
        for user_id in list(self._waiting):
            self._judge_waiting(user_id)

    def _take_turn(self, arrival: _Arrival, facts: Facts) -> None:
        """Judge the order now, or keep it behind those of its user that wait."""
        user_id = arrival.order.user_id
        lane = self._book.lanes[user_id]
        if not lane.is_known:
            self._learn(lane, facts)
        self._turns.learn(arrival.order, lane, facts)
        if arrival.is_again:
            arrival.is_again = False
            self._count_clashed(user_id, -1)
            self._waiting.setdefault(user_id, deque()).appendleft((arrival, facts))
            self._judge_waiting(user_id)
        elif user_id in self._waiting or user_id in self._clashed:
            self._waiting.setdefault(user_id, deque()).append((arrival, facts))
        elif not self._judge(arrival, facts):
            self._waiting[user_id] = deque([(arrival, facts)])

    def _judge_waiting(self, user_id: UserId) -> None:
        if user_id in self._clashed:
            return
        waiting = self._waiting[user_id]
        while waiting and user_id not in self._clashed:
            if not self._judge(*waiting[0]):
                return
            waiting.popleft()
        if not waiting:
            del self._waiting[user_id]

    def _judge(self, arrival: _Arrival, facts: Facts) -> bool:
        """False: it must wait for a number or a card."""
        entry = arrival.order
        lane = self._book.lanes[entry.user_id]
        if facts.repeat is not None:
            self._settle_repeat(entry, facts.repeat)
            return True
        if facts.as_of != self._allocator.holds_made and names_what_may_be_held(entry.order):
            self._judge_again(arrival)
            return True
        try:
            self._check(entry, lane, facts)
            if self._turns.is_before_opening(entry, lane) and not self._put_behind(arrival, facts):
                return True
            if entry.due_at is not None:
                self._turns.check_room(entry, lane, facts)
            if entry.kind.nature is Nature.CHANGE and not self._claim(entry, lane.user, facts):
                return False
            if entry.kind.opens_user:
                binding = self._hand.reserve(entry, facts)
                if isinstance(binding, Pending):
                    return False
                binding = self._segments.binding(binding)
                entry.binding, entry.is_in_hand = binding, True
                lane.user = User(UserState.PROVISIONING, binding, NO_REASONS)
        except Refusal as refusal:
            self._settle_refused(entry, refusal)
            return True
        self._accept(entry, lane)
        return True

    def _claim(self, entry: OpenOrder, user: User | None, facts: Facts) -> bool:
        """False: it must wait for a number or a card."""
        order = entry.order
        assert isinstance(order, Change), "as its nature says"
        assert user is not None, "checked before"
        changes.check(entry, order, user, facts, self._homes.routing)
        return self._hand.claim(entry, order, user, facts)

    def _put_behind(self, arrival: _Arrival, facts: Facts) -> bool:
        """Date the order as the opening of its user is; False: that must be read first."""
        entry = arrival.order
        opens_at = self._turns.opens_at(self._book.lanes[entry.user_id], facts)
        if opens_at is None and not entry.waits_for_opening:
            entry.waits_for_opening = True
            self._judge_again(arrival)
            return False
        if opens_at is not None:
            entry.due_at = max(opens_at, entry.due_at or opens_at)
        return True

    def _learn(self, lane: Lane, facts: Facts) -> None:
        if not lane.is_known:
            lane.user, lane.is_known = self._segments.user(facts.user), True
            self._execution.start(lane)

    def _check(self, entry: OpenOrder, lane: Lane, facts: Facts) -> None:
        order, kind = entry.order, entry.kind
        eligibility.check_source(kind, entry.source, province_of(entry, lane), self._masters)
        eligibility.check_role(kind, order, self._routes)
        eligibility.check_reasons(order, entry.source)
        eligibility.check_times(order, entry.received_at)
        if order.effective_time is not None:
            entry.due_at = orders.due_of(order, entry.received_at)
        eligibility.check_reply_to(order, entry.source, self._endpoints)
        ahead = [earlier for earlier in lane.queue if earlier.id < entry.id] if lane.queue else ()
        parked = self._parking.count_of(entry.user_id)
        eligibility.check_in_flight(kind, ahead, parked, self._parking.natures_of(entry.user_id))
        if kind.opens_user:
            assert isinstance(order, Opening), "as its nature says"
            eligibility.check_opening(order, lane.user, facts, self._routes, entry.source)
            eligibility.check_home_of_card(order, facts, self._homes.routing)
            self._groups.check(order, lane.user, facts, ahead)
        elif not kind.is_of_user:
            self._check_of_no_user(order, facts, ahead)
        elif type(order) is MemberProductSubscribe and lane.user is None:
            self._groups.check(order, None, facts, ahead)  # its opening may be on its way
        elif type(order) is NERepair:
            repairs.check(order, lane.user, facts, ahead)
        else:
            self._check_of_user(entry, lane.user, ahead, is_first=not (ahead or parked))

    def _check_of_no_user(self, order: WorkOrder, facts: Facts, ahead: Sequence[OpenOrder]) -> None:
        if isinstance(order, ProductPublish):
            self._product_rules.check_publication(order, ahead)
        elif isinstance(order, OfGroup):
            self._groups.check(order, None, facts, ahead)
        elif isinstance(order, ECFanOut):
            self._groups.check_members(order, facts)

    def _check_of_user(
        self, entry: OpenOrder, user: User | None, ahead: Sequence[OpenOrder], *, is_first: bool
    ) -> None:
        kind, order = entry.kind, cast("OfUser", entry.order)
        eligibility.check_user(order, user, ahead)
        if is_first and user is not None:
            eligibility.check_standing(kind, order, user, self._routes.policy)
        if type(order) is ProductSubscribe:
            self._product_rules.check_subscription(order, user, is_first=is_first)
        elif type(order) is ProductUnsubscribe:
            self._product_rules.check_unsubscription(order)
        elif kind.nature is Nature.MEMBER:
            assert isinstance(order, OfMember), "as its nature says"
            self._groups.check_member(order, user, is_first=is_first)

    # Reserving and accepting.

    def _accept(self, entry: OpenOrder, lane: Lane) -> None:
        note = self._turns.note(entry, lane)
        self._book.enqueue(lane, entry)
        if entry.due_at is None and len(lane.queue) > 1:
            self._execution.hurry(lane, entry.priority)
        self._journal.accept(
            Acceptance(
                id=entry.id,
                source=entry.source,
                order_id=entry.order.order_id,
                kind=entry.kind.name,
                user_id=entry.user_id,
                operator_id=entry.operator_id,
                province=entry.order.province,
                priority=entry.priority,
                content_hash=entry.content_hash,
                payload=orders.encode(entry.order),
                accepted_at=entry.received_at,
                session=entry.session,
                binding=entry.binding if entry.kind.opens_user else entry.claim,
                product=_staged(entry.order),
                turn=note,
                enterprise=self._groups.order(entry),
                is_named=names_a_number(entry.order),
            )
        )

    def on_accepted(self, entry: OpenOrder) -> None:
        """The accept record is durable: the number is ours for good, upstream may know."""
        if entry.is_in_hand:
            self._hand.durable(entry)
            metrics.POOL_ALLOCATION_DURATION.observe(self._clock.monotonic() - entry.received)
        staged = _staged(entry.order)
        if staged is not None:
            self._product_rules.products.stage(staged)
        self._groups.accepted(entry.id)
        metrics.ORDERS_ACCEPTED.labels(entry.kind.name).inc()
        self._settle(entry, _answer(entry))

    def on_clash(self, entry: OpenOrder, clash: Clash) -> None:
        """A unique key of the database refused the record. Draw again, or refuse."""
        self._groups.refused(entry.id)
        lane = self._book.lanes[entry.user_id]
        if entry.is_in_hand:
            self._hand.let_go(entry, clash)
            if entry.kind.opens_user:
                lane.user = None
        if clash is Clash.ORDER:
            lane.is_known = False  # what we believed of this user is not what the journal holds
        if clash is Clash.ORDER or was_drawn(clash, entry.order):
            self._judge_again(self._arriving[entry.id])
            return
        if lane.arriving > 1 or len(lane.queue) > 1:
            self._read_again(lane)
        self._settle_refused(entry, _refusal_of(clash, entry.order))

    def _judge_again(self, arrival: _Arrival) -> None:
        """By new facts; those of its user behind it wait."""
        arrival.is_again = True
        self._count_clashed(arrival.order.user_id, 1)
        self._lookup.resolve(self._turns.wanted(arrival.order, wanted(arrival.order)))

    def _count_clashed(self, user_id: UserId, change: int) -> None:
        count = self._clashed.pop(user_id, 0) + change
        if count:
            self._clashed[user_id] = count

    def _read_again(self, lane: Lane) -> None:
        """Hold the lane until its user was read: the orders in it were judged by a wrong one."""
        lane.is_known = False
        lane.arriving += 1
        token = next(self._order_ids)
        self._reading_again[token] = lane
        self._lookup.resolve(Wanted(token, "", "", lane.user_id))

    # Answering.

    def _settle(self, entry: OpenOrder, answer: Answer) -> None:
        """Answer the order, and the repeats of it that came before this was known."""
        arrival = self._arriving.pop(entry.id)
        self._hand.forget_key(entry)
        self._unanswered -= 1
        self._book.lanes[entry.user_id].arriving -= 1
        if entry.state is OrderState.RECEIVED:
            self._execution.start(self._book.remove(entry))  # those behind it, if it had a place
        followers, entry.on_durable = entry.on_durable, []
        arrival.batch.give(arrival.index, answer)
        for follow in followers:
            metrics.ORDERS_REPEATED.inc()
            follow(structs.replace(answer, is_repeat=answer.refusal is None))

    def _settle_refused(self, entry: OpenOrder, refusal: Refusal) -> None:
        metrics.ORDERS_REFUSED.labels(refusal.code).inc()
        self._settle(entry, _refused(entry.order.order_id, refusal))

    def _refuse(self, batch: Batch, index: int, order_id: str | None, refusal: Refusal) -> None:
        metrics.ORDERS_REFUSED.labels(refusal.code).inc()
        batch.give(index, _refused(order_id, refusal))

    def _repeat_in_memory(
        self, earlier: OpenOrder, digest: bytes, batch: Batch, index: int
    ) -> None:
        order_id = earlier.order.order_id
        if earlier.content_hash != digest:
            self._refuse(batch, index, order_id, _other_content())
            return
        if earlier.state is OrderState.RECEIVED:
            earlier.on_durable.append(lambda answer: batch.give(index, answer))
        else:
            metrics.ORDERS_REPEATED.inc()
            batch.give(index, structs.replace(_answer(earlier), is_repeat=True))

    def _settle_repeat(self, entry: OpenOrder, repeat: Repeat) -> None:
        """The journal has this very order, or another one under its id."""
        if repeat.content_hash != entry.content_hash:
            self._settle_refused(entry, _other_content())
            return
        metrics.ORDERS_REPEATED.inc()
        binding = repeat.binding
        self._settle(
            entry,
            Answer(
                entry.order.order_id,
                id=repeat.id,
                state=repeat.state,
                is_repeat=True,
                msisdn=binding.msisdn if binding else None,
                imsi=binding.imsi if binding else None,
                iccid=binding.iccid if binding else None,
                receipt=repeat.receipt,
            ),
        )


def _staged(order: WorkOrder) -> Product | None:
    return order.content() if type(order) is ProductPublish else None


def _refusal_of(clash: Clash, order: WorkOrder) -> Conflict:
    if clash is Clash.USER and isinstance(order, Change):
        text = "another change of card or number of this user is not closed"
        return Conflict("CONFLICT_IN_FLIGHT", text, "user_id")
    return Conflict(*REFUSAL_OF_CLASH[clash])


def _other_content() -> Conflict:
    return Conflict("DUPLICATE_CONFLICT", "this order_id was used with other content", "order_id")


def _refused(order_id: str | None, refusal: Refusal) -> Answer:
    return Answer(order_id, refusal=refusal)


def _answer(entry: OpenOrder) -> Answer:
    binding = entry.binding if entry.kind.opens_user else entry.claim and target_of(entry.claim)
    return Answer(
        entry.order.order_id,
        id=entry.id,
        state=entry.state,
        msisdn=binding.msisdn if binding else None,
        imsi=binding.imsi if binding else None,
        iccid=binding.iccid if binding else None,
    )
