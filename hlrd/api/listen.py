"""Listening sockets: the bounds of HTTP itself, and our own error shape below the routes too."""

import asyncio
from typing import Any, Final, cast

import msgspec
from aiohttp import hdrs, web

from hlrd import limits
from hlrd.api import problem
from hlrd.domain.errors import BadRequest, Unavailable

_BACKLOG: Final = 1_024
_SHUTDOWN_S: Final = 5.0
"""Given to requests under way when the daemon stops; waits end at once (`Patience`)."""

_PROTOCOL: Final[dict[str, Any]] = {
    "keepalive_timeout": limits.KEEPALIVE_TIMEOUT_S,
    "max_line_size": limits.HTTP_LINE_BYTES_MAX,
    "max_field_size": limits.HTTP_LINE_BYTES_MAX,
    "max_headers": limits.HTTP_HEADERS_MAX,
    "lingering_time": 2.0,
    "auto_decompress": False,  # hlrd.api.packing does
    "access_log": None,  # a line per request costs more than most requests
}


async def listen(
    app: web.Application,
    *,
    host: str,
    port: int,
    connections_max: int = limits.HTTP_CONNECTIONS_MAX,
) -> web.AppRunner:
    """Serve until `cleanup()` of what this returns. Its `addresses` tell the port if it was 0.

    A request whose client is gone is cancelled; an order in it that intake has seen is not.
    """
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    await _Site(runner, host=host, port=port, connections_max=connections_max).start()
    return runner


class _Site(web.BaseSite):
    """A TCP site with a cap on connections."""

    __slots__ = ("_connections_max", "_host", "_port")

    def __init__(
        self, runner: web.AppRunner, *, host: str, port: int, connections_max: int
    ) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._connections_max = connections_max

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, self._host, self._port, backlog=_BACKLOG
        )

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= self._connections_max:
            return _Full()
        return _Protocol(server, loop=asyncio.get_running_loop(), **_PROTOCOL)


class _Protocol(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Only for what is not even HTTP: the edge answers for every request that was read."""
        refusal = BadRequest("HTTP_INVALID", "this is no request that HTTP/1.1 allows")
        response = problem.respond(refusal, {hdrs.SERVER: "hlrd"})
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """An `Expect` that nobody knows is refused before the edge, and in plain text."""
        if isinstance(resp, web.HTTPException):
            resp = problem.respond_to(resp)
            resp.headers[hdrs.SERVER] = "hlrd"
        return await super().finish_response(request, resp, start_time)


class _Full(asyncio.Protocol):
    """One connection too many: told so at once, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        full = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases
        full.write(_FULL)
        full.close()


def _full() -> bytes:
    refusal = Unavailable("CONNECTIONS_FULL", "too many connections; use the ones you have", 1.0)
    body = msgspec.json.encode(problem.describe(refusal))
    return (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"Content-Type: %b\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (problem.CONTENT_TYPE.encode(), len(body), body)
    )


_FULL: Final = _full()
