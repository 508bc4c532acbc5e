"""(a), (b): a row for each number, found and locked by the database."""

import asyncio
from itertools import count
from random import Random
from time import perf_counter
from typing import Final

from hlrd.store.connection import Connection, connect
from loadtest.poolbench import orders
from loadtest.poolbench.database import PEER_NUMBERS
from loadtest.poolbench.meter import Meter
from loadtest.poolbench.orders import FIRST, HLR, Order

CLIENTS: Final = 8
_ORDERS: Final = 60_000
_FIRST_ID: Final = 1 << 40

_FIRST_IDLE: Final = """
UPDATE peer_pool SET state = 'inUse', user_id = $1 WHERE msisdn = (
    SELECT msisdn FROM peer_pool WHERE state = 'idle' LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING msisdn"""

_FROM_RANDOM_START: Final = """
UPDATE peer_pool SET state = 'inUse', user_id = $1 WHERE msisdn = (
    SELECT msisdn FROM peer_pool WHERE state = 'idle' AND msisdn >= $2
    ORDER BY msisdn LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING msisdn"""

_ORDER: Final = """
INSERT INTO work_order VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"""
_BINDING: Final = """
INSERT INTO binding VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


async def first_idle(dsn: str, meter: Meter, seconds: float, **session: str) -> None:
    """(a): the textbook's way, one statement, no order."""

    async def client(connection: Connection, users: "count[int]") -> None:
        while meter.is_on:
            started = perf_counter()
            number = await connection.fetchval(_FIRST_IDLE, str(next(users)))
            meter.took(number, perf_counter() - started)

    users = count()
    connections = [await connect(dsn, "bench", **session) for _ in range(CLIENTS)]
    await asyncio.gather(meter.run(seconds), *(client(each, users) for each in connections))


async def random_start(dsn: str, meter: Meter, seconds: float) -> None:
    """(b): the number, the order's row and the binding's in one transaction."""
    chance = Random()
    left = orders.make(_FIRST_ID, _ORDERS)

    async def client(connection: Connection) -> None:
        while meter.is_on:
            order = next(left)
            started = perf_counter()
            async with connection.transaction():
                number = await connection.fetchval(
                    _FROM_RANDOM_START,
                    order.user_id,
                    FIRST + chance.randrange(PEER_NUMBERS * 9 // 10),
                )
                await _insert(connection, order, number)
            meter.took(number, perf_counter() - started)

    connections = [await connect(dsn, "bench") for _ in range(CLIENTS)]
    await asyncio.gather(meter.run(seconds), *map(client, connections))


async def _insert(connection: Connection, order: Order, number: int) -> None:
    card, at = order.card, orders.now()
    await connection.execute(
        _ORDER, order.id, "ESOP", order.order_id, "MEMBER_ACTIVATE", order.user_id, "loadtest",
        card.province, 4, order.content_hash, order.payload, at,
    )  # fmt: skip
    await connection.execute(
        _BINDING, number, int(card.imsi), card.iccid, order.user_id, order.id, HLR,
        card.province, card.key.key_id, card.key.ciphertext, at,
    )  # fmt: skip
