"""Operators of a real daemon and a real SSO: rights that end, an SSO that is away, keys that
change, tokens that expire.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from loadtest.flow.daemon import Daemon
from loadtest.process import Process, until
from loadtest.stack import free_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

DEADLINE_S = 60.0
ISSUER = "https://sso.example"
BEARER = "the-secret-that-hlrd-shows"
PEOPLE = [
    {"name": "zhang3", "password": "secret of zhang3", "rights": ["pool.*", "fallout.*", "read"]}
]
LOCAL: Mapping[str, Any] = {
    "check": "local",
    "roles": {"desk": ["pool.*", "read"]},
    "people": {"zhang3": ["desk"]},
}


@dataclass
class Site:
    daemon: Daemon
    ports: Mapping[str, int]  #: of the SSO
    http: aiohttp.ClientSession
    jwks: Path
    pools: int = 0

    async def login(self) -> str:
        told = {"user": "zhang3", "password": "secret of zhang3"}
        url = f"http://127.0.0.1:{self.ports['port']}/login"
        async with self.http.post(url, json=told) as response:
            assert response.status == 200
            token: str = (await response.json())["token"]
            return token

    async def control(self, method: str, path: str, body: Any) -> None:
        url = f"http://127.0.0.1:{self.ports['control']}{path}"
        async with self.http.request(method, url, json=body) as response:
            assert response.status == 200, await response.text()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """The SSO is, meanwhile."""
        await self.control("PUT", "/down", {"on": True})
        try:
            yield
        finally:
            await self.control("PUT", "/down", {"on": False})

    async def act(self, token: str) -> tuple[int, str]:
        """Something that needs the right pool.create; status and code."""
        self.pools += 1
        return await self._ask("POST", "/v1/pools", token, {"name": f"p{self.pools}"})

    async def look(self, token: str) -> tuple[int, str]:
        return await self._ask("GET", "/v1/pools", token)

    async def refused(self, token: str) -> tuple[int, str]:
        """What looking gets, once it is not allowed any more."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                said = await self.look(token)
                if said[0] != 200:
                    return said
                await asyncio.sleep(0.05)

    async def _ask(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        url = self.daemon.url + path
        async with self.http.request(method, url, json=body, headers=headers) as response:
            return response.status, (await response.json()).get("code", "")

    async def reload(self, **settings: Any) -> None:
        """SIGHUP, until it says that it has read them."""
        before = self.count("settings_reloaded")
        self.daemon.put("operators", issuer=ISSUER, keys_file=str(self.jwks), **settings)
        self.daemon.config.write_text("\n\n".join(self.daemon.sections.values()) + "\n")
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        await self.said("settings_reloaded", before)

    def count(self, event: str) -> int:
        """How often the daemon's log has it."""
        return self.daemon.process.log.read_text().count(f'"{event}"')

    async def said(self, event: str, before: int) -> None:
        what = f"the daemon says {event}"
        await until(lambda: self.count(event) > before, deadline_s=DEADLINE_S, what=what)

    def remote(self) -> Mapping[str, Any]:
        url = f"http://127.0.0.1:{self.ports['port']}/authorize"
        return {"check": "remote", "authorize_url": url, "token": BEARER, "timeout_s": 1.0}

    async def audited(self) -> list[tuple[str, str, str]]:
        """The newest first: who, what, and how it ended."""
        shown = await self.daemon.get("/v1/audit?limit=5")
        return [
            (row["actor"], row["action"], (row["after"] or {}).get("refused", ""))
            for row in shown["rows"]
        ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("operators")
    jwks = folder / "jwks.json"
    arguments = [
        "loadtest.sso", "--people", json.dumps(PEOPLE), "--port", "0", "--control-port", "0",
        "--issuer", ISSUER, "--jwks-file", str(jwks),
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        sso = Process("sso", arguments, folder, environment={"OWN_TOKEN": BEARER})
        stack.push_async_callback(sso.end, deadline_s=DEADLINE_S)
        sso.start()
        ports = await sso.ready(deadline_s=DEADLINE_S)
        daemon = Daemon("hlrd", folder, http)
        made = Site(daemon, ports, http, jwks)
        daemon.put("operators", issuer=ISSUER, keys_file=str(jwks), **made.remote())
        for name, dialect in (("hlr1", "huawei_hlr"), ("dsmp1", "dsmp")):  # that nobody starts
            where = {"host": "127.0.0.1", "port": free_port()}
            daemon.add("ne", name=name, dialect=dialect, user="u", password="p", **where)
        stack.push_async_callback(daemon.end)
        await daemon.start()
        yield made


async def test_a_right_that_is_revoked_between_two_acts_refuses_the_second(site: Site) -> None:
    await site.reload(**site.remote())
    token = await site.login()

    first = await site.act(token)
    await site.control("POST", "/rights", {"operator": "zhang3", "revoke": ["pool.*"]})
    second = await site.act(token)
    await site.control("POST", "/rights", {"operator": "zhang3", "grant": ["pool.*"]})

    assert (first, second) == ((201, ""), (403, "RIGHT_MISSING"))
    assert (await site.audited())[:2] == [
        ("zhang3", "pool.create", "RIGHT_MISSING"),
        ("zhang3", "pool.create", ""),
    ]


async def test_acts_are_refused_while_the_sso_is_away_and_looking_and_orders_go_on(
    site: Site,
) -> None:
    await site.reload(**site.remote())
    token = await site.login()
    assert await site.look(token) == (200, "")
    order = {"type": "USER_TERMINATE", "order_id": "T1", "province": "200", "operator_id": "crm1"}

    async with site.away():
        acted, looked = await site.act(token), await site.look(token)
        ordered = await site.daemon.ask(
            "POST",
            "/v1/work-orders",
            {**order, "user_id": "1", "msisdn": "1064900000001"},
            source=Source.CRM,
        )

    assert acted == (503, "AUTHORIZATION_UNAVAILABLE")
    assert looked == (200, "")
    assert ordered[1]["code"] == "USER_UNKNOWN"  # judged, as ever
    assert await site.act(token) == (201, "")


async def test_by_its_own_table_hlrd_needs_no_sso_until_the_token_expires(site: Site) -> None:
    await site.reload(**LOCAL)
    await site.control("PUT", "/tokens", {"lifetime_s": 3.0})
    token, expires_at = await site.login(), time.time() + 3.0

    async with site.away():
        allowed, expired = await site.act(token), await site.refused(token)
    await site.control("PUT", "/tokens", {"lifetime_s": 3_600.0})

    assert allowed == (201, "")
    assert expired == (401, "TOKEN_EXPIRED")
    assert time.time() >= expires_at - 1.0


async def test_keys_change_by_sighup(site: Site) -> None:
    await site.reload(**LOCAL)
    old = await site.login()
    await site.control("POST", "/keys/rotate", {"keep": False})
    new = await site.login()
    assert await site.look(new) == (401, "TOKEN_INVALID")

    await site.reload(**LOCAL)

    assert await site.look(new) == (200, "")
    assert await site.look(old) == (401, "TOKEN_INVALID")


async def test_settings_of_no_use_leave_those_that_hold(site: Site) -> None:
    await site.reload(**LOCAL)
    token = await site.login()
    before = site.count("settings_not_reloaded")
    site.jwks.rename(site.jwks.with_suffix(".away"))

    os.kill(site.daemon.process.pid, signal.SIGHUP)
    await site.said("settings_not_reloaded", before)
    site.jwks.with_suffix(".away").rename(site.jwks)

    assert await site.look(token) == (200, "")
