import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from hlrd.config import Database
from hlrd.runtime.upkeep import keep_up
from hlrd.store import embedded
from hlrd.store.embedded import EmbeddedError, Server

pytestmark = pytest.mark.postgres


@pytest.fixture
def settings() -> Iterator[Database]:
    folder = Path(tempfile.mkdtemp(prefix="hlrd-test-"))
    settings = Database(data_dir=folder / "data")
    yield settings
    Server("", settings.data_dir).stop()
    shutil.rmtree(folder)


def pid_of(settings: Database) -> int:
    return int((settings.data_dir / "postmaster.pid").read_text().split("\n")[0])


def long_path(settings: Database) -> Database:
    """Whose socket is in a folder of its own."""
    return settings.model_copy(update={"data_dir": settings.data_dir.parent / ("x" * 120)})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - another process is what is waited for
            await asyncio.sleep(0.01)


async def ask(server: Server, statement: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_dsn_is_passed_on_and_nothing_is_started() -> None:
    server = embedded.start(Database(dsn=SecretStr("postgresql://elsewhere/db")))

    assert server.dsn == "postgresql://elsewhere/db"
    server.stop()


async def test_it_keeps_what_was_committed_and_syncs_it(settings: Database) -> None:
    server = embedded.start(settings)
    assert await ask(server, "SELECT current_setting('fsync')") == "on"
    assert await ask(server, "SELECT current_setting('synchronous_commit')") == "on"
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS x")
    server.stop()
    server.stop()

    again = embedded.start(settings)

    assert not again.was_running
    assert await ask(again, "SELECT x FROM kept") == 7


async def test_a_killed_server_starts_again_with_what_was_committed(settings: Database) -> None:
    server = embedded.start(settings)
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS x")
    os.kill(pid_of(settings), signal.SIGKILL)

    again = embedded.start(settings)

    assert await ask(again, "SELECT x FROM kept") == 7


async def test_only_one_that_was_killed_says_so(settings: Database) -> None:
    server = embedded.start(settings)
    assert not server.was_killed()

    os.kill(pid_of(settings), signal.SIGKILL)
    await until(server.was_killed)
    embedded.start(settings)
    assert not server.was_killed()

    server.stop()
    assert not server.was_killed()


async def test_a_killed_server_is_started_again_while_it_is_kept_up(settings: Database) -> None:
    long = long_path(settings)
    server = embedded.start(long)
    keeping = asyncio.create_task(keep_up(server, long, look_s=0.01))

    try:
        os.kill(pid_of(long), signal.SIGKILL)
        await until(server.was_killed)
        await until(lambda: not server.was_killed())
        await asyncio.to_thread(embedded.start, long)  # waits until it answers

        assert await ask(server, "SELECT 7") == 7
    finally:
        keeping.cancel()
        await asyncio.to_thread(server.stop)


async def test_the_server_outlives_a_killed_daemon_and_the_next_one_finds_it(
    settings: Database,
) -> None:
    program = (
        "import sys, os, signal; from pathlib import Path; from hlrd.config import Database;"
        "from hlrd.store import embedded; embedded.start(Database(data_dir=Path(sys.argv[1])));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    arguments = [sys.executable, "-c", program, str(settings.data_dir)]
    await asyncio.to_thread(subprocess.run, arguments, check=False)
    survivor = pid_of(settings)

    server = embedded.start(settings)

    assert server.was_running
    assert pid_of(settings) == survivor
    assert await ask(server, "SELECT 1") == 1


async def test_a_lock_file_with_a_strangers_number_does_not_stop_it(settings: Database) -> None:
    embedded.start(settings).stop()
    lines = [str(os.getpid()), str(settings.data_dir), "0", "5432", str(settings.data_dir)]
    (settings.data_dir / "postmaster.pid").write_text("\n".join([*lines, "", "", "ready"]))

    server = embedded.start(settings)

    assert not server.was_running
    assert await ask(server, "SELECT 1") == 1


async def test_a_half_made_directory_of_a_killed_start_is_made_anew(settings: Database) -> None:
    settings.data_dir.mkdir(parents=True)
    draft = settings.data_dir.with_name("data.new")
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")

    server = embedded.start(settings)

    assert await ask(server, "SELECT 1") == 1


async def test_whoever_is_not_the_last_user_leaves_it_running(settings: Database) -> None:
    server = embedded.start(settings)
    connection = await asyncpg.connect(server.dsn)
    embedded.start(settings).stop(only_if_unused=True)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()

    server.stop(only_if_unused=True)

    assert embedded._postmaster(settings.data_dir) is None


async def test_a_long_path_gets_its_socket_elsewhere(settings: Database) -> None:
    server = embedded.start(long_path(settings))

    try:
        assert await ask(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_a_socket_elsewhere_goes_with_its_server(settings: Database) -> None:
    server = embedded.start(long_path(settings))
    elsewhere = Path(server.dsn.partition("host=")[2])
    was_there = elsewhere.is_dir()

    server.stop()

    assert was_there
    assert not elsewhere.exists()


def test_a_server_that_does_not_start_says_why(settings: Database) -> None:
    embedded.start(settings).stop()
    (settings.data_dir / "postgresql.auto.conf").write_text("shared_buffers = 'nonsense'\n")

    with pytest.raises(EmbeddedError, match="nonsense"):
        embedded.start(settings)


def test_a_folder_with_other_things_in_it_is_left_alone(settings: Database) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "diary.txt").write_text("dear diary")

    with pytest.raises(EmbeddedError, match="neither empty nor a PostgreSQL directory"):
        embedded.start(settings)

    assert [path.name for path in settings.data_dir.iterdir()] == ["diary.txt"]
