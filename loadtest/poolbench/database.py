"""The tables of a cell: emptied alike before each, and held against what the cell was told."""

import secrets
from collections.abc import Sequence
from typing import Final

from hlrd.store.connection import Connection
from loadtest.poolbench.orders import DIGITS, FIRST, HLR, POOL
from loadtest.process import StackError
from loadtest.settings import PROVINCE

PEER_NUMBERS: Final = 1_000_000
"""In the pool of the peers, row by row, and in hlrd's, as one range."""

_JOURNAL: Final = "work_order, binding, receipt, user_state, number_hold, card_hold, lease"
_SOURCES: Final = "number_past, pool_day, number_range, reservation, pool"
_PEER_POOL: Final = f"""
CREATE TABLE IF NOT EXISTS peer_pool (
    msisdn bigint PRIMARY KEY, state text NOT NULL, user_id text) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS peer_pool_idle ON peer_pool (msisdn) WHERE state = 'idle';
INSERT INTO peer_pool SELECT {FIRST} + n, 'idle' FROM generate_series(0, {PEER_NUMBERS - 1}) AS n
"""
_RETURN: Final = "UPDATE peer_pool SET state = 'idle', user_id = NULL WHERE state <> 'idle'"


async def create_peer_pool(connection: Connection) -> None:
    await connection.execute(_PEER_POOL, timeout=120)
    await connection.execute("VACUUM (ANALYZE, FREEZE) peer_pool", timeout=120)


async def reset(connection: Connection) -> None:
    """As before the first cell: nothing written, all numbers idle, vacuumed, checkpointed."""
    await reset_journal(connection, numbers=PEER_NUMBERS)
    await connection.execute(_RETURN)
    await connection.execute("VACUUM (ANALYZE) peer_pool", timeout=120)
    await connection.execute("CHECKPOINT", timeout=120)


async def reset_journal(connection: Connection, *, numbers: int) -> None:
    """hlrd's tables: nothing but one range of that many numbers."""
    await connection.execute(f"TRUNCATE {_JOURNAL}, {_SOURCES}")
    await connection.execute(
        "INSERT INTO pool (name, secret) VALUES ($1, $2)", POOL, secrets.token_bytes(32)
    )
    await connection.execute(
        "INSERT INTO number_range (pool, first, last, digits, province, hlr)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        POOL, FIRST, FIRST + numbers - 1, DIGITS, PROVINCE, HLR,
    )  # fmt: skip


_WRITTEN: Final = {
    "peer_pool": "SELECT count(*), count(DISTINCT msisdn) FROM peer_pool WHERE state <> 'idle'",
    "binding": "SELECT count(*), count(DISTINCT b.msisdn) FROM binding b"
    " JOIN work_order w ON w.id = b.order_id AND w.user_id = b.user_id",
    "work_order": "SELECT count(*), count(DISTINCT id) FROM work_order",
}


async def check(
    connection: Connection, cell: str, tables: Sequence[str], acknowledged: int
) -> None:
    """Rows = distinct numbers = acknowledged, in each table, or StackError."""
    for table in tables:
        found = tuple(await connection.fetchrow(_WRITTEN[table], timeout=120) or ())
        if found != (acknowledged, acknowledged):
            raise StackError(
                f"{cell}: {acknowledged:,} acknowledged, but {table} has (rows, distinct) {found}"
            )
