"""What carries orders out: the engine, with its journal, its numbers and its network elements."""

from collections.abc import Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any

from adapters import DIALECTS
from hlrd.assembly import network
from hlrd.assembly.site import Site
from hlrd.config import NESettings
from hlrd.domain.fallout import EOMSRule
from hlrd.domain.master import Masters
from hlrd.engine.engine import Engine
from hlrd.ne.driver import Driver
from hlrd.pool.allocator import Allocator
from hlrd.runtime import pulse
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.lookup import LookupReader
from hlrd.runtime.master import masters_of
from hlrd.runtime.node import first_order_id
from hlrd.runtime.outcomes import Outcomes
from hlrd.store.connection import Pool
from hlrd.store.groups import GroupStore
from hlrd.store.products import ProductStore


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    engine: Engine
    journal: JournalWriter
    lookup: LookupReader
    allocator: Allocator
    outcomes: Outcomes
    drivers: dict[str, Driver[Any]]  #: by NE
    peer: Peer
    masters: Masters

    def is_busy(self) -> bool:
        """Whether orders are being accepted: what can wait rests the more."""
        return self.allocator.is_giving or self.journal.backlog() > 0

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            self.journal.run(),
            self.lookup.run(),
            pulse.drive_timers(self.engine),
            pulse.refresh_gauges(self.engine),
        )


async def build_core(site: Site, pool: Pool, *, epoch: int, last_seq: int) -> Core:
    """`last_seq`: of the node's last record in the journal."""
    settings = site.settings
    journal = JournalWriter(
        site.dsn,
        node=site.node,
        epoch=epoch,
        last_seq=last_seq,
        quarantine_days=settings.orders.quarantine_days,
    )
    allocator = Allocator(site.chance.random)
    lookup = LookupReader(site.dsn, lambda: allocator.holds_made)
    outcomes = Outcomes()
    drivers = {ne.name: _driver(site, ne, outcomes) for ne in settings.ne}
    peer = Peer(outcomes.put)
    masters = masters_of(settings.orders.state_master, settings.orders.state_masters)
    first_own_id = first_order_id(epoch)
    engine = Engine(
        clock=site.clock,
        chance=site.chance.random,
        journal=journal,
        lookup=lookup,
        allocator=allocator,
        vault=site.vault,
        nes={**drivers, peer.name: peer},
        routes=site.routes,
        homes=site.homes,
        products=await ProductStore(pool).load(),
        enterprises=await GroupStore(pool).load(),
        member_wait_s=settings.groups.wait_s,
        script_checks={name: dialect.check_script for name, dialect in DIALECTS.items()},
        masters=masters,
        order_ids=count(first_own_id),
        first_own_id=first_own_id,
        endpoints=site.endpoints,
        eoms_rule=EOMSRule(settings.fallout.to_eoms),
        predecessor_wait_s=settings.orders.predecessor_wait_s,
    )
    lookup.attach(engine)
    outcomes.attach(engine)
    return Core(engine, journal, lookup, allocator, outcomes, drivers, peer, masters)


def _driver(site: Site, ne: NESettings, outcomes: Outcomes) -> Driver[Any]:
    return Driver(
        ne,
        network.adapter(ne),
        vault=site.vault,
        clock=site.clock,
        chance=site.chance,
        on_outcome=outcomes.put,
        on_free=outcomes.on_free,
    )
