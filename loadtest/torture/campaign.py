"""The campaign from the first process to the last check."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from hlrd.domain.orders import Source
from loadtest.client import Upstream
from loadtest.process import StackError, beside
from loadtest.proof import Check
from loadtest.settings import POOL, Shape
from loadtest.simlot import Stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.torture import acts, checker, diary, drain, outages, stock, story, witness
from loadtest.torture.asking import Asker, Tally
from loadtest.torture.client import REFUSED_SERVICE, Client
from loadtest.torture.diary import Act, Diary
from loadtest.torture.outages import Outages, Suffered
from loadtest.view import View

REFUSED_TEMPLATE: Final = 999_999
"""Longer than a template's number may be: the HLRs refuse it for good."""

_CENSUS_S: Final = 1.0
_SAY_S: Final = 10.0
_QUIET_S: Final = 120.0
_USERS_PER_CLIENT: Final = 10_000_000
_ACTS: Final = {"MEMBER_ACTIVATE": Act.OPEN, "USER_TERMINATE": Act.TERMINATE}


@dataclass(frozen=True, slots=True)
class Plan:
    allocations: int = 1_000_000  #: at least as many, and at least as many releases
    clients: int = 32
    kills: int = 20
    pg_restarts: int = 3
    numbers: int = 40_000  #: of the pool
    seed: int = 1
    minutes_max: float = 40.0  #: for the clients; the check comes on top

    @property
    def cards(self) -> int:
        """What leaves service for good, twice over, and a card for every number at the end."""
        return self.numbers + self.allocations // 16

    @property
    def shape(self) -> Shape:
        templates = {"GPRS+SMS": 1, REFUSED_SERVICE: REFUSED_TEMPLATE}
        return Shape(hlrs=2, hlr_templates=templates, seed=self.seed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`checks` all hold, or the pool is not what it should be."""

    checks: Sequence[Check]
    allocations: int
    releases: int
    suffered: Suffered
    tally: Tally
    seconds: float  #: that the clients took

    def found(self, prefix: str) -> int:
        return sum(check.found for check in self.checks if check.what.startswith(prefix))

    @property
    def is_sound(self) -> bool:
        return all(check.holds for check in self.checks)


async def run(plan: Plan, view: View, *, folder: Path | None = None) -> Outcome:
    """Raises StackError when the campaign itself could not be carried through."""
    view.say(f"seed {plan.seed}: starting 2 HLRs, a DSMP, PostgreSQL and the daemon on loopback")
    async with running(plan.shape, folder=folder) as stack:
        imported = stock.small(
            stack.shape.hlr_names, numbers=plan.numbers, cards=plan.cards, seed=plan.seed
        )
        await _staff(stack).import_stock(imported)
        view.say(f"imported {imported.numbers:,} numbers and {imported.cards:,} cards")
        return await _Campaign(stack, plan, imported, view).run()


class _Campaign:
    def __init__(self, stack: Stack, plan: Plan, imported: Stock, view: View) -> None:
        self._stack = stack
        self._plan = plan
        self._imported = imported
        self._view = view
        self._tally = Tally()
        self._outages = Outages(stack, self._tally, Random(f"{plan.seed} outages"))
        self._sums: list[str] = []
        self._diaries = stack.folder / "diaries"
        self._diaries.mkdir()
        names = [f"c{number:02d}" for number in range(plan.clients)]
        self._clients = {name: self._client(name, place) for place, name in enumerate(names)}
        self._last = self._client("last", plan.clients)

    async def run(self) -> Outcome:
        started_s = time.monotonic()
        upstream = Upstream(
            self._stack.http, self._stack.url, self._stack.token(Source.ESOP), Random(1)
        )
        async with beside(upstream.follow(self._take_receipt)):
            await self._torment()
            seconds, stopped_at = time.monotonic() - started_s, time.monotonic()
            self._view.say("the clients have stopped; waiting until nothing moves")
            await self._be_quiet()
            late = await self._draw_empty()
        tables = await witness.tables(self._stack, POOL)
        self._view.say("reading the diaries")
        told = await asyncio.to_thread(self._told)
        course = checker.Course(self._sums, late, self._tally.failures, self._tally.fallouts)
        allocations, releases = checker.counted(told, stopped_at)
        checks = checker.check(told, tables, course, stopped_at)
        return Outcome(checks, allocations, releases, self._outages.suffered, self._tally, seconds)

    # The clients.

    async def _torment(self) -> None:
        plan = self._plan
        drawn = outages.draw(
            kills=plan.kills, pg_restarts=plan.pg_restarts, random=Random(plan.seed)
        )
        minutes = plan.minutes_max
        try:
            async with (
                asyncio.timeout(minutes * 60),
                beside(self._census(), self._say_how_far()),
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(self._outages.inflict(drawn, plan.allocations))
                for client in self._clients.values():
                    tasks.create_task(acts.keep_on(client, is_over=self._is_over))
        except TimeoutError:
            raise StackError(f"not done within {minutes:g} minutes: {self._so_far()}") from None

    def _is_over(self) -> bool:
        tally, wanted = self._tally, self._plan.allocations
        return self._outages.is_over and min(tally.allocations, tally.releases) >= wanted

    def _client(self, name: str, place: int) -> Client:
        asker = Asker(
            name,
            http=self._stack.http,
            url=self._stack.url,
            token=self._stack.token(Source.ESOP),
            diary=Diary(self._diaries / f"{name}.ndjson"),
            tally=self._tally,
            random=Random(f"{self._plan.seed} {name}"),
        )
        return Client(asker, first_user=(place + 1) * _USERS_PER_CLIENT)

    def _take_receipt(self, receipt: Mapping[str, Any]) -> None:
        name, _, _ = receipt["order_id"].partition("-")
        client = self._clients.get(name, self._last)
        act, user = _ACTS[receipt["type"]], receipt["user_id"]
        client.on_receipt(act, receipt["order_id"], user, receipt["result"])

    async def _census(self) -> None:
        """The states sum up to the pool at any moment, as far as one can look."""
        staff, size = _staff(self._stack), self._imported.numbers
        while True:
            await asyncio.sleep(_CENSUS_S)
            try:
                numbers = (await staff.get(f"/v1/pools/{POOL}"))["numbers"]
            except (StackError, aiohttp.ClientError, TimeoutError, OSError):
                continue  # killed at this moment, or its database is away
            if sum(numbers.values()) != size or min(numbers.values()) < 0:
                self._sums.append(f"{time.monotonic():.1f}: {numbers}")

    async def _say_how_far(self) -> None:
        while True:
            await asyncio.sleep(_SAY_S)
            self._view.say(self._so_far())

    def _so_far(self) -> str:
        tally, suffered = self._tally, self._outages.suffered
        return (
            f"{tally.allocations:,} allocations, {tally.releases:,} releases,"
            f" {suffered.kills} kills, {suffered.restarts} restarts of PostgreSQL"
        )

    # The end.

    async def _be_quiet(self) -> None:
        """What is over is let go of: expired reservations, quarantines of no days."""
        ends_at = time.monotonic() + _QUIET_S
        while left := await witness.unquiet(self._stack):
            if time.monotonic() > ends_at:
                self._view.say(f"{left} numbers or reservations are still not let go of")
                return
            await asyncio.sleep(0.5)

    async def _draw_empty(self) -> list[str]:
        """What came only after one more start of the daemon."""
        drawn = await drain.numbers(self._last, rests=drain.RESTS)
        self._view.say(f"the pool is empty after {len(drawn):,} more numbers")
        await _staff(self._stack).import_stock(
            stock.spare(self._stack.shape.hlr_names, cards=self._imported.cards),
            pool=stock.SPARE_POOL,
        )
        cards = await drain.cards(self._last, pool=stock.SPARE_POOL)
        self._view.say(f"the stock is empty after {cards:,} more cards")
        self._stack.daemon.kill()
        await self._stack.start_daemon()
        return await drain.numbers(self._last, rests=0)

    def _told(self) -> story.Story:
        for client in (*self._clients.values(), self._last):
            client.diary.close()
        return story.told(chain.from_iterable(map(diary.read, sorted(self._diaries.iterdir()))))


def _staff(stack: Stack) -> Staff:
    return Staff(stack.http, stack.url, stack.token(Source.OPS))
