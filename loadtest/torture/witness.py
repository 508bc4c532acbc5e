"""Reads the database by SQL of its own, and the HLRs by their dumps, for the checker."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from loadtest.stack import Stack
from loadtest.torture.checker import Binding, Tables

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"

_COUNTRY_CODE: Final = "86"
_NUMBERS: Final = """
    SELECT n::text FROM number_range, generate_series(first, last) AS n WHERE pool = $1
"""
_OTHERS: Final = """
    SELECT n::text FROM number_range, generate_series(first, last) AS n WHERE pool <> $1
"""
_BINDINGS: Final = "SELECT msisdn::text, iccid, user_id FROM binding"
_ORDERS: Final = """
    SELECT order_id,
        EXISTS (SELECT FROM receipt WHERE receipt.order_id = work_order.id AND is_final)
    FROM work_order
"""
_RESERVATIONS: Final = "SELECT key, id::text FROM reservation"
_RESERVED: Final = """
    SELECT msisdn::text, reservation_id::text
    FROM number_hold JOIN reservation ON reservation.id = reservation_id
    WHERE number_hold.state = 'reserved' AND reservation.state IN ('filling', 'open')
      AND NOT EXISTS (SELECT FROM binding WHERE binding.msisdn = number_hold.msisdn)
"""
_GRADED: Final = """
    SELECT msisdn::text FROM number_hold WHERE state = 'free' AND grade IS NOT NULL
"""
_LOCKED: Final = "SELECT msisdn::text FROM number_hold WHERE state = 'locked'"
_CARDS: Final = "SELECT iccid FROM sim_card"
_SCRAPPED: Final = "SELECT iccid FROM card_hold WHERE state = 'scrapped'"
_STRANDED: Final = """
    SELECT (SELECT count(*) FROM number_hold LEFT JOIN lease ON lease.id = lease_id
            WHERE lease_id IS NOT NULL AND lease.id IS NULL)
         + (SELECT count(*) FROM card_hold LEFT JOIN lease ON lease.id = lease_id
            WHERE lease_id IS NOT NULL AND lease.id IS NULL)
         + (SELECT count(*) FROM reservation WHERE state = 'filling')
         + (SELECT count(*) FROM lease WHERE epoch <> (SELECT epoch FROM node))
"""
_UNQUIET: Final = """
    SELECT (SELECT count(*) FROM number_hold WHERE state = 'quarantined' AND until <= now())
         + (SELECT count(*) FROM reservation
            WHERE state IN ('filling', 'open') AND expires_at <= now())
         + (SELECT count(*) FROM number_hold JOIN reservation ON reservation.id = reservation_id
            WHERE number_hold.state = 'reserved' AND reservation.state IN ('cancelled', 'expired')
              AND NOT EXISTS (SELECT FROM binding WHERE binding.msisdn = number_hold.msisdn))
"""


async def tables(stack: Stack, pool: str) -> Tables:
    """`pool` was drawn empty."""
    async with asyncio.timeout(300):
        connection = await asyncpg.connect(await stack.dsn())
        try:
            return await read(connection, pool, await _subscribers(stack))
        finally:
            await connection.close()


async def unquiet(stack: Stack) -> int:
    """Numbers and reservations whose time is over and that are not let go of yet."""
    connection = await asyncpg.connect(await stack.dsn())
    try:
        return await count_unquiet(connection)
    finally:
        await connection.close()


async def count_unquiet(connection: Connection) -> int:
    count: int = await connection.fetchval(_UNQUIET)
    return count


async def read(connection: Connection, pool: str, subscribers: frozenset[str]) -> Tables:
    """All of it as it stood at one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return Tables(
            numbers=await _column(connection, _NUMBERS, pool),
            numbers_elsewhere=await _column(connection, _OTHERS, pool),
            bindings=[Binding(*row) for row in await connection.fetch(_BINDINGS)],
            orders={row[0]: row[1] for row in await connection.fetch(_ORDERS)},
            reservations={row[0]: row[1] for row in await connection.fetch(_RESERVATIONS)},
            reserved=[(row[0], row[1]) for row in await connection.fetch(_RESERVED)],
            graded=await _column(connection, _GRADED),
            locked=await _column(connection, _LOCKED),
            cards=await _column(connection, _CARDS),
            scrapped=await _column(connection, _SCRAPPED),
            subscribers=subscribers,
            stranded=await connection.fetchval(_STRANDED),
        )


async def _column(connection: Connection, query: str, *values: str) -> frozenset[str]:
    rows: Sequence[Any] = await connection.fetch(query, *values)
    return frozenset([row[0] for row in rows])


async def _subscribers(stack: Stack) -> frozenset[str]:
    """The numbers that the HLRs have a record of, in national form."""
    dumps = [await stack.control(name, "GET", "/dump") for name in stack.shape.hlr_names]
    return frozenset(
        row["isdn"].removeprefix(_COUNTRY_CODE)
        for dump in dumps
        for row in dump
        if row["record"] == "subscriber"
    )
