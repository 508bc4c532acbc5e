"""The upstream side against a daemon that behaves badly: an order is posted until it is durable."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtest import client
from loadtest.client import Refused, Upstream
from loadtest.generate import batches, member_activations
from loadtest.workload import Unfinished, Workload

Handler = Callable[[list[dict[str, Any]]], web.Response]


class Daemon:
    """Answers posts by a script, then takes everything; its receipts are those it took."""

    def __init__(self) -> None:
        self.script: list[Handler] = []
        self.posts: list[list[str]] = []
        self.taken: dict[str, dict[str, Any]] = {}
        self.gives_receipts = True
        self.authorizations: set[str | None] = set()

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [web.post("/v1/work-orders", self._post), web.get("/v1/receipts", self._receipts)]
        )
        return app

    async def _post(self, request: web.Request) -> web.Response:
        orders = msgspec.json.decode(await request.read())
        self.posts.append([order["order_id"] for order in orders])
        self.authorizations.add(request.headers.get("Authorization"))
        try:
            return self.script.pop(0)(orders) if self.script else self.take(orders)
        except ConnectionResetError:
            assert request.transport is not None
            request.transport.close()
            raise web.HTTPServiceUnavailable from None

    async def _receipts(self, request: web.Request) -> web.Response:
        after = int(request.query["after"])
        page = list(self.taken)[after:] if self.gives_receipts else []
        receipts = [
            {"order_id": order, "result": "succeeded", "msisdn": "1", "imsi": "2", "iccid": "3"}
            for order in page
        ]
        return web.json_response({"receipts": receipts, "cursor": after + len(page)})

    def take(self, orders: list[dict[str, Any]]) -> web.Response:
        answers = [
            {"order_id": order["order_id"], "id": 7, "state": "queued"}
            | ({"repeated": True} if order["order_id"] in self.taken else {})
            for order in orders
        ]
        self.taken.update({order["order_id"]: order for order in orders})
        return web.json_response({"answers": answers})

    def take_and_lose_the_answer(self, orders: list[dict[str, Any]]) -> web.Response:
        self.take(orders)
        raise ConnectionResetError

    @staticmethod
    def say_busy(_: list[dict[str, Any]]) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "0"})

    def take_the_first(self, orders: list[dict[str, Any]]) -> web.Response:
        first, *rest = orders
        busy = {"status": 429, "code": "BUSY", "detail": "later", "retry_after_s": 0.0}
        answers = msgspec.json.decode(self.take([first]).body)["answers"]
        answers += [
            {"order_id": order["order_id"], "state": "refused", "refusal": busy} for order in rest
        ]
        return web.json_response({"answers": answers})

    @staticmethod
    def refuse_the_content(orders: list[dict[str, Any]]) -> web.Response:
        wrong = {"status": 400, "code": "FIELD_INVALID", "detail": "no", "field": "[0].digits"}
        answers = [
            {"order_id": order["order_id"], "state": "refused", "refusal": wrong}
            for order in orders
        ]
        return web.json_response({"answers": answers})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECONNECT_S", 0.01)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def upstream(daemon: Daemon) -> AsyncIterator[Upstream]:
    async with TestServer(daemon.app()) as server, aiohttp.ClientSession() as http:
        yield Upstream(http, str(server.make_url("")).rstrip("/"), "secret-token")


def orders(count: int = 3) -> list[tuple[str, bytes]]:
    return list(member_activations(count, run="T", first_user=1))


IDS = [order_id for order_id, _ in orders()]


async def test_a_batch_is_posted_once_when_all_goes_well(
    upstream: Upstream, daemon: Daemon
) -> None:
    taken = await upstream.post(orders())

    assert list(taken) == IDS
    assert daemon.posts == [IDS]
    assert daemon.authorizations == {"Bearer secret-token"}


async def test_an_unanswered_batch_is_posted_again_under_the_same_ids(
    upstream: Upstream, daemon: Daemon
) -> None:
    daemon.script = [daemon.take_and_lose_the_answer]

    taken = await upstream.post(orders())

    assert list(taken) == IDS
    assert daemon.posts == [IDS, IDS]
    assert upstream.counters.posts_lost == 1
    assert upstream.counters.orders_repeated == len(IDS)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_daemon_is_asked_again_later(
    upstream: Upstream, daemon: Daemon, status: int
) -> None:
    daemon.script = [lambda _: web.Response(status=status, headers={"Retry-After": "0"})] * 2

    await upstream.post(orders())

    assert daemon.posts == [IDS] * 3
    assert upstream.counters.posts_busy == 2


async def test_only_the_orders_that_were_not_taken_are_posted_again(
    upstream: Upstream, daemon: Daemon
) -> None:
    daemon.script = [daemon.take_the_first]

    taken = await upstream.post(orders())

    assert set(taken) == set(IDS)
    assert daemon.posts == [IDS, IDS[1:]]


async def test_an_order_refused_for_its_content_is_told_and_not_repeated(
    upstream: Upstream, daemon: Daemon
) -> None:
    daemon.script = [daemon.refuse_the_content]

    with pytest.raises(Refused, match=r"FIELD_INVALID \[0\]\.digits"):
        await upstream.post(orders())

    assert daemon.posts == [IDS]


async def test_a_workload_ends_with_every_receipt(upstream: Upstream, daemon: Daemon) -> None:
    daemon.script = [daemon.say_busy, daemon.take_and_lose_the_answer]
    cut = batches(orders(50), size=10, orders_per_s=None, seed=1)

    book = await Workload(upstream, cut).run(deadline_s=20)

    assert len(book.accepted) == len(book.receipts) == 50
    assert book.latency.count == 50


async def test_a_workload_that_is_halted_waits_for_what_it_posted(
    upstream: Upstream, daemon: Daemon
) -> None:
    endless = member_activations(10**9, run="T", first_user=1)
    workload = Workload(upstream, batches(endless, size=10, orders_per_s=None, seed=1))

    def halt_soon(book: object) -> None:
        if daemon.posts:
            workload.halt()

    book = await workload.run(deadline_s=20, on_progress=halt_soon)

    assert 0 < len(book.posted) == len(book.receipts) == len(daemon.taken)


async def test_a_deadline_says_what_is_missing(upstream: Upstream, daemon: Daemon) -> None:
    daemon.gives_receipts = False
    cut = batches(orders(3), size=10, orders_per_s=None, seed=1)

    with pytest.raises(Unfinished, match=r"0 orders without an answer, 3 without a receipt"):
        await Workload(upstream, cut).run(deadline_s=0.3)


async def test_no_more_orders_are_open_than_wanted(upstream: Upstream, daemon: Daemon) -> None:
    daemon.gives_receipts = False
    cut = batches(orders(100), size=10, orders_per_s=None, seed=1)

    with pytest.raises(Unfinished):
        await Workload(upstream, cut, posters=1, open_max=20).run(deadline_s=0.3)

    assert len(daemon.taken) == 20
