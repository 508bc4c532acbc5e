"""A business system as a process: it says when it listens, ends when told to, and says why if it
cannot go on."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp.test_utils import TestServer

from loadtest.process import Process, until
from loadtest.stack import free_port
from tests.loadtest.business.northbound_daemon import Daemon

DEADLINE_S = 60.0
NOWHERE = "http://127.0.0.1:9"
PASSWORDS = {"CRM_PASSWORD": "correct-horse"}


@asynccontextmanager
async def crm(folder: Path, hlrd: str) -> AsyncIterator[Process]:
    ports = ["--port", str(free_port()), "--control-port", str(free_port())]
    command = ["loadtest.crm", "--hlrd", hlrd, "--boss", NOWHERE, *ports]
    process = Process("crm", command, folder, environment=PASSWORDS)
    process.start()
    try:
        yield process
    finally:
        process.kill()


async def get(http: aiohttp.ClientSession, port: int, path: str) -> tuple[int, Sequence[object]]:
    async with http.get(f"http://127.0.0.1:{port}{path}") as response:
        lines = (await response.text()).splitlines()
        return response.status, [json.loads(line) for line in lines]


async def test_it_is_ready_without_hlrd_and_ends_by_sigterm(tmp_path: Path) -> None:
    async with crm(tmp_path, NOWHERE) as process, aiohttp.ClientSession() as http:
        ports = await process.ready(deadline_s=DEADLINE_S)

        status, (problem,) = await get(http, ports["port"], "/users/404")
        assert (status, problem["code"]) == (404, "USER_UNKNOWN")  # type: ignore[index]
        _, (numbered,) = await get(http, ports["control"], "/messages")
        assert "提交系统登录用户名、密码" in str(numbered)
        assert await get(http, ports["control"], "/messages?after=1") == (200, [])

        assert await process.end(deadline_s=DEADLINE_S) == 0
    assert "Traceback" not in process.tail()


async def test_it_ends_by_the_word_of_its_control_port(tmp_path: Path) -> None:
    async with crm(tmp_path, NOWHERE) as process, aiohttp.ClientSession() as http:
        ports = await process.ready(deadline_s=DEADLINE_S)

        async with http.post(f"http://127.0.0.1:{ports['control']}/stop") as response:
            assert response.status == 200

        await until(
            lambda: process.exit_code is not None, deadline_s=DEADLINE_S, what="the process ends"
        )
    assert process.exit_code == 0


async def test_a_wrong_password_ends_it_with_the_reason_and_without_the_password(
    tmp_path: Path,
) -> None:
    async with (
        TestServer(Daemon(password="another").app()) as hlrd,
        crm(tmp_path, str(hlrd.make_url(""))) as process,
    ):
        await until(lambda: process.exit_code is not None, deadline_s=DEADLINE_S, what="it ends")

    assert process.exit_code == 1
    assert "LoginRefused: crm: LOGIN_REFUSED" in process.tail()
    assert PASSWORDS["CRM_PASSWORD"] not in process.tail()
