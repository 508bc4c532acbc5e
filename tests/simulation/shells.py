"""One life of the daemon: the real engine and allocator, and simulated shells around them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Protocol

from hlrd import limits
from hlrd.domain.errors import Refusal
from hlrd.domain.identity import IMSI, CardKey, SealedKey, UserId
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.master import Master, Masters
from hlrd.domain.outcome import Outcome
from hlrd.domain.plans.plan import Routes
from hlrd.domain.routing import RouteTable
from hlrd.engine.engine import Engine
from hlrd.pool.allocator import Allocator
from hlrd.pool.lease import What, Wish
from hlrd.ports import Acceptance, Clash, Closing, Command, StoredOrder, Wanted
from hlrd.store.turns import Due
from tests.simulation.batches import SimBatches
from tests.simulation.database import HLRS, Database
from tests.simulation.faults import Faults
from tests.simulation.network import SimNE
from tests.simulation.world import World, promise

TEMPLATES = {hlr: {"GPRS+SMS": 1, "GPRS": 2} for hlr in HLRS} | {"hlr2": {"GPRS+SMS": 1}}
ROUTES = Routes(dsmp="dsmp", templates=TEMPLATES, dialects=dict.fromkeys(HLRS, "mml"))
IDS_PER_LIFE = 1_000_000


class Watcher(Protocol):
    seen: Counter[str]

    def after_event(self, daemon: "Daemon") -> None: ...


class SimVault:
    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey:
        return SealedKey("k1", b"sealed")

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey:
        raise NotImplementedError


class Daemon:
    """Everything it schedules is dropped when it dies."""

    def __init__(
        self,
        *,
        world: World,
        database: Database,
        nes: Mapping[str, SimNE | SimBatches],
        faults: Callable[[], Faults],
        watcher: Watcher,
        engine_type: type[Engine] = Engine,
        allocator_type: type[Allocator] = Allocator,
        routes: Routes = ROUTES,
        member_wait_s: float = limits.MEMBER_WAIT_S,
    ) -> None:
        self.world = world
        self.database = database
        self.faults = faults
        self.is_alive = True
        self.is_draining = False
        self.closed: dict[int, bytes] = {}  #: receipts that this life was told are durable
        self._watcher = watcher
        self.seen = watcher.seen
        database.epoch += 1
        first_own_id = database.epoch * IDS_PER_LIFE
        self.allocator = _allocator(world, database, allocator_type)
        self.journal = SimJournal(self)
        self.lookup = SimLookup(self)
        self.products = database.load_products()
        self.engine = engine_type(
            clock=world,
            chance=world.rng.random,
            journal=self.journal,
            lookup=self.lookup,
            allocator=self.allocator,
            vault=SimVault(),
            nes=nes,
            routes=routes,
            homes=RouteTable(),
            products=self.products,
            script_checks={"mml": lambda script: None},
            masters=Masters(Master.BOSS, {}),
            order_ids=count(first_own_id),
            first_own_id=first_own_id,
            enterprises=database.groups.load(database.batches.stops()),
            member_wait_s=member_wait_s,
        )
        for ne in nes.values():
            ne.listener = self
        self._calendar_is_busy = False
        database.told_due = set(database.places)
        self.call(lambda: self.engine.recover(database.open_orders()))
        for record in database.orders.values():
            self.expect(record)

    def call(self, event: Callable[[], None]) -> None:
        """Let something happen to the engine, then do what its shells do after every event."""
        event()
        self._lease()
        self._watcher.after_event(self)

    def soon(self, delay_s: float, event: Callable[[], None]) -> None:
        self.world.after(delay_s, lambda: self.call(event) if self.is_alive else None)

    def on_outcome(self, command: Command, outcome: Outcome) -> None:
        self.call(lambda: self.engine.on_outcomes([(command, outcome)]))

    def on_free(self, ne: str) -> None:
        self.call(lambda: self.engine.on_free(ne))

    def die(self) -> None:
        """Of the commits under way some stand, and nobody was told."""
        self.is_alive = False
        self.journal.die()

    def drain(self) -> None:
        self.is_draining = True
        self.call(self.engine.drain)

    # Falling due, and being called off: one at a time.

    def expect(self, record: Acceptance) -> None:
        """Look for it when its time has come."""
        turn = record.turn
        if turn is not None and turn.due_at is not None and self.database.is_scheduled(record.id):
            delay_s = (turn.due_at - self.world.wall()).total_seconds()
            self.soon(max(0.0, delay_s) + self.world.brief(), self._look)

    def _look(self) -> None:
        if self._calendar_is_busy:
            self.soon(self.world.brief(), self._look)
        elif self.engine.has_room_for_due():
            due = self.database.fall_due(self.world.wall(), self.engine.next_place)
            self._calendar_is_busy = True
            self.soon(self.world.brief(), lambda: self._tell_due(due))

    def _tell_due(self, due: Sequence[Due]) -> None:
        self._calendar_is_busy = False
        self.database.told_due.update(one.id for one in due)
        self.seen["fallen due"] += len(due)
        self.engine.on_due(due)

    def cancel(self, order_id: int) -> None:
        if self._calendar_is_busy:
            return
        self._calendar_is_busy = True
        stored = None
        if not self.engine.is_in_memory(order_id):
            stored = self.database.stored_one(order_id)
        self.soon(self.world.brief(), lambda: self._cancel(order_id, stored))

    def _cancel(self, order_id: int, stored: StoredOrder | None) -> None:
        def closed(receipt: bytes) -> None:
            self._calendar_is_busy = False

        forget = self.engine.when_closed(order_id, closed)
        try:
            self.engine.cancel(order_id, stored)
            self.seen["cancelled"] += 1
        except Refusal as refusal:
            forget()
            closed(b"")
            self.seen[refusal.code] += 1

    def chase(self, order_id: int) -> None:
        try:
            self.engine.chase(order_id, self.database.chase(order_id))
            self.seen["chased"] += 1
        except Refusal as refusal:
            self.seen[refusal.code] += 1

    # Leasing.

    def _lease(self) -> None:
        for settled in self.allocator.settled():
            self.database.settle(settled)
        if self.allocator.has_wishes:
            for wish in self.allocator.wishes():
                self.soon(self.world.brief(), lambda wish=wish: self._grant(wish))

    def _grant(self, wish: Wish) -> None:
        if self.world.happens(self.faults().steal):
            self.database.lease_elsewhere(wish)
        grant = self.database.lease(wish)

        if grant is None:
            self.seen["nothing left"] += 1

        def tell() -> None:
            if grant is None:
                self.allocator.on_nothing_left(wish)
            else:
                self.allocator.on_leased(grant)
            self.engine.on_leased()

        self.soon(self.world.brief(), tell)

    def recount(self) -> None:
        """Numbers were recycled, or bindings ended."""
        for what, source_id in self.database.sources:
            unleased, recycled = self.database.counts(what, source_id)
            self.allocator.on_counts(what, source_id, unleased=unleased, recycled=recycled)


def _allocator(world: World, database: Database, kind: type[Allocator]) -> Allocator:
    allocator = kind(world.rng.random)
    for at, span in database.ranges.items():
        unleased, recycled = database.counts(What.NUMBERS, at)
        allocator.add_range(replace(span, counter=span.size - unleased), recycled=recycled)
    for at, lot in database.lots.items():
        unleased, recycled = database.counts(What.CARDS, at)
        allocator.add_lot(replace(lot, counter=lot.quantity - unleased), recycled=recycled)
    for lease_id in database.leases:
        allocator.on_recovered(database.grant(lease_id))
    return allocator


Record = Acceptance | Closing


class SimJournal:
    """Group commit over two connections: order is kept within a user and mixed between users."""

    CONNECTIONS = 2

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._pending: list[Record] = []
        self._flushing: list[list[Record]] = []
        self._untold: list[list[Record]] = []

    # The port.

    def accept(self, record: Acceptance) -> None:
        self._take(record)

    def close(self, record: Closing) -> None:
        self._take(record)

    def backlog(self) -> int:
        return len(self._pending) + sum(map(len, self._flushing)) + sum(map(len, self._untold))

    # The shell.

    def _take(self, record: Record) -> None:
        self._pending.append(record)
        self._daemon.soon(0.0, self._flush)

    def _flush(self) -> None:
        if len(self._flushing) + len(self._untold) >= self.CONNECTIONS or not self._pending:
            return
        world = self._daemon.world
        busy = {record.user_id for batch in self._flushing + self._untold for record in batch}
        batch, rest = [], []
        most = world.rng.randint(1, 6)
        for record in self._pending:
            (rest if record.user_id in busy or len(batch) >= most else batch).append(record)
            if record in rest:
                busy.add(record.user_id)
        self._pending = rest
        if not batch:
            return
        self._flushing.append(batch)
        stalls = world.happens(self._daemon.faults().journal_stall)
        self._daemon.soon(world.long() if stalls else world.brief(), lambda: self._commit(batch))

    def _commit(self, batch: list[Record]) -> None:
        self._flushing = [other for other in self._flushing if other is not batch]
        self._untold.append(batch)
        clashes = self._write(batch)
        self._daemon.soon(self._daemon.world.brief(), lambda: self._tell(batch, clashes))

    def _write(self, batch: list[Record]) -> dict[int, Clash]:
        """Ends come before beginnings, as the database has it."""
        database, clashes = self._daemon.database, {}
        for record in batch:
            if isinstance(record, Closing):
                database.close(record, self._daemon.world.now)
        for record in batch:
            if isinstance(record, Acceptance):
                clash = database.accept(record)
                if clash is not None:
                    clashes[record.id] = clash
                    self._daemon.seen[f"clash of {clash}"] += 1
        return clashes

    def _tell(self, batch: list[Record], clashes: dict[int, Clash]) -> None:
        self._untold = [other for other in self._untold if other is not batch]
        engine = self._daemon.engine
        final = [record for record in batch if isinstance(record, Closing) and record.is_final]
        if any(record.binding_end for record in final):
            self._daemon.recount()
        self._daemon.closed.update((record.order_id, record.receipt) for record in final)
        if final:
            engine.on_closed([record.order_id for record in final])
        accepts = [record.id for record in batch if isinstance(record, Acceptance)]
        good = [order_id for order_id in accepts if order_id not in clashes]
        for order_id in good:
            self._daemon.expect(self._daemon.database.orders[order_id])
        if good:
            engine.on_accepted(good)
        for order_id, clash in clashes.items():
            engine.on_clash(order_id, clash)
        self._daemon.soon(0.0, self._flush)
        self._daemon.soon(0.0, self._flush)

    def die(self) -> None:
        for batch in self._flushing:
            if self._daemon.world.happens(0.5):
                self._write(batch)


class SimLookup:
    """Reads that show the moment they started, and are answered in the order of asking."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._wanted: list[Wanted] = []
        self._is_reading = False

    def resolve(self, wanted: Wanted) -> None:
        self._wanted.append(wanted)
        self._daemon.soon(0.0, self._read)

    def _delay(self, slow: float) -> float:
        world = self._daemon.world
        return world.long() * world.rng.random() if world.happens(slow) else world.brief()

    def _read(self) -> None:
        if self._is_reading or not self._wanted:
            return
        asked, self._wanted = self._wanted, []
        facts = [self._daemon.database.facts(wanted) for wanted in asked]
        self._is_reading = True

        def tell() -> None:
            self._is_reading = False
            self._daemon.soon(0.0, self._read)
            self._daemon.engine.on_resolved(facts)

        self._daemon.soon(self._delay(self._daemon.faults().lookup_slow), tell)

    def unpark(self, order_ids: Sequence[int], users: Sequence[UserId]) -> None:
        def read() -> None:
            stored: list[StoredOrder] = self._daemon.database.stored(order_ids, users)
            final = self._daemon.database.final
            missing = set(order_ids) - {item.id for item in stored}
            promise(
                all(final[order_id].state == OrderState.CANCELLED for order_id in missing),
                f"of {order_ids} some were closed before they were read back",
            )
            self._daemon.seen["unparked"] += len(stored)
            delay_s = self._delay(self._daemon.faults().unpark_slow)
            self._daemon.soon(delay_s, lambda: self._daemon.engine.on_unparked(stored))

        self._daemon.soon(self._daemon.world.brief(), read)
