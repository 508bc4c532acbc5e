"""The SSO as browsers, systems and who watches ask it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from loadtest.business.system import Ports
from loadtest.sso.core import Person, Settings
from loadtest.sso.server import AUTHORIZE, AUTHORIZED, LOG_IN, LOGGED_IN, PAGE, Server

PASSWORD = "secret of anna"
ANNA = Person("anna", PASSWORD, ["fallout.*"])
BACK = "http://127.0.0.1:1/ui"
BEARER = {"Authorization": "Bearer secret of hlrd"}


class Rig:
    def __init__(self, server: Server, ports: Ports, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._ports = ports
        self._http = http

    async def ask(self, method: str, path: str, **rest: Any) -> tuple[int, Any, Any]:
        return await self._ask(self._ports.port, method, path, **rest)

    async def control(self, method: str, path: str, **rest: Any) -> tuple[int, Any, Any]:
        return await self._ask(self._ports.control_port, method, path, **rest)

    async def _ask(self, port: int, method: str, path: str, **rest: Any) -> tuple[int, Any, Any]:
        url = f"http://127.0.0.1:{port}{path}"
        async with self._http.request(method, url, allow_redirects=False, **rest) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text, response.headers

    async def logged_in(self) -> Any:
        told = {"user": "anna", "password": PASSWORD}
        return (await self.ask("POST", "/login", json=told))[1]

    def said(self) -> list[str]:
        return [message.name for _, message in self.server.messages.after(0)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    settings = Settings(bearer="secret of hlrd")
    server = Server(settings, [ANNA], jwks_file=tmp_path / "jwks.json")
    ports = Ports(server)
    await ports.open("127.0.0.1", port=0, control_port=0)
    jar = aiohttp.DummyCookieJar()
    try:
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            yield Rig(server, ports, http)
    finally:
        await server.end()
        await ports.close()
        await server.close()


async def test_a_browser_gets_the_page_logs_in_and_goes_back_with_its_cookie(rig: Rig) -> None:
    status, page, _ = await rig.ask("GET", "/login", params={"return": BACK})
    assert status == 200
    assert f'value="{BACK}"' in page

    form = {"user": "anna", "password": PASSWORD, "return": BACK}
    status, _, headers = await rig.ask("POST", "/login", data=form)

    assert (status, headers["Location"]) == (303, BACK)
    assert "HttpOnly" in headers["Set-Cookie"]
    assert rig.said() == ["登录请求", PAGE, LOG_IN, LOGGED_IN]
    cookie = headers["Set-Cookie"].split(";")[0]
    again = await rig.ask("GET", "/login", params={"return": BACK}, headers={"Cookie": cookie})
    assert (again[0], again[2]["Location"]) == (303, BACK)


async def test_a_wrong_password_shows_the_page_again_and_sets_no_cookie(rig: Rig) -> None:
    form = {"user": '"><script>', "password": "x", "return": BACK}

    status, page, headers = await rig.ask("POST", "/login", data=form)

    assert status == 401
    assert "<script>" not in page
    assert "Set-Cookie" not in headers
    told = {"user": "anna", "password": "x"}
    assert (await rig.ask("POST", "/login", json=told))[1]["code"] == "LOGIN_REFUSED"


async def test_nobody_is_sent_elsewhere(rig: Rig) -> None:
    evil = "http://evil.example/"
    form = {"user": "anna", "password": PASSWORD, "return": evil}

    for answer in (
        await rig.ask("GET", "/login", params={"return": evil}),
        await rig.ask("POST", "/login", data=form),
    ):
        assert (answer[0], answer[1]["code"]) == (400, "RETURN_REFUSED")


async def test_a_system_checks_a_cookie_and_gets_a_token_for_it(rig: Rig) -> None:
    cookie = (await rig.logged_in())["cookie"]

    _, said, _ = await rig.ask("POST", "/cookies/verify", json={"cookie": cookie}, headers=BEARER)
    _, issued, _ = await rig.ask("POST", "/tokens", json={"cookie": cookie}, headers=BEARER)

    assert said == {"valid": True, "operator": "anna"}
    assert issued["token"].count(".") == 2
    other = await rig.ask("POST", "/cookies/verify", json={"cookie": "x"}, headers=BEARER)
    assert other[1] == {"valid": False, "operator": ""}
    assert (await rig.ask("POST", "/tokens", json={"cookie": "x"}, headers=BEARER))[0] == 401


async def test_who_logs_out_is_not_known_any_more(rig: Rig) -> None:
    cookie = (await rig.logged_in())["cookie"]

    await rig.ask("POST", "/logout", headers={"Cookie": f"sso={cookie}"})

    _, said, _ = await rig.ask("POST", "/cookies/verify", json={"cookie": cookie}, headers=BEARER)
    assert not said["valid"]


@pytest.mark.parametrize("path", ["/cookies/verify", "/tokens", "/authorize"])
async def test_a_system_that_shows_no_bearer_is_told_nothing(rig: Rig, path: str) -> None:
    status, said, _ = await rig.ask("POST", path, json={})

    assert (status, said["code"]) == (401, "UNAUTHORIZED")


async def test_a_right_that_is_revoked_is_refused_with_the_next_question(rig: Rig) -> None:
    question = {"operator": "anna", "right": "fallout.resend", "subject": "order:1"}
    hlrd = {**BEARER, "User-Agent": "hlrd/1"}

    before = await rig.ask("POST", "/authorize", json=question, headers=hlrd)
    await rig.control("POST", "/rights", json={"operator": "anna", "revoke": ["fallout.*"]})
    after = await rig.ask("POST", "/authorize", json=question, headers=hlrd)

    assert (before[1], after[1]) == ({"allowed": True}, {"allowed": False})
    assert rig.said() == [AUTHORIZE, AUTHORIZED] * 2


async def test_questions_of_systems_with_a_record_of_their_own_are_not_noted_twice(
    rig: Rig,
) -> None:
    question = {"operator": "anna", "right": "user.open", "subject": "user:1"}

    await rig.ask("POST", "/authorize", json=question, headers=BEARER)

    assert rig.said() == []


async def test_keys_are_published_where_hlrd_reads_them(rig: Rig, tmp_path: Path) -> None:
    first = (await rig.ask("GET", "/jwks"))[1]
    kid = (await rig.control("POST", "/keys/rotate", json={"keep": False}))[1]["kid"]

    second = json.loads((tmp_path / "jwks.json").read_text())

    assert [key["kid"] for key in second["keys"]] == [kid]
    assert first["keys"][0]["kid"] != kid


async def test_people_come_and_change_while_it_runs(rig: Rig) -> None:
    told = {"password": "secret of bert", "rights": ["read"]}
    await rig.control("PUT", "/people/bert", json=told)
    await rig.control("PUT", "/tokens", json={"lifetime_s": 1.0})

    status, said, _ = await rig.ask(
        "POST", "/login", json={"user": "bert", "password": "secret of bert"}
    )

    assert (status, said["operator"]) == (200, "bert")
    people = await rig.control("GET", "/people")
    assert "secret" not in json.dumps(people[1])
    assert (await rig.control("PUT", "/tokens", json={"lifetime_s": 0}))[0] == 400
    assert (await rig.control("POST", "/rights", json={"operator": "carl"}))[0] == 404
    assert (await rig.control("POST", "/rights", data=b'{"\xff": 1}'))[0] == 400


@pytest.mark.parametrize(("how", "seen"), [("error", 500), ("garbage", 200)])
async def test_it_can_be_there_and_of_no_use(rig: Rig, how: str, seen: int) -> None:
    await rig.control("PUT", "/down", json={"on": True, "how": how})

    status, _, headers = await rig.ask("POST", "/authorize", json={}, headers=BEARER)

    assert status == seen
    assert how == "error" or headers["Content-Type"].startswith("text/html")


async def test_it_can_be_away_and_come_back(rig: Rig) -> None:
    await rig.control("PUT", "/down", json={"on": True})
    with pytest.raises(aiohttp.ClientError):
        await rig.ask("GET", "/jwks")

    await rig.control("PUT", "/down", json={"on": False})

    assert (await rig.ask("GET", "/jwks"))[0] == 200


async def test_it_can_keep_everybody_waiting(rig: Rig) -> None:
    await rig.control("PUT", "/down", json={"on": True, "how": "hang"})

    with pytest.raises(TimeoutError):
        await rig.ask("GET", "/jwks", timeout=aiohttp.ClientTimeout(total=0.2))
