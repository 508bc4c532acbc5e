"""The composition root: builds every room in a readable order and takes them down in reverse."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import structlog
from aiohttp import web

from hlrd import __version__, limits, metrics
from hlrd.api.admin import admin_app
from hlrd.api.listen import listen
from hlrd.api.seam import Status
from hlrd.assembly import network
from hlrd.assembly.core import Core, build_core
from hlrd.assembly.front import build_front
from hlrd.assembly.numbers import build_numbers
from hlrd.assembly.site import Site
from hlrd.assembly.staff import build_staff
from hlrd.assembly.upstream import Upstream, build_upstream
from hlrd.config import ConfigError, NESettings, Settings
from hlrd.domain.audit import Action
from hlrd.domain.errors import HlrdError, Unavailable
from hlrd.engine.engine import Engine
from hlrd.ne.adapter import Adapter
from hlrd.ne.driver import Driver
from hlrd.runtime import pulse
from hlrd.runtime.accounts import credentials
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.batches.peer import Peer
from hlrd.runtime.delivery.desk import DeliveryDesk
from hlrd.runtime.delivery.registration import registrations
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.node import NodeLease
from hlrd.runtime.operators import registration as staff_of
from hlrd.runtime.operators.desk import OperatorDesk
from hlrd.runtime.sessions import SessionDesk
from hlrd.runtime.statistics import keep_statistics
from hlrd.runtime.upkeep import keep_up
from hlrd.store import embedded
from hlrd.store.connection import connect, open_pool
from hlrd.store.migrate import migrate

_log = structlog.get_logger(__name__)

_RELOADED: Final = ("ne", "route", "routes_file", "receipt_endpoint", "operators", "accounts")
READ_CONNECTIONS_MAX: Final = 8
"""For what people and upstream systems read; the path of an order has connections of its own."""


async def serve(settings: Settings, read: Callable[[], Settings]) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once. SIGHUP
    reads the settings again.
    """
    stopping = asyncio.Event()
    _on_signals(stopping)
    server = await asyncio.to_thread(embedded.start, settings.database)
    keeping = asyncio.create_task(keep_up(server, settings.database))
    try:
        daemon = Daemon(settings, server.dsn)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload, read)
        await daemon.run(stopping)
    finally:
        keeping.cancel()
        await asyncio.to_thread(server.stop, only_if_unused=True)


class Daemon:
    def __init__(self, settings: Settings, dsn: str) -> None:
        self._settings = settings
        self._dsn = dsn
        self._node = NodeLease(dsn, settings.node)
        self._status = Status(ready=False, reason="starting")
        self._site = Site(settings, dsn)
        self._drivers: dict[str, Driver[Any]] = {}
        self._registrations = registrations(settings.receipt_endpoint)
        self._deliveries: DeliveryDesk | None = None
        self._staff = staff_of.registration(settings.operators)
        self._operators: OperatorDesk | None = None
        self._credentials = credentials(settings.accounts)
        self._sessions: SessionDesk | None = None
        self._trail: AuditWriter | None = None

    def reload(self, read: Callable[[], Settings]) -> None:
        """Let the network elements go on by what `read` gives; the rest needs a restart. Settings
        that are of no use change nothing."""
        try:
            if not self._drivers:
                raise ConfigError("hlrd is still starting; send SIGHUP again")
            wanted = read()
            adapters = self._adapters_anew(wanted)
            wanted_homes = network.homes(wanted)
            wanted_endpoints = registrations(wanted.receipt_endpoint)
            wanted_staff = staff_of.registration(wanted.operators)
            wanted_credentials = credentials(wanted.accounts)
        except HlrdError as error:
            _log.error("settings_not_reloaded", error=str(error))
            return
        for ne in wanted.ne:
            self._drivers[ne.name].adopt(ne, adapters[ne.name])
        self._site.homes.configure(wanted_homes)
        self._registrations = wanted_endpoints
        if self._deliveries is not None:
            self._deliveries.adopt(wanted_endpoints)
        self._staff = wanted_staff
        if self._operators is not None:
            self._operators.adopt(wanted_staff)
        self._credentials = wanted_credentials
        if self._sessions is not None:
            self._sessions.adopt(wanted_credentials)
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
        self._note_reload(left)

    def _note_reload(self, left: list[str]) -> None:
        """After the act: it may be what brings the database's host back into reach."""
        if self._trail is None:
            return
        try:
            subject = f"node:{self._settings.node}"
            self._trail.note(Action.SETTINGS_RELOAD, subject, after={"need_restart": left})
        except Unavailable as error:
            _log.warning("reload_not_audited", error=str(error))

    def _adapters_anew(self, wanted: Settings) -> dict[str, Adapter[Any]]:
        dialects = {ne.name: ne.dialect for ne in self._settings.ne}
        if {ne.name: ne.dialect for ne in wanted.ne} != dialects:
            raise ConfigError("ne: other names or dialects need a restart")
        network.routes(wanted)
        return {ne.name: network.adapter(ne) for ne in wanted.ne}

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
        site = self._site
        stack.callback(self._node.close)
        epoch = await self._node.take()
        last_seq = await self._node.last_seq()
        pool = await open_pool(self._dsn, "api", READ_CONNECTIONS_MAX)
        stack.push_async_callback(pool.close)

        core = await build_core(site, pool, epoch=epoch, last_seq=last_seq)
        numbers = build_numbers(site, pool, core, epoch=epoch)
        stack.callback(numbers.close)
        upstream = build_upstream(site, pool, core, numbers, epoch=epoch)
        staff = build_staff(site, pool, core, epoch=epoch)
        stack.push_async_callback(staff.operators.close)
        self._drivers = core.drivers
        self._operators = staff.operators
        self._deliveries = upstream.deliveries
        self._trail = staff.trail
        self._sessions = sessions = SessionDesk(
            self._credentials,
            self._settings.sessions,
            epoch=epoch,
            clock=site.clock,
            entropy=os.urandom,
            trail=staff.trail,
        )
        upstream.deliveries.adopt(self._registrations)
        staff.operators.adopt(self._staff)
        core.journal.attach(
            core.engine, on_receipts=upstream.arrived, on_freed=numbers.leases.freed
        )

        await staff.recover(core)
        await numbers.recover()
        await self._recover(core.engine)

        app = build_front(
            site,
            pool,
            core,
            numbers=numbers,
            upstream=upstream,
            staff=staff,
            sessions=sessions,
            status=self._ready,
        )
        async with asyncio.TaskGroup() as group:
            works = (
                *upstream.works(),
                *core.works(),
                *numbers.works(),
                *staff.works(),
                sessions.run(),
                keep_statistics(pool),
                self._node.run(core.engine.lowest_open_id),
            )
            running = [group.create_task(work) for work in works]
            await self._open(stack, core, upstream, app)
            _log.info("ready", node=site.node, epoch=epoch, open_orders=core.engine.open_orders())
            await stopping.wait()
            await self._drain(core.engine, core.journal, list(core.drivers.values()), core.peer)
            await upstream.deliveries.drain(limits.DELIVERIES_LAST_S)
            for work in running:
                work.cancel()

    async def _recover(self, engine: Engine) -> None:
        async for open_orders in self._node.open_orders():
            engine.recover(open_orders)
        engine.recover_resumes(await self._node.open_resumes())

    async def _open(
        self, stack: AsyncExitStack, core: Core, upstream: Upstream, app: web.Application
    ) -> None:
        """To the network, then to whoever sends orders."""
        for driver in core.drivers.values():
            driver.start()
        core.engine.refill()
        await upstream.deliveries.ready()
        await self._listen(stack, app, admin=False)
        _keep_what_is_built()
        self._status = Status(ready=True)

    async def _drain(
        self, engine: Engine, journal: JournalWriter, drivers: list[Driver[Any]], peer: Peer
    ) -> None:
        """No accepted order is aborted: what is open stays in the journal for the next start."""
        self._status = Status(ready=False, reason="draining")
        deadline = self._site.clock.monotonic() + self._settings.orders.drain_s
        _log.info("draining", open_orders=engine.open_orders())
        engine.drain()
        peer.drain()
        await pulse.until_quiet(engine, self._settings.orders.drain_s)
        left_s = max(1.0, deadline - self._site.clock.monotonic())
        await asyncio.gather(*(driver.drain(left_s) for driver in drivers))
        with suppress(TimeoutError):  # what is not written was not answered, or is done again
            async with asyncio.timeout(left_s):
                await journal.empty()
        _log.info("drained", open_orders=engine.open_orders(), unwritten=journal.backlog())

    async def _migrate(self) -> None:
        connection = await connect(self._dsn, "migrate")
        try:
            applied = await migrate(connection)
        finally:
            await connection.close()
        _log.info("database_ready", migrations_applied=applied)

    async def _listen(self, stack: AsyncExitStack, app: web.Application, *, admin: bool) -> None:
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
