"""A seed drives runs of the pool on a real database, and every promise is checked each step."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Final, TypeVar
from unittest import mock

from hlrd import limits
from hlrd.domain.identity import ICCID, MSISDN, Binding, Card, UserId
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.pool.allocator import Drawn, Exhausted, Lack, Pending
from hlrd.pool.reservation import Asked
from hlrd.ports import Acceptance, BindingEnd, Clash, Closing
from hlrd.store.batch import Batch, Numbered
from hlrd.store.desk import Work
from tests.pool.simulation.books import NO_BOOKS, Item, Shelving, check_moves, read_books
from tests.pool.simulation.promise import promise
from tests.pool.simulation.report import check_report
from tests.pool.simulation.run import HLRS, Opening, Run
from tests.pool.simulation.server import Server
from tests.pool.simulation.turns import Turns
from tests.pool.simulation.wire import Faults, Session, Wire

_AGE: Final = """
UPDATE number_hold SET until = until - interval '60 days' WHERE until IS NOT NULL;
UPDATE reservation SET expires_at = expires_at - interval '60 days'
"""
_AGE_ALL: Final = """
UPDATE number_hold SET until = now() - interval '1 day' WHERE until IS NOT NULL;
UPDATE reservation SET expires_at = now() - interval '1 day'
"""
_LOOKS_MAX: Final = 60  # without faults, until nothing more is wanted
_STEP_S: Final = 0.3
_TIMEOUT_S: Final = 30.0  # a schedule takes a fraction of a second; a flow that hangs is a defect
_SMALL_LEASES: Final = {
    "RESERVATION_SLICE": 3,
    "LEASE_NUMBERS": 6,
    "LEASE_LOW_WATER": 3,
    "LEASE_BAGS_MAX": 0,
}
_AT_THE_END: Final = {"LEASE_NUMBERS": 64, "LEASE_LOW_WATER": 3, "LEASE_BAGS_MAX": 1}
_NUMBER_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "idle",
    BindingEnd.UNPROVEN: "locked",
    BindingEnd.TERMINATED: "quarantined",
}
_CARD_AFTER: Final = {
    BindingEnd.ROLLED_BACK: "idle",
    BindingEnd.UNPROVEN: "scrapped",
    BindingEnd.TERMINATED: "scrapped",
}
T = TypeVar("T")


class Schedule:
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

    async def run(self) -> None:
        await self._server.clear()
        for size, hlr in ((13, "hlr1"), (9, "hlr1"), (11, "hlr2")):
            await self._server.add_range(size=size, hlr=hlr)
        for quantity, hlr in ((8, "hlr1"), (12, "hlr1"), (9, "hlr2")):
            await self._server.add_lot(quantity=quantity, hlr=hlr)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._live_and_end()
        finally:
            for run in self._runs:
                await run.end()

    async def _live_and_end(self) -> None:
        with self._world(**_SMALL_LEASES):
            await self._after_step()
            for _ in range(self._steps):
                await self._step()
            await self._come_to_rest()
        with self._world(**_AT_THE_END):
            await self._use_everything_up()

    @contextmanager
    def _world(self, **bounds: int) -> Iterator[None]:
        waits = {
            "RETRY_DELAY_S_MIN": 0.0,
            "RECYCLE_NOW_S": 5.0,
            "LEASE_LOOK_S": 1e6,
            "STORE_TIMEOUT_S": 100.0,
        }
        with (
            mock.patch.multiple(limits, **bounds, **waits),
            mock.patch("hlrd.runtime.lease.monotonic", self._monotonic),
            mock.patch("hlrd.runtime.reservations.monotonic", self._monotonic),
        ):
            yield

    def _monotonic(self) -> float:
        return self._now

    # Steps.

    async def _step(self) -> None:
        self._now += _STEP_S
        waiting = self._turns.waiting
        if waiting and self.rng.random() < 0.7:
            await self._turns.go_on(self.rng.choice(waiting))
        else:
            await self._act()
        await self._after_step()

    async def _after_step(self) -> None:
        for run in self._runs:
            run.raise_failures()
        before, self.books = self.books, await read_books(self._server.connection, self._orders)
        check_moves(before, self.books)
        if self.rng.random() < 0.3:
            self._facts = self.books
        for run in [run for run in self._runs if run.is_over]:
            await self._bury(run)
        await self._check()

    async def _act(self) -> None:
        if not self._runs or (not self._is_calm and self.rng.random() < 0.01):
            await self._begin()
            return
        run = self.rng.choice(self._runs)
        if not run.is_up:
            return
        acts, weights = zip(*self._weighed_acts(), strict=True)
        (act,) = self.rng.choices(acts, weights)
        await act(run)

    def _weighed_acts(self) -> Sequence[tuple[Callable[[Run], Awaitable[None]], int]]:
        return (
            (self._draw, 30),
            (self._draw_named, 14),
            (self._commit, 40),
            (self._refuse, 4),
            (self._churn, 3),
            (self._look, 20),
            (self._lock, 3),
            (self._unlock, 3),
            (self._recycle, 3),
            (self._elsewhere, 4),
            (self._reserve, 6),
            (self._draw_reserved, 24),
            (self._end_reservation, 2),
            (self._look_after_reservations, 14),
        )

    async def _begin(self) -> None:
        if self._runs:
            self.seen["takeover"] += 1
        run = Run(
            next(self._run_ids),
            seed=self.seed,
            turns=self._turns,
            wire_of=self._wire,
            inquire=self._inquire,
        )
        self._runs.append(run)
        await run.begin()

    def _wire(self, run: object, epoch: int) -> Wire:
        return Wire(
            Session(
                self._server.connection,
                turns=self._turns,
                owner=run,
                faults=self._faults,
                epoch=epoch,
                on_commit=self._committed,
            )
        )

    def _committed(self, epoch: int) -> None:
        promise(epoch == self.books.epoch, f"epoch {epoch} writes after {self.books.epoch} began")

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
            accepts=[self._acceptance(opening) for opening in openings],
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

    def _acceptance(self, opening: Opening) -> Acceptance:
        return Acceptance(
            id=opening.order_id,
            source="CRM",
            order_id=f"order {opening.order_id}",
            kind="MEMBER_ACTIVATE",
            user_id=UserId(opening.user_id),
            operator_id="op",
            province="200",
            priority=2,
            content_hash=b"",
            payload=b"{}",
            accepted_at=self._host_now(),
            binding=_binding(opening),
        )

    def _closings(self, user: str) -> list[Numbered]:
        """Its opening has failed; or it has not, and the user leaves."""
        opening, end = self._live[user], self.rng.choice(list(BindingEnd))
        if end is not BindingEnd.TERMINATED:
            return [self._closing(opening, opening.order_id, end)]
        return [
            self._closing(opening, opening.order_id, None),
            self._closing(opening, next(self._ids), end),
        ]

    def _closing(self, opening: Opening, order_id: int, end: BindingEnd | None) -> Numbered:
        closing = Closing(
            order_id=order_id,
            source="CRM",
            user_id=UserId(opening.user_id),
            state="succeeded",
            receipt=b"{}",
            trail=b"[]",
            closed_at=self._host_now(),
            binding_end=end,
            binding=_binding(opening) if end else None,
        )
        return Numbered(next(self._ids), closing)

    def _host_now(self) -> datetime:
        return self._started_at + self._host_ahead

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

    # What must hold.

    def _is_current(self, run: Run) -> bool:
        return run.epoch == self.books.epoch

    def _in_hand(self, run: Run) -> set[Item]:
        orders = {item for opening in run.in_hand + run.committing for item in opening.items}
        return orders | run.locking

    def _pick(self, some: list[T]) -> T:
        return some.pop(self.rng.randrange(len(some)))

    async def _bury(self, run: Run) -> None:
        """Upstream asks again what it was not told: what became durable is so."""
        await run.end()
        self._runs.remove(run)
        self.seen += run.refusals
        self.seen["fenced" if run.was_fenced else "died"] += 1
        for opening in run.committing:
            if opening.user_id in self.books.bindings:
                self._live[opening.user_id] = opening
        for user in [user for user, by in self._ending.items() if by is run]:
            del self._ending[user]
            if user not in self.books.bindings:
                del self._live[user]

    async def _check(self) -> None:
        for user, opening in self._live.items():
            stands = self.books.bindings.get(user) == opening.items
            promise(stands or user in self._ending, f"{user} has lost number or card")
        for item in self._ended:
            self._check_end(item.closing)
        self._ended = []
        for run in self._runs:
            if run.is_up and self._is_current(run):
                self._check_memory(run)
        if self.rng.random() < 0.04:
            await check_report(self._server.connection, self.books)

    def _check_end(self, closing: Closing) -> None:
        binding, end = closing.binding, closing.binding_end
        if binding is None or end is None:
            return
        number = self.books.numbers.states[int(binding.msisdn)]
        card = self.books.cards.states[binding.iccid]
        if number == "inUse":  # by an order that named it, in the same commit
            promise(binding.user_id not in self.books.bindings, f"a number is in use once {end}")
            number = _NUMBER_AFTER[end]
        promise(number in ("locked", _NUMBER_AFTER[end]), f"a number is {number} once {end}")
        promise(card in ("inUse", _CARD_AFTER[end]), f"a card is {card} once {end}")

    def _check_memory(self, run: Run) -> None:
        """What it could draw this moment is leased to it by the database, by that very lease."""
        for ledger, shelving in (
            (run.allocator._numbers, self.books.numbers),
            (run.allocator._cards, self.books.cards),
        ):
            for _, shelf in ledger._places.values():
                for item, lease in shelf.idle.items():
                    state = shelving.states[item]
                    promise(state == "leased", f"{item} is idle in memory although it is {state}")
                    promise(shelving.lease_of[item] == lease.id, f"{item} is of another lease")

    # The end.

    async def _come_to_rest(self) -> None:
        """No more faults. The run that is there goes on, or dies and is followed by another."""
        self._faults.cuts = self._faults.crashes = 0.0
        if self.rng.random() < 0.5:
            for run in self._runs:
                run.is_over = True
        await self._after_step()
        while self._turns.waiting:
            await self._turns.go_on(self.rng.choice(self._turns.waiting))
            await self._after_step()
        await self._end_the_fenced()
        if not self._runs:
            await self._begin()
        run = self._runs[0]
        await self._let_all_go_on()
        while run.in_hand:
            await self._refuse(run)
        await self._free_everything(run)
        await check_report(self._server.connection, self.books)

    async def _free_everything(self, run: Run) -> None:
        """Staff's own way: all quarantines end, and every lock is taken off."""
        self._hlr_faults = 0
        for _ in range(_LOOKS_MAX):
            if not (run.is_filling or self._reserved()):
                break
            self._now += 100.0
            await self._look(run)  # one that is being filled waits for numbers
            await self._let_all_go_on()
            await self._server.connection.execute(_AGE_ALL)
            await run.look_after_reservations()
            await self._let_all_go_on()
        promise(not self._reserved(), "reserved for ever")
        await self._server.connection.execute(_AGE_ALL)
        await self._after_step()
        while self.books.numbers.in_state("quarantined"):
            await run.staff(run.desk.recycle_due("op"))
            await self._let_all_go_on()
        for number in self.books.holds_of("locked"):
            await run.staff(run.desk.unlock(self._work(number)))
            await self._let_all_go_on()

    def _reserved(self) -> set[Item]:
        return self.books.numbers.in_state("reserved") | self.books.cards.in_state("reserved")

    async def _end_the_fenced(self) -> None:
        """A run of an old epoch can write nothing, whatever it still believes to have."""
        for run in [run for run in self._runs if not self._is_current(run)]:
            if run.in_hand:
                await self._commit(run)
                await self._let_all_go_on()
                promise(run.was_fenced, "a run of an old epoch binds")
            else:
                run.is_over = True
                await self._after_step()

    async def _let_all_go_on(self) -> None:
        while self._turns.waiting:
            await self._turns.go_on(self._turns.waiting[0])
            await self._after_step()

    async def _look_until_at_rest(self, run: Run) -> None:
        for _ in range(2):  # the second one sees what the first gave back
            self._now += 100.0
            await self._look(run)
            await self._let_all_go_on()

    async def _use_everything_up(self) -> None:
        """All that is neither bound nor scrapped can be drawn, each once, by whoever runs now."""
        (run,) = self._runs
        await self._look_until_at_rest(run)
        for hlr in HLRS:
            await self._server.add_lot(quantity=60, hlr=hlr)
        await self._draw_all(run, Lack.NUMBERS)
        for hlr in HLRS:
            await self._server.add_range(size=120, hlr=hlr)
        await self._draw_all(run, Lack.CARDS)
        await self._after_step()
        items = [item for opening in run.in_hand for item in opening.items]
        drawn = set(items)
        promise(len(items) == len(drawn), "drawn twice")
        drawn |= _taken_off_the_shelf(run)
        numbers, cards = self.books.numbers, self.books.cards
        self._nothing_is_left(numbers.in_state("inUse") | drawn, numbers.states, added=240)
        self._nothing_is_left(cards.in_state("inUse", "scrapped") | drawn, cards.states, added=0)
        await check_report(self._server.connection, self.books)

    def _nothing_is_left(
        self, accounted: set[Item], states: dict[Item, str], *, added: int
    ) -> None:
        rest = set(states) - accounted
        if added:  # the ranges that came last have more numbers than there are cards
            rest -= set(sorted(states, key=int)[-added:])
        promise(not rest, f"can never be drawn: { {item: states[item] for item in rest} }")

    async def _draw_all(self, run: Run, end: Lack) -> None:
        """As orders that wait do: again and again whenever leases were answered."""
        last: list[Drawn | Pending | Exhausted] = []

        def draw_what_is_there() -> None:
            while isinstance(drawn := self._draw_any(run), Drawn):
                run.in_hand.append(self._opening(drawn.msisdn, drawn.card, is_drawn=True))
            last[:] = [drawn]

        run.on_leased = draw_what_is_there
        for _ in range(_LOOKS_MAX):
            await self._look_until_at_rest(run)
            draw_what_is_there()
            if isinstance(last[0], Exhausted):
                promise(last[0].what is end, f"{last[0].what} are lacking instead of {end}")
                return
        promise(False, "nothing will ever come")

    def _draw_any(self, run: Run) -> Drawn | Pending | Exhausted:
        return run.allocator.draw(pool="iot", province="200", digits=13)


def _binding(opening: Opening) -> Binding:
    card, user = opening.card, UserId(opening.user_id)
    return Binding(user, opening.msisdn, card.imsi, card.iccid, card.hlr, card.province, card.key)


def _taken_off_the_shelf(run: Run) -> set[Item]:
    """Of overdue leases: on the free list as soon as the rest of the lease is out of the hand."""
    return {
        item
        for ledger in (run.allocator._numbers, run.allocator._cards)
        for _, shelf in ledger._places.values()
        for lease in shelf._leases.values()
        for item in lease.returned
    }
