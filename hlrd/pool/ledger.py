"""All numbers, or all cards, of one node: what is in hand, what is wished for, what is settled."""

from collections.abc import Callable, Sequence
from typing import Generic

from hlrd.pool.lease import Grant, K, Settled, Source, What, Wish
from hlrd.pool.shelf import Lease, Shelf, Tally


class Ledger(Generic[K]):
    """One for numbers and one for cards; the two lease alike."""

    __slots__ = (
        "_bound_by_name",
        "_low",
        "_places",
        "_settled",
        "_what",
        "_wishes_open",
        "in_hand",
    )

    def __init__(self, what: What) -> None:
        self._what = what
        self._places: dict[int, tuple[Source, Shelf[K]]] = {}
        self._low: dict[Shelf[K], None] = {}
        self._settled: list[Settled[K]] = []
        self._wishes_open = 0
        self._bound_by_name: set[K] = set()  #: while a lease was under way, which may name them
        self.in_hand: dict[K, Lease[K] | None] = {}
        """Drawn or named, by lease; None: of no lease of this node."""

    def shelf(self, tally: Tally) -> Shelf[K]:
        return Shelf(
            hands=self.in_hand, bound_by_name=self._bound_by_name, low=self._low, tally=tally
        )

    def add(self, shelf: Shelf[K], source_id: int, *, unleased: int, recycled: int) -> None:
        assert source_id not in self._places, f"{self._what} source {source_id} came twice"
        source = Source(self._what, source_id, unleased, recycled)
        self._places[source_id] = (source, shelf)
        shelf.add(source)

    def remove(self, source_id: int) -> None:
        source, shelf = self._places.pop(source_id)
        shelf.remove(source)

    def move(self, source_id: int, shelf: Shelf[K]) -> None:
        """The source, and what was leased of it, goes to another shelf."""
        source, before = self._places[source_id]
        self._places[source_id] = (source, shelf)
        before.give(source, shelf)

    def shelf_of(self, source_id: int) -> Shelf[K]:
        return self._places[source_id][1]

    # Items.

    def take(self, item: K, shelf: Shelf[K] | None) -> None:
        """A named item goes into the hand; `shelf`: where it is, if it is idle here at all."""
        if shelf is None or not shelf.take(item):
            self.in_hand[item] = None

    def let_go(self, item: K) -> None:
        """Elsewhere for good."""
        lease = self._from_hand(item)
        if lease is not None:
            if lease.shelf.let_go(lease):
                self._settle(lease)
        elif self._wishes_open:
            self._bound_by_name.add(item)

    def put_back(self, item: K) -> None:
        lease = self._from_hand(item)
        if lease is not None and lease.shelf.put_back(item, lease):
            self._settle(lease)

    def _from_hand(self, item: K) -> Lease[K] | None:
        assert item in self.in_hand, "let go of what is not in hand"
        return self.in_hand.pop(item)

    # Leases.

    @property
    def has_wishes(self) -> bool:
        return bool(self._low)

    def wishes(self, chance: Callable[[], float]) -> list[Wish]:
        low = [shelf for shelf in self._low if shelf.is_low]
        self._low.clear()
        wishes = [wish for shelf in low for wish in shelf.wishes(chance())]
        self._wishes_open += len(wishes)
        return wishes

    def on_leased(self, grant: Grant, items: Sequence[K]) -> None:
        shelf = self._recount(grant)
        self._settle_all(shelf.on_answer(Lease(grant.lease_id, shelf, grant.source_id), items))
        self._close_wish()

    def on_recovered(self, grant: Grant, items: Sequence[K]) -> None:
        shelf = self._recount(grant)
        self._settle_all(shelf.on_recovered(Lease(grant.lease_id, shelf, grant.source_id), items))

    def _recount(self, grant: Grant) -> Shelf[K]:
        source, shelf = self._places[grant.source_id]
        shelf.recount(source, unleased=grant.unleased, recycled=grant.recycled)
        return shelf

    def on_nothing_left(self, wish: Wish) -> None:
        source, shelf = self._places[wish.source_id]
        shelf.recount(source, unleased=0, recycled=0)
        self._settle_all(shelf.on_answer(None))
        self._close_wish()

    def _close_wish(self) -> None:
        self._wishes_open -= 1
        if not self._wishes_open:
            self._bound_by_name.clear()  # from now on the database leaves them out by itself

    def on_counts(self, source_id: int, *, unleased: int, recycled: int) -> None:
        source, shelf = self._places[source_id]
        if not shelf.awaits:
            shelf.recount(source, unleased=unleased, recycled=recycled)

    def settled(self) -> list[Settled[K]]:
        settled, self._settled = self._settled, []
        return settled

    def _settle_all(self, leases: list[Lease[K]]) -> None:
        for lease in leases:
            self._settle(lease)

    def _settle(self, lease: Lease[K]) -> None:
        self._settled.append(Settled(lease.id, self._what, tuple(lease.returned)))
