"""One embedded PostgreSQL for a whole test run, and a fresh database for each test that asks.

Fixtures; `tests/conftest.py` makes them known to every test.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from hlrd.config import Database
from hlrd.store import embedded
from hlrd.store.connection import Connection, connect
from hlrd.store.migrate import migrate

_TEMPLATE = "migrated"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """DSN of a server that lives as long as the test run, with a migrated template database."""
    folder = Path(tempfile.mkdtemp(prefix="hlrd-test-"))
    server = embedded.start(Database(data_dir=folder / "data"))
    try:
        asyncio.run(_make_template(server.dsn))
        yield server.dsn
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """DSN of a migrated database of this test alone."""
    name = f"test_{next(_NUMBERS)}"
    await _as_owner(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
    yield of_database(postgres, name)
    await _as_owner(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Connection]:
    """A connection to the test's database, to look at what the code under test left there."""
    connection = await connect(dsn, "test")
    yield connection
    connection.terminate()


def of_database(dsn: str, name: str) -> str:
    return dsn.replace("/hlrd?", f"/{name}?")


async def _make_template(dsn: str) -> None:
    await _as_owner(dsn, "ALTER SYSTEM SET fsync = off")  # processes are killed here, not machines
    await _as_owner(dsn, "SELECT pg_reload_conf()")
    await _as_owner(dsn, f"CREATE DATABASE {_TEMPLATE}")
    connection = await connect(of_database(dsn, _TEMPLATE), "test")
    await migrate(connection)
    await connection.close()


async def _as_owner(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()
