"""The database server that hlrd brings along is kept running; tests/store/test_embedded.py kills a
real one."""

import asyncio
from pathlib import Path

import pytest

from hlrd.config import Database
from hlrd.runtime.upkeep import keep_up
from hlrd.store import embedded
from hlrd.store.embedded import EmbeddedError


async def test_a_server_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Database] = []
    enough = asyncio.Event()

    class Dead:
        def was_killed(self) -> bool:
            return True

    def start(database: Database) -> None:
        tries.append(database)
        if len(tries) == 3:
            enough.set()
        raise EmbeddedError("no")

    monkeypatch.setattr(embedded, "start", start)
    keeping = asyncio.create_task(keep_up(Dead(), Database(data_dir=tmp_path), look_s=0.001))

    async with asyncio.timeout(10):
        await enough.wait()

    assert not keeping.done()
    keeping.cancel()
