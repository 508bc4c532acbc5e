"""What staff does beside orders, each act in the audit trail."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from hlrd.assembly.core import Core
from hlrd.assembly.site import Site
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.fallout.office import FalloutOffice
from hlrd.runtime.fallout.turn import Turn
from hlrd.runtime.master import StateMasters
from hlrd.runtime.operators.desk import OperatorDesk
from hlrd.runtime.reconcile import Reconciler
from hlrd.store.audit_trail import AuditBook
from hlrd.store.connection import Pool
from hlrd.store.halts import HaltStore
from hlrd.store.masters import MasterBook


@dataclass(frozen=True, slots=True, eq=False)
class Staff:
    trail: AuditWriter
    audit: AuditBook
    masters: StateMasters
    reconciler: Reconciler
    halts: HaltStore
    fallouts: FalloutOffice
    operators: OperatorDesk

    async def recover(self, core: Core) -> None:
        """Before the open orders are: they stand under what was decided."""
        await self.masters.recover()
        for ne, halt in (await self.halts.standing()).items():
            if ne in core.drivers:
                core.drivers[ne].halt(halt)

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self.trail.run(), self.masters.run(), self.fallouts.run()


def build_staff(site: Site, pool: Pool, core: Core, *, epoch: int) -> Staff:
    trail = AuditWriter(site.dsn, node=site.node, epoch=epoch, wall=site.clock.wall)
    book = MasterBook(pool)
    return Staff(
        trail,
        AuditBook(pool),
        StateMasters(book, masters=core.masters, engine=core.engine, trail=trail),
        Reconciler(book, masters=core.masters, intake=core.engine),
        HaltStore(pool),
        _fallouts(site, pool, core, trail=trail, epoch=epoch),
        OperatorDesk(wall=site.clock.wall, monotonic=site.clock.monotonic),
    )


def _fallouts(
    site: Site, pool: Pool, core: Core, *, trail: AuditWriter, epoch: int
) -> FalloutOffice:
    eoms = site.routes.sheets
    return FalloutOffice(
        Turn(site.dsn, node=site.node, epoch=epoch),
        pool,
        engine=core.engine,
        errands=core.engine,
        trail=trail,
        rate_per_s=site.settings.fallout.bulk_rate,
        eoms=eoms,
        poll_s=core.drivers[eoms].poll_s if eoms else 0.0,
    )
