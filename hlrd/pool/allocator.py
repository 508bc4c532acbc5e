"""The number pool and the SIM stock in the memory of one node: draws without I/O.

What keeps a number from being given twice: it is in `Shelf.idle` of one shelf, or in hand, or not
here; a draw moves it from the first to the second in one step, and only what is durable or refused
leaves the hand. The database's unique keys hold the same rule a second time.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from msgspec import structs

from hlrd import limits
from hlrd.domain.identity import ICCID, MSISDN, Card
from hlrd.pool.draw import Drawn, Exhausted, Flow, Lack, Pending, Picked
from hlrd.pool.kept import Keep, Kept, Page
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, What, Wish
from hlrd.pool.ledger import Ledger
from hlrd.pool.ranges import NumberRange
from hlrd.pool.shelf import Shelf, Tally
from hlrd.pool.stock import Lot, Rack


class _Choice(NamedTuple):
    """One HLR that an order may get its number and card from."""

    numbers: Shelf[int]
    cards: Rack


_Key: TypeAlias = tuple[str, str, int]
"""Pool, province, digits."""


class Allocator:
    """Synchronous and pure. `chance` gives floats in [0, 1), as `random.Random().random`.

    What is drawn or taken is *in hand* until exactly one of
    `bound` (its binding is durable: forgotten here), `held` (its hold is: the same),
    `put_back` (its order was refused before the journal took it: idle again, in memory),
    `drop` (the journal said that another has it: never offered again).
    A binding rolled back at close is *not* put back: the closing transaction writes number and card
    to the free list, and they return by a later lease. One of the three on what is not in hand is
    an AssertionError.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._numbers: Ledger[int] = Ledger(What.NUMBERS)
        self._cards: Ledger[ICCID] = Ledger(What.CARDS)
        self._pools: set[str] = set()
        self._firsts: list[tuple[int, int]] = []  #: first number and id of each range, ascending
        self._shelves: dict[_Key, dict[str, Shelf[int]]] = {}  #: by HLR
        self._lots: dict[str, tuple[Lot, Shelf[ICCID]]] = {}
        self._racks: dict[tuple[str, str], Rack] = {}  #: by province and HLR
        self._choices: dict[_Key, list[_Choice]] = {}
        self._leased_cards: dict[ICCID, tuple[Card, Shelf[ICCID]]] = {}  #: idle or in hand
        self._keep = Keep()
        self.holds_made = 0
        """Times that numbers or cards were held, or got another home: what was read of any before
        may be outdated."""

    # What there is.

    def add_range(self, number_range: NumberRange, *, recycled: int = 0) -> None:
        """At start and by import. `recycled`: its numbers on the free list. O(1) in its size."""
        shelf = self._shelf_for(number_range)
        self._numbers.add(shelf, number_range.id, unleased=number_range.unleased, recycled=recycled)
        self._pools.add(number_range.pool)
        insort(self._firsts, (number_range.first, number_range.id))
        self._choices.clear()

    def _shelf_for(self, number_range: NumberRange) -> Shelf[int]:
        key = (number_range.pool, number_range.province, number_range.digits)
        shelves = self._shelves.setdefault(key, {})
        if number_range.hlr not in shelves:
            shelves[number_range.hlr] = self._numbers.shelf(Tally())
        return shelves[number_range.hlr]

    def remove_range(self, number_range: NumberRange) -> None:
        """One that nothing was ever leased of is no more, or has become another."""
        self._numbers.remove(number_range.id)
        self._firsts.remove((number_range.first, number_range.id))
        self._choices.clear()

    def add_lot(self, lot: Lot, *, recycled: int = 0) -> None:
        """At start and by import, the oldest first."""
        rack = self._racks.setdefault((lot.province, lot.hlr), Rack())
        shelf = self._cards.shelf(rack)
        rack.add(shelf)
        self._cards.add(shelf, lot.id, unleased=lot.unleased, recycled=recycled)
        self._lots[lot.name] = (lot, shelf)
        self._choices.clear()

    def rehome_range(self, number_range: NumberRange) -> None:
        """It has another home HLR now, and so has what was leased of it. Between two leases."""
        self._numbers.move(number_range.id, self._shelf_for(number_range))
        self._forget_homes()

    def rehome_lot(self, lot: Lot) -> None:
        """The same for cards, also those in hand."""
        shelf = self._cards.shelf_of(lot.id)
        old, _ = self._lots[lot.name]
        self._racks[old.province, old.hlr].remove(shelf)
        rack = self._racks.setdefault((lot.province, lot.hlr), Rack())
        rack.add(shelf)
        shelf.count_by(rack)
        self._lots[lot.name] = (lot, shelf)
        for iccid, (card, where) in self._leased_cards.items():
            if where is shelf:
                self._leased_cards[iccid] = (structs.replace(card, hlr=lot.hlr), shelf)
        self._forget_homes()

    def _forget_homes(self) -> None:
        """Also those that lookups under way may have read."""
        self._keep.close_all()
        self._choices.clear()
        self.holds_made += 1

    # Draws.

    def draw(
        self, *, pool: str, province: str, digits: int, lot: str | None = None
    ) -> Drawn | Pending | Exhausted:
        """A random idle number and a card of the same HLR; the card of `lot`, or of any lot."""
        key = (pool, province, digits)
        if lot is not None:
            return self._draw_with_lot(key, lot)
        choices = self._choices.get(key)
        if choices is None:
            choices = self._choices[key] = self._find_choices(key)
        choice = self._choose(choices)
        if choice is None:
            return self._lack(key)
        choice.numbers.want()
        cards = choice.cards.serving()
        if cards is None or not choice.numbers.idle:
            return Pending.PENDING
        return self._draw_pair(choice.numbers, cards)

    def _draw_with_lot(self, key: _Key, name: str) -> Drawn | Pending | Exhausted:
        found = self._lots.get(name)
        if found is None or found[0].province != key[1]:
            return Exhausted(Lack.LOT)
        lot, cards = found
        numbers = self._shelves.get(key, {}).get(lot.hlr)
        if numbers is None or not numbers.tally.idle:
            return self._lack_of_numbers(key)
        if cards.is_used_up:
            return Exhausted(Lack.CARDS)
        numbers.want()
        cards.want()
        if not (numbers.idle and cards.idle):
            return Pending.PENDING
        return self._draw_pair(numbers, cards)

    def draw_for(self, card: Card, *, pool: str, digits: int) -> Drawn | Pending | Exhausted:
        """A random idle number of the named card's HLR and province; takes the card as well."""
        if card.iccid in self._cards.in_hand:
            return Exhausted(Lack.CARD_TAKEN)
        drawn = self.draw_number(pool=pool, province=card.province, digits=digits, hlr=card.hlr)
        if isinstance(drawn, Pending | Exhausted):
            return drawn
        self._take_card(card.iccid)
        return Drawn(drawn, card)

    def draw_card_for(
        self,
        msisdn: MSISDN,
        *,
        province: str,
        hlr: str,
        lot: str | None = None,
        reservation: int | None = None,
    ) -> Drawn | Pending | Exhausted:
        """A card for the named number, of `lot`, of a reservation that has cards, or any; takes the
        number as well.
        """
        if int(msisdn) in self._numbers.in_hand:
            return Exhausted(Lack.NUMBER_TAKEN)
        kept = None if reservation is None else self._keep.open(reservation)
        card = self.draw_card(province, hlr, lot, kept)
        if isinstance(card, Card):
            self.take(msisdn=msisdn)
            return Drawn(msisdn, card)
        return card

    def draw_number(
        self, *, pool: str, province: str, digits: int, hlr: str
    ) -> MSISDN | Pending | Exhausted:
        """A random idle number alone, for a user who keeps his card."""
        key = (pool, province, digits)
        numbers = self._shelves.get(key, {}).get(hlr)
        if numbers is None or not numbers.tally.idle:
            return self._lack_of_numbers(key)
        numbers.want()
        if not numbers.idle:
            return Pending.PENDING
        return MSISDN(str(numbers.draw(self._chance)))

    def draw_reserved(
        self,
        reservation: int,
        *,
        province: str,
        has_cards: bool,
        lot: str | None = None,
        card: Card | None = None,
    ) -> Drawn | Pending | Exhausted:
        """A random number of the reservation, with a card of it, the named one, or one in stock."""
        if card is not None and card.iccid in self._cards.in_hand:
            return Exhausted(Lack.CARD_TAKEN)
        kept = self._keep.open(reservation)
        homes = kept.numbers if card is None else kept.numbers.keys() & {card.hlr}
        weights = {hlr: len(kept.numbers[hlr]) for hlr in homes}
        if card is None:
            cards = kept if has_cards else None
            weights = {
                hlr: min(count, self._cards_left(province, hlr, lot, cards))
                for hlr, count in weights.items()
            }
        hlr = self._choose_home(weights)
        if hlr is None:
            return self._lack_of_reserved(kept, lot)
        drawn = card or self.draw_card(province, hlr, lot, kept if has_cards else None)
        if not isinstance(drawn, Card):
            return drawn
        number = kept.numbers[hlr].draw(self._chance)
        self._numbers.in_hand[number] = None
        if card is not None:
            self._take_card(card.iccid)
        return Drawn(MSISDN(str(number)), drawn)

    def _lack_of_reserved(self, kept: Kept, lot: str | None) -> Pending | Exhausted:
        if self._keep.has_more(kept):
            return Pending.PENDING
        if not kept.left:
            return Exhausted(Lack.RESERVATION)
        return Exhausted(Lack.CARDS if lot is None or lot in self._lots else Lack.LOT)

    def draw_card(
        self, province: str, hlr: str, lot: str | None = None, kept: Kept | None = None
    ) -> Card | Pending | Exhausted:
        """A card alone: of `lot`, of a reservation, or any."""
        if kept is not None:
            return self._draw_kept_card(kept, hlr)
        if not self._cards_left(province, hlr, lot, None):
            return Exhausted(Lack.CARDS if lot is None or lot in self._lots else Lack.LOT)
        shelf = self._racks[province, hlr].serving() if lot is None else self._lots[lot][1]
        if shelf is None:
            return Pending.PENDING
        shelf.want()
        if not shelf.idle:
            return Pending.PENDING
        return self._leased_cards[shelf.draw(self._chance)][0]

    def _draw_kept_card(self, kept: Kept, hlr: str) -> Card | Pending | Exhausted:
        if not kept.cards.get(hlr):
            return Pending.PENDING if self._keep.has_more(kept) else Exhausted(Lack.RESERVATION)
        card = self._keep.draw_card(kept, hlr, self._chance)
        self._cards.in_hand[card.iccid] = None
        return card

    def _cards_left(self, province: str, hlr: str, lot: str | None, kept: Kept | None) -> int:
        """An upper bound of the cards that a draw may still come to."""
        if kept is not None:
            return len(kept.cards.get(hlr, ()))
        if lot is None:
            rack = self._racks.get((province, hlr))
            return rack.idle if rack else 0
        found = self._lots.get(lot)
        if found is None or (found[0].province, found[0].hlr) != (province, hlr):
            return 0
        return 0 if found[1].is_used_up else found[0].quantity

    def _choose_home(self, weights: Mapping[str, int]) -> str | None:
        point = int(self._chance() * sum(weights.values()))
        for hlr, weight in weights.items():
            if point < weight:
                return hlr
            point -= weight
        return None

    def _find_choices(self, key: _Key) -> list[_Choice]:
        racks = self._racks
        return [
            _Choice(shelf, racks[key[1], hlr])
            for hlr, shelf in self._shelves.get(key, {}).items()
            if (key[1], hlr) in racks
        ]

    def _choose(self, choices: list[_Choice]) -> _Choice | None:
        """One HLR, as likely as it has pairs to give; None if there is none."""
        weights = [min(numbers.tally.idle, cards.idle) for numbers, cards in choices]
        if len(weights) == 1:
            return choices[0] if weights[0] else None
        point = int(self._chance() * sum(weights))
        for choice, weight in zip(choices, weights, strict=True):
            if point < weight:
                return choice
            point -= weight
        return None

    def _draw_pair(self, numbers: Shelf[int], cards: Shelf[ICCID]) -> Drawn:
        msisdn = MSISDN(str(numbers.draw(self._chance)))
        return Drawn(msisdn, self._leased_cards[cards.draw(self._chance)][0])

    def _lack(self, key: _Key) -> Exhausted:
        if any(shelf.tally.idle for shelf in self._shelves.get(key, {}).values()):
            return Exhausted(Lack.CARDS)
        return self._lack_of_numbers(key)

    def _lack_of_numbers(self, key: _Key) -> Exhausted:
        return Exhausted(Lack.NUMBERS if key[0] in self._pools else Lack.POOL)

    # For reservations.

    def pick(
        self,
        *,
        pool: str,
        province: str,
        digits: int,
        hlr: str | None,
        lot: str | None,
        with_card: bool,
    ) -> Picked | Pending | Exhausted:
        """As `draw`, with a card only if wanted; leaves a reserve in memory for orders."""
        key = (pool, province, digits)
        shelves = self._shelves.get(key, {})
        weights = {
            home: min(shelf.tally.idle, self._cards_left(province, home, lot, None))
            if with_card
            else shelf.tally.idle
            for home, shelf in shelves.items()
            if hlr in (None, home)
        }
        home = self._choose_home(weights)
        if home is None:
            has_numbers = any(shelves[home].tally.idle for home in weights)
            return Exhausted(Lack.CARDS) if has_numbers else self._lack_of_numbers(key)
        if not self._can_spare(shelves[home]):
            return Pending.PENDING
        iccid = None
        if with_card:
            card = self.pick_card(province=province, hlr=home, lot=lot)
            if not isinstance(card, Card):
                return card
            iccid = card.iccid
        number = shelves[home].draw(self._chance)
        return Picked(number, self.range_of(number) or 0, iccid)

    def pick_card(self, *, province: str, hlr: str, lot: str | None) -> Card | Pending | Exhausted:
        """Any card in stock of that home, in hand."""
        rack = self._racks.get((province, hlr))
        shelf = rack.serving() if lot is None and rack else None
        if lot is not None and lot in self._lots:
            shelf = self._lots[lot][1]
        if shelf is not None and not self._can_spare(shelf):
            return Pending.PENDING
        return self.draw_card(province, hlr, lot)

    @staticmethod
    def _can_spare(shelf: Shelf[Any]) -> bool:
        shelf.want()
        if shelf.remaining or shelf.awaits:
            return len(shelf.idle) > limits.LEASE_LOW_WATER // 2
        return bool(shelf.idle)

    def held(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """As `bound`, when it is a hold that is durable: what lookups said of it is outdated."""
        self.holds_made += 1
        self._let_go(msisdn, iccid)

    def range_of(self, number: int) -> int | None:
        place = bisect_right(self._firsts, number, key=itemgetter(0))
        return self._firsts[place - 1][1] if place else None

    def kept_wanted(self) -> list[Kept]:
        """Reservations whose orders wait; answer each by `on_page`, then draw again."""
        return self._keep.wanted()

    def on_page(self, page: Page) -> None:
        self._keep.on_page(page, self._numbers.in_hand, self._cards.in_hand)

    def forget_reservation(self, reservation: int) -> None:
        """Its numbers and cards are drawn no more; those in hand stay there."""
        self._keep.close(reservation)

    # Named items.

    def take(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> bool:
        """Named by an order: will not be drawn. Both or neither; False: another order has one."""
        number = None if msisdn is None else int(msisdn)
        if number in self._numbers.in_hand or iccid in self._cards.in_hand:
            return False
        if number is not None:
            self._keep.numbers.take(number)
            self._numbers.take(number, self._shelf_below(number))
        if iccid is not None:
            self._take_card(iccid)
        return True

    def _take_card(self, iccid: ICCID) -> None:
        self._keep.cards.take(iccid)
        leased = self._leased_cards.get(iccid)
        self._cards.take(iccid, leased and leased[1])

    def _shelf_below(self, number: int) -> Shelf[int] | None:
        """Ranges do not overlap: only the last that begins at `number` or below can have it."""
        range_id = self.range_of(number)
        return None if range_id is None else self._numbers.shelf_of(range_id)

    # Out of the hand.

    def bound(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """Durable (a binding, a reservation, a lock): the database speaks for it from now on."""
        self._let_go(msisdn, iccid)

    def drop(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """The database says that it is not ours to give: never offered again from this lease."""
        self._let_go(msisdn, iccid)

    def put_back(self, *, msisdn: MSISDN | None = None, iccid: ICCID | None = None) -> None:
        """Refused before anything became durable: idle again."""
        if msisdn is not None:
            self._numbers.put_back(int(msisdn))
            self._keep.numbers.put_back(int(msisdn))
        if iccid is not None:
            self._cards.put_back(iccid)
            self._keep.put_back_card(iccid)

    def _let_go(self, msisdn: MSISDN | None, iccid: ICCID | None) -> None:
        if self._keep.pages_awaited:
            self._keep.gone.update(item for item in (msisdn and int(msisdn), iccid) if item)
        if msisdn is not None:
            number = int(msisdn)
            self._numbers.let_go(number)
            if self._keep.numbers.lent:
                self._keep.numbers.let_go(number)
        if iccid is not None:
            self._cards.let_go(iccid)
            self._leased_cards.pop(iccid, None)
            if self._keep.cards.lent:
                self._keep.forget_card(iccid)

    # Leases.

    @property
    def has_wishes(self) -> bool:
        """Cheap; look after each batch of draws, and after each answer."""
        return self._numbers.has_wishes or self._cards.has_wishes

    def wishes(self) -> list[Wish]:
        """Leases wanted now. Each is handed out once and waits for its answer."""
        return self._numbers.wishes(self._chance) + self._cards.wishes(self._chance)

    def on_leased(self, grant: NumberGrant | CardGrant) -> None:
        """The answer to a wish. Then draw again for those who wait."""
        if isinstance(grant, NumberGrant):
            self._numbers.on_leased(grant, grant.numbers)
        else:
            self._cards.on_leased(grant, self._keep_cards(grant))

    def on_recovered(self, grant: NumberGrant | CardGrant) -> None:
        """A lease found in the database at start, or of a dead node, taken over; no wish."""
        if isinstance(grant, NumberGrant):
            self._numbers.on_recovered(grant, grant.numbers)
        else:
            self._cards.on_recovered(grant, self._keep_cards(grant))

    def _keep_cards(self, grant: CardGrant) -> list[ICCID]:
        shelf = self._cards.shelf_of(grant.source_id)
        self._leased_cards.update((card.iccid, (card, shelf)) for card in grant.cards)
        return [card.iccid for card in grant.cards]

    def on_nothing_left(self, wish: Wish) -> None:
        """The answer to a wish whose source has neither fresh nor recycled items."""
        ledger = self._numbers if wish.what is What.NUMBERS else self._cards
        ledger.on_nothing_left(wish)

    def on_counts(self, what: What, source_id: int, *, unleased: int, recycled: int) -> None:
        """What the database holds of a source now: after recycling, roll-backs, or an audit.
        Passed over while a lease of that source is under way: its answer knows better.
        """
        ledger = self._numbers if what is What.NUMBERS else self._cards
        ledger.on_counts(source_id, unleased=unleased, recycled=recycled)

    def settled(self) -> list[Settled[int] | Settled[ICCID]]:
        """Leases to end; each is handed out once."""
        cards = self._cards.settled()
        for lease in cards:
            for iccid in lease.returned:
                self._leased_cards.pop(iccid, None)
        return [*self._numbers.settled(), *cards]

    @property
    def is_giving(self) -> bool:
        """Whether anything is in hand."""
        return bool(self._numbers.in_hand or self._cards.in_hand)

    # For the gauges.

    def numbers_in_memory(self) -> dict[str, int]:
        """Idle numbers leased by this node, by pool."""
        counts = dict.fromkeys(self._pools, 0)
        for (pool, _, _), shelves in self._shelves.items():
            counts[pool] += sum(len(shelf.idle) for shelf in shelves.values())
        return counts

    def flows(self) -> list[Flow]:
        """Of each pool, province and home HLR. O(1) in their numbers."""
        flows: dict[tuple[str, str, str], Flow] = {}
        for (pool, province, _), shelves in self._shelves.items():
            for hlr, shelf in shelves.items():
                key, tally = (pool, province, hlr), shelf.tally
                flow = flows.get(key) or Flow(*key)
                flows[key] = flow.plus(tally.idle, tally.drawn, tally.returned)
        return list(flows.values())

    def cards_in_memory(self) -> int:
        return sum(len(shelf.idle) for _, shelf in self._lots.values())
