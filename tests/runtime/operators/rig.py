"""An SSO on a socket, clocks that are set by hand, and the desk between them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from hlrd.config import Operators
from hlrd.runtime.operators.desk import OperatorDesk
from hlrd.runtime.operators.registration import registration
from loadtest.business.system import Ports
from loadtest.sso.core import Person
from loadtest.sso.core import Settings as SSOSettings
from loadtest.sso.server import Down, How, Server

ISSUER = "https://sso.example"
BEARER = "the secret that hlrd shows"


@dataclass
class Clock:
    now_s: float = field(default_factory=lambda: datetime.now(UTC).timestamp())

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def monotonic(self) -> float:
        return self.now_s


@dataclass
class Rig:
    desk: OperatorDesk
    server: Server
    clock: Clock
    keys_file: Path
    port: int

    def token(self, name: str = "anna") -> str:
        return self.server.sso.token(name, self.clock.now_s)[0]

    def settings(self, check: Literal["local", "remote"], **changed: Any) -> Operators:
        own: dict[str, Any] = {
            "local": {"roles": {"desk": ["fallout.*", "read"]}, "people": {"anna": ["desk"]}},
            "remote": {
                "authorize_url": f"http://127.0.0.1:{self.port}/authorize",
                "token": BEARER,
                "timeout_s": 0.5,
            },
        }[check]
        common = {"check": check, "issuer": ISSUER, "keys_file": self.keys_file}
        return Operators(**{**common, **own, **changed})

    def adopt(self, check: Literal["local", "remote"], **changed: Any) -> None:
        self.desk.adopt(registration(self.settings(check, **changed)))

    def fail(self, how: How = How.AWAY) -> None:
        self.server.fall(Down(on=True, how=how))

    def asked(self) -> int:
        """Questions about rights that the SSO has answered."""
        counters = self.server.sso.counters
        return counters.allowed + counters.refused


@asynccontextmanager
async def a_service(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[str]:
    """Its address: an authorization service that answers as `handler` does."""
    app = web.Application()
    app.router.add_post("/authorize", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/authorize"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_rig(folder: Path) -> AsyncIterator[Rig]:
    clock, keys_file = Clock(), folder / "jwks.json"
    people = [Person("anna", "secret of anna", ["fallout.*", "read"])]
    server = Server(SSOSettings(issuer=ISSUER, bearer=BEARER), people, jwks_file=keys_file)
    ports = Ports(server)
    await ports.open("127.0.0.1", port=0, control_port=0)
    desk = OperatorDesk(wall=clock.wall, monotonic=clock.monotonic)
    try:
        yield Rig(desk, server, clock, keys_file, ports.port)
    finally:
        await server.end()
        await desk.close()
        await ports.close()
        await server.close()
