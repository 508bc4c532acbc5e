"""The API on a real socket with fakes behind it, and a client that speaks for one source."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from hlrd import config
from hlrd.api.auth import Tokens
from hlrd.api.body import Bodies
from hlrd.api.listen import listen
from hlrd.api.public import public_app
from hlrd.api.seam import Imports, NumberPools, SIMStock, Status
from hlrd.domain.orders import Source
from hlrd.domain.routing import RouteTable
from hlrd.runtime.accounts import Credential
from hlrd.runtime.sessions import SessionDesk
from tests.api.fake_batches import FakeBatches
from tests.api.fake_deliveries import FakeDeliveries, FakeFeed
from tests.api.fake_fallout import FakeBulks, FakeFalloutDesk
from tests.api.fake_operators import FakeOperators
from tests.api.fake_reservations import FakeReservations
from tests.api.fakes import (
    Book,
    FakeAudit,
    FakeCardDesk,
    FakeElement,
    FakeForecasts,
    FakeGroups,
    FakeHalts,
    FakeImports,
    FakeMasters,
    FakeMoves,
    FakeNumberDesk,
    FakePools,
    FakeProducts,
    FakeReceipts,
    FakeStock,
)


def token(source: Source) -> str:
    return f"token-of-{source}-0123456789"


def password(source: Source) -> str:
    """Of the account that has the name of its source."""
    return f"password of {source}"


class FakeClock:
    """Goes on when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(seconds=self.now)


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class World:
    """One API and what is behind it."""

    book: Book = field(default_factory=Book)
    status: Status = field(default_factory=lambda: Status(ready=True))
    receipts: FakeReceipts = field(default_factory=FakeReceipts)
    feed: FakeFeed = field(default_factory=FakeFeed)
    deliveries: FakeDeliveries = field(default_factory=FakeDeliveries)
    pools: FakePools = field(default_factory=FakePools)
    numbers: FakeNumberDesk = field(default_factory=FakeNumberDesk)
    stock: FakeStock = field(default_factory=FakeStock)
    folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory)  #: of error files
    reservations: FakeReservations = field(default_factory=FakeReservations)
    products: FakeProducts = field(default_factory=FakeProducts)
    groups: FakeGroups = field(default_factory=FakeGroups)
    bodies: Bodies = field(default_factory=Bodies)
    element: FakeElement = field(default_factory=FakeElement)
    halts: FakeHalts = field(default_factory=FakeHalts)
    moves: FakeMoves = field(default_factory=FakeMoves)
    fallout: FakeFalloutDesk = field(default_factory=FakeFalloutDesk)
    bulks: FakeBulks = field(default_factory=FakeBulks)
    operators: FakeOperators = field(default_factory=FakeOperators)
    audit: FakeAudit = field(default_factory=FakeAudit)
    masters: FakeMasters = field(default_factory=FakeMasters)
    homes: RouteTable = field(default_factory=RouteTable)
    hlrs_away: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)  #: of sessions
    app: web.Application = field(default_factory=web.Application)
    runner: web.AppRunner | None = None
    host: str = "127.0.0.1"
    port: int = 0
    http: aiohttp.ClientSession | None = None

    def __post_init__(self) -> None:
        self.imports = FakeImports(self.stock, Path(self.folder.name))
        self.batches = FakeBatches(Path(self.folder.name))
        self.sessions = SessionDesk(
            [Credential(source, source, password(source)) for source in Source],
            config.Sessions(),
            epoch=7,
            clock=self.clock,
            entropy=os.urandom,
            trail=self.audit,
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        source: Source | None = Source.ESOP,
        json: object = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        assert self.http is not None
        sent = dict(headers or {})
        if source is not None:
            sent.setdefault("Authorization", f"Bearer {token(source)}")
        if json is not None:
            data = orjson.dumps(json)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        if isinstance(data, bytes):
            data = BytesIO(data)
        url = f"http://{self.host}:{self.port}{path}"
        async with self.http.request(method, url, data=data, headers=sent) as response:
            return Reply(response.status, response.headers, await response.read())

    async def stop(self) -> None:
        """As the daemon does at its end."""
        assert self.runner is not None
        await self.runner.cleanup()

    async def post_order(self, order: object, **rest: Any) -> Reply:
        return await self.ask("POST", "/v1/work-orders", json=order, **rest)


@asynccontextmanager
async def a_world(
    *,
    connections_max: int = 100,
    bodies: Bodies | None = None,
    pools: NumberPools | None = None,
    stock: SIMStock | None = None,
    imports: Imports | None = None,
) -> AsyncIterator[World]:
    world = World(bodies=bodies or Bodies())
    world.app = public_app(
        tokens=Tokens((source, token(source)) for source in Source),
        sessions=world.sessions,
        operators=world.operators,
        status=lambda: world.status,
        intake=world.book,
        desk=world.book,
        recall=world.book,
        orders=world.book,
        receipts=world.receipts,
        feed=world.feed,
        deliveries=world.deliveries,
        pools=pools or world.pools,
        numbers=world.numbers,
        forecasts=FakeForecasts(),
        stock=stock or world.stock,
        cards=FakeCardDesk(world.stock),
        imports=imports or world.imports,
        batches=world.batches,
        reservations=world.reservations,
        products=world.products,
        groups=world.groups,
        elements=[world.element],
        halts=world.halts,
        moves=world.moves,
        fallout=world.fallout,
        bulks=world.bulks,
        homes=world.homes,
        hlrs_away=world.hlrs_away,
        masters=world.masters,
        reconciler=world.masters,
        trail=world.audit,
        audit=world.audit,
        bodies=world.bodies,
    )
    world.runner = runner = await listen(
        world.app, host=world.host, port=0, connections_max=connections_max
    )
    world.port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(auto_decompress=True) as http:
            world.http = http
            yield world
    finally:
        await runner.cleanup()
        world.folder.cleanup()


def a_member_activation(**fields: object) -> dict[str, object]:
    return {
        "type": "MEMBER_ACTIVATE",
        "order_id": "A1",
        "province": "200",
        "operator_id": "op1",
        "user_id": "1",
        "ec_code": "EC1",
        **fields,
    }


async def until(holds: Callable[[], bool]) -> None:
    """For what the other side of a socket does when it gets to it."""
    async with asyncio.timeout(30):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)
