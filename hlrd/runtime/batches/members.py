"""The members of an EC, one order each, by a cursor over their users."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol, TypeVar

from hlrd.domain.batch import Child, member_child
from hlrd.domain.orders.batch import ECFanOut
from hlrd.store import batches as store
from hlrd.store.batches import BatchRow, Sending, SentRow
from hlrd.store.connection import Connection

T = TypeVar("T")


class Do(Protocol):
    """`Link.stubbornly`, in turns."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


class MemberRows:
    """Implements `Rows`. Nothing is kept of those who were given."""

    def __init__(self, batch: BatchRow, order: ECFanOut, do: Do) -> None:
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
