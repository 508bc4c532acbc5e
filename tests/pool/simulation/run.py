"""One run of a daemon, as far as the pool goes: its memory, its flows, the orders in its hands."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from hlrd.domain.errors import Fenced, Refusal
from hlrd.domain.identity import MSISDN, Card
from hlrd.pool.allocator import Allocator
from hlrd.pool.grade import Grades
from hlrd.ports import Clash
from hlrd.runtime.desk import NumberDesk
from hlrd.runtime.journal import _Lane
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease
from hlrd.runtime.recycle import Inquire, Recycler
from hlrd.runtime.reservations import Reservations
from hlrd.store.batch import Batch
from hlrd.store.desk import Work
from hlrd.store.errors import StoreUnavailable
from tests.pool.simulation.books import Item
from tests.pool.simulation.turns import Turns
from tests.pool.simulation.wire import NODE, Crashed, Wire

HLRS: Final = ("hlr1", "hlr2")


@dataclass(eq=False, slots=True)
class Opening:
    """An order that opens a user, from its draw to the end of its binding."""

    user_id: str
    msisdn: MSISDN
    card: Card
    order_id: int
    is_drawn: bool

    @property
    def items(self) -> tuple[Item, Item]:
        return int(self.msisdn), self.card.iccid


class Run:
    """Ends by a crash or by being fenced."""

    def __init__(
        self,
        ordinal: int,
        *,
        seed: int,
        turns: Turns,
        wire_of: Callable[["Run", int], Wire],
        inquire: Inquire,
    ) -> None:
        """`wire_of` makes a connection that writes under an epoch; `inquire`: what HLRs say."""
        self.ordinal = ordinal
        self.epoch = 0
        self.is_up = False
        self.is_over = False
        self.was_fenced = False
        self.in_hand: list[Opening] = []
        self.committing: list[Opening] = []
        self.locking: set[Item] = set()
        self.allocator = Allocator(Random(f"{seed}/{ordinal}").random)
        self.keeper: LeaseKeeper
        self.recycler: Recycler
        self.desk: NumberDesk
        self.reservations: Reservations
        self.on_leased: Callable[[], None] = lambda: None
        self.look: asyncio.Task[None] | None = None
        self._reserving: asyncio.Task[None] | None = None
        self._desk_work: asyncio.Task[None] | None = None
        self._turns = turns
        self._wire_of = wire_of
        self._inquire = inquire
        self.refusals: Counter[str] = Counter()
        self._flows: list[asyncio.Task[None]] = []

    @property
    def flows(self) -> list[asyncio.Task[None]]:
        return [flow for flow in self._flows if not flow.done()]

    @property
    def is_looking(self) -> bool:
        return self.look is not None and not self.look.done()

    @property
    def is_filling(self) -> bool:
        """A reservation may have anything in hand."""
        return bool(self.reservations._fills)

    async def begin(self) -> None:
        """As a daemon starts: the node's epoch, then what there is and what earlier runs leased."""
        await self.flow(self._start())

    async def _start(self) -> None:
        lease = NodeLease("", NODE)
        lease._connection = await self._wire_of(self, 0).connected()
        self.epoch = await lease.take()
        self.keeper = LeaseKeeper(
            "",
            node=NODE,
            epoch=self.epoch,
            allocator=self.allocator,
            on_leased=self._leased,
        )
        self.keeper._link = self._wire_of(self, self.epoch)
        self._open_the_desk()
        self._open_reservations()
        await self.keeper.recover()
        await self.reservations.recover()
        self.is_up = True

    def _leased(self) -> None:
        self.on_leased()
        self.reservations.leased()

    def _open_the_desk(self) -> None:
        about: dict[str, Any] = {"node": NODE, "epoch": self.epoch, "on_freed": self.keeper.freed}
        self.recycler = Recycler("", hlrs=HLRS, inquire=self._inquire, **about)
        self.recycler._link = self._wire_of(self, self.epoch)
        self.desk = NumberDesk(
            "",
            allocator=self.allocator,
            recycler=self.recycler,
            change_ranges=self.keeper.change_ranges,
            **about,
        )
        self.desk._link = self._wire_of(self, self.epoch)

    def _open_reservations(self) -> None:
        self.reservations = Reservations(
            "",
            node=NODE,
            epoch=self.epoch,
            allocator=self.allocator,
            grades=Grades(),
            new_secret=lambda: bytes(32),
            on_page=lambda: None,
            on_freed=self.keeper.freed,
        )
        for turns in (self.reservations._filler, self.reservations._desk):
            turns._link = self._wire_of(self, self.epoch)

    async def look_after_reservations(self) -> None:
        """Fills go on as well: what they wait for may have come by another way than a lease."""
        self.reservations.leased()
        if self._reserving is None or self._reserving.done():
            self._reserving = await self.flow(self.reservations.look())

    async def look_after_leases(self) -> None:
        self.look = await self.flow(self.keeper.look())

    async def write(
        self, batch: Batch, on_done: Callable[[Sequence[tuple[int, Clash]]], None]
    ) -> None:
        async def flow() -> None:
            lane = _Lane("", {}, quarantine_days=1)
            lane._link = self._wire_of(self, self.epoch)
            on_done(await lane.write(batch))

        await self.flow(flow())

    async def lock(self, work: Work) -> None:
        async def flow() -> None:
            number = int(work.msisdn)
            self.locking.add(number)
            try:
                await self.desk.lock(work)
            finally:
                self.locking.remove(number)

        await self.staff(flow())

    async def staff(self, work: Any) -> None:
        """Does nothing while staff is at work: the desk has one turn at a time."""
        if self._desk_work is not None and not self._desk_work.done():
            work.close()
            return
        self._desk_work = await self.flow(work)

    async def flow(self, work: Any) -> asyncio.Task[None]:
        task = await self._turns.start(self._guarded(work))
        self._flows = [*self.flows, task]
        return task

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Crashed:
            self.is_over = True
        except StoreUnavailable:
            self.is_over = not self.is_up  # a start gives up; a request is answered so
        except Refusal as refusal:
            self.refusals[refusal.code] += 1
        except Fenced:
            self.is_over = self.was_fenced = True

    async def end(self) -> None:
        """All that it had in memory is gone."""
        self.is_over = True
        fills = []
        if self.epoch:
            fills = [fill for _, fill in self.reservations._fills.values()]
        await self._turns.end([*self.flows, *fills], self)

    def raise_failures(self) -> None:
        for flow in self._flows:
            if flow.done() and not flow.cancelled() and (error := flow.exception()) is not None:
                raise error
