"""Keeps what PostgreSQL believes of tables near to what they are while they grow.

Autovacuum looks once a minute, and may not have looked at all. By then a day's orders can stand in
a table that every kept plan takes for empty.
"""

import asyncio
from typing import Final, NoReturn

import structlog

from hlrd.store.connection import Pool
from hlrd.store.errors import StoreUnavailable, translated
from hlrd.store.queries import query

LOOK_S: Final = 2.0
"""Between two looks. One costs a millisecond; a table is analyzed once for each tenfold growth."""

_RENEW: Final = query("statistics_renew")

_log: Final = structlog.get_logger(__name__)


async def keep_statistics(pool: Pool, *, look_s: float = LOOK_S) -> NoReturn:
    while True:
        await asyncio.sleep(look_s)
        try:
            with translated():
                await pool.execute(_RENEW)
        except StoreUnavailable as error:
            _log.warning("statistics_not_renewed", error=str(error))
