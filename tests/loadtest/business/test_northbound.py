"""The kept channel against a daemon that forgets, locks, goes away and loses the line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from loadtest import client
from loadtest.business import northbound
from loadtest.business.message import Messages, Party
from loadtest.business.northbound import Account, Channel, LoginRefused
from loadtest.process import until
from tests.loadtest.business.northbound_daemon import Daemon

DEADLINE_S = 60.0
PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECONNECT_S", 0.01)
    monkeypatch.setattr(northbound, "_RETRY_S", 0.01)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon(password=PASSWORD)


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest_asyncio.fixture
async def channel(daemon: Daemon, messages: Messages) -> AsyncIterator[Channel]:
    async with TestServer(daemon.app()) as server, aiohttp.ClientSession() as http:
        yield Channel(
            http,
            str(server.make_url("/")),
            party=Party.CRM,
            account=Account("crm", PASSWORD),
            messages=messages,
        )


@asynccontextmanager
async def kept(channel: Channel) -> AsyncIterator[list[str]]:
    """The channel runs; order ids of the receipts that came by it, repeats and all."""
    came: list[str] = []
    running = asyncio.create_task(channel.run(lambda receipt: came.append(receipt["order_id"])))
    try:
        yield came
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def orders(count: int, *, first: int = 1) -> list[dict[str, Any]]:
    return [
        {"type": "USER_OPEN", "order_id": f"C{number}", "operator_id": "zhang3"}
        for number in range(first, first + count)
    ]


async def soon(holds: Callable[[], bool]) -> None:
    await until(holds, deadline_s=DEADLINE_S, what="it holds", poll_s=0.005)


async def test_one_login_carries_all_orders_and_receipts(channel: Channel, daemon: Daemon) -> None:
    async with kept(channel) as came:
        for first in (1, 11, 21):
            await channel.post(orders(10, first=first))
        await soon(lambda: len(came) == 30)

    assert daemon.logins == [("crm", PASSWORD)]


async def test_the_channel_is_kept_by_heartbeats(channel: Channel, daemon: Daemon) -> None:
    async with kept(channel):
        await soon(lambda: daemon.heartbeats >= 3)

    assert len(daemon.logins) == 1


async def test_a_session_that_was_forgotten_costs_a_login_and_no_order(
    channel: Channel, daemon: Daemon
) -> None:
    async with kept(channel) as came:
        await channel.post(orders(5))
        daemon.forget_sessions()

        lines = await channel.post(orders(5, first=6))
        await soon(lambda: len(set(came)) == 10)

    assert all(line.refusal is None for line in lines.values())
    assert len(daemon.logins) == 2
    assert channel.counters.forgotten == 1


async def test_a_daemon_that_is_away_is_asked_until_it_is_back(
    channel: Channel, daemon: Daemon
) -> None:
    async with kept(channel) as came:
        await soon(lambda: channel.session is not None)
        daemon.is_away = True
        posting = asyncio.create_task(channel.post(orders(5)))
        await soon(lambda: channel.upstream.counters.posts_busy >= 2)
        assert not posting.done()

        daemon.is_away = False
        await posting
        await soon(lambda: len(came) == 5)


async def test_a_lost_channel_hears_nothing_and_catches_up_when_it_is_open_again(
    channel: Channel, daemon: Daemon
) -> None:
    daemon.verdict = lambda order: None
    async with kept(channel) as came:
        await channel.post(orders(100))

        channel.lose()
        for order_id in list(daemon.orders):
            daemon.close(order_id)
        assert not channel.state()["is_open"]
        assert came == []

        channel.open()
        await soon(lambda: len(came) == 100)

    assert len(set(came)) == 100
    assert daemon.logouts == 0


async def test_orders_that_are_posted_on_a_lost_channel_wait_for_it(
    channel: Channel, daemon: Daemon
) -> None:
    async with kept(channel):
        await soon(lambda: channel.session is not None)
        channel.lose()

        posting = asyncio.create_task(channel.post(orders(3)))
        await asyncio.sleep(0)
        assert daemon.posts == []

        channel.open()
        assert set(await posting) == {"C1", "C2", "C3"}


async def test_a_closed_channel_logs_out(channel: Channel, daemon: Daemon) -> None:
    async with kept(channel):
        await soon(lambda: channel.session is not None)

        await channel.close()

        assert daemon.logouts == 1
        assert daemon.sessions == {}


async def test_a_wrong_password_is_tried_once(channel: Channel, daemon: Daemon) -> None:
    daemon.password = "another"

    with pytest.raises(LoginRefused, match="LOGIN_REFUSED"):
        await channel.run(lambda receipt: None)

    assert len(daemon.logins) == 1


async def test_a_locked_account_waits_as_long_as_it_is_told(
    channel: Channel, daemon: Daemon
) -> None:
    daemon.locked_times = 2

    async with kept(channel):
        await soon(lambda: channel.session is not None)

    assert len(daemon.logins) == 3


async def test_an_order_that_is_refused_for_good_spoils_no_other(
    channel: Channel, daemon: Daemon
) -> None:
    daemon.refusals["C2"] = {"status": 422, "code": "USER_UNKNOWN", "detail": "no such user"}
    async with kept(channel):
        lines = await channel.post(orders(3))

    refusal = lines["C2"].refusal
    assert refusal is not None
    assert refusal.code == "USER_UNKNOWN"
    assert set(daemon.orders) == {"C1", "C3"}


async def test_a_sync_order_comes_back_with_its_receipt_or_in_process(
    channel: Channel, daemon: Daemon
) -> None:
    quick, slow = orders(2)
    daemon.verdict = lambda order: {"result": "succeeded"} if order["order_id"] == "C1" else None
    async with kept(channel):
        closed = await channel.post_and_wait(quick)
        open_yet = await channel.post_and_wait(slow)

    assert closed.receipt is not None
    assert closed.receipt["result"] == "succeeded"
    assert open_yet.receipt is None
    assert open_yet.state == "queued"


async def test_a_sync_order_that_is_refused_says_why(channel: Channel, daemon: Daemon) -> None:
    daemon.refusals["C1"] = {"status": 409, "code": "USER_EXISTS", "detail": "it is there"}
    async with kept(channel):
        line = await channel.post_and_wait(orders(1)[0])

    assert line.refusal is not None
    assert line.refusal.code == "USER_EXISTS"


async def test_every_message_is_noted_once_and_no_secret_is(
    channel: Channel, daemon: Daemon, messages: Messages
) -> None:
    async with kept(channel) as came:
        await channel.post_and_wait(orders(1)[0])
        await channel.post(orders(2, first=2))
        await soon(lambda: len(came) == 3)

    noted = [message for _, message in messages.after(0)]
    assert names(noted, northbound.ORDER) == ["USER_OPEN C1", "USER_OPEN C2", "USER_OPEN C3"]
    assert names(noted, northbound.RECEIPT) == [
        f"USER_OPEN C{number} succeeded" for number in (1, 2, 3)
    ]
    assert names(noted, northbound.LOGIN) == ["crm"]
    secrets = (PASSWORD, "token-1")
    assert not any(secret in str(message) for secret in secrets for message in noted)
    assert PASSWORD not in repr(channel.upstream) + repr(Account("crm", PASSWORD))


async def test_a_storm_of_orders_is_one_message(
    channel: Channel, daemon: Daemon, messages: Messages
) -> None:
    async with kept(channel):
        await channel.post(orders(500))

    noted = [message for _, message in messages.after(0)]
    assert names(noted, northbound.ORDER) == ["500 单, USER_OPEN C1 …"]


def names(noted: Sequence[Any], name: str) -> list[str]:
    return [message.detail for message in noted if message.name == name]


def test_a_receipt_is_shown_without_what_it_does_not_have() -> None:
    receipt: Mapping[str, Any] = {"type": "T", "order_id": "O", "result": "failed", "code": "X"}

    assert northbound._shown(receipt) == "T O failed X"
