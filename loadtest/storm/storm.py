"""The frame of every storm: a stack, users, a calm time to compare with, the storm, the proof."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from hlrd.domain.orders import Source
from loadtest import cpu
from loadtest.process import StackError, beside, until
from loadtest.simlot import Stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.storm import fleet
from loadtest.storm.book import SUCCEEDED, Kind
from loadtest.storm.checker import FanOut
from loadtest.storm.orders import PRODUCT, SERVICE, Clerk, User, file_query, of_no_user
from loadtest.storm.sickness import Sickness, Ward
from loadtest.storm.singles import Customers, Singles
from loadtest.storm.upstreams import Upstreams
from loadtest.storm.watch import Watch
from loadtest.view import View

BULK: Final = "S"
SINGLE: Final = "U"
"""Runs that order ids begin with."""

_SAY_S: Final = 5.0
_FIRST_USER: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    users: int
    seed: int = 1
    singles_per_s: float = 20.0
    calm_s: float = 20.0
    sickness: Sickness = field(default_factory=Sickness)
    singles_max_s: float = 600.0  #: for so long there are customers
    minutes_max: float = 30.0

    @property
    def singles(self) -> int:
        """Customers of each sort, at most."""
        wanted = self.singles_per_s * (self.calm_s + self.singles_max_s) / 3
        return max(20, min(round(wanted), self.users))


class Storm:
    def __init__(self, stack: Stack, options: Options, imported: Stock, view: View) -> None:
        self.stack = stack
        self.options = options
        self.view = view
        self.random = Random(options.seed)
        self.upstreams = Upstreams(stack, options.seed)
        self.book = self.upstreams.book
        self.clerk = Clerk(BULK)
        self.watch = Watch(stack)
        self.ward = Ward(stack, options.sickness, self.watch, view)
        self.fan_outs: list[FanOut] = []
        self.phases: dict[str, float] = {}
        self.imported = imported
        self.began_s = 0.0
        self.calm_mib = 0.0
        self._next_user = _FIRST_USER

    # Its parts, one after the other.

    @asynccontextmanager
    async def phase(self, name: str, what: str) -> AsyncIterator[None]:
        self.view.say(what)
        started_s = time.monotonic()
        yield
        took_s = time.monotonic() - started_s
        self.phases[name] = round(self.phases.get(name, 0.0) + took_s, 1)

    def new_users(self, count: int) -> list[User]:
        made = [User(str(self._next_user + number)) for number in range(count)]
        self._next_user += count
        self.upstreams.users.update((user.id, user) for user in made)
        return made

    async def open_users(self, count: int, who: str = "") -> list[User]:
        """`who` says what they are for."""
        users = self.new_users(count)
        async with self.phase("open", f"opening {count:,} users{who}"):
            await self.upstreams.post_all(map(self.clerk.activate, users))
            await self.all_closed("every user is open")
        return users

    async def all_closed(self, what: str) -> None:
        await self.upstreams.all_closed(deadline_s=self.options.minutes_max * 60, what=what)

    async def publish(self, *platforms: str) -> None:
        """The product, which is one function at the HLR."""
        about = {"product": PRODUCT, "product_version": 1, "name": "风暴", "services": [SERVICE]}
        await self.about_many(Source.CRM, "PRODUCT_PUBLISH", **about, platforms=list(platforms))

    async def about_many(self, source: Source, kind: str, **fields: Any) -> Mapping[str, Any]:
        """An order of no user, and its final receipt."""
        order_id = self.clerk.id()
        body = of_no_user(kind, order_id, fields)
        self.book.post_of_no_user(order_id)
        await self.upstreams.ask_until_known(source, "/v1/work-orders", body)
        return await self._receipt(order_id)

    async def post_file(
        self, kind: Kind, users: Sequence[User], *, common: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """A batch by a file of ESOP's with a line a user, and its final receipt."""
        order_id = self.clerk.id()
        self.book.post_of_no_user(order_id)
        path = f"/v1/batches?{urlencode(file_query(kind, order_id, common))}"
        file = "\n".join(["user_id", *(user.id for user in users)]).encode()
        await self.upstreams.ask_until_known(Source.ESOP, path, file, content_type="text/csv")
        return await self._receipt(order_id)

    async def _receipt(self, order_id: str) -> Mapping[str, Any]:
        await until(
            lambda: self.book.of_no_user[order_id] is not None,
            deadline_s=self.options.minutes_max * 60,
            what=f"the receipt of {order_id}",
        )
        receipt = self.book.of_no_user[order_id]
        assert receipt is not None
        if receipt["result"] != SUCCEEDED:
            raise StackError(f"{receipt['type']} {order_id}: {receipt}")
        return receipt

    async def customers(self) -> Singles:
        """Who comes one by one: some of them owe, and were stopped for it before."""
        count = self.options.singles
        damaged = await self.open_users(count, " whose cards are going to be replaced")
        owing = await self.open_users(count, " who are going to pay")
        await self.upstreams.post_all(self.clerk.stop(user, 2) for user in owing)
        await self.all_closed("customers who owe are stopped")
        newcomers = fleet.newcomers(self.imported)
        customers = Customers(newcomers, iter(damaged), iter(owing))
        return Singles(self.upstreams, Clerk(SINGLE), customers, Random(f"{self.random.random()}"))

    async def calm(self, singles: Singles) -> None:
        """The same single orders, and nothing else."""
        _settle_memory()
        await self.ward.be_calm()
        async with self.phase("calm", f"{self.options.calm_s:g} s of single orders alone"):
            ends_at = time.monotonic() + self.options.calm_s
            await singles.go_on(self.options.singles_per_s, lambda: time.monotonic() > ends_at)
            await self.all_closed("the orders of the calm are closed")
        self.calm_mib = cpu.rss_mib(self.stack.daemon.pid)

    async def rage(
        self, name: str, what: str, singles: Singles, *work: Coroutine[Any, Any, None]
    ) -> None:
        """`work` beside single orders, until all of both is done."""
        over = asyncio.Event()
        _settle_memory()
        await self.ward.be_stormy()
        self.began_s = self.began_s or time.monotonic()
        async with self.phase(name, what):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(singles.go_on(self.options.singles_per_s, over.is_set))
                tasks.create_task(self._do(work, over))
            await self.all_closed("every order is closed")

    async def _do(self, work: Sequence[Coroutine[Any, Any, None]], over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            for each in work:
                tasks.create_task(each)
        await until(
            lambda: self.book.left[BULK] == 0,
            deadline_s=self.options.minutes_max * 60,
            what="the storm is over",
        )
        over.set()

    async def say_how_far(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_SAY_S)
            book, rss_mib = self.book, self.watch.rss_mib
            memory = f"{rss_mib[-1]:.0f} MiB" if rss_mib else ""
            children = sum(map(len, book.children.values()))
            self.view.say(
                f"{len(book.accepted_s):,} orders accepted, {len(book.told):,} closed,"
                + (f" {children:,} children closed," if children else "")
                + f" {len(book.fallouts)} in fallout; {memory}"
            )


def _settle_memory() -> None:
    """Of the client: its collector must not walk a million orders while others are timed."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def brewing(
    options: Options, view: View, *, platforms: Sequence[str] = (), drawn: int
) -> AsyncIterator[Storm]:
    """A stack that is stocked for `drawn` openings of the storm and for its single orders, with
    everybody watching."""
    shape = fleet.shape(options.seed, platforms=platforms)
    view.say(f"starting {shape.hlrs} HLRs, a DSMP, PostgreSQL and the daemon on loopback")
    async with running(shape) as stack:
        imported = fleet.stocked(
            shape, drawn=drawn + 4 * options.singles, chosen=options.singles, seed=options.seed
        )
        staff = Staff(stack.http, stack.url, stack.token(Source.OPS))
        await staff.import_stock(imported)
        view.say(f"imported {imported.numbers:,} numbers and {imported.cards:,} cards")
        storm = Storm(stack, options, imported, view)
        try:
            async with (
                asyncio.timeout(options.minutes_max * 60),
                storm.upstreams.following(),
                beside(storm.watch.look(), storm.say_how_far(), storm.ward.watch_over()),
            ):
                yield storm
        except TimeoutError:
            told = storm.book.unfinished()
            raise StackError(f"not within {options.minutes_max:g} minutes: {told}") from None
