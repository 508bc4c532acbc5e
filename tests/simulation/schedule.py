"""One schedule: from its seed to its end, where every promise is checked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from hlrd import limits
from hlrd.domain.fallout import Way
from hlrd.domain.identity import Binding, SealedKey, UserId
from hlrd.engine.engine import Engine
from hlrd.pool.allocator import Allocator
from hlrd.pool.lease import What
from tests.simulation.database import (
    CARDS_A_LOT,
    FIRST_RANGE_FIRST,
    HLRS,
    NUMBERS_A_RANGE,
    PROVINCE,
    SECOND_RANGE_FIRST,
    Database,
    card_of,
)
from tests.simulation.faults import NONE, Faults, draw
from tests.simulation.network import DSMP, HLR, SimNE
from tests.simulation.promises import Promises
from tests.simulation.shells import Daemon
from tests.simulation.upstream import Upstream
from tests.simulation.world import BrokenPromise, World, promise

SMALL: Final[Mapping[str, Any]] = {
    "ORDERS_IN_MEMORY_MAX": 6,
    "ORDERS_OPEN_MAX": 24,
    "ORDERS_ARRIVING_MAX": 16,
    "UNPARK_ORDERS": 3,
    "RESEND_ORDERS_MAX": 2,
    "USER_ORDERS_OPEN_MAX": 5,
    "LEASE_NUMBERS": 4,
    "LEASE_LOW_WATER": 2,
    "TASK_ATTEMPTS_MAX": 4,
}
"""Bounds so small that a few users reach all of them."""

HORIZON_S: Final = 25.0
"""Faults, crashes and new orders come within this; afterwards everything must come to rest."""

REST_S: Final = 4_000.0
EVENTS_MAX: Final = 40_000


@contextmanager
def small_limits() -> Iterator[None]:
    before = {name: getattr(limits, name) for name in SMALL}
    try:
        for name, value in SMALL.items():
            setattr(limits, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(limits, name, value)


class Schedule:
    """`run` raises BrokenPromise, or whatever the engine raised."""

    def __init__(
        self,
        seed: int,
        *,
        faults: Faults | None = None,
        engine_type: type[Engine] = Engine,
        allocator_type: type[Allocator] = Allocator,
    ) -> None:
        self.seed = seed
        self.world = World(seed)
        self.drawn = draw(self.world.rng) if faults is None else faults
        self.faults = self.drawn
        self.database = _stocked(self.world)
        self.promises = Promises(self.world, self.database)
        self.elements: dict[str, HLR | DSMP] = {
            name: HLR(self.world, self._faults) for name in HLRS
        } | {"dsmp": DSMP()}
        self.nes = {name: self._ne(name) for name in self.elements}
        self._types = (engine_type, allocator_type)
        self.daemon = self._start()
        rng = self.world.rng
        self.upstream = Upstream(
            self.world,
            users=rng.choice((2, 5, 12)),
            orders=rng.choice((10, 30, 60)),
            numbers=[str(n) for span in self.database.ranges.values() for n in _all(span)],
            bound=self.database.by_user.get,
            faults=self._faults,
        )

    def _faults(self) -> Faults:
        return self.faults

    def _ne(self, name: str) -> SimNE:
        return SimNE(
            name,
            element=self.elements[name],
            world=self.world,
            faults=self._faults,
            watcher=self.promises,
            sessions=self.world.rng.choice((1, 2, 9)),
        )

    def run(self) -> None:
        with small_limits():
            self._plan()
            self._run_until(HORIZON_S)
            self.faults = NONE
            self._come_to_rest()
            self.promises.check_rest(self.daemon, self.elements, self.upstream.owed)

    # What happens when.

    def _plan(self) -> None:
        world, faults = self.world, self.faults
        span = world.rng.choice((0.2, 2.0, 20.0))
        for _ in range(40):
            world.after(span * world.rng.random(), self._submit)
        for expected, event in (
            (faults.crash, self._crash),
            (faults.drain, self._drain),
            (faults.ne_down, self._cut_ne),
        ):
            for _ in range(round(expected + world.rng.random() - 0.5)):
                world.after(world.rng.random() * HORIZON_S * world.rng.random(), event)
        for step in range(10):
            world.after(step * HORIZON_S / 10, self._staff)
            world.after(span * world.rng.random(), self._steal)
            world.after(span * world.rng.random(), self._recall)

    def _submit(self) -> None:
        if not self.upstream.is_done:
            self.upstream.submit_some(self.daemon)

    def _staff(self) -> None:
        """Recycle what left quarantine, and let fallouts go: to run again, or to be undone."""
        self.database.recycle(self.world.now)
        self.daemon.recount()
        for order_id in list(self.daemon.engine.fallout):
            way = Way.CANCEL if self.world.happens(0.6) else Way.RESEND
            if self.world.happens(0.7) and self._let_go(order_id, way):
                self.promises.seen["resent"] += 1

    def _let_go(self, order_id: int, way: Way) -> bool:
        """A crash may come between the decision and the engine's hearing of it."""
        if not self.database.let_go(order_id, way):
            return False
        self.promises.seen[self.database.releases[order_id].way] += 1
        if not self.world.happens(self.faults.crash * 0.02):
            self.daemon.call(lambda: self.daemon.engine.release(order_id))
        else:
            self._crash()
        return True

    def _recall(self) -> None:
        """Somebody calls an order off, or urges one on."""
        open_ids = [one for one in self.database.orders if one not in self.database.final]
        if not open_ids or not self.world.happens(self.faults.recall):
            return
        order_id = self.world.rng.choice(open_ids)
        act = self.daemon.cancel if self.world.happens(0.5) else self.daemon.chase
        self.daemon.call(lambda: act(order_id))

    def _steal(self) -> None:
        """Another node binds a number and a card that were leased to this one."""
        if not self.world.happens(self.faults.steal * 5):
            return
        leases = self.database.leases.values()
        numbers = [item for row in leases if row.what is What.NUMBERS for item in row.items]
        cards = [item for row in leases if row.what is What.CARDS for item in row.items]
        if not numbers or not cards:
            return
        number, card = self.world.rng.choice(numbers), self.world.rng.choice(cards)
        name = UserId(f"9{number}")
        free = (
            str(number) not in self.database.bindings and number not in self.database.number_holds
        )
        if free and self.database._card_is_free(card.iccid):
            stolen = Binding(
                name, str(number), card.imsi, card.iccid, card.hlr, PROVINCE, SealedKey("k", b"")
            )
            self.database.bind(stolen, 0)
            self.promises.seen["stolen"] += 1

    def _cut_ne(self) -> None:
        name = self.world.rng.choice(list(self.nes))
        self.nes[name].go_down(self.world.rng.uniform(0.1, 15.0))

    def _crash(self) -> None:
        self.promises.seen["crash"] += 1
        self._stop()
        self.daemon = self._start()
        self.upstream.repeat_unanswered(self.daemon)

    def _drain(self) -> None:
        if self.daemon.is_draining:
            return
        self.daemon.drain()
        self.promises.draining = self.daemon
        self.world.after(0.01, self._wait_for_drain)

    def _wait_for_drain(self) -> None:
        if self.promises.draining is not self.daemon:
            return  # it crashed meanwhile
        if not self.daemon.engine.is_quiet():
            self.world.after(0.05, self._wait_for_drain)
            return
        promise(self.upstream.owed == 0, "a drained daemon owes an answer")
        self.promises.seen["drain"] += 1
        self._crash()

    def _stop(self) -> None:
        self.promises.draining = None
        self.daemon.die()
        self.upstream.owed = 0
        for ne in self.nes.values():
            ne.forget()
        self.promises.daemon_died(self.world.now)

    def _start(self) -> Daemon:
        engine_type, allocator_type = self._types
        with small_limits():
            return Daemon(
                world=self.world,
                database=self.database,
                nes=self.nes,
                faults=self._faults,
                watcher=self.promises,
                engine_type=engine_type,
                allocator_type=allocator_type,
            )

    # The course of time.

    def _run_until(self, end: float) -> None:
        """Stops early when nothing is left to happen."""
        for _ in range(EVENTS_MAX):
            at, due = self.world.next_at(), self.daemon.engine.next_due()
            if due is not None and (at is None or due <= at):
                if due > end:
                    return
                self.world.now = max(self.world.now, due + 0.001)
                self.daemon.call(self.daemon.engine.on_timer)
            elif at is not None and at <= end:
                self.world.step()
            else:
                return
        raise BrokenPromise(f"no end after {EVENTS_MAX} events")

    def _come_to_rest(self) -> None:
        """No more faults: repeat what upstream has no answer to, resend what fell out."""
        for _ in range(12):
            self._run_until(self.world.now + REST_S)
            fallout = list(self.daemon.engine.fallout)
            for order_id in fallout:
                self._let_go(order_id, Way.RESEND)
            self.upstream.repeat_unanswered(self.daemon)
            if not fallout and all(post.is_answered for post in self.upstream.posts):
                break
        self._run_until(self.world.now + REST_S)
        promise(self.daemon.engine.is_quiet(), "the daemon does not come to rest")


def _stocked(world: World) -> Database:
    """Two ranges and three lots on two HLRs; some more cards than numbers, or fewer."""
    database = Database()
    firsts = (FIRST_RANGE_FIRST, SECOND_RANGE_FIRST)
    for first, hlr in zip(firsts, HLRS, strict=True):
        size = world.rng.choice((3, NUMBERS_A_RANGE, NUMBERS_A_RANGE))
        numbers = list(range(first, first + size))
        world.rng.shuffle(numbers)
        database.import_range(first, hlr, numbers)
    for lot in range(3):
        cards = [card_of(lot * CARDS_A_LOT + n, HLRS[lot % 2]) for n in range(CARDS_A_LOT)]
        database.import_lot(f"lot{lot}", HLRS[lot % 2], cards)
    return database


def _all(span: Any) -> range:
    return range(span.first, span.last + 1)
