"""A stack on which nothing is killed: the page of metrics, the README's order, and the secrets."""

import asyncio
import json
import os
import re
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from hlrd.domain.orders import Source
from loadtest.run import welcome
from tests import draw
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def busy() -> AsyncIterator[System]:
    """After 400 orders."""
    async with system() as made:
        book = await made.workload(400).run(deadline_s=DEADLINE_S)
        assert await made.wrong(book) == []
        yield made


async def metrics_page(made: System) -> str:
    async with made.stack.http.get(f"{made.stack.admin_url}/metrics") as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.promtool
async def test_promtool_finds_nothing_to_say_about_the_metrics(busy: System) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt-get install prometheus, or run this by make test, which gets promtool"
    page = await metrics_page(busy)

    checker = await asyncio.create_subprocess_exec(
        promtool, "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    said = await checker.communicate(page.encode())

    assert (checker.returncode, said) == (0, (b"", b""))


async def test_every_declared_metric_is_on_the_page_and_no_other(busy: System) -> None:
    page = await metrics_page(busy)

    typed = set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))

    assert typed == {name for _, name, _, _ in draw.declared_metrics()}


async def test_no_label_names_a_number_card_user_or_order(busy: System) -> None:
    page = await metrics_page(busy)

    values = re.findall(r'[{,][a-z_]+="([^"]*)"', page)

    assert values
    assert [value for value in values if re.search(r"[0-9]{6}|E-0", value)] == []


async def test_the_page_adds_up(busy: System) -> None:
    page = await metrics_page(busy)

    assert total(page, "hlrd_orders_accepted_total") == 400
    assert total(page, "hlrd_orders_closed_total") == 400
    assert total(page, "hlrd_order_duration_seconds_count") == 400
    assert total(page, "hlrd_ne_outcomes_total", 'verdict="done"') == 3 * 400
    assert total(page, "hlrd_tasks_in_doubt") == 0
    assert total(page, "hlrd_ne_unknown_codes_total") == 0


def total(page: str, name: str, label: str = "") -> float:
    """The sum over the series of one metric, or over those that carry this label."""
    series = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page, re.MULTILINE)
    assert series, f"{name} is not on the page"
    return sum(float(value) for labels, value in series if label in labels)


async def test_the_welcome_of_make_run_can_be_pasted(busy: System) -> None:
    commands = re.findall(r"^curl .*?(?<!\\)\n", welcome(busy.stack), re.MULTILINE | re.DOTALL)
    assert len(commands) == 3

    order, receipts, pool = [await as_curl(busy.stack.http, command) for command in commands]

    assert order["receipt"]["result"] == "succeeded"
    assert receipts["receipts"]
    while pool["numbers"]["inUse"] < 401:  # a count that takes long is shown as it last was
        pool = await as_curl(busy.stack.http, commands[-1])


async def test_a_shell_that_took_the_welcome_can_ask_by_hlrd(busy: System) -> None:
    (line,) = re.findall(r"^export .*$", welcome(busy.stack), re.MULTILINE)

    shell = await asyncio.create_subprocess_shell(
        f"{line}; hlrd ne list", stdout=PIPE, stderr=PIPE, env={**os.environ, "COLUMNS": "120"}
    )
    out, err = await shell.communicate()

    assert (shell.returncode, err) == (0, b"")
    assert b"hlr1" in out


async def as_curl(http: aiohttp.ClientSession, command: str) -> dict[str, object]:
    """Understands what `welcome` prints; a machine need not have curl."""
    words = re.findall(r"'([^']*)'|(\S+)", command.replace("\\\n", " "))
    tokens = [quoted or plain for quoted, plain in words][3:]  # curl -sw '\\n'
    url, headers, data = "", {}, None
    while tokens:
        token = tokens.pop(0)
        if token == "-H":
            name, _, value = tokens.pop(0).partition(": ")
            headers[name] = value
        elif token == "-d":
            data = tokens.pop(0)
        else:
            url = token
    method = "GET" if data is None else "POST"
    async with http.request(method, url, headers=headers, data=data) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def test_no_secret_is_in_any_log_or_answer(busy: System) -> None:
    secrets = secrets_of(busy)
    written = {path.name: path.read_bytes() for path in logs(busy.stack.folder)}
    for path in (
        "/v1/pools",
        "/v1/sim-lots",
        "/v1/network-elements",
        "/v1/work-orders?order_id=E-00000001",
    ):
        url = busy.stack.url + path
        token = busy.stack.token(Source.ESOP if "order" in path else Source.OPS)
        headers = {"Authorization": f"Bearer {token}"}
        async with busy.stack.http.get(url, headers=headers) as response:
            assert response.status == 200, path
            written[path] = await response.read()

    found = [
        (name, secret) for name, text in written.items() for secret in secrets if secret in text
    ]

    assert {"hlrd.log", "hlr1.log"} <= written.keys()
    assert found == []


def logs(folder: Path) -> list[Path]:
    return [*folder.glob("*.log"), *folder.glob("postgres/*.log")]


def secrets_of(made: System) -> list[bytes]:
    rows = [row for lot in made.stock.lots for row in lot.csv().splitlines()]
    cards = [ki for row in rows if len(ki := row.split(b",")[-1]) == 32]
    assert len(cards) == made.stock.cards
    credentials = made.stack.credentials
    own = [credentials.hlr_password, credentials.key, *credentials.tokens.values()]
    return [*cards, *(secret.encode() for secret in own)]


async def test_what_an_hlr_is_told_is_shown_masked(busy: System) -> None:
    log = json.dumps(await busy.stack.control("hlr1", "GET", "/log"))

    assert 'KIVALUE=\\"****' in log or "KIVALUE=****" in log
