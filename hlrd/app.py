"""The composition root: builds every part in a readable order and takes them down in reverse."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog

from adapters import DIALECTS, shipped_replies
from hlrd import __version__, limits, metrics
from hlrd.api.admin import admin_app
from hlrd.api.auth import Tokens
from hlrd.api.listen import listen
from hlrd.api.public import public_app
from hlrd.api.seam import Status
from hlrd.config import ConfigError, NESettings, Settings
from hlrd.domain.delivery import Endpoints
from hlrd.domain.errors import HlrdError
from hlrd.domain.fallout import EOMSRule
from hlrd.domain.operation import Operation
from hlrd.domain.plans.plan import Routes
from hlrd.domain.policy import Policy
from hlrd.domain.routing import RouteTable, Routing
from hlrd.engine.engine import Engine
from hlrd.ne.adapter import Account, Adapter
from hlrd.ne.driver import Driver
from hlrd.ne.parts import group_places
from hlrd.ne.replies import Replies
from hlrd.ne.replies import read as read_replies
from hlrd.ne.routefile import routing
from hlrd.pool.allocator import Allocator
from hlrd.pool.grade import Grades, Rule
from hlrd.pool.vault import KeyVault
from hlrd.runtime import pulse
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.batches.office import BatchOffice
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.calendar import Calendar
from hlrd.runtime.cards import CardDesk
from hlrd.runtime.clock import SystemClock
from hlrd.runtime.daybook import Daybook
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.delivery.registration import registrations
from hlrd.runtime.desk import NumberDesk
from hlrd.runtime.fallout.office import FalloutOffice
from hlrd.runtime.fallout.turn import Turn
from hlrd.runtime.feed import ReceiptFeed
from hlrd.runtime.imports.desk import ImportDesk, Means
from hlrd.runtime.imports.spool import Spool
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.lookup import LookupReader
from hlrd.runtime.master import StateMasters, masters_of
from hlrd.runtime.moves import SegmentMoves
from hlrd.runtime.node import NodeLease, first_order_id
from hlrd.runtime.outcomes import Outcomes
from hlrd.runtime.receipts import ReceiptReader
from hlrd.runtime.reconcile import Reconciler
from hlrd.runtime.recycle import Recycler
from hlrd.runtime.reservations import Reservations
from hlrd.runtime.stocktake import keep_counting
from hlrd.store import embedded
from hlrd.store.audit_trail import AuditBook
from hlrd.store.connection import Pool, connect, open_pool
from hlrd.store.groups import GroupStore
from hlrd.store.halts import HaltStore
from hlrd.store.imports import ImportBook
from hlrd.store.masters import MasterBook
from hlrd.store.migrate import migrate
from hlrd.store.moves import MoveBook
from hlrd.store.pools import NumberPools
from hlrd.store.products import ProductStore
from hlrd.store.reader import OrderReader
from hlrd.store.stock import SIMStock

_log = structlog.get_logger(__name__)

RELATIONS_DIALECT: Final = "dsmp"
_RELOADED: Final = ("ne", "route", "routes_file", "receipt_endpoint")
READ_CONNECTIONS_MAX: Final = 8
"""For what people and upstream systems read; the path of an order has connections of its own."""


def routes(settings: Settings) -> Routes:
    """Where tasks go; refuses a configuration that would leave some nowhere to go."""
    dialects = {ne.name: ne.dialect for ne in settings.ne}
    relations = [name for name, dialect in dialects.items() if dialect == RELATIONS_DIALECT]
    homes = {ne.name: ne.templates for ne in _that_can(Operation.ADD_SUBSCRIBER, settings)}
    sheets = [ne.name for ne in _that_can(Operation.OPEN_SHEET, settings)]
    if len(relations) != 1:
        raise ConfigError(f"ne: exactly one must have dialect dsmp, and {len(relations)} have")
    if not homes:
        raise ConfigError("ne: none is an HLR, so no number could have a home")
    if len(sheets) > 1:
        raise ConfigError(f"ne: one at most may take work sheets, and {', '.join(sheets)} do")
    if settings.fallout.to_eoms and not sheets:
        raise ConfigError("fallout.to_eoms: no network element takes work sheets")
    platforms = {ne.name for ne in _that_can(Operation.PUBLISH_PRODUCT, settings)}
    return Routes(
        dsmp=relations[0],
        templates=homes,
        dialects=dialects,
        platforms=frozenset(platforms - {relations[0]}),
        sheets=sheets[0] if sheets else "",
        groups=group_places(settings),
        policy=Policy(
            settings.orders.voluntary_stop_in_arrears == "accept",
            settings.groups.ec_unknown,
            settings.groups.ec_not_ready,
        ),
    )


def _that_can(operation: Operation, settings: Settings) -> list[NESettings]:
    """One of an unknown dialect can nothing; `adapter` refuses it."""
    known = [ne for ne in settings.ne if ne.dialect in DIALECTS]
    return [ne for ne in known if operation in DIALECTS[ne.dialect].operations]


def homes(settings: Settings) -> Routing:
    return routing(settings, routes(settings).templates)


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


async def serve(settings: Settings, read: Callable[[], Settings]) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once. SIGHUP
    reads the settings again.
    """
    stopping = asyncio.Event()
    _on_signals(stopping)
    server = await asyncio.to_thread(embedded.start, settings.database)
    try:
        daemon = Daemon(settings, server.dsn)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload, read)
        await daemon.run(stopping)
    finally:
        await asyncio.to_thread(server.stop, only_if_unused=True)


class Daemon:
    def __init__(self, settings: Settings, dsn: str) -> None:
        self._settings = settings
        self._dsn = dsn
        self._node = NodeLease(dsn, settings.node)
        self._status = Status(ready=False, reason="starting")
        self._drivers: dict[str, Driver[Any]] = {}
        self._clock = SystemClock()
        self._chance = Random()
        self._keys = {
            name: bytes.fromhex(key.get_secret_value()) for name, key in settings.keys.keys.items()
        }
        self._vault = KeyVault(self._keys, settings.keys.current, os.urandom)
        self._routes = routes(settings)
        self._homes = RouteTable(homes(settings))
        self._grades = Grades(Rule(rule.grade, rule.tail) for rule in settings.grades)
        self._endpoints = Endpoints()
        self._registrations = registrations(settings.receipt_endpoint)
        self._deliveries: DeliveryDesk | None = None

    def reload(self, read: Callable[[], Settings]) -> None:
        """Let the network elements go on by what `read` gives; the rest needs a restart. Settings
        that are of no use change nothing."""
        try:
            if not self._drivers:
                raise ConfigError("hlrd is still starting; send SIGHUP again")
            wanted = read()
            adapters = self._adapters_anew(wanted)
            wanted_homes = homes(wanted)
            wanted_endpoints = registrations(wanted.receipt_endpoint)
        except HlrdError as error:
            _log.error("settings_not_reloaded", error=str(error))
            return
        for ne in wanted.ne:
            self._drivers[ne.name].adopt(ne, adapters[ne.name])
        self._homes.configure(wanted_homes)
        self._registrations = wanted_endpoints
        if self._deliveries is not None:
            self._deliveries.adopt(wanted_endpoints)
        left = [
            name
            for name in type(wanted).model_fields
            if name not in _RELOADED and getattr(wanted, name) != getattr(self._settings, name)
        ]
        left += [
            f"ne.{new.name}.templates"
            for old, new in zip(_by_name(self._settings), _by_name(wanted), strict=True)
            if old.templates != new.templates
        ]
        _log.info("settings_reloaded", need_restart=left)

    def _adapters_anew(self, wanted: Settings) -> dict[str, Adapter[Any]]:
        dialects = {ne.name: ne.dialect for ne in self._settings.ne}
        if {ne.name: ne.dialect for ne in wanted.ne} != dialects:
            raise ConfigError("ne: other names or dialects need a restart")
        routes(wanted)
        return {ne.name: adapter(ne) for ne in wanted.ne}

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
        allocator = Allocator(self._chance.random)
        lookup = LookupReader(self._dsn, lambda: allocator.holds_made)
        outcomes = Outcomes()
        drivers = self._drivers = {ne.name: self._driver(ne, outcomes) for ne in settings.ne}
        peer = Peer(outcomes.put)
        first_own_id = first_order_id(epoch)
        pool = await open_pool(self._dsn, "api", READ_CONNECTIONS_MAX)
        stack.push_async_callback(pool.close)
        masters = masters_of(settings.orders.state_master, settings.orders.state_masters)
        engine = Engine(
            clock=self._clock,
            chance=self._chance.random,
            journal=journal,
            lookup=lookup,
            allocator=allocator,
            vault=self._vault,
            nes={**drivers, peer.name: peer},
            routes=self._routes,
            homes=self._homes,
            products=await ProductStore(pool).load(),
            enterprises=await GroupStore(pool).load(),
            member_wait_s=settings.groups.wait_s,
            script_checks={name: dialect.check_script for name, dialect in DIALECTS.items()},
            masters=masters,
            order_ids=count(first_own_id),
            first_own_id=first_own_id,
            endpoints=self._endpoints,
            eoms_rule=EOMSRule(settings.fallout.to_eoms),
            predecessor_wait_s=settings.orders.predecessor_wait_s,
        )

        def on_leased() -> None:
            engine.on_leased()
            reservations.leased()

        leases = LeaseKeeper(
            self._dsn,
            node=settings.node,
            epoch=epoch,
            allocator=allocator,
            on_leased=on_leased,
            grades=self._grades,
        )
        reservations = Reservations(
            self._dsn,
            node=settings.node,
            epoch=epoch,
            allocator=allocator,
            grades=self._grades,
            new_secret=partial(os.urandom, 32),
            on_page=engine.on_leased,
            on_freed=leases.freed,
        )
        trail = AuditWriter(self._dsn, node=settings.node, epoch=epoch, wall=self._clock.wall)
        master_book = MasterBook(pool)
        state_masters = StateMasters(master_book, masters=masters, engine=engine, trail=trail)
        await state_masters.recover()
        calendar = Calendar(
            self._dsn, node=settings.node, epoch=epoch, engine=engine, wall=self._clock.wall
        )
        halts = HaltStore(pool)
        await self._halt_standing(halts)
        moves = await self._moves(epoch, MoveBook(pool), engine, leases)
        receipts = ReceiptReader(pool, journal.durable_up_to)
        feed = ReceiptFeed(receipts, journal.durable_up_to)
        deliveries = self._deliveries = DeliveryDesk(
            self._dsn,
            pool,
            node=settings.node,
            epoch=epoch,
            endpoints=self._endpoints,
            durable_up_to=journal.durable_up_to,
            clock=self._clock,
            chance=self._chance.random,
        )
        deliveries.adopt(self._registrations)

        def on_receipts(sources: set[str]) -> None:
            receipts.arrived(sources)
            feed.arrived(sources)
            deliveries.arrived(sources)

        journal.attach(engine, on_receipts=on_receipts, on_freed=leases.freed)
        lookup.attach(engine)
        outcomes.attach(engine)
        await reservations.recover()
        await leases.recover()
        async for open_orders in node.open_orders():
            engine.recover(open_orders)
        engine.recover_resumes(await node.open_resumes())
        recycler = self._recycler(epoch, engine, leases)
        numbers = NumberDesk(
            self._dsn,
            node=settings.node,
            epoch=epoch,
            allocator=allocator,
            recycler=recycler,
            change_ranges=leases.change_ranges,
            on_freed=leases.freed,
        )
        stack.callback(numbers.close)
        pools = NumberPools(pool, leases.refresh)
        daybook = Daybook(allocator, pools, self._clock.wall)
        stock = SIMStock(pool)
        cards = CardDesk(self._dsn, node=settings.node, epoch=epoch, allocator=allocator)
        stack.callback(cards.close)
        imports = ImportDesk(
            ImportBook(pool),
            Spool(self._spool_folder(), self._vault),
            self._means(epoch),
            is_busy=lambda: allocator.is_giving or journal.backlog() > 0,
            on_imported=leases.refresh,
        )
        office = self._office(epoch, pool, engine, trail)
        batches = BatchOffice(
            self._dsn,
            pool,
            node=settings.node,
            epoch=epoch,
            engine=engine,
            peer=peer,
            reservations=reservations,
            folder=self._spool_folder() / "batches",
            vault=self._vault,
            routes=self._routes,
            homes=self._homes,
            masters=masters,
            is_busy=lambda: allocator.is_giving or journal.backlog() > 0,
        )
        app = public_app(
            tokens=Tokens((t.source, t.token.get_secret_value()) for t in settings.tokens),
            status=self._ready,
            intake=engine,
            desk=engine,
            recall=calendar,
            orders=OrderReader(pool),
            receipts=receipts,
            feed=feed,
            deliveries=deliveries,
            pools=pools,
            numbers=numbers,
            forecasts=daybook,
            stock=stock,
            cards=cards,
            imports=imports,
            batches=batches.desk,
            reservations=reservations,
            products=ProductStore(pool),
            groups=GroupStore(pool),
            elements=drivers.values(),
            halts=halts,
            moves=moves,
            fallout=office.desk,
            bulks=office.bulks,
            homes=self._homes,
            masters=state_masters,
            reconciler=Reconciler(master_book, masters=masters, intake=engine),
            trail=trail,
            audit=AuditBook(pool),
        )
        async with asyncio.TaskGroup() as group:
            works = [
                group.create_task(work)
                for work in (
                    receipts.run(),
                    deliveries.run(),
                    keep_counting(pools, stock),
                    journal.run(),
                    lookup.run(),
                    leases.run(),
                    reservations.run(),
                    imports.run(),
                    moves.run(),
                    trail.run(),
                    state_masters.run(),
                    calendar.run(),
                    office.run(),
                    batches.run(),
                    *map(recycler.run, recycler.hlrs),
                    daybook.run(),
                    node.run(engine.lowest_open_id),
                    pulse.drive_timers(engine),
                    pulse.refresh_gauges(engine),
                )
            ]
            for driver in drivers.values():
                driver.start()
            engine.refill()
            await deliveries.ready()
            await self._listen(stack, app, admin=False)
            _keep_what_is_built()
            self._status = Status(ready=True)
            _log.info("ready", node=settings.node, epoch=epoch, open_orders=engine.open_orders())
            await stopping.wait()
            await self._drain(engine, journal, list(drivers.values()), peer)
            await deliveries.drain(limits.DELIVERIES_LAST_S)
            for work in works:
                work.cancel()

    def _office(
        self, epoch: int, pool: Pool, engine: Engine, trail: AuditWriter
    ) -> FalloutOffice:
        settings = self._settings
        eoms = self._routes.sheets
        return FalloutOffice(
            Turn(self._dsn, node=settings.node, epoch=epoch),
            pool,
            engine=engine,
            errands=engine,
            trail=trail,
            rate_per_s=settings.fallout.bulk_rate,
            eoms=eoms,
            poll_s=self._drivers[eoms].poll_s if eoms else 0.0,
        )

    def _spool_folder(self) -> Path:
        settings = self._settings
        beside = settings.database.data_dir.parent / "imports"
        return (settings.imports.folder or beside).expanduser().resolve()

    def _means(self, epoch: int) -> Means:
        settings = self._settings
        return Means(
            dsn=self._dsn,
            node=settings.node,
            epoch=epoch,
            keys=self._keys,
            current=settings.keys.current,
            log_level=settings.log_level,
            homes=self._homes,
        )

    async def _halt_standing(self, halts: HaltStore) -> None:
        for ne, halt in (await halts.standing()).items():
            if ne in self._drivers:
                self._drivers[ne].halt(halt)

    async def _moves(
        self, epoch: int, book: MoveBook, engine: Engine, leases: LeaseKeeper
    ) -> SegmentMoves:
        moves = SegmentMoves(
            self._dsn,
            node=self._settings.node,
            epoch=epoch,
            book=book,
            engine=engine,
            homes=self._homes,
            change_ranges=leases.change_ranges,
            templates=self._routes.templates,
            settle_s=lambda hlr: self._drivers[hlr].settle_s if hlr in self._drivers else 0.0,
            chance=self._chance.random,
        )
        await moves.recover()
        return moves

    def _recycler(self, epoch: int, engine: Engine, leases: LeaseKeeper) -> Recycler:
        return Recycler(
            self._dsn,
            node=self._settings.node,
            epoch=epoch,
            hlrs=self._routes.templates,
            inquire=engine.inquire,
            on_freed=leases.freed,
        )

    async def _drain(
        self, engine: Engine, journal: JournalWriter, drivers: list[Driver[Any]], peer: Peer
    ) -> None:
        """No accepted order is aborted: what is open stays in the journal for the next start."""
        self._status = Status(ready=False, reason="draining")
        deadline = self._clock.monotonic() + self._settings.orders.drain_s
        _log.info("draining", open_orders=engine.open_orders())
        engine.drain()
        peer.drain()
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


def _keep_what_is_built() -> None:
    """What start-up made stays, so that no look for garbage walks it."""
    gc.freeze()
    gc.set_threshold(limits.GC_OBJECTS, 20, 50)


def _by_name(settings: Settings) -> list[NESettings]:
    return sorted(settings.ne, key=lambda ne: ne.name)


def _on_signals(stopping: asyncio.Event) -> None:
    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
