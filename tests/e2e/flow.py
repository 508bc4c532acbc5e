"""What every end-to-end test does: a stack with stock in it, orders through it, and the proof."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

from hlrd.domain.orders import Source
from loadtest import evidence, proof
from loadtest.client import Upstream
from loadtest.generate import batches, member_activations
from loadtest.settings import Shape
from loadtest.simlot import Stock, stock
from loadtest.stack import Stack, running
from loadtest.stocking import Staff
from loadtest.workload import Book, Workload

SMALL = Shape(hlrs=2, hlr_sessions=8, dsmp_connections=8, reply_timeout_s=1.0, settle_s=0.1)
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class System:
    stack: Stack
    stock: Stock

    @property
    def staff(self) -> Staff:
        return Staff(self.stack.http, self.stack.url, self.stack.token(Source.OPS))

    def upstream(self, source: Source = Source.ESOP) -> Upstream:
        return Upstream(self.stack.http, self.stack.url, self.stack.token(source), Random(1))

    def workload(
        self,
        orders: int,
        *,
        size: int = 20,
        orders_per_s: float | None = None,
        run: str = "E",
        first_user: int = 7_000_000,
    ) -> Workload:
        posted = member_activations(orders, run=run, first_user=first_user)
        cut = batches(posted, size=size, orders_per_s=orders_per_s, seed=1)
        return Workload(self.upstream(), cut, posters=4)

    async def wrong(self, book: Book) -> list[proof.Check]:
        """The checks of the proof that do not hold."""
        found = await evidence.gather(self.stack, self.stock, book)
        return [check for check in proof.prove(found) if not check.holds]


@asynccontextmanager
async def system(shape: Shape = SMALL, *, orders: int = 2_000) -> AsyncIterator[System]:
    async with running(replace(shape, seed=1)) as stack:
        made = System(stack, stock(shape.hlr_names, orders=orders, seed=1))
        await made.staff.import_stock(made.stock)
        await stack.count_effects()
        yield made
