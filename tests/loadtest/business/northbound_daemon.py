"""An hlrd as far as a channel knows it: sessions, orders and receipts, over HTTP."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

Verdict = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""What becomes of an order at once: the receipt's fields, or None while it is not closed."""


class Daemon:
    def __init__(self, *, password: str = "correct-horse", heartbeat_s: float = 0.02) -> None:
        self.password = password
        self.heartbeat_s = heartbeat_s
        self.sessions: dict[str, str] = {}  #: id by token
        self.logins: list[tuple[str, str]] = []
        self.heartbeats = 0
        self.logouts = 0
        self.locked_times = 0  #: so many logins are told that the account is locked
        self.orders: dict[str, dict[str, Any]] = {}
        self.posts: list[list[str]] = []
        self.receipts: list[dict[str, Any]] = []
        self.refusals: dict[str, Mapping[str, Any]] = {}  #: by order id
        self.verdict: Verdict = lambda order: {"result": "succeeded"}
        self.is_away = False
        self.resent: list[tuple[str, str, Any]] = []  #: by whose token, what, with which body
        self._news = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/sessions", self._log_in),
                web.post("/v1/sessions/current/heartbeat", self._heartbeat),
                web.delete("/v1/sessions/current", self._log_out),
                web.post("/v1/work-orders", self._post),
                web.get("/v1/receipts", self._receipts),
                web.post("/v1/fallout/{id}/resend", self._resend),
            ]
        )
        return app

    def forget_sessions(self) -> None:
        self.sessions.clear()
        self._tell()

    def close(self, order_id: str, **receipt: Any) -> None:
        order = self.orders[order_id]
        told = {
            "id": str(len(self.receipts) + 1),
            "order_id": order_id,
            "type": order["type"],
            "result": "succeeded",
            **receipt,
        }
        self.receipts.append(told)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _log_in(self, request: web.Request) -> web.Response:
        self._refuse_if_away()
        said = await request.json()
        self.logins.append((said["user"], said["password"]))
        if self.locked_times:
            self.locked_times -= 1
            return _problem(423, "LOGIN_LOCKED", headers={"Retry-After": "0"})
        if said["password"] != self.password:
            return _problem(401, "LOGIN_REFUSED")
        number = len(self.logins)
        self.sessions[f"token-{number}"] = f"s-{number}"
        told = {"session": f"s-{number}", "token": f"token-{number}"}
        return web.json_response({**told, "heartbeat_s": self.heartbeat_s}, status=201)

    async def _heartbeat(self, request: web.Request) -> web.Response:
        self._demand(request)
        self.heartbeats += 1
        return web.Response(status=204)

    async def _log_out(self, request: web.Request) -> web.Response:
        del self.sessions[self._demand(request)]
        self.logouts += 1
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.Response:
        self._demand(request)
        said = await request.json()
        many = said if isinstance(said, list) else [said]
        self.posts.append([order["order_id"] for order in many])
        answers = [self._take(order) for order in many]
        if isinstance(said, list):
            return web.json_response({"answers": answers})
        refusal = answers[0].get("refusal")
        if refusal is not None:
            return web.json_response(refusal, status=refusal["status"])
        receipt = next((one for one in self.receipts if one["order_id"] == said["order_id"]), None)
        if receipt is None:
            return web.json_response(answers[0], status=202)
        return web.json_response({**answers[0], "receipt": receipt})

    def _take(self, order: dict[str, Any]) -> dict[str, Any]:
        order_id = order["order_id"]
        refusal = self.refusals.get(order_id)
        if refusal is not None:
            return {"order_id": order_id, "state": "refused", "refusal": refusal}
        if order_id not in self.orders:
            self.orders[order_id] = order
            receipt = self.verdict(order)
            if receipt is not None:
                self.close(order_id, **receipt)
        return {"order_id": order_id, "id": "7", "state": "queued"}

    async def _receipts(self, request: web.Request) -> web.Response:
        self._demand(request)
        after = int(request.query["after"])
        if after >= len(self.receipts):
            news = self._news
            try:
                async with asyncio.timeout(0.2):
                    await news.wait()
            except TimeoutError:
                pass
            self._demand(request)
        page = {"receipts": self.receipts[after:], "cursor": len(self.receipts)}
        return web.Response(body=msgspec.json.encode(page), content_type="application/json")

    async def _resend(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"]
        self.resent.append((token, request.match_info["id"], await request.json()))
        return web.json_response({"state": "queued"})

    def _demand(self, request: web.Request) -> str:
        self._refuse_if_away()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.sessions:
            raise web.HTTPUnauthorized(text='{"code": "TOKEN_UNKNOWN"}')
        return token

    def _refuse_if_away(self) -> None:
        if self.is_away:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "0"})


def _problem(status: int, code: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"status": status, "code": code, "detail": code}, status=status, headers=headers
    )
