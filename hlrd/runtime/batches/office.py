"""The parts of batches put together: what receives files, and what carries out their orders."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hlrd.domain.master import Masters
from hlrd.domain.plans.plan import Routes
from hlrd.domain.routing import RouteTable
from hlrd.engine.engine import Engine
from hlrd.pool.vault import KeyVault
from hlrd.runtime.batches.desk import BatchDesk
from hlrd.runtime.batches.lookup import BatchLookup
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.batches.reserving import Reserving
from hlrd.runtime.batches.walks import Walks
from hlrd.runtime.imports.spool import Spool
from hlrd.runtime.reservations import Reservations
from hlrd.store.batches import BatchBook
from hlrd.store.connection import Pool


class BatchOffice:
    """`desk` is for the API. Keep `run` running."""

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        *,
        node: str,
        epoch: int,
        engine: Engine,
        peer: Peer,
        reservations: Reservations,
        folder: Path,
        vault: KeyVault,
        routes: Routes,
        homes: RouteTable,
        masters: Masters,
        is_busy: Callable[[], bool],
    ) -> None:
        """`folder`: where files wait, apart from those of card vendors."""
        book = BatchBook(pool)
        self.desk = BatchDesk(
            book,
            BatchLookup(pool, book, routes=routes, homes=homes, masters=masters),
            Spool(folder, vault),
            vault,
            reserving=Reserving(reservations),
            engine=engine,
            is_busy=is_busy,
        )
        self._walks = Walks(
            dsn,
            node=node,
            epoch=epoch,
            engine=engine,
            peer=peer,
            rows_of_file=self.desk.rows_of,
            on_over=self.desk.let_go,
        )
        self.desk.walks = self._walks

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.desk.run())
            group.create_task(self._walks.run())
