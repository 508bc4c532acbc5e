"""A seed drives runs of the pool on a real database, and every promise is checked each step."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

from hlrd import limits
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from tests.pool.simulation.acts import Acts
from tests.pool.simulation.books import Item, check_moves, read_books
from tests.pool.simulation.promise import promise
from tests.pool.simulation.promises import check_end, check_memory, taken_off_the_shelf
from tests.pool.simulation.report import check_report
from tests.pool.simulation.run import HLRS, Run
from tests.pool.simulation.wire import Session, Wire

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


class Schedule(Acts):
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
        values: dict[str, Any] = {
            "RETRY_DELAY_S_MIN": 0.0,
            "RECYCLE_NOW_S": 5.0,
            "LEASE_LOOK_S": 1e6,
            "STORE_TIMEOUT_S": 100.0,
            **bounds,
        }
        with (
            mock.patch.multiple(limits, **values),
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

    def _wire(self, run: Run, epoch: int) -> Wire:
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

    # What must hold.

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
            check_end(item.closing, self.books)
        self._ended = []
        for run in self._runs:
            if run.is_up and self._is_current(run):
                check_memory(run, self.books)
        if self.rng.random() < 0.04:
            await check_report(self._server.connection, self.books)

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
        drawn |= taken_off_the_shelf(run)
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
