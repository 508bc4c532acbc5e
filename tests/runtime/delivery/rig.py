"""Everything that delivers but the journal: a database, a desk, and receivers on loopback."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Final

from hlrd.codec.webhook import Signer
from hlrd.domain.delivery import Endpoint, Endpoints
from hlrd.runtime.clock import SystemClock
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.delivery.sender import Registration
from hlrd.store.connection import Connection, Pool, open_pool
from loadtest.receiver.core import Receiver
from loadtest.receiver.server import Server

SECRET: Final = "whsec_" + base64.b64encode(b"\x05" * 32).decode()
NODE: Final = "test"

_EPOCH = """
    INSERT INTO node (name, epoch) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch
"""
_RECEIPT = """
    INSERT INTO receipt (seq, order_id, source, user_id, is_final, state, body, trail, at)
    VALUES ($1, $2, $3, $4, $5, 'succeeded', $6, '', $7)
"""


class Clock(SystemClock):
    """The real one, which the test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall(self) -> datetime:
        return datetime.fromtimestamp(super().wall().timestamp() + self.ahead_s, UTC)


def a_registration(server: Server, name: str = "main", **fields: object) -> Registration:
    endpoint = Endpoint(name, "CRM", server.url, is_default=True)
    return Registration(replace(endpoint, **fields), Signer([SECRET]))  # type: ignore[arg-type]


@dataclass
class Rig:
    dsn: str
    database: Connection
    pool: Pool
    clock: Clock = field(default_factory=Clock)
    endpoints: Endpoints = field(default_factory=Endpoints)
    mark: int = 0  #: the journal's watermark
    epoch: int = 0

    async def add(
        self,
        user_id: str,
        *,
        reply_to: str = "",
        source: str = "CRM",
        is_final: bool = True,
        at: datetime | None = None,
    ) -> int:
        """A durable receipt, as the journal writes it."""
        seq = self.mark + 1
        named = b',"reply_to":"%b"' % reply_to.encode() if reply_to else b""
        body = b'{"id":"%d","user_id":"%b"%b}' % (seq, user_id.encode(), named)
        moment = at or self.clock.wall()
        await self.database.execute(_RECEIPT, seq, seq, source, user_id, is_final, body, moment)
        self.mark = seq  # not before it is durable
        return seq

    @asynccontextmanager
    async def a_desk(self, *registrations: Registration) -> AsyncIterator[DeliveryDesk]:
        """A daemon's start to its kill: nothing is settled at the end."""
        self.epoch += 1
        await self.database.execute(_EPOCH, NODE, self.epoch)
        desk = DeliveryDesk(
            self.dsn,
            self.pool,
            node=NODE,
            epoch=self.epoch,
            endpoints=self.endpoints,
            durable_up_to=lambda: self.mark,
            clock=self.clock,
            chance=Random(1).random,
        )
        desk.adopt(registrations)
        running = asyncio.create_task(desk.run())
        try:
            async with asyncio.timeout(30):
                await desk.ready()
            yield desk
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def rows(self) -> list[tuple[int, str, int]]:
        """Number, state and failures of what has a row."""
        found = await self.database.fetch("SELECT seq, state, failures FROM delivery ORDER BY seq")
        return [(row["seq"], row["state"], row["failures"]) for row in found]

    async def until_rows(self, holds: Callable[[list[tuple[int, str, int]]], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds(await self.rows()):  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.02)

    async def settled(self, seq: int) -> None:
        """Until the cursor of the only endpoint has come so far."""
        async with asyncio.timeout(10):
            while await self.cursor() < seq:  # noqa: ASYNC110 - the database is waited for
                await asyncio.sleep(0.02)

    async def cursor(self) -> int:
        cursor: int = await self.database.fetchval("SELECT max(seq) FROM receipt_endpoint")
        return cursor


@asynccontextmanager
async def a_rig(dsn: str, database: Connection) -> AsyncIterator[Rig]:
    pool = await open_pool(dsn, "test", 4)
    try:
        yield Rig(dsn, database, pool)
    finally:
        await pool.close()


@asynccontextmanager
async def a_server(secrets: Sequence[str] = (SECRET,)) -> AsyncIterator[Server]:
    server = Server(Receiver(secrets))
    await server.open()
    try:
        yield server
    finally:
        await server.close()


async def until(holds: Callable[[], bool]) -> None:
    """For what the other side of a socket, or the desk, does when it gets to it."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
