"""The node lease: who runs as this node, and under which epoch it may write.

A lock on a connection of its own keeps a second daemon of the same name waiting; the epoch keeps
one out that does not know yet that it lost the lock. Group commits check the epoch, so a daemon
that was thought dead can neither accept nor close an order any more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from hlrd import limits
from hlrd.config import ConfigError
from hlrd.domain.errors import Fenced
from hlrd.domain.identity import UserId
from hlrd.store.connection import BY_KEY, Connection, connect
from hlrd.store.errors import StoreUnavailable, translated
from hlrd.store.queries import query

_TRY_LOCK: Final = query("node_try_lock")
_LOCK: Final = query("node_lock")
_FENCE: Final = query("node_fence")
_ALONE: Final = query("node_alone")
_OTHER: Final = query("node_other")
_NEXT_EPOCH: Final = query("node_next_epoch")
_ENTER: Final = query("node_enter")
_EPOCH: Final = query("node_epoch")
_HIGHEST: Final = query("highest_order_id")
_MARK: Final = query("node_mark")
_OPEN: Final = query("open_orders")
_OPEN_RESUMES: Final = query("open_resumes")
_LAST_SEQ: Final = query("last_seq")
_OPEN_PAGE: Final = 5_000
_EPOCH_SHIFT: Final = 40

_log: Final = structlog.get_logger(__name__)


class OpenOrder(NamedTuple):
    """An order that was accepted and not closed."""

    id: int
    user_id: UserId
    priority: int
    in_fallout: bool  #: it waits for a person: it has an interim receipt and no final one
    kind: str


def first_order_id(epoch: int) -> int:
    """The ids of an epoch begin here; a trillion of them end before the next epoch's."""
    return epoch << _EPOCH_SHIFT


class NodeLease:
    def __init__(self, dsn: str, node: str) -> None:
        self._dsn = dsn
        self._node = node
        self._connection: Connection | None = None
        self.epoch = 0  #: set by `take`
        self.is_held = False  #: as seen last, thus also whether the database is in reach

    async def take(self) -> int:
        """Wait until no other daemon runs as this node, then take the next epoch and return it.

        ConfigError if the database is another node's: that one's open orders and leases would be
        nobody's, and two writers would give receipts the same numbers (docs/adr/0003).
        """
        connection = await self._connect()
        with translated():
            if not await connection.fetchval(_TRY_LOCK, self._node):
                _log.warning("node_lease_waits", node=self._node)
                await connection.execute(_LOCK, self._node)
            async with connection.transaction():
                await connection.execute(_FENCE, self._node)
                await connection.execute(_ALONE)
                self._refuse_beside(await connection.fetchval(_OTHER, self._node))
                self.epoch = await connection.fetchval(_NEXT_EPOCH, self._node)
                await connection.execute(_ENTER, self._node, self.epoch)
        _log.info("node_lease_taken", node=self._node, epoch=self.epoch)
        self.is_held = True
        return self.epoch

    def _refuse_beside(self, other: str | None) -> None:
        if other is not None:
            raise ConfigError(
                f"node = {self._node!r}: the database is of node {other!r}, with its open orders;"
                " start under that name, or with a database of its own"
            )

    async def last_seq(self) -> int:
        """The highest receipt number; none is added by an earlier epoch any more."""
        connection = await self._connect()
        with translated():
            seq: int = await connection.fetchval(_LAST_SEQ)
        return seq

    async def open_orders(self) -> AsyncIterator[list[OpenOrder]]:
        """All that earlier runs left open, some thousands at a time, in order of id."""
        connection = await self._connect()
        with translated():
            async with connection.transaction(readonly=True):
                cursor = await connection.cursor(_OPEN, self._node)
                while rows := await cursor.fetch(_OPEN_PAGE):
                    yield [OpenOrder(*row) for row in rows]

    async def open_resumes(self) -> list[tuple[int, datetime]]:
        """Of those, the payment resumes, with when each was accepted, the oldest first."""
        connection = await self._connect()
        with translated():
            rows = await connection.fetch(_OPEN_RESUMES, self._node)
        return [(row["id"], row["accepted_at"]) for row in rows]

    async def run(self, lowest_unsettled: Callable[[], int | None]) -> None:
        """Hold the lease and write down the low-water mark, for ever. Ends by Fenced.

        `lowest_unsettled` gives the smallest id of an order in memory, durable or not, and None if
        memory holds none: every order below it is refused, closed or parked.
        """
        while True:
            try:
                await self._mark(lowest_unsettled)
            except StoreUnavailable as error:
                _log.warning("node_lease_lost", node=self._node, error=str(error))
                self.is_held = False
                await self._take_again()
                self.is_held = True
            await asyncio.sleep(limits.LOW_WATER_INTERVAL_S)

    async def _mark(self, lowest_unsettled: Callable[[], int | None]) -> None:
        """The highest id is read before memory is asked: an id at or below it that is not in
        memory then has come to its end.
        """
        connection = await self._connect()
        with translated():
            async with asyncio.timeout(limits.STORE_TIMEOUT_S):
                ceiling: int = await connection.fetchval(_HIGHEST) + 1
                lowest = lowest_unsettled()
                bound = ceiling if lowest is None else min(ceiling, lowest)
                marked = await connection.fetchval(_MARK, self._node, self.epoch, bound)
        if marked is None:
            raise self._fenced()

    async def _take_again(self) -> None:
        """Lock again after the connection was lost; PostgreSQL may be away for long."""
        while True:
            self.close()
            try:
                connection = await self._connect()
                with translated():
                    if await connection.fetchval(_EPOCH, self._node) != self.epoch:
                        raise self._fenced()
                    if await connection.fetchval(_TRY_LOCK, self._node):
                        _log.info("node_lease_taken", node=self._node, epoch=self.epoch)
                        return
            except StoreUnavailable as error:
                _log.warning("node_lease_lost", node=self._node, error=str(error))
            await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)

    def _fenced(self) -> Fenced:
        return Fenced(f"another daemon runs as node {self._node}; this one must stop")

    async def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = await connect(self._dsn, f"node {self._node}", **BY_KEY)
        return self._connection

    def close(self) -> None:
        """Let go of the node; the next daemon may take it at once."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
