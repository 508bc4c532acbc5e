"""A real PostgreSQL for schedules, and what each schedule begins with."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hlrd.config import Database
from hlrd.domain.identity import ICCID, IMSI, Card, SealedKey
from hlrd.store import embedded
from hlrd.store.connection import BY_KEY, Connection, connect, count_moments
from hlrd.store.migrate import migrate
from tests.pool.simulation.books import SECRET

_TABLES: Final = """
SELECT string_agg(format('DELETE FROM %I', relname), '; ') FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'migration'
"""
_SEQUENCES: Final = """
SELECT string_agg(format('ALTER SEQUENCE %I RESTART', relname), '; ') FROM pg_class
WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""
_ADD_RANGE: Final = """
INSERT INTO number_range (pool, first, last, digits, province, hlr)
VALUES ('iot', $1, $2, 13, '200', $3)
"""
_ADD_LOT: Final = """
WITH lot AS (
    INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)
    VALUES ($1::text, 'vendor', '200', $2, $3, convert_to($1::text, 'UTF8')) RETURNING id)
INSERT INTO sim_card (lot_id, row_no, iccid, imsi, key_id, sealed_key)
SELECT lot.id, row_no, iccid, imsi, 'k1', 'sealed' FROM lot,
    unnest($4::text[], $5::bigint[]) WITH ORDINALITY AS t (iccid, imsi, n), LATERAL
    (SELECT n::int - 1 AS row_no) AS p
"""
_FIRST: Final = 1440000000000
_VACUUM_EVERY: Final = 100  # schedules; each leaves some hundred dead rows


class Server:
    """One connection to one database, emptied for each schedule."""

    def __init__(self, connection: Connection, empty: str) -> None:
        self.connection = connection
        self._empty = empty
        self._schedules = 0
        self._ranges = 0
        self.cards: dict[ICCID, Card] = {}
        self._lots = 0

    async def clear(self) -> None:
        self._ranges = self._lots = 0
        self.cards = {}
        await self.connection.execute(self._empty)
        await self.connection.execute("INSERT INTO pool (name, secret) VALUES ('iot', $1)", SECRET)
        self._schedules += 1
        if self._schedules % _VACUUM_EVERY == 0:
            await self.connection.execute("VACUUM")

    async def reset(self) -> None:
        """Out of whatever transaction a schedule that failed was in."""
        if self.connection.is_in_transaction():
            await self.connection.execute("ROLLBACK")

    async def add_range(self, *, size: int, hlr: str) -> None:
        self._ranges += 1
        first = _FIRST + 1_000 * self._ranges
        await self.connection.execute(_ADD_RANGE, first, first + size - 1, hlr)

    async def add_lot(self, *, quantity: int, hlr: str) -> None:
        self._lots += 1
        cards = [_card(self._lots, row, hlr) for row in range(quantity)]
        self.cards.update((card.iccid, card) for card in cards)
        iccids, imsis = [card.iccid for card in cards], [int(card.imsi) for card in cards]
        await self.connection.execute(_ADD_LOT, f"lot{self._lots}", hlr, quantity, iccids, imsis)


def _card(lot: int, row: int, hlr: str) -> Card:
    iccid, imsi = ICCID(f"8986A{lot:04d}{row:011d}"), IMSI(f"46099{lot:03d}{row:07d}")
    return Card(iccid, imsi, hlr, "200", SealedKey("k1", b"sealed"))


async def open_server(dsn: str) -> Server:
    connection = await connect(dsn, "simulation", **BY_KEY)
    await count_moments(connection)
    tables, sequences = [await connection.fetchval(text) for text in (_TABLES, _SEQUENCES)]
    await connection.execute("SET session_replication_role = replica")  # tables in any order
    return Server(connection, f"SELECT pg_advisory_unlock_all(); {tables}; {sequences}")


@contextmanager
def own_server() -> Iterator[str]:
    """DSN of a migrated database on a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hlrd-pool-"))
    server = embedded.start(Database(data_dir=folder / "data"))
    try:
        asyncio.run(_migrate(server.dsn))
        yield server.dsn
    finally:
        server.stop()
        shutil.rmtree(folder)


async def _migrate(dsn: str) -> None:
    connection = await connect(dsn, "simulation")
    await connection.execute("ALTER SYSTEM SET fsync = off")  # runs are killed, not the server
    await connection.execute("SELECT pg_reload_conf()")
    await migrate(connection)
    await connection.close()
