"""Orders outlive the channel they came by: closed, cut, or gone with a restart."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from hlrd.domain.orders import Source
from loadtest.client import TokenRefused, Upstream
from loadtest.generate import member_activations
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ORDERS = 100
PASSWORD = "a password of the ESOP"


async def give_account(made: System) -> None:
    """While the daemon runs."""
    stack = made.stack
    file = stack.folder / "esop.password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD)
    account = f'[[accounts]]\nsource = "ESOP"\nuser = "esop-main"\npassword_file = "{file}"\n'
    stack.config.write_text(f"{stack.config.read_text()}\n{account}")
    os.kill(stack.daemon.pid, signal.SIGHUP)
    async with asyncio.timeout(DEADLINE_S):
        while not (await made.staff.get("/v1/sessions"))["accounts"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def log_in(made: System, http: aiohttp.ClientSession) -> tuple[str, Upstream]:
    """Its session, and the source system on it."""
    said = {"user": "esop-main", "password": PASSWORD}
    async with http.post(f"{made.stack.url}/v1/sessions", json=said) as response:
        assert response.status == 201
        opened = await response.json()
    return opened["session"], Upstream(http, made.stack.url, opened["token"])


async def as_staff(made: System, method: str, path: str, body: object = None) -> None:
    head = {"Authorization": f"Bearer {made.stack.token(Source.OPS)}", "Operator-Id": "chen"}
    async with made.stack.http.request(
        method, made.stack.url + path, json=body, headers=head
    ) as response:
        assert response.status == 200, await response.text()


@asynccontextmanager
async def a_stream(upstream: Upstream) -> AsyncIterator[aiohttp.ClientResponse]:
    """Of receipts, once it has begun."""
    url = f"{upstream.url}/v1/receipts/stream"
    head = {"Authorization": f"Bearer {upstream.token}"}
    async with asyncio.timeout(DEADLINE_S), upstream.http.get(url, headers=head) as response:
        await response.content.readuntil(b"\n\n")
        yield response


async def receipts(upstream: Upstream, count: int) -> dict[str, Any]:
    """The first so many, by order id."""
    found: dict[str, Any] = {}
    cursor = "0"
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            cursor, page = await upstream.receipts(cursor)
            found |= {one["order_id"]: one for one in page}
    return found


async def test_orders_and_receipts_outlive_the_channel_and_each_tells_who_sent_it() -> None:
    posted = [
        (order_id, body.replace(b'"loadtest"', b'"zhang%d"' % (number % 7)))
        for number, (order_id, body) in enumerate(
            member_activations(ORDERS, run="C", first_user=7_000_000)
        )
    ]
    async with system() as made:
        await give_account(made)
        for hlr in made.stack.shape.hlr_names:
            await as_staff(made, "POST", f"/v1/network-elements/{hlr}/drain", {"cause": "test"})

        channel = aiohttp.ClientSession()
        session, esop = await log_in(made, channel)
        taken = await esop.post(posted)
        async with a_stream(esop) as stream:
            await as_staff(made, "DELETE", f"/v1/sessions/{session}")
            assert await stream.content.read() == b"", "it ends, with no receipt in it"
        with pytest.raises(TokenRefused):
            await esop.receipts("0")
        await channel.close()
        for hlr in made.stack.shape.hlr_names:
            await as_staff(made, "POST", f"/v1/network-elements/{hlr}/release", {})

        again, esop = await log_in(made, made.stack.http)
        found = await receipts(esop, ORDERS)
        shown = {
            order_id: await made.staff.get(f"/v1/work-orders/{line.id}")
            for order_id, line in taken.items()
        }
        (audited,) = {
            str(row["actor"])
            for row in (await made.staff.get(f"/v1/audit?subject=session:{session}"))["rows"]
            if row["action"] == "session.open"
        }
        made.stack.daemon.kill()
        await made.stack.start_daemon()
        with pytest.raises(TokenRefused):
            await esop.receipts("0")
        third, esop = await log_in(made, made.stack.http)
        once_more = await receipts(esop, ORDERS)
        after = await made.staff.get(f"/v1/audit?order={taken[posted[0][0]].id}")
        log = made.stack.daemon.log.read_text()

    assert {one["result"] for one in found.values()} == {"succeeded"}
    assert found.keys() == dict(posted).keys() == once_more.keys()
    for number, (order_id, _) in enumerate(posted):
        one = shown[order_id]
        who = (one["source"], one["operator_id"], one["session"])
        assert who == ("ESOP", f"zhang{number % 7}", session)
    assert audited == "esop-main"
    assert len({session, again, third}) == 3
    assert after["posted"]["session"] == session
    assert after["posted"]["operator_id"] == "zhang0"
    assert PASSWORD not in log
