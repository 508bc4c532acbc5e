"""What upstream systems have beside single orders: their receipts, recalls and batches."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from hlrd.assembly.core import Core
from hlrd.assembly.numbers import Numbers
from hlrd.assembly.site import Site
from hlrd.runtime.batches.office import BatchOffice
from hlrd.runtime.calendar import Calendar
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.feed import ReceiptFeed
from hlrd.runtime.receipts import ReceiptReader
from hlrd.store.connection import Pool


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    receipts: ReceiptReader
    feed: ReceiptFeed
    deliveries: DeliveryDesk
    calendar: Calendar
    batches: BatchOffice

    def arrived(self, sources: set[str]) -> None:
        """Receipts of theirs are durable by now."""
        self.receipts.arrived(sources)
        self.feed.arrived(sources)
        self.deliveries.arrived(sources)

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            self.receipts.run(),
            self.deliveries.run(),
            self.calendar.run(),
            self.batches.run(),
        )


def build_upstream(site: Site, pool: Pool, core: Core, numbers: Numbers, *, epoch: int) -> Upstream:
    receipts = ReceiptReader(pool, core.journal.durable_up_to)
    calendar = Calendar(
        site.dsn, node=site.node, epoch=epoch, engine=core.engine, wall=site.clock.wall
    )
    deliveries = DeliveryDesk(
        site.dsn,
        pool,
        node=site.node,
        epoch=epoch,
        endpoints=site.endpoints,
        durable_up_to=core.journal.durable_up_to,
        clock=site.clock,
        chance=site.chance.random,
    )
    batches = BatchOffice(
        site.dsn,
        pool,
        node=site.node,
        epoch=epoch,
        engine=core.engine,
        peer=core.peer,
        reservations=numbers.reservations,
        folder=site.spool_folder / "batches",
        vault=site.vault,
        routes=site.routes,
        homes=site.homes,
        masters=core.masters,
        is_busy=core.is_busy,
    )
    feed = ReceiptFeed(receipts, core.journal.durable_up_to)
    return Upstream(receipts, feed, deliveries, calendar, batches)
