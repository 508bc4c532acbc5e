"""The HTTP port of an emulated receiver."""

import asyncio

from aiohttp import web

from loadtest.receiver.core import Receiver

PATH = "/receipts"


class Server:
    """`open` it, and `close` it in the end."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._ending = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """At `port`, or a free one."""
        app = web.Application()
        app.add_routes(
            [
                web.post(PATH, self._take),
                web.post("/moved", self._moved),
                web.get("/stats", self._stats),
            ]
        )
        self._ending = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Its port stays its own: `open(port=…)` comes back there."""
        self._ending.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        mood = self.receiver.answer(dict(request.headers), body)
        if mood.hangs:
            await self._ending.wait()
        headers = {"Retry-After": mood.retry_after} if mood.retry_after else {}
        return web.Response(status=mood.status, headers=headers)

    async def _moved(self, _: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(PATH)

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.receiver.stats())
