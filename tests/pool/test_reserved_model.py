"""Reservations in the allocator against a database in dictionaries: whatever happens in whatever
order, a reserved number goes to an order of its reservation or to nobody, and none is lost.
"""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hlrd import limits
from hlrd.domain.identity import ICCID, MSISDN, Card
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending, Picked
from hlrd.pool.kept import Kept, Page
from tests.pool.database import FREE, Database, Hold, a_lot, a_range

RESERVED = "reserved"
PAGE = 3


@dataclass
class Order:
    msisdn: MSISDN
    iccid: ICCID


class Reserved(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "LEASE_NUMBERS", 6)
        self.patch.setattr(limits, "LEASE_LOW_WATER", 4)
        self.patch.setattr(limits, "LEASE_BAGS_MAX", 1)
        self.patch.setattr(limits, "RESERVATIONS_IN_MEMORY_MAX", 2)
        self.database = Database(
            ranges=[
                a_range(1, 1064900000000, size=17, hlr="hlr1"),
                a_range(2, 1064900001000, size=12, hlr="hlr2"),
            ],
            lots=[a_lot(1, 15, hlr="hlr1"), a_lot(2, 11, hlr="hlr2")],
        )
        self.owner: dict[int | ICCID, int] = {}  #: reservation by what it holds
        self.open: dict[int, bool] = {}  #: by reservation, whether it has cards
        self.count = 0
        self.seed = 0
        self.start()

    @property
    def ready(self) -> list[int]:
        """Filled: the facts of an order say that others are not there."""
        return sorted(self.open.keys() - {reservation for reservation, _ in self.picked})

    def start(self) -> None:
        """After a crash too: all memory is gone."""
        self.seed += 1
        self.in_hand: list[Order] = []
        self.picked: list[tuple[int, list[Picked]]] = []  #: on their way into a reservation
        self.pages: list[Page] = []  #: read, and on their way
        self.allocator = Allocator(Random(self.seed).random)
        self.database.start(self.allocator)

    def teardown(self) -> None:
        try:
            self.use_everything_up()
        finally:
            self.patch.undo()

    def use_everything_up(self) -> None:
        for _, picked in self.picked:
            self.give_back(picked)
        for order in self.in_hand:
            self.allocator.put_back(msisdn=order.msisdn, iccid=order.iccid)
        self.picked, self.in_hand = [], []
        for reservation in list(self.open):
            self.end(reservation)
        for _ in range(200):
            self.serve()
            drawn = self.allocator.draw(pool="iot", province="200", digits=13)
            if isinstance(drawn, Exhausted):
                break
            if isinstance(drawn, Drawn):
                self.in_hand.append(Order(drawn.msisdn, drawn.card.iccid))
                self.commit_order(self.in_hand.pop())
        for lot, numbers in zip(self.database.lots, self.database.ranges, strict=True):
            cards = [card for card in self.database.cards.values() if card.hlr == lot.hlr]
            free_cards = [card for card in cards if self.database.is_free(card.iccid)]
            span = range(numbers.first, numbers.last + 1)
            assert not free_cards or not any(map(self.database.is_free, span)), "lost to all"

    # Reservations.

    @initialize(counts=st.lists(st.integers(2, 6), min_size=2, max_size=3))
    def start_with_some(self, counts: list[int]) -> None:
        for place, count in enumerate(counts):
            self.draw()
            self.serve()
            self.pick(count=count, with_cards=place == 1)
            if self.picked:
                self.hold(is_durable=True)

    @rule(count=st.integers(1, 8), with_cards=st.booleans())
    def pick(self, count: int, with_cards: bool) -> None:
        picked = []
        for _ in range(count):
            one = self.allocator.pick(
                pool="iot", province="200", digits=13, hlr=None, lot=None, with_card=with_cards
            )
            if isinstance(one, Picked):
                picked.append(one)
        if picked:
            self.count += 1
            self.open[self.count] = with_cards
            self.picked.append((self.count, picked))

    @rule(data=st.data())
    def pick_a_given_number(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([1064900000000 + n for n in range(17)]))
        if self.database.is_free(number) and self.allocator.take(msisdn=MSISDN(str(number))):
            self.count += 1
            self.open[self.count] = False
            self.picked.append((self.count, [Picked(number, 1, None)]))

    @precondition(lambda self: self.picked)
    @rule(is_durable=st.booleans())
    def hold(self, is_durable: bool) -> None:
        reservation, picked = self.picked.pop()
        if not is_durable:
            self.give_back(picked)
            del self.open[reservation]
            return
        for one in picked:
            self.keep(one.number, reservation)
            self.allocator.held(msisdn=MSISDN(str(one.number)))
            if one.iccid is not None:
                self.keep(one.iccid, reservation)
                self.allocator.held(iccid=one.iccid)

    def keep(self, item: int | ICCID, reservation: int) -> None:
        hold = self.database.holds.get(item)
        assert item not in self.database.bound
        assert hold is None or hold.state == FREE
        assert item not in self.owner, "reserved twice"
        self.database.holds[item] = Hold(RESERVED)
        self.owner[item] = reservation

    def give_back(self, picked: list[Picked]) -> None:
        for one in picked:
            self.allocator.put_back(msisdn=MSISDN(str(one.number)), iccid=one.iccid)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def end_one(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(self.ready)))

    def end(self, reservation: int) -> None:
        """Also while its orders are in flight, whose facts said that it is open."""
        self.allocator.forget_reservation(reservation)
        for item in [item for item, owner in self.owner.items() if owner == reservation]:
            del self.owner[item]
            if item not in self.database.bound:
                self.database.holds[item] = Hold(FREE)
        self.open.pop(reservation, None)
        self.database.counts(self.allocator)

    # Orders.

    @rule()
    def draw(self) -> None:
        drawn = self.allocator.draw(pool="iot", province="200", digits=13)
        if isinstance(drawn, Drawn):
            assert int(drawn.msisdn) not in self.owner, "a reserved number was drawn"
            assert drawn.card.iccid not in self.owner, "a reserved card was drawn"
            self.receive(drawn)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def draw_reserved(self, data: st.DataObject) -> None:
        self.draw_from(data.draw(st.sampled_from(self.ready)))

    def draw_from(self, reservation: int) -> Drawn | Pending | Exhausted:
        has_cards = self.open[reservation]
        drawn = self.allocator.draw_reserved(reservation, province="200", has_cards=has_cards)
        if isinstance(drawn, Drawn):
            assert self.owner[int(drawn.msisdn)] == reservation
            assert self.owner.get(drawn.card.iccid) == (reservation if has_cards else None)
            self.receive(drawn)
        elif drawn == Exhausted(Lack.RESERVATION):
            left = {item for item, owner in self.owner.items() if owner == reservation}
            numbers = {item for item in left if isinstance(item, int)}
            assert numbers <= self.database.bound | self.items_in_hand(), "it has a number left"
        return drawn

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), others=st.booleans())
    def use_a_reservation_up(self, data: st.DataObject, others: bool) -> None:
        """Page by page; or only after others were used more and it was dropped."""
        reservation = data.draw(st.sampled_from(self.ready))
        if others:
            for other in set(self.ready) - {reservation}:
                self.draw_from(other)
        for _ in range(3 * PAGE):
            self.serve()
            drawn = self.draw_from(reservation)
            if isinstance(drawn, Drawn):
                self.end_last_order()

    def end_last_order(self) -> None:
        self.commit_order(self.in_hand.pop())

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def bind_by_name_while_a_page_is_under_way(self, data: st.DataObject) -> None:
        reservation = data.draw(st.sampled_from(self.ready))
        self.draw_from(reservation)
        self.read()
        before = len(self.in_hand)
        self.name_a_reserved_number(data)
        if len(self.in_hand) > before:
            self.end_last_order()
        self.tell()

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def name_a_reserved_number(self, data: st.DataObject) -> None:
        """With a card of the stock, or of the reservation if it has any."""
        numbers = sorted(item for item in self.owner if isinstance(item, int))
        if not numbers:
            return
        number = data.draw(st.sampled_from(numbers))
        reservation = self.owner[number]
        if number in self.database.bound or reservation not in self.open:
            return
        hlr = "hlr1" if number < 1064900001000 else "hlr2"
        drawn = self.allocator.draw_card_for(
            MSISDN(str(number)),
            province="200",
            hlr=hlr,
            reservation=reservation if self.open[reservation] else None,
        )
        if isinstance(drawn, Drawn):
            self.receive(drawn)

    def receive(self, drawn: Drawn) -> None:
        number, card = int(drawn.msisdn), drawn.card
        assert {number, card.iccid}.isdisjoint(self.items_in_hand()), "drawn twice"
        assert {number, card.iccid}.isdisjoint(self.database.bound), "drawn although in use"
        assert card.hlr == ("hlr1" if number < 1064900001000 else "hlr2")
        self.in_hand.append(Order(drawn.msisdn, card.iccid))

    def items_in_hand(self) -> set[int | ICCID]:
        return {item for order in self.in_hand for item in (int(order.msisdn), order.iccid)}

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), is_refused=st.booleans())
    def end_an_order(self, data: st.DataObject, is_refused: bool) -> None:
        order = self.in_hand.pop(data.draw(st.integers(0, len(self.in_hand) - 1)))
        if is_refused:
            self.allocator.put_back(msisdn=order.msisdn, iccid=order.iccid)
        else:
            self.commit_order(order)

    def commit_order(self, order: Order) -> None:
        assert self.database.bind(int(order.msisdn), order.iccid), "a unique key objects"
        self.allocator.bound(msisdn=order.msisdn, iccid=order.iccid)

    # The shells.

    @rule()
    def serve(self) -> None:
        self.database.serve(self.allocator)
        self.read()
        self.tell()
        self.database.counts(self.allocator)

    @rule()
    def read(self) -> None:
        if not self.pages:
            self.pages = [self.page(kept) for kept in self.allocator.kept_wanted()]

    @rule()
    def tell(self) -> None:
        """A page shows the moment of its reading, and much may have happened since."""
        for page in self.pages:
            self.allocator.on_page(page)
        self.pages = []

    def page(self, kept: Kept) -> Page:
        left = [
            item
            for item, owner in self.owner.items()
            if owner == kept.id and item not in self.database.bound
        ]
        numbers = sorted(i for i in left if isinstance(i, int) and i > kept.last_number)[:PAGE]
        iccids = sorted(i for i in left if isinstance(i, str) and i > kept.last_card)[:PAGE]
        cards: list[Card] = [self.database.cards[iccid] for iccid in iccids]
        homes = [(n, "hlr1" if n < 1064900001000 else "hlr2") for n in numbers]
        return Page(kept.id, homes, cards, is_last=len(numbers) < PAGE and len(cards) < PAGE)

    @rule()
    def crash(self) -> None:
        """A reservation that was being filled is undone at the start."""
        for reservation, _ in self.picked:
            self.open.pop(reservation, None)
        self.start()

    # What must hold.

    @invariant()
    def nothing_is_lost(self) -> None:
        assert list(self.database.lost()) == []

    @invariant()
    def what_is_reserved_is_on_no_shelf(self) -> None:
        for ledger in (self.allocator._numbers, self.allocator._cards):
            for _, shelf in ledger._places.values():
                assert shelf.idle.keys().isdisjoint(self.owner.keys() - self.database.bound)


TestReserved = Reserved.TestCase
TestReserved.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_pending_is_told_apart_from_used_up() -> None:
    allocator = Allocator(Random(1).random)
    Database([a_range()], [a_lot()]).start(allocator)

    first = allocator.draw_reserved(7, province="200", has_cards=False)
    (kept,) = allocator.kept_wanted()
    allocator.on_page(Page(kept.id, [], [], is_last=True))

    assert first is Pending.PENDING
    again = allocator.draw_reserved(7, province="200", has_cards=False)
    assert again == Exhausted(Lack.RESERVATION)
