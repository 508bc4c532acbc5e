"""Receipts that are sent: signed, each at least once and in the order of its user, whatever is
killed and whoever is away."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from hlrd.domain.orders import Source
from loadtest.generate import member_activations
from loadtest.process import until
from loadtest.receiver.core import Mood, Receiver
from loadtest.receiver.server import Server
from tests.e2e.flow import DEADLINE_S, System, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
USERS = 40
ROUNDS = 3


async def register(made: System, server: Server, *sources: Source) -> None:
    """Endpoints for these, while the daemon runs."""
    stack = made.stack
    file = stack.folder / "receiver.secret"
    file.write_text(SECRET)
    parts = [
        f'[[receipt_endpoint]]\nname = "{source}-main"\nsource = "{source}"\n'
        f'url = "{server.url}"\nsecret_file = "{file}"\nis_default = true\ntimeout_s = 1.0\n'
        for source in sources
    ]
    stack.config.write_text("\n".join([stack.config.read_text(), *parts]))
    os.kill(stack.daemon.pid, signal.SIGHUP)
    async with asyncio.timeout(DEADLINE_S):
        while len(await endpoints(made)) < len(sources):  # noqa: ASYNC110 - the daemon has no event
            await asyncio.sleep(0.05)


async def endpoints(made: System) -> list[dict[str, Any]]:
    found = await made.staff.get("/v1/receipt-endpoints")
    return list(found["endpoints"])


def an_order(kind: str, order_id: str, user: int, msisdn: str, **rest: object) -> tuple[str, bytes]:
    fields = {"order_id": order_id, "province": "200", "operator_id": "e2e", "user_id": str(user)}
    return order_id, json.dumps({"type": kind, **fields, "msisdn": msisdn, **rest}).encode()


async def activate(made: System) -> list[tuple[int, str]]:
    """Users with their numbers."""
    first = 7_000_000
    posted = list(member_activations(USERS, run="E", first_user=first))
    taken = await made.upstream().post(posted)
    numbers = [str(taken[order_id].msisdn) for order_id, _ in posted]
    return list(enumerate(numbers, first))


def rounds(users: Sequence[tuple[int, str]]) -> list[list[tuple[str, bytes]]]:
    """Each stops and resumes every user once."""
    return [
        [
            order
            for user, msisdn in users
            for order in (
                an_order("ARREARS_SUSPEND", f"S{count}-{user}", user, msisdn, level=2),
                an_order("PAYMENT_RESUME", f"R{count}-{user}", user, msisdn),
            )
        ]
        for count in range(ROUNDS)
    ]


async def test_receipts_arrive_in_order_through_a_kill_refusals_and_an_outage() -> None:
    receiver = Receiver([SECRET], mood=Mood(503, share=0.1))
    server = Server(receiver)
    await server.open()
    async with system() as made:
        await register(made, server, Source.ESOP, Source.BOSS)
        users = await activate(made)
        boss = made.upstream(Source.BOSS)
        first, second, third = rounds(users)
        await boss.post(first)
        await until(lambda: len(receiver.received) >= USERS, deadline_s=DEADLINE_S, what="half")
        made.stack.daemon.kill()
        await made.stack.start_daemon()
        await boss.post(second)
        await server.close()
        await boss.post(third)
        receiver.mood = Mood()
        await server.open(port=server.port)

        posted = USERS + 2 * ROUNDS * USERS
        await until(
            lambda: len(receiver.received) >= posted, deadline_s=DEADLINE_S, what="all receipts"
        )
        states = {endpoint["state"] for endpoint in await endpoints(made)}
        log = made.stack.daemon.log.read_text()
    await server.close()

    assert len({one.data["order_id"] for one in receiver.received.values()}) == posted
    assert {one.data["result"] for one in receiver.received.values()} == {"succeeded"}
    assert states == {"open"}
    for user, _ in users:
        stops = [
            one for one in receiver.of_user(str(user)) if one.data["type"] != "MEMBER_ACTIVATE"
        ]
        wanted = [f"{kind}{count}-{user}" for count in range(ROUNDS) for kind in "SR"]
        assert [one.data["order_id"] for one in stops] == wanted
    assert receiver.unsigned == 0
    assert SECRET not in log
    assert SECRET.removeprefix("whsec_") not in log
