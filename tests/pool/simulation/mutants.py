"""Pools with one fault each, to prove that the promises are watched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from pytest import MonkeyPatch  # noqa: PT013

from hlrd.pool.allocator import Allocator
from hlrd.pool.ledger import Ledger
from hlrd.pool.shelf import Lease, Shelf
from hlrd.ports import BindingEnd
from hlrd.runtime.reservations import Reservations
from hlrd.store import batch, leasing, stocktake


def inherits_nothing(patch: MonkeyPatch) -> None:
    async def nothing(*_: Any) -> Sequence[Any]:
        return ()

    patch.setattr(leasing, "inherit", nothing)


def leases_again_after_silence(patch: MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(leasing, "find_unknown", nothing)


def leases_without_a_commit(patch: MonkeyPatch) -> None:
    """What is leased is in memory, and the database knows nothing of it."""
    take = leasing.take

    async def hasty(connection: Any, wish: Any, epoch: int) -> Any:
        lease = await take(connection, wish, epoch)
        if lease is not None:
            await connection.execute("DELETE FROM lease WHERE id = $1", lease.id)
        return lease

    patch.setattr(leasing, "take", hasty)


def believes_the_whole_interval(patch: MonkeyPatch) -> None:
    """Whatever of it is bound or held by now."""

    async def all_of_it(connection: Any, lease: Any, source: Any, *rest: Any) -> list[int]:
        return await leasing.numbers_of(lease, source.order)

    patch.setattr(leasing, "idle_numbers", all_of_it)


def is_not_fenced(patch: MonkeyPatch) -> None:
    patch.setattr(leasing, "_BEGIN", "BEGIN")
    patch.setattr(batch, "_BEGIN", "BEGIN")


def ends_leases_early(patch: MonkeyPatch) -> None:
    leave = Shelf._leave_if_settled

    def early(self: Shelf[Any], lease: Lease[Any]) -> bool:
        if lease.id in self._leases and lease.outstanding == 1:
            lease.outstanding = 0
        return leave(self, lease)

    patch.setattr(Shelf, "_leave_if_settled", early)


def keeps_what_is_left_over(patch: MonkeyPatch) -> None:
    end = leasing.end

    async def forgetful(connection: Any, settled: Any) -> None:
        await end(connection, replace(settled, returned=()))

    patch.setattr(leasing, "end", forgetful)


def puts_back_what_is_bound(patch: MonkeyPatch) -> None:
    patch.setattr(Allocator, "bound", Allocator.put_back)


def forgets_to_put_back(patch: MonkeyPatch) -> None:
    patch.setattr(Allocator, "put_back", Allocator.drop)


def leases_what_is_in_hand(patch: MonkeyPatch) -> None:
    patch.setattr(Shelf, "_adopt_held", lambda self, lease, items: items)


def forgets_what_was_bound_by_name(patch: MonkeyPatch) -> None:
    """While a lease was on its way that still holds it to be free."""
    let_go = Ledger.let_go

    def forgetful(self: Ledger[Any], item: Any) -> None:
        let_go(self, item)
        self._bound_by_name.clear()

    patch.setattr(Ledger, "let_go", forgetful)


def notes_nothing_of_what_was_named(patch: MonkeyPatch) -> None:
    """Though its place in the order of the range is still to come."""

    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(batch, "_note_named", nothing)


def frees_what_is_not_proven_clean(patch: MonkeyPatch) -> None:
    after = batch._NUMBER_AFTER | {BindingEnd.UNPROVEN: "free"}
    patch.setattr(batch, "_NUMBER_AFTER", after)


def stocks_cards_that_were_live(patch: MonkeyPatch) -> None:
    after = batch._CARD_AFTER | {BindingEnd.TERMINATED: "free"}
    patch.setattr(batch, "_CARD_AFTER", after)


def believes_a_commit_without_an_answer_failed(patch: MonkeyPatch) -> None:
    """It writes the batch again as it was."""
    patch.setattr(
        batch, "_ACCEPTED", "SELECT id FROM work_order WHERE id = ANY($1::bigint[]) LIMIT 0"
    )


def forgets_what_it_was_filling(patch: MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(Reservations, "recover", nothing)


def counts_what_is_leased_twice(patch: MonkeyPatch) -> None:
    elsewhere = stocktake._elsewhere
    patch.setattr(stocktake, "_elsewhere", lambda row, leased: elsewhere(row, 2 * leased))


MUTANTS: Final[dict[str, Callable[[MonkeyPatch], None]]] = {
    mutant.__name__: mutant
    for mutant in (
        inherits_nothing,
        leases_again_after_silence,
        leases_without_a_commit,
        believes_the_whole_interval,
        notes_nothing_of_what_was_named,
        is_not_fenced,
        ends_leases_early,
        keeps_what_is_left_over,
        puts_back_what_is_bound,
        forgets_to_put_back,
        leases_what_is_in_hand,
        forgets_what_was_bound_by_name,
        frees_what_is_not_proven_clean,
        stocks_cards_that_were_live,
        believes_a_commit_without_an_answer_failed,
        forgets_what_it_was_filling,
        counts_what_is_leased_twice,
    )
}
