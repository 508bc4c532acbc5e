"""(e): hlrd's own allocator, lease keeper and journal, with the full order row."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from time import perf_counter
from typing import Final, TypeAlias

from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Pending
from hlrd.ports import Clash
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease, first_order_id
from loadtest.poolbench import orders
from loadtest.poolbench.meter import WARM_UP_S, Meter
from loadtest.poolbench.orders import DIGITS, POOL, Order
from loadtest.process import beside

NODE: Final = "hlrd"
_PER_S_MAX: Final = 75_000
_QUARANTINE_DAYS: Final = 90


_Taken: TypeAlias = tuple[Order, MSISDN, float]
"""What is on its way, its number, and when it was asked for."""


class Requesters:
    """A closed loop: each has one order on its way, and the next one as soon as it is durable.

    In the engine's place: it draws, hands the record to the journal, and is told when it stands.
    """

    def __init__(
        self, allocator: Allocator, journal: JournalWriter, meter: Meter, made: Sequence[Order]
    ) -> None:
        self._allocator = allocator
        self._journal = journal
        self._meter = meter
        self._left = iter(made)
        self._first = made[0]
        self._on_their_way: dict[int, _Taken] = {}
        self._waiting: list[tuple[Order, float]] = []  #: for the next lease
        self._leased = asyncio.Event()
        self.is_done = asyncio.Event()

    async def filled(self) -> None:
        """Until the first lease is in memory."""
        card = self._first.card
        drawn = self._allocator.draw_for(card, pool=POOL, digits=DIGITS)
        assert drawn is Pending.PENDING, f"memory was to be empty: {drawn}"
        await self._leased.wait()

    def start(self, requesters: int) -> None:
        self._next(requesters)

    def _next(self, requesters: int) -> None:
        """That many requesters have a hand free."""
        if not self._meter.is_on:
            return self._finish()
        started, at = perf_counter(), orders.now()
        for _ in range(requesters):
            order = next(self._left, None)
            if order is None:
                return self._finish()
            self._request(order, started, at)
        return None

    def _request(self, order: Order, started: float, at: datetime) -> None:
        drawn = self._allocator.draw_for(order.card, pool=POOL, digits=DIGITS)
        if isinstance(drawn, Drawn):
            self._on_their_way[order.id] = (order, drawn.msisdn, started)
            self._journal.accept(orders.acceptance(order, drawn.msisdn, at))
        else:
            assert not isinstance(drawn, Exhausted), f"the pool ran dry: {drawn}"
            self._waiting.append((order, started))

    def on_leased(self) -> None:
        self._leased.set()
        waiting, self._waiting = self._waiting, []
        at = orders.now()
        for order, started in waiting:
            self._request(order, started, at)

    def _finish(self) -> None:
        if not self._on_their_way and not self._waiting:
            self._meter.end()
            self.is_done.set()

    # The journal's listener.

    def on_accepted(self, order_ids: Sequence[int], /) -> None:
        now = perf_counter()
        for order_id in order_ids:
            order, msisdn, started = self._on_their_way.pop(order_id)
            self._allocator.bound(msisdn=msisdn, iccid=order.card.iccid)
            self._meter.took(int(msisdn), now - started)
        self._next(len(order_ids))

    def on_clash(self, order_id: int, clash: Clash, /) -> None:
        raise AssertionError(f"the allocator gave a number twice: order {order_id}, {clash}")

    def on_closed(self, order_ids: Sequence[int], /) -> None:
        raise AssertionError("nothing is closed here")


async def allocate(dsn: str, meter: Meter, seconds: float, *, requesters: int) -> None:
    """For that long, without a pause."""
    async with _daemon(dsn, meter, round(_PER_S_MAX * (seconds + WARM_UP_S))) as loop:
        loop.start(requesters)
        await asyncio.gather(meter.run(seconds), loop.is_done.wait())


async def burst(dsn: str, meter: Meter, _: float, *, requesters: int, count: int) -> None:
    """So many, out of a memory that the first lease has filled."""
    async with _daemon(dsn, meter, count) as loop:
        await loop.filled()
        meter.begin()
        loop.start(requesters)
        await loop.is_done.wait()


@asynccontextmanager
async def _daemon(dsn: str, meter: Meter, count: int) -> AsyncIterator[Requesters]:
    """What of the daemon allocates: node lease, allocator, lease keeper, journal."""
    node = NodeLease(dsn, NODE)
    epoch = await node.take()
    journal = JournalWriter(
        dsn, node=NODE, epoch=epoch, last_seq=0, quarantine_days=_QUARANTINE_DAYS
    )
    allocator = Allocator(Random().random)
    loop = Requesters(allocator, journal, meter, list(orders.make(first_order_id(epoch), count)))
    keeper = LeaseKeeper(dsn, node=NODE, epoch=epoch, allocator=allocator, on_leased=loop.on_leased)
    journal.attach(loop)
    await keeper.recover()
    gc.freeze()  # as the daemon does when it is ready
    async with beside(journal.run(), keeper.run()):
        yield loop
    node.close()
