"""The allocator against a database in dictionaries: whatever happens in whatever order, no number
and no card is given twice, and none is lost.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hlrd import limits
from hlrd.domain.identity import ICCID, MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from hlrd.pool.lease import CardGrant, NumberGrant, What, Wish
from tests.pool.database import FREE, HELD, Database, a_lot, a_range, answer


@dataclass
class Order:
    """An order between its draw and its end."""

    msisdn: MSISDN | None
    iccid: ICCID | None
    hlr: str | None = None

    @property
    def items(self) -> list[int | ICCID]:
        number = [] if self.msisdn is None else [int(self.msisdn)]
        return number + ([] if self.iccid is None else [self.iccid])


@dataclass
class Node:
    allocator: Allocator
    in_hand: list[Order] = field(default_factory=list)
    wished: list[Wish] = field(default_factory=list)
    on_the_way: list[tuple[Wish, NumberGrant | CardGrant | None]] = field(default_factory=list)

    @property
    def is_served(self) -> bool:
        return not (self.wished or self.on_the_way or self.allocator.has_wishes)


def in_memory(allocator: Allocator) -> set[int | ICCID]:
    """Idle, or taken off the shelf until its overdue lease can end."""
    items: set[int | ICCID] = set()
    for ledger in (allocator._numbers, allocator._cards):
        for _, shelf in ledger._places.values():
            items.update(shelf.idle)
            items.update(item for lease in shelf._leases.values() for item in lease.returned)
    return items


class Pool(RuleBasedStateMachine):
    """One pool over two HLRs, three ranges and three lots; leases of some few numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "LEASE_NUMBERS", 6)
        self.patch.setattr(limits, "LEASE_LOW_WATER", 3)
        self.patch.setattr(limits, "LEASE_BAGS_MAX", 1)
        self.database = Database(
            ranges=[
                a_range(1, 1064900000000, size=13, hlr="hlr1"),
                a_range(2, 1064900001000, size=9, hlr="hlr1"),
                a_range(3, 1064900002000, size=11, hlr="hlr2"),
            ],
            lots=[
                a_lot(1, 8, hlr="hlr1"),
                a_lot(2, 12, hlr="hlr1"),
                a_lot(3, 9, hlr="hlr2"),
            ],
        )
        self.seed = 0
        self.live: list[Order] = []
        self.foreign: set[int | ICCID] = set()  #: bound by another node, maybe out of our lease
        self.start()

    def start(self) -> None:
        self.seed += 1
        self.node = Node(Allocator(Random(self.seed).random))
        self.database.start(self.node.allocator)

    def teardown(self) -> None:
        try:
            self.use_everything_up()
        finally:
            self.patch.undo()

    def use_everything_up(self) -> None:
        """Whatever happened, all that is free can still be given to somebody."""
        node = self.node
        while node.in_hand:
            order = node.in_hand.pop()
            node.allocator.put_back(msisdn=order.msisdn, iccid=order.iccid)
        self.serve()
        self.database.counts(node.allocator)
        while (drawn := self.draw_any()) is not Exhausted:
            if drawn is Pending:
                assert not node.is_served, "nothing will ever come"
                self.serve()
                self.database.counts(node.allocator)
        self.nothing_is_lost()
        for hlr in ("hlr1", "hlr2"):
            assert 0 in self.free_of(hlr), "refused although there is a number and a card"

    def draw_any(self) -> type:
        drawn = self.node.allocator.draw(pool="iot", province="200", digits=13)
        if isinstance(drawn, Drawn):
            self.receive(drawn, self.items_in_hand())
            self.end_of(self.node.in_hand.pop())
        return type(drawn)

    def free_of(self, hlr: str) -> tuple[int, int]:
        """Numbers and cards of one HLR that are neither bound nor held."""
        counts = []
        for what, homes in ((What.NUMBERS, self.database.ranges), (What.CARDS, self.database.lots)):
            items = (
                item
                for home in homes
                if home.hlr == hlr
                for item in self.database.holdings[what, home.id].items
            )
            counts.append(sum(map(self.database.is_free, items)))
        return counts[0], counts[1]

    # Draws.

    @rule(lot=st.sampled_from([None, None, "lot1", "lot2", "lot3", "nobody's"]))
    def draw(self, lot: str | None) -> None:
        before = self.items_in_hand()
        drawn = self.node.allocator.draw(pool="iot", province="200", digits=13, lot=lot)
        if isinstance(drawn, Drawn):
            self.receive(drawn, before)
            card = self.database.cards[drawn.card.iccid]
            assert lot is None or self.lot_of(card.iccid) == lot
        else:
            self.refused(drawn)

    @rule(data=st.data())
    def draw_for_a_named_card(self, data: st.DataObject) -> None:
        card = self.database.cards[data.draw(st.sampled_from(sorted(self.database.cards)))]
        if not self.database.is_free(card.iccid):
            return  # the facts of the order say so, before it comes to a draw
        before = self.items_in_hand()
        drawn = self.node.allocator.draw_for(card, pool="iot", digits=13)
        if isinstance(drawn, Drawn):
            assert drawn.card is card
            self.receive(drawn, before)
        elif drawn == Exhausted(Lack.CARD_TAKEN):
            assert card.iccid in before
        else:
            self.refused(drawn)

    @rule(hlr=st.sampled_from(["hlr1", "hlr2"]))
    def draw_a_number_alone(self, hlr: str) -> None:
        before = self.items_in_hand()
        drawn = self.node.allocator.draw_number(pool="iot", province="200", digits=13, hlr=hlr)
        if isinstance(drawn, Pending | Exhausted):
            self.refused(drawn)
            return
        assert self.range_of(int(drawn)).hlr == hlr
        self.receive_alone(Order(drawn, None, hlr), before)

    @rule(hlr=st.sampled_from(["hlr1", "hlr2"]), lot=st.sampled_from([None, "lot1", "lot3"]))
    def draw_a_card_alone(self, hlr: str, lot: str | None) -> None:
        before = self.items_in_hand()
        drawn = self.node.allocator.draw_card("200", hlr, lot)
        if isinstance(drawn, Pending | Exhausted):
            self.refused(drawn)
            return
        assert drawn.hlr == hlr
        assert lot is None or self.lot_of(drawn.iccid) == lot
        self.receive_alone(Order(None, drawn.iccid, hlr), before)

    def receive_alone(self, order: Order, before: set[int | ICCID]) -> None:
        assert before.isdisjoint(order.items), "drawn twice"
        in_use = self.database.bound - self.foreign
        assert in_use.isdisjoint(order.items), "drawn although it is in use"
        self.node.in_hand.append(order)

    @rule(data=st.data())
    def take_what_an_order_names(self, data: st.DataObject) -> None:
        numbers = [item for row in self.database.ranges for item in range(row.first, row.last + 1)]
        numbers.append(13900000000)  # of no range of ours
        number = data.draw(st.none() | st.sampled_from(numbers))
        iccid = data.draw(st.none() | st.sampled_from(sorted(self.database.cards)))
        msisdn = None if number is None else MSISDN(str(number))
        order = Order(msisdn, iccid)
        is_free = self.items_in_hand().isdisjoint(order.items)

        assert self.node.allocator.take(msisdn=msisdn, iccid=iccid) == is_free

        if is_free and order.items:
            self.node.in_hand.append(order)

    def receive(self, drawn: Drawn, before: set[int | ICCID]) -> None:
        order = Order(drawn.msisdn, drawn.card.iccid, drawn.card.hlr)
        home = self.range_of(int(drawn.msisdn))
        assert (home.hlr, home.province) == (drawn.card.hlr, drawn.card.province)
        assert before.isdisjoint(order.items), "drawn twice"
        in_use = self.database.bound - self.foreign
        assert in_use.isdisjoint(order.items), "drawn although it is in use"
        self.node.in_hand.append(order)

    def refused(self, drawn: Pending | Exhausted) -> None:
        if drawn is Pending.PENDING:
            assert not self.node.is_served, "nothing will ever come"

    @rule(draws=st.integers(1, 12))
    def draw_and_refuse_again_and_again(self, draws: int) -> None:
        """So that some items outlive the bags that their lease came in."""
        for _ in range(draws):
            self.draw(lot=None)
            if self.node.in_hand:
                order = self.node.in_hand.pop()
                self.node.allocator.put_back(msisdn=order.msisdn, iccid=order.iccid)

    # Ends.

    @precondition(lambda self: self.node.in_hand)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """The journal takes the order, or its unique keys say that another was first."""
        self.end_of(self.pop(self.node.in_hand, data))

    def end_of(self, order: Order) -> None:
        if self.database.bind(*order.items):
            self.node.allocator.bound(msisdn=order.msisdn, iccid=order.iccid)
            self.live.append(order)
            return
        for item in order.items:
            names = {"iccid": item} if isinstance(item, str) else {"msisdn": MSISDN(str(item))}
            if item in self.database.bound:
                self.node.allocator.drop(**names)
            else:
                self.node.allocator.put_back(**names)

    @precondition(lambda self: self.node.in_hand)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        order = self.pop(self.node.in_hand, data)
        self.node.allocator.put_back(msisdn=order.msisdn, iccid=order.iccid)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), state=st.sampled_from([FREE, HELD]))
    def end_a_binding(self, data: st.DataObject, state: str) -> None:
        """Rolled back: free again. Terminated: quarantined, and the card scrapped."""
        for item in self.pop(self.live, data).items:
            self.database.release(item, state)

    @rule()
    def recycle(self) -> None:
        """Quarantines end, and the shell reports what the database holds now."""
        for item, hold in self.database.holds.items():
            if hold.state == HELD and isinstance(item, int):
                hold.state = FREE
        self.database.counts(self.node.allocator)

    @rule(data=st.data())
    def another_node_binds(self, data: st.DataObject) -> None:
        numbers = [item for row in self.database.ranges for item in range(row.first, row.last + 1)]
        item = data.draw(st.sampled_from([*numbers, *sorted(self.database.cards)]))
        if item not in self.database.holds and self.database.bind(item):
            self.foreign.add(item)

    # Leases.

    @rule()
    def wish(self) -> None:
        self.node.wished += self.node.allocator.wishes()

    @precondition(lambda self: self.node.wished)
    @rule(data=st.data())
    def lease_durably(self, data: st.DataObject) -> None:
        wish = self.pop(self.node.wished, data)
        self.node.on_the_way.append((wish, self.database.grant(wish)))

    @precondition(lambda self: self.node.on_the_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        wish, grant = self.pop(self.node.on_the_way, data)
        answer(self.node.allocator, wish, grant)

    @rule()
    def serve(self) -> None:
        while not self.node.is_served:
            self.wish()
            for wish in self.node.wished:
                self.node.on_the_way.append((wish, self.database.grant(wish)))
            for wish, grant in self.node.on_the_way:
                answer(self.node.allocator, wish, grant)
            self.node.wished, self.node.on_the_way = [], []
        self.end_settled()

    @rule()
    def end_settled(self) -> None:
        for settled in self.node.allocator.settled():
            self.database.end(settled)

    @rule()
    def import_a_range(self) -> None:
        if len(self.database.ranges) < 6:
            id = len(self.database.ranges) + 1
            row = a_range(id, 1064900000000 + 1000 * id, size=5, hlr="hlr1")
            self.database.import_range(row)
            self.node.allocator.add_range(row)

    @rule()
    def crash(self) -> None:
        """All memory is gone; some leases are durable and never arrived."""
        self.start()

    # What must hold.

    @invariant()
    def nothing_is_lost(self) -> None:
        assert list(self.database.lost()) == []

    @invariant()
    def what_is_leased_is_idle_or_in_hand_or_on_its_way(self) -> None:
        """Once every answer has arrived and every settled lease has ended."""
        if not self.node.is_served:
            return
        self.end_settled()
        leased = {i for lease in self.database.leases for i in self.database.of_lease(lease)}
        assert leased - self.items_in_hand() == in_memory(self.node.allocator) - self.foreign

    @invariant()
    def the_books_agree(self) -> None:
        """Counters that are kept along equal what they count."""
        for ledger in (self.node.allocator._numbers, self.node.allocator._cards):
            shelves = {shelf for _, shelf in ledger._places.values()}
            for shelf in shelves:
                owners = Counter([*shelf.idle.values(), *ledger.in_hand.values()])
                assert {id: owners[lease] for id, lease in shelf._leases.items()} == {
                    id: lease.outstanding for id, lease in shelf._leases.items()
                }
                assert shelf.remaining == sum(source.remaining for source in shelf.sources)
            for tally in {shelf.tally for shelf in shelves}:
                assert tally.idle == sum(
                    len(shelf.idle) + shelf.remaining + sum(len(i) for _, i in shelf._arriving)
                    for shelf in shelves
                    if shelf.tally is tally
                )

    def items_in_hand(self) -> set[int | ICCID]:
        return {item for order in self.node.in_hand for item in order.items}

    def range_of(self, number: int) -> "object":
        return next(row for row in self.database.ranges if row.first <= number <= row.last)

    def lot_of(self, iccid: ICCID) -> str:
        return f"lot{int(iccid[5:9])}"

    def pop(self, some: list, data: st.DataObject):  # type: ignore[no-untyped-def, type-arg]
        return some.pop(data.draw(st.integers(0, len(some) - 1)))


TestPool = Pool.TestCase
TestPool.settings = settings(
    max_examples=80,
    stateful_step_count=60,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
