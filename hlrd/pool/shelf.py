"""Idle items in memory, in an order that favours none, and the leases they belong to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from hlrd import limits
from hlrd.pool.lease import K, Source, Wish, apportion


class Tally:
    """Items that a draw may still come to: idle in memory, or leasable. Shelves may share one."""

    __slots__ = ("drawn", "idle", "returned")

    def __init__(self) -> None:
        self.idle = 0
        self.drawn = 0  #: ever
        self.returned = 0  #: ever, of what was drawn or named

    def grow(self, items: int) -> None:
        self.idle += items


@dataclass(eq=False, slots=True)
class Lease(Generic[K]):
    id: int
    shelf: "Shelf[K]"
    source_id: int
    outstanding: int = 0  #: items on the shelf or in hand
    bag: int = 0  #: ordinal of the bag its items came in
    is_overdue: bool = False  #: what is put back goes to the free list, so that it can settle
    returned: list[K] = field(default_factory=list)


class Shelf(Generic[K]):
    """Interchangeable items: the numbers of one pool, province, length and HLR, or one lot's cards.

    `idle` alone says what can be drawn, and by which lease. The bags only give the order: a draw
    takes a random place of the first bag, and a place whose item has left `idle` meanwhile is
    skipped. New and returned items go into the second bag, which becomes the first when that is
    empty: so no item waits for ever, leases settle about in the order they were taken, and a number
    that was put back is not the next one drawn.
    """

    __slots__ = (
        "_arriving",
        "_awaited",
        "_bag",
        "_bags_opened",
        "_bound_by_name",
        "_hands",
        "_is_wanted",
        "_leases",
        "_low",
        "_next_bag",
        "idle",
        "remaining",
        "sources",
        "tally",
    )

    def __init__(
        self,
        *,
        hands: "dict[K, Lease[K] | None]",
        bound_by_name: set[K],
        low: "dict[Shelf[K], None]",
        tally: Tally,
    ) -> None:
        """`hands`: items drawn or named, by their lease; None: of no lease of this node.
        `bound_by_name`: items that a lease under way may still hold to be free.
        `low`: where a shelf that wants a lease enters itself.
        """
        self.idle: dict[K, Lease[K]] = {}
        self.sources: list[Source] = []
        self.remaining = 0  #: leasable, of all sources
        self.tally = tally
        self._hands = hands
        self._bound_by_name = bound_by_name
        self._low = low
        self._bag: list[K] = []
        self._next_bag: list[K] = []
        self._bags_opened = 0
        self._leases: dict[int, Lease[K]] = {}
        self._awaited = 0  #: wishes without an answer
        self._arriving: list[tuple[Lease[K], Sequence[K]]] = []
        self._is_wanted = False  #: somebody drew from it, so it is kept filled

    def add(self, source: Source) -> None:
        self.sources.append(source)
        self._count(source.remaining)

    def remove(self, source: Source) -> None:
        """Nothing of it was ever leased."""
        assert not self._awaited, "it may just be leased"
        self.sources.remove(source)
        self._count(-source.remaining)

    def give(self, source: Source, other: "Shelf[K]") -> None:
        """The source with all its leases goes to `other`. Not while a lease is under way."""
        assert not self._awaited, "it may just be leased"
        leases = [lease for lease in self._leases.values() if lease.source_id == source.id]
        for lease in leases:
            other._adopt(self._leases.pop(lease.id))
        going = [item for item, lease in self.idle.items() if lease.shelf is other]
        other._lay_in({item: self.idle.pop(item) for item in going})
        self.tally.grow(-len(going))
        self.sources.remove(source)
        self._count(-source.remaining)
        other.add(source)

    def _adopt(self, lease: Lease[K]) -> None:
        lease.shelf, lease.bag = self, self._bags_opened + 1
        self._leases[lease.id] = lease

    def _lay_in(self, items: dict[K, Lease[K]]) -> None:
        self.idle.update(items)
        self._next_bag.extend(items)
        self.tally.grow(len(items))

    def count_by(self, tally: Tally) -> None:
        """From now on, and what is here now, in another tally."""
        count = len(self.idle) + self.remaining
        self.tally.grow(-count)
        self.tally = tally
        tally.grow(count)

    def recount(self, source: Source, *, unleased: int, recycled: int) -> None:
        """The database's word on what remains of a source."""
        before = source.remaining
        source.unleased, source.recycled = unleased, recycled
        self._count(source.remaining - before)

    def _count(self, more: int) -> None:
        self.remaining += more
        self.tally.grow(more)
        self._ask_if_low()

    # Leasing.

    def want(self) -> None:
        """Somebody draws: from now on keep it filled."""
        self._is_wanted = True
        if len(self.idle) < limits.LEASE_LOW_WATER:
            self._ask_if_low()

    def _ask_if_low(self) -> None:
        if self.is_low:
            self._low[self] = None

    @property
    def is_low(self) -> bool:
        has_few = len(self.idle) < limits.LEASE_LOW_WATER
        return has_few and self._is_wanted and not self._awaited and self.remaining > 0

    @property
    def is_used_up(self) -> bool:
        """Nothing here, and nothing to come."""
        return not (self.idle or self.remaining or self._awaited)

    @property
    def awaits(self) -> bool:
        return self._awaited > 0

    def wishes(self, chance: float) -> list[Wish]:
        """One round of leases. Its items are shelved together when the last wish is answered, so
        that a range whose answer came first is not drawn from first.
        """
        wishes = apportion(self.sources, limits.LEASE_NUMBERS, chance)
        self._awaited = len(wishes)
        return wishes

    def on_answer(self, lease: Lease[K] | None, items: Sequence[K] = ()) -> list[Lease[K]]:
        """A wish is answered, by nothing or by a lease; returns the leases settled by it."""
        assert self._awaited > 0, "a lease that was not wished for"
        self._awaited -= 1
        if lease is not None:
            self._arriving.append((lease, items))
            self.tally.grow(len(items))
        if self._awaited:
            return []
        return self._shelve_arrived()

    def on_recovered(self, lease: Lease[K], items: Sequence[K]) -> list[Lease[K]]:
        """A lease of an earlier life."""
        self.tally.grow(len(items))
        return [lease] if self._shelve(lease, items) else []

    def _shelve_arrived(self) -> list[Lease[K]]:
        settled = [lease for lease, items in self._arriving if self._shelve(lease, items)]
        self._arriving = []
        settled += self._end_overdue()
        self._ask_if_low()
        return settled

    def _shelve(self, lease: Lease[K], items: Sequence[K]) -> bool:
        """Returns whether the lease is settled: nothing of it was free."""
        self._leases[lease.id] = lease
        lease.bag = self._bags_opened + 1
        free = self._adopt_held(lease, items)
        lease.outstanding += len(free)
        self.tally.idle -= len(items) - len(free)
        self.idle.update(dict.fromkeys(free, lease))
        self._next_bag.extend(free)
        return self._leave_if_settled(lease)

    def _adopt_held(self, lease: Lease[K], items: Sequence[K]) -> Sequence[K]:
        """An item named by an order before it was leased stays in hand, now by this lease. One that
        is here by another lease must not come twice, whatever the database says.
        """
        known = (self.idle.keys(), self._hands.keys(), self._bound_by_name)
        if all(here.isdisjoint(items) for here in known):
            return items
        for item in self._hands.keys() & set(items):
            if self._hands[item] is None:
                self._hands[item] = lease
                lease.outstanding += 1
        return [item for item in items if not any(item in here for here in known)]

    # Items.

    def draw(self, chance: Callable[[], float]) -> K:
        """A random idle item, now in hand. Only while `idle` is not empty."""
        bag = self._bag
        while True:
            if not bag:
                bag = self._open_next_bag()
            place = int(chance() * len(bag))
            item, bag[place] = bag[place], bag[-1]
            bag.pop()
            lease = self.idle.pop(item, None)
            if lease is not None:
                self._hands[item] = lease
                tally = self.tally
                tally.idle -= 1
                tally.drawn += 1
                return item

    def _open_next_bag(self) -> list[K]:
        assert self._next_bag, "a draw from an empty shelf"
        self._bag, self._next_bag = self._next_bag, []
        self._bags_opened += 1
        return self._bag

    def take(self, item: K) -> bool:
        """A named item into the hand; returns whether it was idle here."""
        lease = self.idle.pop(item, None)
        if lease is None:
            return False
        self._hands[item] = lease
        self.tally.idle -= 1
        self.tally.drawn += 1
        return True

    def put_back(self, item: K, lease: Lease[K]) -> bool:
        """From the hand; returns whether that settles its lease."""
        self.tally.returned += 1
        if lease.is_overdue:
            lease.returned.append(item)
            return self.let_go(lease)
        self.idle[item] = lease
        self.tally.grow(1)
        self._next_bag.append(item)
        self._drop_empty_places()
        return False

    def let_go(self, lease: Lease[K]) -> bool:
        """One item of the lease is elsewhere for good; returns whether that settles it."""
        lease.outstanding -= 1
        return self._leave_if_settled(lease)

    def _leave_if_settled(self, lease: Lease[K]) -> bool:
        if lease.outstanding:
            return False
        del self._leases[lease.id]
        return True

    def _drop_empty_places(self) -> None:
        """Items named and put back again and again leave empty places behind; keep them few."""
        if len(self._bag) + len(self._next_bag) > 2 * len(self.idle) + limits.LEASE_LOW_WATER:
            self._bag, self._next_bag = list(self.idle), []

    # Leases that stay open.

    def _end_overdue(self) -> list[Lease[K]]:
        """Take off the shelf what belongs to a lease that outlived its bag too long; returns the
        leases settled by it. The others settle when what is in hand is bound or put back.
        """
        last = self._bags_opened - limits.LEASE_BAGS_MAX
        late = {lease.id for lease in self._leases.values() if lease.bag < last}
        if not late:
            return []
        settled = []
        for item in [item for item, lease in self.idle.items() if lease.id in late]:
            lease = self.idle.pop(item)
            self.tally.idle -= 1
            lease.is_overdue = True
            lease.returned.append(item)
            if self.let_go(lease):
                settled.append(lease)
        return settled
