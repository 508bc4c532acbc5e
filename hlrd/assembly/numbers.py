"""What numbers and cards come from, and what staff does with them."""

import os
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from hlrd.assembly.core import Core
from hlrd.assembly.site import Site
from hlrd.runtime.cards import CardDesk
from hlrd.runtime.daybook import Daybook
from hlrd.runtime.desk import NumberDesk
from hlrd.runtime.imports.desk import ImportDesk, Means
from hlrd.runtime.imports.spool import Spool
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.moves import SegmentMoves
from hlrd.runtime.recycle import Inquire, Recycler
from hlrd.runtime.reservations import Reservations
from hlrd.runtime.stocktake import keep_counting
from hlrd.runtime.witnesses import Witnesses
from hlrd.store.connection import Pool
from hlrd.store.imports import ImportBook
from hlrd.store.moves import MoveBook
from hlrd.store.pools import NumberPools
from hlrd.store.stock import SIMStock


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    leases: LeaseKeeper
    reservations: Reservations
    moves: SegmentMoves
    recycler: Recycler
    desk: NumberDesk
    cards: CardDesk
    imports: ImportDesk
    pools: NumberPools
    stock: SIMStock
    daybook: Daybook

    async def recover(self) -> None:
        """Before the open orders are: they stand on what is held and leased."""
        await self.moves.recover()
        await self.reservations.recover()
        await self.leases.recover()

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            keep_counting(self.pools, self.stock),
            self.leases.run(),
            self.reservations.run(),
            self.imports.run(),
            self.moves.run(),
            *map(self.recycler.run, self.recycler.hlrs),
            self.daybook.run(),
        )

    def close(self) -> None:
        self.cards.close()
        self.desk.close()


def build_numbers(site: Site, pool: Pool, core: Core, *, epoch: int) -> Numbers:
    leases, reservations = _supply(site, core, epoch)
    recycler = Recycler(
        site.dsn,
        node=site.node,
        epoch=epoch,
        hlrs=site.routes.templates,
        inquire=_inquire(site, core),
        on_freed=leases.freed,
    )
    desk = NumberDesk(
        site.dsn,
        node=site.node,
        epoch=epoch,
        allocator=core.allocator,
        recycler=recycler,
        change_ranges=leases.change_ranges,
        on_freed=leases.freed,
    )
    pools = NumberPools(pool, leases.refresh)
    return Numbers(
        leases,
        reservations,
        _moves(site, pool, core, leases=leases, epoch=epoch),
        recycler,
        desk,
        CardDesk(site.dsn, node=site.node, epoch=epoch, allocator=core.allocator),
        _imports(site, pool, core, leases=leases, epoch=epoch),
        pools,
        SIMStock(pool),
        Daybook(core.allocator, pools, site.clock.wall),
    )


def _inquire(site: Site, core: Core) -> Inquire:
    """Of the HLRs; or of the relays, where those are headquarters'."""
    if site.routes.has_network:
        return core.engine.inquire
    return Witnesses(core.engine.inquire, sorted(site.routes.groups.relays.values()))


def _supply(site: Site, core: Core, epoch: int) -> tuple[LeaseKeeper, Reservations]:
    """Each tells the other of what came."""

    def on_leased() -> None:
        core.engine.on_leased()
        reservations.leased()

    leases = LeaseKeeper(
        site.dsn,
        node=site.node,
        epoch=epoch,
        allocator=core.allocator,
        on_leased=on_leased,
        grades=site.grades,
    )
    reservations = Reservations(
        site.dsn,
        node=site.node,
        epoch=epoch,
        allocator=core.allocator,
        grades=site.grades,
        new_secret=partial(os.urandom, 32),
        on_page=core.engine.on_leased,
        on_freed=leases.freed,
    )
    return leases, reservations


def _moves(site: Site, pool: Pool, core: Core, *, leases: LeaseKeeper, epoch: int) -> SegmentMoves:
    drivers = core.drivers
    return SegmentMoves(
        site.dsn,
        node=site.node,
        epoch=epoch,
        book=MoveBook(pool),
        engine=core.engine,
        homes=site.homes,
        change_ranges=leases.change_ranges,
        templates=site.routes.templates,
        settle_s=lambda hlr: drivers[hlr].settle_s if hlr in drivers else 0.0,
        chance=site.chance.random,
    )


def _imports(site: Site, pool: Pool, core: Core, *, leases: LeaseKeeper, epoch: int) -> ImportDesk:
    means = Means(
        dsn=site.dsn,
        node=site.node,
        epoch=epoch,
        keys=site.keys,
        current=site.settings.keys.current,
        log_level=site.settings.log_level,
        homes=site.homes,
    )
    return ImportDesk(
        ImportBook(pool),
        Spool(site.spool_folder, site.vault),
        means,
        is_busy=core.is_busy,
        on_imported=leases.refresh,
    )
