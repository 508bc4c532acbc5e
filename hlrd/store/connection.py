"""How hlrd connects to PostgreSQL: the same session settings for every connection."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

from hlrd import limits
from hlrd.store.errors import translated

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Record: TypeAlias = asyncpg.Record
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool
    Record = asyncpg.Record

_SESSION: Final = {
    "timezone": "UTC",
    "jit": "off",  # no statement of ours runs long enough to earn a compilation
    "max_parallel_workers_per_gather": "0",  # a count must not take the cores of the orders
    "synchronous_commit": "on",  # an answered order survives a power cut, whatever the server says
    "idle_in_transaction_session_timeout": f"{int(limits.STORE_TIMEOUT_S * 1000)}",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

BY_KEY: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""For connections whose every statement goes by keys: one plan for good, which stays right while a
table grows from nothing to millions of rows between two looks of the statistics."""

BY_PRESENT_SIZE: Final = {"plan_cache_mode": "force_custom_plan"}
"""For connections that are asked all kinds of things, also for all that there is: a plan each time,
for tables as large as they are by now and filters as they are set. Else the sixth time may bring
a plan for good, made for tables that were small."""


async def connect(dsn: str, purpose: str, **session: str) -> Connection:
    """One connection of its own, shown as `hlrd <purpose>` in pg_stat_activity.

    `session` sets further parameters, such as `**BY_KEY` or `**writing_as(node, epoch)`.
    """
    with translated():
        return await asyncpg.connect(
            dsn, timeout=limits.STORE_CONNECT_TIMEOUT_S, server_settings=_settings(purpose, session)
        )


async def count_moments(connection: Connection) -> None:
    """Send and read timestamps as PostgreSQL counts them. asyncpg's own way costs more than all
    other columns of a row, and many records of a flush have the same moment.
    """
    with translated():
        async with asyncio.timeout(limits.STORE_TIMEOUT_S):
            await connection.set_type_codec(
                "timestamptz",
                schema="pg_catalog",
                format="tuple",
                encoder=_count_of,
                decoder=_moment_of,
            )


async def open_pool(dsn: str, purpose: str, size: int) -> Pool:
    """Connections for reads and rare writes, opened as they are needed."""
    with translated():
        return await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            timeout=limits.STORE_CONNECT_TIMEOUT_S,
            command_timeout=limits.STORE_TIMEOUT_S,
            server_settings=_settings(purpose, BY_PRESENT_SIZE),
        )


def writing_as(node: str, epoch: int) -> dict[str, str]:
    """Session parameters that `fence()` compares with the node's row."""
    return {"hlrd.node": node, "hlrd.epoch": str(epoch)}


@lru_cache(maxsize=64)
def _count_of(moment: datetime) -> tuple[int]:
    return ((moment - _EPOCH) // _MICROSECOND,)


def _moment_of(count: tuple[int]) -> datetime:
    return _EPOCH + count[0] * _MICROSECOND


def _settings(purpose: str, session: dict[str, str]) -> dict[str, str]:
    return {**_SESSION, "application_name": f"hlrd {purpose}", **session}
