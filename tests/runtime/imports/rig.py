"""An import desk on a real database, with importers that are real processes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hlrd.domain.routing import RouteTable
from hlrd.pool.vault import KeyVault
from hlrd.runtime.imports.desk import ImportDesk, Means
from hlrd.runtime.imports.spool import Spool
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import Pool, open_pool
from hlrd.store.imports import ImportBook
from hlrd.store.record import ImportRow
from hlrd.store.stock import SIMStock

KEYS = {"k1": bytes(range(32))}
NODE = "n1"


def a_vault() -> KeyVault:
    return KeyVault(KEYS, "k1", os.urandom)


@dataclass
class Rig:
    """What one run of a daemon has to do with imports."""

    desk: ImportDesk
    book: ImportBook
    stock: SIMStock
    folder: Path
    pool: Pool
    epoch: int
    imported: list[int] = field(default_factory=list)  #: a 1 for each call of `on_imported`
    is_busy: bool = False
    work: asyncio.Task[None] | None = None

    async def receive(
        self, document: bytes, *, province: str = "200", hlr: str = "hlr1"
    ) -> ImportRow:
        return await self.desk.receive(
            parts_of(document),
            bytes_expected=len(document),
            province=province,
            hlr=hlr,
            operator_id="op1",
        )

    async def import_(self, document: bytes, **home: str) -> ImportRow:
        """Until it is over."""
        row = await self.receive(document, **home)
        async with asyncio.timeout(60):
            return await self.desk.until_over(row)

    def start(self) -> None:
        self.work = asyncio.create_task(self.desk.run())

    async def stop(self) -> None:
        """As a kill of the daemon looks to its importer."""
        if self.work is not None:
            self.work.cancel()
            with suppress(asyncio.CancelledError):
                await self.work


async def parts_of(document: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(document), 65_536):
        yield document[start : start + 65_536]


@asynccontextmanager
async def importing(
    dsn: str, folder: Path, *, starts: bool = True, homes: RouteTable | None = None
) -> AsyncIterator[Rig]:
    """Each time a new epoch, as each start of a daemon is."""
    node = NodeLease(dsn, NODE)
    epoch = await node.take()
    pool = await open_pool(dsn, "test", 4)
    rig: Rig

    async def imported() -> None:
        rig.imported.append(1)

    book = ImportBook(pool)
    desk = ImportDesk(
        book,
        Spool(folder, a_vault()),
        Means(dsn, NODE, epoch, KEYS, "k1", "info", homes or RouteTable()),
        is_busy=lambda: rig.is_busy,
        on_imported=imported,
    )
    rig = Rig(desk, book, SIMStock(pool), folder, pool, epoch)
    if starts:
        rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
        await pool.close()
        node.close()
