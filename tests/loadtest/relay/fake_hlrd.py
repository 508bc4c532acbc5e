"""An hlrd as far as its public HTTP goes: sessions, orders that close when told to, receipts.

It remembers over `stop` and `start`, as the real one does; a session it does not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiohttp import web

from loadtest.business.northbound import Account
from loadtest.relay.onward import HLRD

ACCOUNT: Final = Account("pboss", "open sesame")
SUCCEEDED: Final[Mapping[str, Any]] = {"result": "succeeded"}
_WAIT_S: Final = 0.2

Rule = Callable[[dict[str, Any]], Mapping[str, Any] | None]
"""What becomes of an order: its receipt, a refusal (with a status), or None: it stays open."""


class FakeHLRD:
    def __init__(self) -> None:
        self.port = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.posts: list[dict[str, Any]] = []  #: each order as often as it came
        self.receipts: list[dict[str, Any]] = []
        self.refuses_account = False
        self.answers_lost = 0  #: so many of the next requests with orders
        self._rules: dict[str, Rule] = {}
        self._sessions: set[str] = set()
        self._logins = 0
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def known_as(self, party: str = "开通") -> HLRD:
        return HLRD(f"http://127.0.0.1:{self.port}", ACCOUNT, party)

    def rule(self, kind: str, rule: Rule | Mapping[str, Any] | None) -> None:
        """For orders of `kind` from now on; the others succeed."""
        self._rules[kind] = rule if callable(rule) else lambda _: rule

    def kinds(self) -> list[str]:
        return [order["type"] for order in self.orders.values()]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [order for order in self.orders.values() if order["type"] == kind]

    def close(self, order_id: str, receipt: Mapping[str, Any]) -> None:
        order = self.orders[order_id]
        told = {"id": order_id, "order_id": order_id, "type": order["type"], **receipt}
        self.receipts.append(told)
        self._news.set()

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/sessions", self._log_in),
                web.post("/v1/sessions/current/heartbeat", self._heartbeat),
                web.delete("/v1/sessions/current", self._heartbeat),
                web.post("/v1/work-orders", self._take),
                web.get("/v1/receipts", self._tell),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._sessions.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _log_in(self, request: web.Request) -> web.Response:
        told = await request.json()
        if self.refuses_account or told != {"user": ACCOUNT.user, "password": ACCOUNT.password}:
            return _problem(401, "LOGIN_REFUSED")
        self._logins += 1
        session = {"session": f"S{self._logins}", "token": f"T{self._logins}"}
        self._sessions.add(session["token"])
        return web.json_response({**session, "expires_at": "", "heartbeat_s": 60}, status=201)

    async def _heartbeat(self, request: web.Request) -> web.Response:
        return web.Response(status=204 if self._knows(request) else 401)

    async def _take(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _problem(401, "UNAUTHORIZED")
        answers = [self._answer(order) for order in await request.json()]
        if self.answers_lost:
            self.answers_lost -= 1
            transport: Any = request.transport
            transport.abort()
        return web.json_response({"answers": answers})

    def _answer(self, order: dict[str, Any]) -> dict[str, Any]:
        self.posts.append(order)
        order_id = order["order_id"]
        if order_id in self.orders:
            return self._repeated(order)
        ending = self._rules.get(order["type"], _succeed)(order)
        if ending is not None and "status" in ending:
            return {"order_id": order_id, "state": "refused", "refusal": {"detail": "", **ending}}
        self.orders[order_id] = order
        if ending is not None:
            self.close(order_id, ending)
        return {"order_id": order_id, "id": order_id, "state": "queued"}

    def _repeated(self, order: dict[str, Any]) -> dict[str, Any]:
        order_id = order["order_id"]
        if self.orders[order_id] != order:
            refusal = {"status": 409, "code": "DUPLICATE_CONFLICT", "detail": "other content"}
            return {"order_id": order_id, "state": "refused", "refusal": refusal}
        line = {"order_id": order_id, "id": order_id, "state": "queued", "repeated": True}
        told = [one for one in self.receipts if one["order_id"] == order_id]
        if told and told[-1]["result"] != "fallout":
            return {**line, "state": told[-1]["result"], "receipt": told[-1]}
        return line

    async def _tell(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _problem(401, "UNAUTHORIZED")
        after = int(request.query["after"])
        if len(self.receipts) <= after:
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _WAIT_S)
        receipts = self.receipts[after:]
        return web.json_response({"receipts": receipts, "cursor": after + len(receipts)})

    def _knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self._sessions


def _succeed(_: dict[str, Any]) -> Mapping[str, Any]:
    return SUCCEEDED


def _problem(status: int, code: str) -> web.Response:
    return web.json_response({"status": status, "code": code, "detail": code}, status=status)


@asynccontextmanager
async def an_hlrd() -> AsyncIterator[FakeHLRD]:
    hlrd = FakeHLRD()
    await hlrd.start()
    try:
        yield hlrd
    finally:
        await hlrd.stop()
