"""What a flow runs on: hlrds, network elements and business systems, each a process of its own.

A site is empty until a layout (loadtest.flow.layouts, or one of a family's own) has started things
on it; leaving `standing` ends all of them, whatever happened. Everything is on loopback, and its
logs are kept if something went wrong.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from hlrd.domain.orders import Source
from loadtest.business.message import Message, Party
from loadtest.faults import Profile
from loadtest.flow.daemon import Daemon
from loadtest.process import Process, StackError
from loadtest.record import Served
from loadtest.settings import HLR_USER
from loadtest.simlot import Stock
from loadtest.stack import PASSWORD_VARIABLE, free_port
from loadtest.stocking import Staff

REQUEST: Final = "工单执行请求"
ANSWER: Final = "工单执行响应"
ROUTINE: Final = re.compile(r"LGI|LGO|HBT|SHAKEHAND|LST VER|GET \S+/health\Z")
"""Commands that keep a session, and are about no order."""

DEADLINE_S: Final = 120.0
LOOK_EVERY_S: Final = 0.05

Caller = str | Callable[[Served], str]
"""Who asked an element for what is in its log: a participant, or one by the command."""


@dataclass(slots=True)
class Element:
    """A process of the site. `caller` is None for a business system, which notes its messages
    itself; a network element's are made of its log."""

    process: Process
    party: str
    caller: Caller | None
    port: int
    control_port: int
    read: int = 0  #: number of the last message or command that was read


@dataclass(slots=True)
class Site:
    folder: Path
    http: aiohttp.ClientSession
    seed: int = 1
    size: int = 1  #: the largest of the flows that will be played, for who lays in stock
    elements: dict[str, Element] = field(default_factory=dict)
    daemons: dict[str, Daemon] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  #: what a family keeps between its flows
    is_kept: bool = False  #: its folder, when it ends
    people: list[Message] = field(default_factory=list)  #: what they said on control ports, unread
    _ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    @property
    def hlrd(self) -> Daemon:
        """The only one, or the first that was started."""
        return next(iter(self.daemons.values()))

    def fresh(self) -> int:
        """A number that this site has not given before, for ids of users, orders and customers."""
        return int(next(self._numbers))

    # Starting.

    async def start(
        self,
        name: str,
        module: str,
        *arguments: str,
        party: str,
        caller: Caller | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Element:
        """`python -m MODULE --name NAME --port … --control-port …` and ARGUMENTS, once ready."""
        port, control_port = self.ports(name)
        ports = ["--port", str(port), "--control-port", str(control_port)]
        command = [module, "--name", name, *ports, *arguments]
        process = Process(name, command, self.folder, environment=environment)
        self.elements[name] = Element(process, party, caller, port, control_port)
        process.start()
        await process.ready()
        return self.elements[name]

    async def start_hlr(self, name: str, *arguments: str, caller: str = Party.HLRD) -> None:
        """Its account is HLR_USER with the site's one password."""
        account = ["--user", HLR_USER, "--password-env", PASSWORD_VARIABLE]
        password = {PASSWORD_VARIABLE: self.hlr_password}
        kept = ["--state-file", str(self.folder / f"{name}.state")]
        options = [*account, *kept, "--seed", str(self.seed), *arguments]
        await self.start(
            name, "loadtest.hlr", *options, party=Party.HLR, caller=caller, environment=password
        )

    async def start_dsmp(self, name: str = "dsmp1", *, caller: str = Party.HLRD) -> None:
        kept = ["--state-file", str(self.folder / f"{name}.state")]
        await self.start(name, "loadtest.dsmp", *kept, party=Party.DSMP, caller=caller)

    async def start_platform(
        self, name: str, dialect: str, *arguments: str, party: str, caller: Caller = Party.HLRD
    ) -> None:
        options = ["--dialect", dialect, "--state-file", str(self.folder / f"{name}.state")]
        if "--hop" in arguments:
            options += ["--hop-every-s", "0.05"]
        module = "loadtest.platform"
        await self.start(name, module, *options, *arguments, party=party, caller=caller)

    async def start_eoms(self, name: str, *, caller: str = Party.HLRD) -> None:
        """Its people answer when they are told to."""
        kept = ["--state-file", str(self.folder / f"{name}.state")]
        await self.start(name, "loadtest.eoms", *kept, party=Party.EOMS, caller=caller)

    def add_hlrd(self, name: str = "hlrd") -> Daemon:
        """Configure it by `put`, `add` and `drive`, then await its `start`."""
        self.daemons[name] = Daemon(name, self.folder, self.http)
        return self.daemons[name]

    def drive(self, daemon: Daemon, name: str, dialect: str, **settings: Any) -> None:
        """Tell a daemon of an element that is started: as `name`, quick to notice its faults."""
        quick = {"reply_timeout_s": 2.0, "settle_s": 0.1, "poll_s": 0.1, "breaker_probe_s": 0.1}
        account = {"user": HLR_USER, "password": self.hlr_password} if dialect in _MML else {}
        address = {"host": "127.0.0.1", "port": self.elements[name].port}
        daemon.add("ne", name=name, dialect=dialect, **address, **account, **{**quick, **settings})

    async def import_stock(self, daemon: Daemon, stock: Stock) -> None:
        await Staff(self.http, daemon.url, daemon.token(Source.OPS)).import_stock(stock)

    def secret(self, name: str, content: str) -> Path:
        """A file that only its owner reads, for what hlrd wants in one."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content)
        return path

    @property
    def hlr_password(self) -> str:
        return f"hlr-{self.folder.name}"

    # Looking, and disturbing.

    def url(self, name: str) -> str:
        """Where an element or system is served, or will be."""
        return f"http://127.0.0.1:{self.ports(name)[0]}"

    def ports(self, name: str) -> tuple[int, int]:
        """Its own and that of its control, which it has before it is started: two systems that
        know each other can both be told."""
        if name not in self._ports:
            self._ports[name] = free_port(), free_port()
        return self._ports[name]

    async def ask(
        self, name: str, method: str, path: str, body: object = None, *, follow: bool = False
    ) -> tuple[int, Any]:
        """One request to a system as a person or another system makes it: status and JSON."""
        url = self.url(name) + path
        async with self.http.request(method, url, json=body, allow_redirects=follow) as response:
            content = await response.read()
        return response.status, json.loads(content) if content else None

    async def control(self, name: str, method: str, path: str, body: object = None) -> Any:
        """One request to a control port; NDJSON comes back as a list. Raises StackError if it is
        refused."""
        url = f"http://127.0.0.1:{self.elements[name].control_port}{path}"
        data = None if body is None else msgspec.json.encode(body)
        async with self.http.request(method, url, data=data) as response:
            content = await response.read()
        if response.status >= 400:
            raise StackError(f"{name}: {method} {path}: {response.status} {content.decode()}")
        if response.content_type == "application/x-ndjson":
            return [json.loads(line) for line in content.splitlines()]
        return json.loads(content) if content else None

    async def dump(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.control(name, "GET", "/dump")
        return rows

    async def log(self, name: str, after: int = 0) -> list[Served]:
        """What a network element served; with the fields of loadtest.record.Served."""
        rows = await self.control(name, "GET", f"/log?after={after}")
        return msgspec.convert(rows, list[Served])

    async def put_faults(self, name: str, profile: Profile | None = None) -> None:
        """None heals it."""
        await self.control(name, "PUT", "/faults", profile or Profile())

    def kill(self, name: str) -> None:
        self.elements[name].process.kill()

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Reads and answers nothing meanwhile, and forgets nothing."""
        pid = self.elements[name].process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def cut_off(self, name: str) -> AsyncIterator[None]:
        """CRM or BOSS, for all others: who asks it meanwhile gets no answer, and it hears of
        nothing."""
        await self.control(name, "PUT", "/away", {"on": True})
        try:
            yield
        finally:
            await self.control(name, "PUT", "/away", {"on": False})

    async def restart(self, name: str) -> None:
        """Start a killed one again, on the ports it had; what it read was before is numbered anew
        from 0."""
        self.elements[name].process.start()
        self.elements[name].read = 0
        await self.elements[name].process.ready()

    async def until(self, holds: Callable[[], Any], what: str, *, s: float = DEADLINE_S) -> Any:
        """Ask an async question until its answer is true, and give that answer. Raises StackError
        that says what was waited for. A question that takes long is asked less often."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + s
        while True:
            looked_at = clock()
            if answer := await holds():
                return answer
            if clock() > ends_at:
                raise StackError(f"not within {s:.0f} s: {what}")
            await asyncio.sleep(max(LOOK_EVERY_S, 2 * (clock() - looked_at)))

    # Recording.

    async def recorded(self) -> list[Message]:
        """What was said since it was asked last, of each recorder in its order; not merged."""
        parts = await asyncio.gather(*(self._read(name) for name in self.elements))
        people, self.people = self.people, []
        return [*people, *(message for part in parts for message in part)]

    def said(
        self, person: str, system: str, name: str, detail: str = "", *, is_answer: bool = False
    ) -> None:
        """What a person told a system that keeps no record of people."""
        self.people.append(
            Message(time.monotonic(), person, system, name, detail, is_answer=is_answer)
        )

    async def _read(self, name: str) -> Sequence[Message]:
        element = self.elements[name]
        if not element.process.is_running():
            return []
        if element.caller is None:
            rows = await self.control(name, "GET", f"/messages?after={element.read}")
            numbered = msgspec.convert(rows, list[tuple[int, Message]])
            element.read = numbered[-1][0] if numbered else element.read
            return [message for _, message in numbered]
        served = await self.log(name, element.read)
        element.read = served[-1].number if served else element.read
        told = (each for each in served if not ROUTINE.match(each.command))
        return [message for each in told for message in exchange(element, each)]

    async def end(self) -> None:
        """The upstream side first, then hlrd, then the network. Never raises for what has ended."""
        upstream = [each for each in self.elements.values() if each.caller is None]
        network = [each for each in self.elements.values() if each.caller is not None]
        await asyncio.gather(*(each.process.end(deadline_s=5) for each in upstream))
        await asyncio.gather(*(daemon.end() for daemon in self.daemons.values()))
        await asyncio.gather(*(each.process.end(deadline_s=5) for each in network))

    def kill_all(self) -> None:
        """The last resort, when `end` was itself cut short."""
        for element in self.elements.values():
            element.process.kill()
        for daemon in self.daemons.values():
            daemon.kill()


_MML: Final = frozenset({"huawei_hlr"})


def exchange(element: Element, served: Served) -> list[Message]:
    """A command of an element's log: what hlrd (or a hop) asked it, and what it answered."""
    caller = element.caller(served) if callable(element.caller) else str(element.caller)
    asked = Message(served.at, caller, element.party, REQUEST, served.command)
    said = served.code or served.fault
    answered = Message(served.at, element.party, caller, ANSWER, said, is_answer=True)
    return [asked, answered]


@asynccontextmanager
async def standing(
    layout: Callable[[Site], Any], *, seed: int = 1, size: int = 1, folder: Path | None = None
) -> AsyncIterator[Site]:
    """A site with its layout started; its folder is kept only if something goes wrong inside."""
    home = folder or Path(tempfile.mkdtemp(prefix="hlrd-flow-"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        site = Site(home, http, seed, size, is_kept=folder is not None)
        try:
            await layout(site)
            await site.recorded()  # what was said while it started is no part of any flow
            yield site
        except Exception as error:
            site.is_kept = True
            error.add_note(f"logs and data are kept in {home}")
            raise
        finally:
            try:
                await asyncio.shield(site.end())
            finally:
                site.kill_all()
                if not site.is_kept:
                    shutil.rmtree(home, ignore_errors=True)
