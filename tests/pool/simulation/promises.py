"""What must hold of the memory of a run, and of what was in use, after each step."""

from typing import Any, Final

from hlrd.ports import BindingEnd, Closing
from tests.pool.simulation.books import Books, Item
from tests.pool.simulation.promise import promise
from tests.pool.simulation.run import Run

_NUMBER_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "idle",
    BindingEnd.UNPROVEN: "locked",
    BindingEnd.TERMINATED: "quarantined",
}
_CARD_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "idle",
    BindingEnd.UNPROVEN: "scrapped",
    BindingEnd.TERMINATED: "scrapped",
}


def check_end(closing: Closing, books: Books) -> None:
    """A binding that ended leaves number and card as its end says; a lock outlasts it."""
    binding, end = closing.binding, closing.binding_end
    if binding is None or end is None:
        return
    number = books.numbers.states[int(binding.msisdn)]
    card = books.cards.states[binding.iccid]
    if number == "inUse":  # by an order that named it, in the same commit
        promise(binding.user_id not in books.bindings, f"a number is in use once {end}")
        number = _NUMBER_AFTER[end]
    promise(number in ("locked", _NUMBER_AFTER[end]), f"a number is {number} once {end}")
    promise(card in ("inUse", _CARD_AFTER[end]), f"a card is {card} once {end}")


def check_memory(run: Run, books: Books) -> None:
    """What it could draw this moment is leased to it by the database, by that very lease."""
    for ledger, shelving in _ledgers(run, books):
        for _, shelf in ledger._places.values():
            for item, lease in shelf.idle.items():
                state = shelving.states[item]
                promise(state == "leased", f"{item} is idle in memory although it is {state}")
                promise(shelving.lease_of[item] == lease.id, f"{item} is of another lease")


def taken_off_the_shelf(run: Run) -> set[Item]:
    """Of overdue leases: on the free list as soon as the rest of the lease is out of the hand."""
    return {
        item
        for ledger in (run.allocator._numbers, run.allocator._cards)
        for shelf in _shelves(ledger)
        for lease in shelf._leases.values()
        for item in lease.returned
    }


def _shelves(ledger: Any) -> list[Any]:
    return [shelf for _, shelf in ledger._places.values()]


def _ledgers(run: Run, books: Books) -> list[tuple[Any, Any]]:
    return [(run.allocator._numbers, books.numbers), (run.allocator._cards, books.cards)]
