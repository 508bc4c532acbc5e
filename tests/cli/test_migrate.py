"""`hlrd migrate` on a real database."""

import asyncio

import asyncpg
import pytest
from typer.testing import CliRunner

from hlrd.__main__ import cli
from hlrd.store.migrate import shipped
from tests.cli.test_commands import EXAMPLE
from tests.postgres import of_database

pytestmark = pytest.mark.postgres


def test_an_empty_database_is_brought_up_once(postgres: str) -> None:
    asyncio.run(execute(postgres, "CREATE DATABASE empty"))
    arguments = ["migrate", "--config", str(EXAMPLE)]
    env = {"HLRD_DATABASE__DSN": of_database(postgres, "empty")}

    first = CliRunner().invoke(cli, arguments, env=env)
    second = CliRunner().invoke(cli, arguments, env=env)

    assert first.output == f"{len(shipped())} migrations applied\n"
    assert second.output == "0 migrations applied\n"


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()
