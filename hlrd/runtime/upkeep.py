"""Keeps the database server that hlrd brings along running while the daemon does."""

import asyncio
from typing import Final, NoReturn, Protocol

import structlog

from hlrd.config import Database
from hlrd.domain.errors import HlrdError
from hlrd.store import embedded

LOOK_S: Final = 1.0
"""Between two looks, each of one small file."""

_log: Final = structlog.get_logger(__name__)


class Server(Protocol):
    def was_killed(self) -> bool: ...


async def keep_up(server: Server, database: Database, *, look_s: float = LOOK_S) -> NoReturn:
    """For ever. A server that was killed is started again; one that somebody stopped is let be, and
    one that does not start is tried again at the next look."""
    while True:
        await asyncio.sleep(look_s)
        if not server.was_killed():
            continue
        _log.error("database_killed", data_dir=str(database.data_dir))
        try:
            await asyncio.to_thread(embedded.start, database)
        except (HlrdError, OSError) as error:
            _log.error("database_not_started", error=str(error))
        else:
            _log.info("database_started_again", data_dir=str(database.data_dir))
