"""What every emulated business system is: a process of its own with an HTTP port for the others
and a control port for who watches.

The control port of each has, beside what only that system has:
GET  /messages?after=N  (number, message) noted past N, NDJSON    GET /stats   counters
GET  /dump              every row it holds, NDJSON                POST /stop   end, as by SIGTERM
"""

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from hlrd.domain.errors import HlrdError
from loadtest.business.message import Messages
from loadtest.business.northbound import LoginRefused
from loadtest.control import number_of, stream

T = TypeVar("T")

BODY_BYTES_MAX: Final = 4 * 2**20
"""Of one request; as long as the longest list of users that credit control is asked about."""

_JSON: Final = "application/json"
_GRACE_S: Final = 1.0


class Problem(Struct, frozen=True):
    status: int
    code: str
    detail: str = ""


class Declined(Exception):
    """What another system or a person asked for cannot be; answered as problem JSON."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail = status, code, detail

    @property
    def problem(self) -> Problem:
        return Problem(self.status, self.code, self.detail)


class System(ABC):
    """Build it inside a running loop; `run` makes a process of it.

    A subclass starts what goes on beside requests in `begin`, by `keep_up`, and ends it in `end`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages = Messages()
        self.stopping = asyncio.Event()
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self.failure: BaseException | None = None  #: that ended it
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """What other systems and people ask it for."""

    def control_routes(self) -> Sequence[web.RouteDef]:
        return ()

    def middlewares(self) -> Sequence[Middleware]:
        """Around every request to its business port."""
        return ()

    @abstractmethod
    def stats(self) -> Mapping[str, Any]: ...

    @abstractmethod
    def dump(self) -> Sequence[Any]:
        """Every row that it holds, without any secret. msgspec must know how to encode one."""

    async def begin(self) -> None:
        """Its ports are open already."""
        return

    async def end(self) -> None:
        """Its ports are still open, and what was kept up still runs."""
        return

    def keep_up(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside the requests until it ends; its failure ends the system."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def stop(self) -> None:
        self.stopping.set()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()
            self.stop()


class Ports:
    """The two HTTP ports of a system; `port` and `control_port` are those in use."""

    def __init__(self, system: System) -> None:
        self.port = 0
        self.control_port = 0
        self._system = system
        self._business = _runner(system.routes(), system.middlewares())
        self._control = _runner([*self._routes(), *system.control_routes()], ())

    async def open(self, host: str, *, port: int, control_port: int) -> None:
        self.port = await _listen(self._business, host, port)
        self.control_port = await _listen(self._control, host, control_port)

    async def close(self) -> None:
        await self._business.cleanup()
        await self._control.cleanup()

    def _routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/messages", self._messages),
            web.get("/stats", self._stats),
            web.get("/dump", self._dump),
            web.post("/stop", self._stop),
        )

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, self._system.messages.after(number_of(request, "after")))

    async def _stats(self, _: web.Request) -> web.Response:
        return answer({"name": self._system.name, **self._system.stats()})

    async def _dump(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, self._system.dump())

    async def _stop(self, _: web.Request) -> web.Response:
        self._system.stop()
        return answer({"stopping": True})


async def body_of(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (ValueError, RecursionError) as error:  # which each error of decoding is
        raise Declined(400, "BODY_INVALID", str(error)) from error


def answer(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON)


def run(build: Callable[[], System], *, host: str, port: int, control_port: int) -> None:
    """The whole process: until SIGTERM, SIGINT or the control port's word."""
    try:
        uvloop.run(_serve(build, host=host, port=port, control_port=control_port))
    except (HlrdError, LoginRefused, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


async def _serve(build: Callable[[], System], *, host: str, port: int, control_port: int) -> None:
    """Says on stdout when it listens."""
    system = build()
    ports = Ports(system)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, system.stop)
    try:
        await ports.open(host, port=port, control_port=control_port)
        await system.begin()
        print(f"ready {system.name} port={ports.port} control={ports.control_port}", flush=True)
        await system.stopping.wait()
        await system.end()
    finally:
        await ports.close()
        await system.close()
    if system.failure is not None:
        raise system.failure


def _runner(routes: Sequence[web.RouteDef], middlewares: Sequence[Middleware]) -> web.AppRunner:
    around = [*middlewares, _declining]
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=around)
    app.add_routes(routes)
    return web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    found: int = runner.addresses[0][1]
    return found


@web.middleware
async def _declining(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Declined as declined:
        return answer(declined.problem, declined.status)
