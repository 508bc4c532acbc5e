"""What runs, orders, staff and the world do in a schedule: each act is drawn by its seed."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Final, TypeVar

from hlrd.domain.identity import ICCID, MSISDN, Card, UserId
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.pool.draw import Drawn, Exhausted, Pending
from hlrd.pool.reservation import Asked
from hlrd.ports import BindingEnd, Clash
from hlrd.store.batch import Batch, Numbered
from hlrd.store.desk import Work
from tests.pool.simulation.books import NO_BOOKS, Item, Shelving
from tests.pool.simulation.promise import promise
from tests.pool.simulation.records import a_closing, an_acceptance
from tests.pool.simulation.run import HLRS, Opening, Run
from tests.pool.simulation.server import Server
from tests.pool.simulation.turns import Turns
from tests.pool.simulation.wire import Faults

_AGE: Final = """
UPDATE number_hold SET until = until - interval '60 days' WHERE until IS NOT NULL;
UPDATE reservation SET expires_at = expires_at - interval '60 days'
"""
T = TypeVar("T")


class Acts:
    def __init__(self, seed: int, server: Server, *, faults: float | None = None) -> None:
        """`faults`: about how often a statement is cut; 0: never, and nothing is killed either."""
        self.seed = seed
        self.rng = Random(seed)
        self.seen: Counter[str] = Counter()
        self.books = self._facts = NO_BOOKS  #: as of now, and as some order last read them
        self._server = server
        self._turns = Turns()
        rate = self.rng.choice([0.0, 0.005, 0.02]) if faults is None else faults
        self._faults = Faults(self.rng, cuts=rate, crashes=rate / 6)
        self._is_calm = faults == 0
        self._steps = self.rng.randrange(60, 160)
        self._now = 0.0
        self._host_ahead = timedelta()
        self._started_at = datetime.now(UTC)
        self._orders: dict[int, Sequence[int]] = {}
        self._ids = count(1)
        self._runs: list[Run] = []  #: the newest last; the others do not know yet that they are old
        self._run_ids = count(1)
        self._live: dict[str, Opening] = {}  #: users that upstream was told of
        self._ending: dict[str, Run] = {}  #: users whose end is on its way, by whom
        self._ended: list[Numbered] = []  #: since the last check
        self._hlr_faults = 1

    # Orders.

    async def _draw(self, run: Run) -> None:
        lot = self.rng.choice([None, None, None, "lot1", "lot2", "lot3"])
        for _ in range(self.rng.choice([1, 1, 3])):
            drawn = run.allocator.draw(pool="iot", province="200", digits=13, lot=lot)
            self._receive(run, drawn)

    def _receive(self, run: Run, drawn: Drawn | Pending | Exhausted) -> None:
        if not isinstance(drawn, Drawn):
            self.seen["drawn nothing"] += 1
            return
        opening = self._opening(drawn.msisdn, drawn.card, is_drawn=True)
        promise(self._in_hand(run).isdisjoint(opening.items), "drawn twice")
        if self._is_current(run):
            for item, shelving in zip(
                opening.items, (self.books.numbers, self.books.cards), strict=True
            ):
                state = shelving.states[item]
                promise(state == "leased", f"{item} is drawn although it is {state}")
        run.in_hand.append(opening)
        self.seen["drawn"] += 1

    def _opening(self, msisdn: MSISDN, card: Card, *, is_drawn: bool) -> Opening:
        id = next(self._ids)
        return Opening(f"u{id}", msisdn, card, id, is_drawn)

    async def _draw_named(self, run: Run) -> None:
        """The facts say that both are free; they did not yet know what is in use by now."""
        numbers = sorted(self._free(self._facts.numbers, self.books.numbers), key=int)
        cards = sorted(self._free(self._facts.cards, self.books.cards), key=str)
        if not numbers or not cards:
            return
        number, iccid = self.rng.choice(numbers), self.rng.choice(cards)
        msisdn, card = MSISDN(str(number)), self._server.cards[ICCID(str(iccid))]
        taken = run.allocator.take(msisdn=msisdn, iccid=card.iccid)
        is_free = self._in_hand(run).isdisjoint((number, iccid))
        promise(is_free or not taken, "taken twice")
        promise(taken or not is_free or run.is_filling, "free, and not to be taken")
        if taken:
            run.in_hand.append(self._opening(msisdn, card, is_drawn=False))
            self.seen["named"] += 1

    def _free(self, then: Shelving, now: Shelving) -> set[Item]:
        return then.in_state("idle", "leased") & now.in_state("idle", "leased", "inUse")

    async def _refuse(self, run: Run) -> None:
        if run.in_hand:
            opening = self._pick(run.in_hand)
            run.allocator.put_back(msisdn=opening.msisdn, iccid=opening.card.iccid)

    async def _churn(self, run: Run) -> None:
        """Drawn and refused until some numbers outlive the bags that their lease came in."""
        for _ in range(12):
            await self._draw(run)
            await self._refuse(run)

    async def _commit(self, run: Run) -> None:
        openings = [self._pick(run.in_hand) for _ in range(min(len(run.in_hand), 3))]
        ends = [user for user in self._live if user not in self._ending and self._may_end(user)]
        ends = self.rng.sample(ends, min(len(ends), self.rng.choice([0, 0, 1, 2])))
        if len(run.flows) > 3 or not (openings or ends):
            run.in_hand += openings
            return
        batch = Batch(
            accepts=[an_acceptance(opening, at=self._host_now()) for opening in openings],
            closings=[item for user in ends for item in self._closings(user)],
            users={UserId(user) for user in (*ends, *(opening.user_id for opening in openings))},
        )
        run.committing += openings
        self._ending.update(dict.fromkeys(ends, run))

        def done(clashes: Sequence[tuple[int, Clash]]) -> None:
            by_id = dict(clashes)
            self._ended += batch.closings
            for user in ends:
                del self._live[user], self._ending[user]
            for record, opening in zip(batch.accepts, openings, strict=True):
                self._settle(run, opening, by_id.get(record.id))
            if ends:
                run.keeper.freed()

        await run.write(batch, done)

    def _may_end(self, user: str) -> bool:
        """A user's life is longer than the moment between an order's facts and its binding, so
        nobody names what he had before he has left.
        """
        items = self._live[user].items
        return all(self._in_hand(run).isdisjoint(items) for run in self._runs)

    def _settle(self, run: Run, opening: Opening, clash: Clash | None) -> None:
        run.committing.remove(opening)
        msisdn, iccid = opening.msisdn, opening.card.iccid
        if clash is None:
            run.allocator.bound(msisdn=msisdn, iccid=iccid)
            self._live[opening.user_id] = opening
            self.seen["bound"] += 1
            return
        self.seen[f"clash of {clash}"] += 1
        promise(not opening.is_drawn, f"a drawn pair clashes by its {clash}")
        if clash is Clash.NUMBER:
            run.allocator.drop(msisdn=msisdn)
            run.allocator.put_back(iccid=iccid)
        else:
            run.allocator.put_back(msisdn=msisdn)
            run.allocator.drop(iccid=iccid)

    def _closings(self, user: str) -> list[Numbered]:
        """Its opening has failed; or it has not, and the user leaves."""
        opening, end, at = self._live[user], self.rng.choice(list(BindingEnd)), self._host_now()
        if end is not BindingEnd.TERMINATED:
            return [a_closing(opening, opening.order_id, at=at, end=end, seq=next(self._ids))]
        return [
            a_closing(opening, opening.order_id, at=at, end=None, seq=next(self._ids)),
            a_closing(opening, next(self._ids), at=at, end=end, seq=next(self._ids)),
        ]

    def _host_now(self) -> datetime:
        return self._started_at + self._host_ahead

    # Reservations.

    async def _reserve(self, run: Run) -> None:
        """Drawn or given numbers, with or without cards; now and then the same request again."""
        number = next(self._ids) if self.rng.random() < 0.8 else 1
        numbers = self.rng.sample(
            sorted(self.books.numbers.states, key=int), self.rng.choice([1, 3])
        )
        given = tuple(MSISDN(str(one)) for one in numbers) if self.rng.random() < 0.3 else ()
        asked = Asked(
            source="CRM",
            key=f"key {number}",
            content_hash=b"" if number == 1 else bytes([number % 256]),
            operator_id="op",
            pool="iot",
            province="200",
            digits=13,
            count=len(given) or self.rng.choice([1, 2, 7]),
            ttl_s=self.rng.choice([60, 90 * 86_400]),
            numbers=given,
            with_cards=self.rng.random() < 0.5,
            is_partial=self.rng.random() < 0.5,
        )
        self.seen["reserve"] += 1
        await run.flow(run.reservations.reserve(asked))

    async def _draw_reserved(self, run: Run) -> None:
        """An order of an open reservation, as the facts say."""
        open_ones = self._facts.reservations
        if not open_ones or not self._is_current(run):
            return
        id, has_cards = self.rng.choice(open_ones)
        for _ in range(self.rng.choice([1, 2])):
            drawn = run.allocator.draw_reserved(id, province="200", has_cards=has_cards)
            if isinstance(drawn, Drawn):
                self.seen["drawn reserved"] += 1
                opening = self._opening(drawn.msisdn, drawn.card, is_drawn=False)
                promise(self._in_hand(run).isdisjoint(opening.items), "drawn twice")
                run.in_hand.append(opening)

    async def _end_reservation(self, run: Run) -> None:
        if self.books.reservations:
            id, _ = self.rng.choice(self.books.reservations)
            self.seen["cancel"] += 1
            await run.flow(run.reservations.cancel(id, None))

    async def _look_after_reservations(self, run: Run) -> None:
        await run.look_after_reservations()

    # Leases and staff.

    async def _look(self, run: Run) -> None:
        if not run.is_looking:
            await run.look_after_leases()

    async def _lock(self, run: Run) -> None:
        """Any number at all, whatever its state."""
        number = self.rng.choice(sorted(self.books.numbers.states, key=int))
        if number not in self._in_hand(run):
            self.seen["lock"] += 1
            await run.lock(self._work(number))

    async def _unlock(self, run: Run) -> None:
        locked = sorted(self.books.holds_of("locked"), key=int)
        if locked:
            self.seen["unlock"] += 1
            await run.staff(run.desk.unlock(self._work(self.rng.choice(locked))))

    async def _recycle(self, run: Run) -> None:
        held = sorted(self.books.numbers.in_state("quarantined"), key=int)
        self.seen["recycle"] += 1
        if held and self.rng.random() < 0.3:
            msisdn = MSISDN(str(self.rng.choice(held)))
            await run.staff(run.desk.recycle(msisdn, "op", waives=False))
        else:
            await run.staff(run.desk.recycle_due("op"))

    def _work(self, number: Item) -> Work:
        return Work(MSISDN(str(number)), "op", "why")

    def _inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None]
    ) -> Callable[[], None]:
        """An HLR now and then has a record of a number, or says nothing."""
        for task in tasks:
            verdict = self.rng.choices(
                [Verdict.ABSENT, Verdict.APPLIED, Verdict.BUSY], [8, self._hlr_faults, 1]
            )[0]
            on_outcome(task, Outcome(verdict))
        return lambda: None

    # What happens without the run.

    async def _elsewhere(self, run: Run) -> None:
        """What happens without the run: time, the host's clock, imports, kills."""
        what = self.rng.choice(["time", "clock", "range", "lot", "kill"])
        if what == "time":
            await self._server.connection.execute(_AGE)
        elif what == "clock":
            self._host_ahead = timedelta(days=self.rng.choice([-400, -40, 0, 40, 400]))
        elif what == "range" and len(self._orders) < 5:
            await self._server.add_range(size=self.rng.choice([1, 2, 5]), hlr=self._hlr())
        elif what == "lot" and len(self._server.cards) < 50:
            await self._server.add_lot(quantity=self.rng.choice([1, 6]), hlr=self._hlr())
        elif what == "kill" and not self._is_calm:
            run.is_over = True
        self.seen[what] += 1

    def _hlr(self) -> str:
        return self.rng.choice(HLRS)

    # What the acts have in common.

    def _is_current(self, run: Run) -> bool:
        return run.epoch == self.books.epoch

    def _in_hand(self, run: Run) -> set[Item]:
        orders = {item for opening in run.in_hand + run.committing for item in opening.items}
        return orders | run.locking

    def _pick(self, some: list[T]) -> T:
        return some.pop(self.rng.randrange(len(some)))
