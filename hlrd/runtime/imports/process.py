"""The process that imports one SIM lot: `python -m hlrd.runtime.imports.process`.

A process of its own, before long at a low priority, so that a million cards cost the daemon's
event loop and its interpreter lock nothing. It reads what to do from its standard input, and behind
that how busy the daemon is. When the pipe ends, the daemon is gone, and so is this process, at any
point.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time
from typing import Final

import msgspec
import structlog

from hlrd import limits
from hlrd.domain.lifecycle import ImportState
from hlrd.domain.routing import Routing
from hlrd.pool.vault import KeyVault
from hlrd.runtime import logging
from hlrd.runtime.imports.assignment import BUSY, OUT_OF_REACH, Assignment
from hlrd.runtime.imports.home import LotHome
from hlrd.runtime.imports.work import Importer
from hlrd.store.connection import BY_KEY, connect, writing_as
from hlrd.store.errors import StoreUnavailable
from hlrd.store.loading import Loader, Withdrawn

PROMPT_CPU_S: Final = 1.0
"""Processor time that an importer has at the daemon's own priority: some ten thousand cards. At a
lower one a file of ten cards would take a minute where other programs keep every core busy."""

_NICE: Final = 10  # at 19 it came to a standstill beside an allocator at its limit
_READ_BYTES: Final = 65_536

_log: Final = structlog.get_logger(__name__)


class Pace:
    """How long to rest, by how busy the daemon says it is; until it says so, as if it were."""

    def __init__(
        self,
        *,
        spent_s: Callable[[], float] = process_time,
        give_way: Callable[[int], object] = os.nice,
    ) -> None:
        """`spent_s`: processor time. `give_way` to others from now on."""
        self.is_busy = True
        self._spent_s = spent_s
        self._give_way = give_way
        self._has_given_way = False
        self._worked_since = monotonic()

    def begin(self) -> None:
        self._worked_since = monotonic()

    async def rest(self) -> None:
        """After each chunk, as long as the chunk was worth."""
        if not self._has_given_way and self._spent_s() > PROMPT_CPU_S:
            self._has_given_way = True
            self._give_way(_NICE)
        worked_s = monotonic() - self._worked_since
        rest_s = min(limits.SIM_IMPORT_REST_S_MAX, limits.SIM_IMPORT_REST * worked_s)
        await asyncio.sleep(rest_s if self.is_busy else 0)
        self.begin()

    def listen(self, pipe: int) -> None:
        """In a thread. Ends the process with the pipe."""
        while said := os.read(pipe, _READ_BYTES):
            self.is_busy = said.endswith(BUSY)
        os._exit(1)


async def work(assignment: Assignment, pace: Pace) -> None:
    row = assignment.row
    vault = KeyVault(assignment.keys, assignment.current, os.urandom)
    session = writing_as(assignment.node, assignment.epoch)
    connection = await connect(assignment.dsn, "import", **BY_KEY, **session)
    importer = Importer(
        row,
        Loader(connection, row),
        vault,
        pace,
        home=LotHome(row.hlr, Routing(assignment.routes)),
        errors=Path(assignment.errors),
    )
    try:
        if row.state is ImportState.REMOVING:
            await importer.remove()
        else:
            await importer.run(Path(assignment.spooled))
    except Withdrawn:
        _log.info("sim_import_withdrawn", id=row.id)
    finally:
        connection.terminate()


def main() -> None:
    assignment = msgspec.json.decode(_first_line(sys.stdin.fileno()), type=Assignment)
    logging.set_up(assignment.log_level)
    pace = Pace()
    threading.Thread(target=pace.listen, args=(sys.stdin.fileno(),), daemon=True).start()
    try:
        asyncio.run(work(assignment, pace))
    except StoreUnavailable as error:
        _log.warning("sim_import_store_unavailable", id=assignment.row.id, error=str(error))
        sys.exit(OUT_OF_REACH)


def _first_line(pipe: int) -> bytes:
    """Unbuffered: what stands behind it is for `Pace`."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(pipe, 1)
        if not byte:
            sys.exit("this is started by the daemon, which says on standard input what to do")
        line += byte
    return line


if __name__ == "__main__":
    main()
