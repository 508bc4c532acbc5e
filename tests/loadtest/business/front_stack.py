"""CRM and BOSS as they are served, over HTTP, with a daemon and an SSO that are easy to command."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtest.boss.server import Server as BOSSServer
from loadtest.business.front import Front, Settings
from loadtest.business.northbound import Account
from loadtest.business.portal import PortalSettings
from loadtest.business.standing import Master
from loadtest.business.system import Ports
from loadtest.crm.server import Server as CRMServer
from loadtest.process import until
from tests.loadtest.business.northbound_daemon import Daemon

DEADLINE_S = 60.0
MASTERS = {"200": Master.BOSS, "210": Master.CRM, "220": Master.BACKUP}
PASSWORD = "correct-horse"


class SSO:
    """Knows one cookie, and the rights of who has it."""

    def __init__(self) -> None:
        self.rights: set[str] = set()
        self.questions: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/cookies/verify", self._verify),
                web.post("/tokens", self._token),
                web.post("/authorize", self._authorize),
            ]
        )
        return app

    async def _verify(self, request: web.Request) -> web.Response:
        valid = (await request.json())["cookie"] == "good"
        return web.json_response({"valid": valid, "operator": "zhang3" if valid else None})

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"operator": "zhang3", "token": "jwt-of-zhang3"})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.questions.append(asked["right"])
        return web.json_response({"allowed": asked["right"] in self.rights})


@dataclass(slots=True)
class Site:
    http: aiohttp.ClientSession
    daemon: Daemon
    sso: SSO
    systems: dict[str, Front] = field(default_factory=dict)
    ports: dict[str, Ports] = field(default_factory=dict)

    async def ask(
        self, system: str, method: str, path: str, body: object = None, **more: Any
    ) -> tuple[int, Any]:
        return await self._ask(self.ports[system].port, method, path, body, **more)

    async def control(self, system: str, method: str, path: str, body: object = None) -> Any:
        _, content = await self._ask(self.ports[system].control_port, method, path, body)
        return content

    async def _ask(
        self, port: int, method: str, path: str, body: object, **more: Any
    ) -> tuple[int, Any]:
        data = None if body is None else msgspec.json.encode(body)
        url = f"http://127.0.0.1:{port}{path}"
        async with self.http.request(
            method, url, data=data, allow_redirects=False, **more
        ) as response:
            content = await response.read()
            if response.content_type == "application/x-ndjson":
                return response.status, [msgspec.json.decode(at) for at in content.splitlines()]
            if response.content_type == "application/json":
                return response.status, msgspec.json.decode(content)
            return response.status, response.headers.get("Location", content.decode())

    async def closed(self, system: str, order_id: str) -> dict[str, Any]:
        orders = self.systems[system].orders

        def is_closed() -> bool:
            order = orders.get(order_id)
            return order is not None and order.state == "closed"

        await until(is_closed, deadline_s=DEADLINE_S, what=f"{order_id} closes", poll_s=0.005)
        _, order = await self.ask(system, "GET", f"/orders/{order_id}")
        return dict(order)

    async def account(self) -> str:
        body = {"operator_id": "zhang3", "name": "客户"}
        status, customer = await self.ask("crm", "POST", "/customers", body)
        assert status == 201, customer
        return str(customer["account_id"])

    async def user(self, province: str = "200", account_id: str = "", **more: Any) -> str:
        account = account_id or await self.account()
        body = opening(account, province, number=len(self.daemon.orders), mode="sync", **more)
        status, order = await self.ask("crm", "POST", "/users", body)
        assert status == 200, order
        return str(order["user_id"])


def opening(account_id: str, province: str = "200", *, number: int, **more: Any) -> dict[str, Any]:
    return {
        "operator_id": "zhang3",
        "province": province,
        "account_id": account_id,
        "msisdn": f"10649{number:08d}",
        "imsi": f"46004{number:010d}",
        "iccid": f"8986042{number:013d}",
        **more,
    }


@asynccontextmanager
async def site(portal: PortalSettings | None = None) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        made = Site(http, Daemon(password=PASSWORD, heartbeat_s=5.0), SSO())
        hlrd = await stack.enter_async_context(TestServer(made.daemon.app()))
        sso = await stack.enter_async_context(TestServer(made.sso.app()))
        settings = portal or PortalSettings()
        if portal is not None:
            settings = PortalSettings(
                str(sso.make_url("")).rstrip("/"),
                is_central=portal.is_central,
                rights=portal.rights,
            )
        at = {"crm": _free_port(), "boss": _free_port()}
        for name, kind, peer in (("crm", CRMServer, "boss"), ("boss", BOSSServer, "crm")):
            system: Front = kind(
                Settings(
                    name,
                    str(hlrd.make_url("")).rstrip("/"),
                    f"http://127.0.0.1:{at[peer]}",
                    Account(name, PASSWORD),
                    masters=MASTERS,
                    portal=settings,
                )
            )
            ports = Ports(system)
            stack.push_async_callback(system.close)
            stack.push_async_callback(ports.close)
            await ports.open("127.0.0.1", port=at[name], control_port=0)
            await system.begin()
            made.systems[name], made.ports[name] = system, ports
        yield made
        assert [one.failure for one in made.systems.values()] == [None, None]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
