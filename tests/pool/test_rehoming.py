"""Ranges and lots whose home HLR changes while a node draws from them: nothing is lost or given
twice, and a number goes with a card of its home."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlrd import limits
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted
from hlrd.pool.lease import What
from hlrd.pool.stock import Lot
from tests.pool.database import Database, a_lot, a_range

RANGES = [a_range(1, size=40), a_range(2, first=1064910000000, size=40)]
LOTS = [a_lot(1, 60), a_lot(2, 60), a_lot(3, 60, hlr="hlr2")]


@pytest.fixture(autouse=True)
def _small_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 8)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 4)
    monkeypatch.setattr(limits, "LEASE_BAGS_MAX", 1)


class Node:
    def __init__(self, seed: int) -> None:
        self.database = Database(list(RANGES), list(LOTS))
        self.allocator = Allocator(Random(seed).random)
        self.database.start(self.allocator)
        self.given: list[Drawn] = []

    def draw(self) -> Drawn | None:
        for _ in range(20):
            self.database.serve(self.allocator)
            drawn = self.allocator.draw(pool="iot", province="200", digits=13)
            if isinstance(drawn, Drawn):
                self.given.append(drawn)
                return drawn
            if isinstance(drawn, Exhausted):
                return None
        raise AssertionError("what was wished for never came")

    def bind(self, drawn: Drawn) -> None:
        assert self.database.bind(int(drawn.msisdn), drawn.card.iccid)
        self.allocator.bound(msisdn=drawn.msisdn, iccid=drawn.card.iccid)

    def put_back(self, drawn: Drawn) -> None:
        self.given.remove(drawn)
        self.allocator.put_back(msisdn=drawn.msisdn, iccid=drawn.card.iccid)

    def rehome_range(self, place: int, hlr: str) -> None:
        self.allocator.rehome_range(replace(RANGES[place], hlr=hlr))

    def rehome_lot(self, place: int, hlr: str) -> None:
        lot = LOTS[place]
        moved = Lot(lot.id, lot.name, lot.province, hlr, lot.quantity, 0)
        for iccid, card in self.database.cards.items():
            if iccid in self.database.holdings[What.CARDS, lot.id].items:
                self.database.cards[iccid] = type(card)(
                    card.iccid, card.imsi, hlr, card.province, card.key
                )
        self.allocator.rehome_lot(moved)


def home_of(drawn: Drawn) -> str:
    return "range1" if int(drawn.msisdn) <= RANGES[0].last else "range2"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.sampled_from(["draw", "back", "range", "lot"])))
def test_nothing_is_lost_or_given_twice_whenever_homes_change(seed: int, acts: list[str]) -> None:
    node, chance = Node(seed), Random(seed)
    in_hand: list[Drawn] = []
    for act in acts:
        if act == "draw" and (drawn := node.draw()):
            in_hand.append(drawn)
        elif act == "back" and in_hand:
            node.put_back(in_hand.pop())
        elif act == "range":
            node.rehome_range(chance.randrange(2), chance.choice(["hlr1", "hlr2"]))
        elif act == "lot":
            node.rehome_lot(chance.randrange(3), chance.choice(["hlr1", "hlr2"]))
    node.rehome_range(0, "hlr1")
    node.rehome_range(1, "hlr1")
    node.rehome_lot(0, "hlr1")
    node.rehome_lot(1, "hlr1")
    for drawn in in_hand:
        node.bind(drawn)
    while drawn := node.draw():
        node.bind(drawn)

    numbers = [drawn.msisdn for drawn in node.given]
    assert len(numbers) == len(set(numbers)) == 80
    assert list(node.database.lost()) == []


@pytest.mark.parametrize("seed", range(5))
def test_numbers_go_with_cards_of_their_new_home(seed: int) -> None:
    node = Node(seed)
    for _ in range(10):
        drawn = node.draw()
        assert drawn is not None
        node.bind(drawn)

    node.rehome_range(0, "hlr2")
    homes = set()
    while drawn := node.draw():
        node.bind(drawn)
        homes.add((home_of(drawn), drawn.card.hlr))

    assert homes == {("range1", "hlr2"), ("range2", "hlr1")}


def test_a_card_in_memory_says_its_new_home() -> None:
    node = Node(1)
    drawn = node.draw()
    assert drawn is not None
    node.put_back(drawn)

    node.rehome_lot(0, "hlr2")
    node.rehome_range(0, "hlr2")
    node.rehome_range(1, "hlr2")

    again = node.draw()
    assert again is not None
    assert again.card.hlr == "hlr2"


def test_what_was_read_before_is_known_to_be_outdated() -> None:
    node = Node(1)
    before = node.allocator.holds_made

    node.rehome_range(0, "hlr2")

    assert node.allocator.holds_made > before
