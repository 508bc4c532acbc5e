"""The composition root: builds every part in a readable order and takes them down in reverse."""

import asyncio
import gc
import os
import signal
from contextlib import AsyncExitStack, suppress
from itertools import count
from random import Random
from typing import Any, Final

import structlog

from adapters import DIALECTS, shipped_replies
from hlrd import __version__, metrics
from hlrd.api.admin import admin_app
from hlrd.api.auth import Tokens
from hlrd.api.listen import listen
from hlrd.api.public import public_app
from hlrd.api.seam import Status
from hlrd.config import ConfigError, NESettings, Settings
from hlrd.domain.plan import Routes
from hlrd.engine.engine import Engine
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.driver import Driver
from hlrd.ne.replies import Replies
from hlrd.ne.replies import read as read_replies
from hlrd.pool.allocator import Allocator
from hlrd.pool.grade import Grades, Rule
from hlrd.pool.vault import KeyVault
from hlrd.runtime import pulse
from hlrd.runtime.clock import SystemClock
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.lookup import LookupReader
from hlrd.runtime.node import NodeLease, first_order_id
from hlrd.runtime.outcomes import Outcomes
from hlrd.runtime.receipts import ReceiptReader
from hlrd.runtime.stocktake import keep_counting
from hlrd.store import embedded
from hlrd.store.connection import connect, open_pool
from hlrd.store.migrate import migrate
from hlrd.store.pools import NumberPools
from hlrd.store.reader import OrderReader
from hlrd.store.stock import SIMStock

_log = structlog.get_logger(__name__)

RELATIONS_DIALECT: Final = "dsmp"
GC_OBJECTS: Final = 100_000
"""New objects between two looks for garbage cycles. An order makes none, so the default of 700
would walk the open orders for nothing: measured, a tenth of the daemon's time."""

READ_CONNECTIONS_MAX: Final = 8
"""For what people and upstream systems read; the path of an order has connections of its own."""


def routes(settings: Settings) -> Routes:
    """Where tasks go; refuses a configuration that would leave some nowhere to go."""
    relations = [ne.name for ne in settings.ne if ne.dialect == RELATIONS_DIALECT]
    homes = {ne.name: ne.templates for ne in settings.ne if ne.dialect != RELATIONS_DIALECT}
    if len(relations) != 1:
        raise ConfigError(f"ne: exactly one must have dialect dsmp, and {len(relations)} have")
    if not homes:
        raise ConfigError("ne: none is an HLR, so no number could have a home")
    return Routes(relations[0], homes)


def adapter(ne: NESettings) -> Adapter[Any]:
    dialect = DIALECTS.get(ne.dialect)
    if dialect is None:
        raise ConfigError(f"ne.{ne.name}.dialect: {ne.dialect!r} is none of {sorted(DIALECTS)}")
    password = ne.password.get_secret_value()
    secrets = {name: secret.get_secret_value() for name, secret in ne.secrets.items()}
    return dialect(Account(ne.host, ne.port, ne.user, password, ne.options, secrets), replies(ne))


def replies(ne: NESettings) -> Replies:
    """The shipped table of the dialect with the site's own laid over it."""
    shipped = read_replies(shipped_replies(ne.dialect), f"{ne.dialect}.toml")
    if ne.replies is None:
        return Replies(shipped)
    try:
        document = ne.replies.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"ne.{ne.name}.replies: cannot read {ne.replies}: {error}") from error
    return Replies(shipped, read_replies(document, str(ne.replies)))


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once."""
    stopping = asyncio.Event()
    _on_signals(stopping)
    server = await asyncio.to_thread(embedded.start, settings.database)
    try:
        await Daemon(settings, server.dsn).run(stopping)
    finally:
        await asyncio.to_thread(server.stop, only_if_unused=True)


class Daemon:
    def __init__(self, settings: Settings, dsn: str) -> None:
        self._settings = settings
        self._dsn = dsn
        self._node = NodeLease(dsn, settings.node)
        self._status = Status(ready=False, reason="starting")
        self._clock = SystemClock()
        self._chance = Random()
        keys = {name: bytes.fromhex(k.get_secret_value()) for name, k in settings.keys.keys.items()}
        self._vault = KeyVault(keys, settings.keys.current, os.urandom)
        self._routes = routes(settings)
        self._grades = Grades(Rule(rule.grade, rule.tail) for rule in settings.grades)

    async def run(self, stopping: asyncio.Event) -> None:
        metrics.INFO.labels(__version__).set(1)
        async with AsyncExitStack() as stack:
            await self._listen(stack, admin_app(self._ready), admin=True)
            await self._migrate()
            await self._live(stack, stopping)

    def _ready(self) -> Status:
        if self._status.ready and not self._node.is_held:
            return Status(ready=False, reason="the database is out of reach")
        return self._status

    async def _live(self, stack: AsyncExitStack, stopping: asyncio.Event) -> None:
        settings = self._settings
        node = self._node
        stack.callback(node.close)
        epoch = await node.take()
        journal = JournalWriter(
            self._dsn,
            node=settings.node,
            epoch=epoch,
            last_seq=await node.last_seq(),
            quarantine_days=settings.orders.quarantine_days,
        )
        lookup = LookupReader(self._dsn)
        allocator = Allocator(self._chance.random)
        outcomes = Outcomes()
        drivers = {ne.name: self._driver(ne, outcomes) for ne in settings.ne}
        first_own_id = first_order_id(epoch)
        engine = Engine(
            clock=self._clock,
            chance=self._chance.random,
            journal=journal,
            lookup=lookup,
            allocator=allocator,
            vault=self._vault,
            nes=drivers,
            routes=self._routes,
            state_master=settings.orders.state_master,
            order_ids=count(first_own_id),
            first_own_id=first_own_id,
        )
        leases = LeaseKeeper(
            self._dsn,
            node=settings.node,
            epoch=epoch,
            allocator=allocator,
            on_leased=engine.on_leased,
            grades=self._grades,
        )
        pool = await open_pool(self._dsn, "api", READ_CONNECTIONS_MAX)
        stack.push_async_callback(pool.close)
        receipts = ReceiptReader(pool, journal.durable_up_to)
        journal.attach(engine, on_receipts=receipts.arrived, on_freed=leases.freed)
        lookup.attach(engine)
        outcomes.attach(engine)
        await leases.recover()
        async for open_orders in node.open_orders():
            engine.recover(open_orders)
        pools = NumberPools(pool, leases.refresh)
        stock = SIMStock(pool, leases.refresh)
        app = public_app(
            tokens=Tokens((t.source, t.token.get_secret_value()) for t in settings.tokens),
            status=self._ready,
            intake=engine,
            desk=engine,
            orders=OrderReader(pool),
            receipts=receipts,
            pools=pools,
            stock=stock,
            elements=drivers.values(),
            vault=self._vault,
        )
        async with asyncio.TaskGroup() as group:
            works = [
                group.create_task(work)
                for work in (
                    receipts.run(),
                    keep_counting(pools, stock),
                    journal.run(),
                    lookup.run(),
                    leases.run(),
                    node.run(engine.lowest_open_id),
                    pulse.drive_timers(engine),
                    pulse.refresh_gauges(engine),
                )
            ]
            for driver in drivers.values():
                driver.start()
            engine.refill()
            await self._listen(stack, app, admin=False)
            gc.freeze()  # what start-up built stays
            gc.set_threshold(GC_OBJECTS, 20, 50)
            self._status = Status(ready=True)
            _log.info("ready", node=settings.node, epoch=epoch, open_orders=engine.open_orders())
            await stopping.wait()
            await self._drain(engine, journal, list(drivers.values()))
            for work in works:
                work.cancel()

    async def _drain(
        self, engine: Engine, journal: JournalWriter, drivers: list[Driver[Any]]
    ) -> None:
        """No accepted order is aborted: what is open stays in the journal for the next start."""
        self._status = Status(ready=False, reason="draining")
        deadline = self._clock.monotonic() + self._settings.orders.drain_s
        _log.info("draining", open_orders=engine.open_orders())
        engine.drain()
        await pulse.until_quiet(engine, self._settings.orders.drain_s)
        left_s = max(1.0, deadline - self._clock.monotonic())
        await asyncio.gather(*(driver.drain(left_s) for driver in drivers))
        with suppress(TimeoutError):  # what is not written was not answered, or is done again
            async with asyncio.timeout(left_s):
                await journal.empty()
        _log.info("drained", open_orders=engine.open_orders(), unwritten=journal.backlog())

    def _driver(self, ne: NESettings, outcomes: Outcomes) -> Driver[Any]:
        return Driver(
            ne,
            adapter(ne),
            vault=self._vault,
            clock=self._clock,
            chance=self._chance,
            on_outcome=outcomes.put,
            on_free=outcomes.on_free,
        )

    async def _migrate(self) -> None:
        connection = await connect(self._dsn, "migrate")
        try:
            applied = await migrate(connection)
        finally:
            await connection.close()
        _log.info("database_ready", migrations_applied=applied)

    async def _listen(self, stack: AsyncExitStack, app: Any, *, admin: bool) -> None:
        http = self._settings.http
        host, port = (http.admin_host, http.admin_port) if admin else (http.host, http.port)
        try:
            runner = await listen(app, host=host, port=port)
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        stack.push_async_callback(runner.cleanup)


def _on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
