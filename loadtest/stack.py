"""A whole system on loopback: emulated HLRs and DSMP, the daemon with its own PostgreSQL.

Every process is one of its own, its log and data are in one folder, and leaving `running` ends them
all, whatever happened inside; PostgreSQL too, which a killed daemon leaves behind.
"""

import asyncio
import json
import random
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import psutil

from adapters.class1_platform import Class1Platform
from adapters.ericsson_cai import EricssonCAI
from adapters.hss_soap import HSSSOAP
from adapters.huawei_hlr import HuaweiHLR
from adapters.iot_gateway import IoTGateway
from adapters.nationwide_management import NationwideManagement
from adapters.osmo_hlr import OsmoHLR
from adapters.subscriptions import SubscriptionPlatform
from hlrd.config import Database
from hlrd.domain.orders import Source
from hlrd.store import embedded
from loadtest.faults import Profile
from loadtest.osmo.real import RealHLR
from loadtest.process import Process, StackError
from loadtest.settings import HLR_USER, Credentials, Shape, daemon_toml

DAEMON_READY_S: Final = 120.0
"""A start takes a second and a half of a processor, which is half a minute on a machine that is
loaded twenty times over; making a database cluster on a slow disk comes on top."""

PASSWORD_VARIABLE: Final = "HLR_PASSWORD"  # so that no list of processes shows it

FIXED_PORTS: Final = (15_000, 32_000)
"""Below the range that the system gives to outgoing connections (from 32,768)."""

DRAIN_S: Final = 40.0
"""The daemon's own graceful stop (30 s), and a little."""


EMULATED_HLRS: Final = {
    HuaweiHLR.dialect: "loadtest.hlr",
    HSSSOAP.dialect: "loadtest.hss",
    EricssonCAI.dialect: "loadtest.cai",
}
"""The program that plays the HLRs of each dialect."""

PLATFORMS: Final[Mapping[type[SubscriptionPlatform], type[SubscriptionPlatform] | None]] = {
    IoTGateway: None,
    Class1Platform: None,
    NationwideManagement: IoTGateway,
}
"""Those that can be had, in the order that they are started in, and who is told next."""

_given: Final[set[int]] = set()


class Stack:
    """Use `running`; a Stack by itself has started nothing."""

    def __init__(self, folder: Path, shape: Shape, credentials: Credentials) -> None:
        self.folder = folder
        self.shape = shape
        self.credentials = credentials
        self.config = folder / "hlrd.toml"
        self.data_dir = folder / "postgres"
        self.elements: dict[str, Process] = {}
        self.real_hlrs: dict[str, RealHLR] = {}  #: of `elements`, the ones that are no emulators
        self.control_ports: dict[str, int] = {}  #: of those that are
        self.daemon = Process("hlrd", ["hlrd", "serve", "--config", str(self.config)], folder)
        self._ports: dict[str, int] = {}
        self._http_port = shape.http_port or free_port()
        self._admin_port = shape.admin_port or free_port()
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http_port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self._admin_port}"

    def token(self, source: Source) -> str:
        return self.credentials.tokens[source]

    async def start(self) -> None:
        for number, name in enumerate(self.shape.hlr_names):
            if self.shape.hlr_dialect == OsmoHLR.dialect:
                self._start_real_hlr(name)
            else:
                self._start_hlr(name, seed=self.shape.seed + number)
        self._start_dsmp()
        for name, process in self.elements.items():
            ports = await process.ready()
            self._ports[name] = ports["port"]
            if "control" in ports:
                self.control_ports[name] = ports["control"]
        for spoken, hop in PLATFORMS.items():
            if spoken.dialect in self.shape.platforms:
                await self._start_platform(spoken.dialect, hop)
        self.write_config(self._ports)
        await self.start_daemon()

    def write_config(self, ne_ports: Mapping[str, int]) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text(
            daemon_toml(
                self.shape,
                self.credentials,
                data_dir=self.data_dir,
                http_port=self._http_port,
                admin_port=self._admin_port,
                ne_ports=ne_ports,
                ne_hosts={name: real.host for name, real in self.real_hlrs.items()},
                password_files={user: self._password_file(user) for user in self.shape.accounts},
            )
        )

    def _password_file(self, user: str) -> Path:
        file = self.folder / f"{user}.password"
        file.touch(mode=0o600)
        file.write_text(f"{self.credentials.password(user)}\n")
        return file

    async def start_daemon(self) -> None:
        self.daemon.start()
        await self.daemon_ready()

    async def daemon_ready(
        self, deadline_s: float = DAEMON_READY_S, *, poll_s: float = 0.05
    ) -> None:
        ends_at = asyncio.get_running_loop().time() + deadline_s
        while not await self._is_ready():
            self.daemon.refuse_if_ended()
            if asyncio.get_running_loop().time() > ends_at:
                raise StackError(
                    f"hlrd is not ready within {deadline_s:.0f} s:\n{self.daemon.tail()}"
                )
            await asyncio.sleep(poll_s)

    async def restart_element(self, name: str) -> None:
        """Start a killed NE again, on the ports it had."""
        self.elements[name].start()
        await self.elements[name].ready()

    async def stop(self) -> None:
        """End everything, the upstream side first. Never raises for what has ended already."""
        await self.daemon.end(deadline_s=DRAIN_S)
        await asyncio.gather(*(process.end(deadline_s=5) for process in self.elements.values()))
        await asyncio.to_thread(self._stop_postgres)
        await self.http.close()

    def kill(self) -> None:
        """The last resort, when `stop` was itself cut short."""
        for process in (self.daemon, *self.elements.values()):
            process.kill()
        self._stop_postgres()

    async def control(self, ne: str, method: str, path: str, body: object = None) -> Any:
        """One request to an emulator's control port; NDJSON comes back as a list."""
        url = f"http://127.0.0.1:{self.control_ports[ne]}{path}"
        data = None if body is None else msgspec.json.encode(body)
        async with self.http.request(method, url, data=data) as response:
            response.raise_for_status()
            content = await response.read()
        if response.content_type == "application/x-ndjson":
            return [json.loads(line) for line in content.splitlines()]
        return json.loads(content)

    async def count_effects(self) -> None:
        """From now on, each emulated NE counts what every command changed."""
        for name in self.control_ports:
            await self.control(name, "PUT", "/effects", {"on": True})

    async def put_faults(self, profile: Profile, *, elements: list[str] | None = None) -> None:
        for name in elements if elements is not None else self.shape.hlr_names:
            await self.control(name, "PUT", "/faults", profile)

    def pids(self) -> Mapping[str, list[int]]:
        """Process ids by part, for measuring: daemon, postgres, emulators."""
        postmaster = postmaster_pid(self.data_dir)
        return {
            "daemon": [self.daemon.pid],
            "postgres": [] if postmaster is None else [postmaster],
            "emulators": [process.pid for process in self.elements.values()],
        }

    async def dsn(self) -> str:
        """Of the daemon's database, for looking at the journal itself."""
        server = await asyncio.to_thread(embedded.start, Database(data_dir=self.data_dir))
        return server.dsn

    def _stop_postgres(self) -> None:
        """The daemon does so itself unless it was killed."""
        if self.data_dir.exists():
            embedded.Server(dsn="", data_dir=self.data_dir.resolve()).stop()

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError):
            timeout = aiohttp.ClientTimeout(total=2)
            async with self.http.get(f"{self.admin_url}/readyz", timeout=timeout) as response:
                return response.status == 200
        return False

    def _start_hlr(self, name: str, *, seed: int) -> None:
        account = ["--user", HLR_USER, "--password-env", PASSWORD_VARIABLE]
        sessions = ["--sessions-max", str(self.shape.hlr_sessions)]
        module = EMULATED_HLRS[self.shape.hlr_dialect]
        self._start_element(name, module, self.shape.hlr_faults, seed, [*account, *sessions])

    def _start_real_hlr(self, name: str) -> None:
        real = RealHLR(name, self.folder)
        self.elements[name] = self.real_hlrs[name] = real
        real.start()

    def _start_dsmp(self) -> None:
        self._start_element("dsmp1", "loadtest.dsmp", self.shape.dsmp_faults, self.shape.seed, [])

    async def _start_platform(self, name: str, hop: type[SubscriptionPlatform] | None) -> None:
        options = ["--dialect", name]
        if hop is not None:
            options += ["--hop", f"http://127.0.0.1:{self._ports[hop.dialect]}{hop.path}"]
        self._start_element(name, "loadtest.platform", Profile(), self.shape.seed, options)
        ports = await self.elements[name].ready()
        self._ports[name], self.control_ports[name] = ports["port"], ports["control"]

    def _start_element(
        self, name: str, module: str, faults: Profile, seed: int, more: list[str]
    ) -> None:
        ports = {"--port": free_port(), "--control-port": free_port()}
        arguments = [module, "--name", name]
        for option, port in ports.items():
            arguments += [option, str(port)]
        arguments += ["--faults", msgspec.json.encode(faults).decode(), "--seed", str(seed), *more]
        if self.shape.remembers:
            arguments += ["--state-file", str(self.folder / f"{name}.state")]
        password = {PASSWORD_VARIABLE: self.credentials.hlr_password}
        self.elements[name] = Process(name, arguments, self.folder, environment=password)
        self.elements[name].start()


@asynccontextmanager
async def running(
    shape: Shape, *, folder: Path | None = None, credentials: Credentials | None = None
) -> AsyncIterator[Stack]:
    """A started stack; in a temporary folder that is kept only if something goes wrong inside."""
    home = folder or Path(tempfile.mkdtemp(prefix="hlrd-"))
    is_kept = folder is not None
    stack = Stack(home, shape, credentials or Credentials.random())
    try:
        await stack.start()
        yield stack
    except Exception as error:
        is_kept = True
        error.add_note(f"logs and data are kept in {home}")
        raise
    finally:
        try:
            await asyncio.shield(stack.stop())
        finally:
            stack.kill()
            if not is_kept:
                shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """One that no outgoing connection can be given between two starts of its process, and that
    was not given here before: its process may not have bound it yet."""
    while True:
        port = random.randrange(*FIXED_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port


def postmaster_pid(data_dir: Path) -> int | None:
    """Of the PostgreSQL that runs on this folder, if one does; for measuring its processor time."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if psutil.pid_exists(pid) else None
