"""The members of an EC, one order each, by a cursor over their users."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

from hlrd.domain.batch import Child, member_child
from hlrd.domain.identity import Binding
from hlrd.domain.orders.batch import ECFanOut
from hlrd.store import batches as store
from hlrd.store.batches import BatchRow, Member, Sending, SentRow
from hlrd.store.connection import Connection

T = TypeVar("T")

_PAST_ALL: Final = "z"
"""Sorts behind every user id, which has digits only."""


class Do(Protocol):
    """`Link.stubbornly`, in turns."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


class MemberRows:
    """Implements `Rows`. Nothing is kept of those who were given. `opening`: who becomes a member
    while this goes on, and comes last, unless the cursor has met him by then; his order waits
    behind his opening.
    """

    def __init__(
        self, batch: BatchRow, order: ECFanOut, do: Do, opening: Sequence[Binding] = ()
    ) -> None:
        self._opening = {one.user_id: Member(one.user_id, one.msisdn) for one in opening}
        self._batch = batch
        self._order = order
        self._do = do
        self._row = batch.sent
        self.cursor = batch.cursor

    async def next(self, most: int) -> Sequence[Child | Sending]:
        cursor = self.cursor
        found = await self._do(
            lambda connection: store.members(connection, self._order.ec_code, cursor, most)
        )
        if found:
            self.cursor = found[-1].user_id
            for member in found:
                self._opening.pop(member.user_id, None)
        elif self._opening:
            found = [self._opening.pop(user) for user in list(self._opening)[:most]]
            self.cursor = f"{_PAST_ALL}{self._row}"
        first, self._row = self._row + 1, self._row + len(found)
        return [
            Child(row, member_child(self._order, self._batch.id, *member))
            for row, member in enumerate(found, first)
        ]

    async def again(self, sent: Collection[SentRow]) -> Sequence[Child]:
        return [
            Child(one.row, member_child(self._order, self._batch.id, one.user_id, one.msisdn))
            for one in sent
        ]

    def close(self) -> None:
        """There is nothing to close."""
