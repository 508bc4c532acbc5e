"""The durable half of the pool as a few dictionaries, with the rules of the real tables.

A number is bound, or held (free, quarantined), or in an open lease, or not leased yet; exactly one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hlrd.domain.identity import ICCID, IMSI, Card, SealedKey
from hlrd.pool.allocator import Allocator
from hlrd.pool.lease import CardGrant, NumberGrant, Settled, What, Wish
from hlrd.pool.ranges import NumberRange, Order
from hlrd.pool.stock import Lot

SECRET = b"s" * 32
FREE, HELD = "free", "held"


def a_range(id: int = 1, first: int = 1064900000000, size: int = 100, **more: str) -> NumberRange:
    return NumberRange(
        pool=more.get("pool", "iot"),
        first=first,
        last=first + size - 1,
        digits=13,
        province=more.get("province", "200"),
        hlr=more.get("hlr", "hlr1"),
        id=id,
        counter=0,
    )


def a_lot(id: int = 1, quantity: int = 100, **more: str) -> Lot:
    province, hlr = more.get("province", "200"), more.get("hlr", "hlr1")
    return Lot(id, f"lot{id}", province, hlr, quantity, counter=0)


def a_card(lot: Lot, row: int) -> Card:
    return Card(
        ICCID(f"8986A{lot.id:04d}{row:011d}"),
        IMSI(f"46099{lot.id:03d}{row:07d}"),
        lot.hlr,
        lot.province,
        SealedKey("k1", b"sealed"),
    )


@dataclass
class Hold:
    state: str
    lease_id: int | None = None


@dataclass
class LeaseRow:
    what: What
    source_id: int
    start: int
    count: int


@dataclass
class Holding:
    """All numbers of a range, or all cards of a lot, in the order of their counter."""

    items: list[int] | list[ICCID]
    counter: int = 0


@dataclass
class Database:
    ranges: list[NumberRange]
    lots: list[Lot]
    holdings: dict[tuple[What, int], Holding] = field(default_factory=dict)
    cards: dict[ICCID, Card] = field(default_factory=dict)
    bound: set[int | ICCID] = field(default_factory=set)
    holds: dict[int | ICCID, Hold] = field(default_factory=dict)
    leases: dict[int, LeaseRow] = field(default_factory=dict)
    lease_ids: int = 0

    def __post_init__(self) -> None:
        for number_range in self.ranges:
            self._add_range(number_range)
        for lot in self.lots:
            self._add_lot(lot)

    def import_range(self, number_range: NumberRange) -> None:
        self.ranges.append(number_range)
        self._add_range(number_range)

    def import_lot(self, lot: Lot) -> None:
        self.lots.append(lot)
        self._add_lot(lot)

    def _add_range(self, number_range: NumberRange) -> None:
        numbers = Order(number_range, SECRET).numbers(0, number_range.size)
        self.holdings[What.NUMBERS, number_range.id] = Holding(numbers)

    def _add_lot(self, lot: Lot) -> None:
        cards = [a_card(lot, row) for row in range(lot.quantity)]
        self.cards.update((card.iccid, card) for card in cards)
        self.holdings[What.CARDS, lot.id] = Holding([card.iccid for card in cards])

    # What the shell does.

    def start(self, allocator: Allocator) -> None:
        """A node starts: what there is, then the leases of its earlier life."""
        for number_range in self.ranges:
            holding = self.holdings[What.NUMBERS, number_range.id]
            row = NumberRange(
                **{name: getattr(number_range, name) for name in number_range.__match_args__}
                | {"counter": holding.counter}
            )
            allocator.add_range(row, recycled=self.recycled(What.NUMBERS, number_range.id))
        for lot in self.lots:
            counter = self.holdings[What.CARDS, lot.id].counter
            row = Lot(lot.id, lot.name, lot.province, lot.hlr, lot.quantity, counter)
            allocator.add_lot(row, recycled=self.recycled(What.CARDS, lot.id))
        for lease_id in self.leases:
            allocator.on_recovered(self._grant(lease_id))

    def _lease(self, wish: Wish) -> int | None:
        holding = self.holdings[wish.what, wish.source_id]
        start, holding.counter = (
            holding.counter,
            min(len(holding.items), holding.counter + wish.fresh),
        )
        free = list(self._free(wish.what, wish.source_id))[: wish.recycled]
        if holding.counter == start and not free:
            return None
        self.lease_ids += 1
        for item in free:
            self.holds[item].lease_id = self.lease_ids
        row = LeaseRow(wish.what, wish.source_id, start, holding.counter - start)
        self.leases[self.lease_ids] = row
        return self.lease_ids

    def grant(self, wish: Wish) -> NumberGrant | CardGrant | None:
        """A durable lease, and what of it is free at this moment; None if there is nothing left."""
        lease_id = self._lease(wish)
        return None if lease_id is None else self._grant(lease_id)

    def serve(self, allocator: Allocator) -> None:
        """Answer everything the allocator wants, and end what it has settled."""
        while allocator.has_wishes:
            for wish in allocator.wishes():
                answer(allocator, wish, self.grant(wish))
        for settled in allocator.settled():
            self.end(settled)

    def end(self, settled: Settled[int] | Settled[ICCID]) -> None:
        for item in settled.returned:
            self.holds.setdefault(item, Hold(FREE))
        for item in [
            item for item, hold in self.holds.items() if hold.lease_id == settled.lease_id
        ]:
            if item in self.bound:
                del self.holds[item]
            else:
                self.holds[item].lease_id = None
        del self.leases[settled.lease_id]

    def counts(self, allocator: Allocator) -> None:
        for (what, source_id), holding in self.holdings.items():
            unleased = len(holding.items) - holding.counter
            recycled = self.recycled(what, source_id)
            allocator.on_counts(what, source_id, unleased=unleased, recycled=recycled)

    # What orders do.

    def bind(self, *items: int | ICCID) -> bool:
        """False: a unique key refuses one of them, and nothing is bound."""
        if not self.bound.isdisjoint(items):
            return False
        self.bound.update(items)
        return True

    def release(self, item: int | ICCID, state: str) -> None:
        self.bound.remove(item)
        self.holds[item] = Hold(state)

    # What there is.

    def of_lease(self, lease_id: int) -> list[int | ICCID]:
        """What a node that has the lease may give: less what is bound or held otherwise."""
        row = self.leases[lease_id]
        items = self.holdings[row.what, row.source_id].items[row.start : row.start + row.count]
        recycled = [item for item, hold in self.holds.items() if hold.lease_id == lease_id]
        fresh = [item for item in items if item not in self.holds]
        return [item for item in fresh + recycled if item not in self.bound]

    def is_free(self, item: int | ICCID) -> bool:
        hold = self.holds.get(item)
        return item not in self.bound and (hold is None or hold.state == FREE)

    def recycled(self, what: What, source_id: int) -> int:
        return len(list(self._free(what, source_id)))

    def lost(self) -> Iterator[int | ICCID]:
        """What nobody can ever be given and nobody has."""
        leased = {item for lease_id in self.leases for item in self.of_lease(lease_id)}
        for holding in self.holdings.values():
            for item in holding.items[: holding.counter]:
                if item not in self.bound and item not in self.holds and item not in leased:
                    yield item

    def _free(self, what: What, source_id: int) -> Iterable[int | ICCID]:
        for item in self.holdings[what, source_id].items:
            hold = self.holds.get(item)
            if hold and hold.state == FREE and hold.lease_id is None and item not in self.bound:
                yield item

    def _grant(self, lease_id: int) -> NumberGrant | CardGrant:
        row = self.leases[lease_id]
        holding = self.holdings[row.what, row.source_id]
        unleased = len(holding.items) - holding.counter
        recycled = self.recycled(row.what, row.source_id)
        items = self.of_lease(lease_id)
        if row.what is What.NUMBERS:
            return NumberGrant(lease_id, row.source_id, unleased, recycled, items)
        cards = [self.cards[iccid] for iccid in items]
        return CardGrant(lease_id, row.source_id, unleased, recycled, cards)


def answer(allocator: Allocator, wish: Wish, grant: NumberGrant | CardGrant | None) -> None:
    if grant is None:
        allocator.on_nothing_left(wish)
    else:
        allocator.on_leased(grant)
