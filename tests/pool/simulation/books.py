"""The database as it stands, read by one statement of our own, and an own count of all states.

Nothing of the product's SQL or of its way of counting is used here, but for the order of a range.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hlrd.domain.lifecycle import CARD, NUMBER, CardState
from hlrd.pool.ranges import NumberRange, Order
from hlrd.store.connection import Connection
from tests.pool.simulation.promise import promise

_READ: Final = """
SELECT json_build_object(
    'epoch', (SELECT coalesce(max(epoch), 0) FROM node),
    'reservations', (SELECT json_agg(json_build_array(id, with_cards) ORDER BY id) FROM reservation
        WHERE state = 'open' AND expires_at > now()),
    'bindings', (SELECT json_agg(json_build_array(user_id, msisdn, iccid)) FROM binding),
    'numbers', (SELECT json_agg(json_build_array(msisdn, state, lease_id)) FROM number_hold),
    'cards', (SELECT json_agg(json_build_array(iccid, state, lease_id)) FROM card_hold),
    'leases', (SELECT json_agg(json_build_array(id, what, source_id, start, count)) FROM lease),
    'ranges', (SELECT json_agg(json_build_array(id, first, last, counter)) FROM number_range),
    'lots', (SELECT json_agg(json_build_array(id, quantity, counter)) FROM sim_lot),
    'stock', (SELECT json_agg(json_build_array(lot_id, iccid) ORDER BY row_no) FROM sim_card))::text
"""

SECRET: Final = bytes(range(32))

Item = int | str
"""A number, or the ICCID of a card."""


@dataclass(slots=True)
class Source:
    """A range or a lot: its items in the order of their counter."""

    what: str
    id: int
    items: Sequence[Item]
    counter: int


class Shelving:
    """Where every item of a kind is. Each is in exactly one place, or a promise is broken."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.states: dict[Item, str] = {}
        self.lease_of: dict[Item, int] = {}  #: of what is leased

    def counts(self) -> Mapping[str, int]:
        return Counter(self.states.values())

    def in_state(self, *states: str) -> set[Item]:
        return {item for item, state in self.states.items() if state in states}


class Books:
    """One reading."""

    def __init__(self, read: Mapping[str, Any], orders: dict[int, Sequence[int]]) -> None:
        """`orders`: the numbers of each range in their order, kept from reading to reading."""
        self.bindings = {user: (msisdn, iccid) for user, msisdn, iccid in read["bindings"] or ()}
        self.epoch: int = read["epoch"]
        self.reservations = [tuple(one) for one in read["reservations"] or ()]  #: open ones
        self.leases = {lease[0]: lease[1:] for lease in read["leases"] or ()}
        self._bound = {item for pair in self.bindings.values() for item in pair}
        self._holds = {
            hold[0]: hold[1:] for hold in [*(read["numbers"] or ()), *(read["cards"] or ())]
        }
        self.numbers, self.cards = Shelving("numbers"), Shelving("cards")
        for id, first, last, counter in read["ranges"] or ():
            if id not in orders:
                orders[id] = _order(id, first, last)
            self._shelve(Source("numbers", id, orders[id], counter), self.numbers)
        stock: dict[int, list[str]] = {}
        for lot_id, iccid in read["stock"] or ():
            stock.setdefault(lot_id, []).append(iccid)
        for id, _, counter in read["lots"] or ():
            self._shelve(Source("cards", id, stock[id], counter), self.cards)

    def holds_of(self, *states: str) -> list[Item]:
        return [item for item, (state, _) in self._holds.items() if state in states]

    def is_bound(self, item: Item) -> bool:
        return item in self._bound

    def _shelve(self, source: Source, shelving: Shelving) -> None:
        leased = self._leased_places(source)
        for place, item in enumerate(source.items):
            state = self._state(item, place, source, leased)
            shelving.states[item] = state
            if state == "leased":
                lease_id = self._holds[item][1] if item in self._holds else leased[place]
                shelving.lease_of[item] = lease_id

    def _leased_places(self, source: Source) -> dict[int, int]:
        leased: dict[int, int] = {}
        for lease_id, (what, source_id, start, count) in self.leases.items():
            if (what, source_id) == (source.what, source.id):
                for place in range(start, start + count):
                    promise(place not in leased, f"{source.what} place {place} is leased twice")
                    promise(place < source.counter, "a lease is beyond the counter")
                    leased[place] = lease_id
        return leased

    def _state(self, item: Item, place: int, source: Source, leased: Mapping[int, int]) -> str:
        held, lease_id = self._holds.get(item, (None, None))
        if held == "locked":
            return "locked"
        if item in self._bound:
            return "inUse"
        if held in ("reserved", "quarantined", "scrapped"):
            return str(held)
        if held == "free":
            promise(lease_id is None or lease_id in self.leases, f"{item} is stranded")
            return "idle" if lease_id is None else "leased"
        if place >= source.counter:
            return "idle"
        promise(place in leased, f"{item} is lost: neither bound nor held nor leased")
        return "leased"


NO_BOOKS: Final = Books(defaultdict(list, epoch=0), {})


def check_moves(before: Books, after: Books) -> None:
    """Between two readings there was one transaction at most: each move is a row of a table."""
    _check_moves(NUMBER, before.numbers.states, after.numbers.states)
    _check_moves(CARD, before.cards.states, after.cards.states)


def _check_moves(
    table: Mapping[Any, str], before: Mapping[Item, str], after: Mapping[Item, str]
) -> None:
    moves = {(_word(state), _word(to)) for (state, _), to in table.items()}
    for item, state in before.items():
        to = after[item]
        promise(state == to or (state, to) in moves, f"{item} went from {state} to {to}")


def _word(state: str) -> str:
    return "idle" if state == CardState.IN_STOCK else str(state)


async def read_books(server: Connection, orders: dict[int, Sequence[int]]) -> Books:
    return Books(json.loads(await server.fetchval(_READ)), orders)


def _order(id: int, first: int, last: int) -> Sequence[int]:
    row = NumberRange("iot", first, last, 13, "200", "", id, 0)
    numbers = Order(row, SECRET).numbers(0, row.size)
    promise(sorted(numbers) == list(range(first, last + 1)), "the order of a range is not one")
    return numbers
