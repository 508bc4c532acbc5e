"""Receipts as server-sent events, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from hlrd import metrics
from hlrd.domain.orders import Source
from hlrd.store.errors import StoreUnavailable
from tests.api.client import World, token, until


@asynccontextmanager
async def a_stream(
    world: World, query: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    assert world.http is not None
    sent = {"Authorization": f"Bearer {token(Source.ESOP)}", **(headers or {})}
    url = f"http://127.0.0.1:{world.port}/v1/receipts/stream{query}"
    async with asyncio.timeout(30), world.http.get(url, headers=sent) as response:
        yield response


async def event(response: aiohttp.ClientResponse) -> bytes:
    return await response.content.readuntil(b"\n\n")


async def test_each_receipt_is_an_event_with_its_cursor(world: World) -> None:
    await world.feed.batches.put([(3, b'{"id":"3"}'), (4, b'{"id":"4"}')])

    async with a_stream(world) as response:
        events = [await event(response) for _ in range(3)]

    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Server"] == "hlrd"
    assert events == [
        b"retry: 2000\n\n",
        b'id: 3\nevent: receipt\ndata: {"id":"3"}\n\n',
        b'id: 4\nevent: receipt\ndata: {"id":"4"}\n\n',
    ]
    assert world.feed.followed == [("ESOP", 0)]


async def test_a_client_that_comes_back_goes_on_after_its_last_event(world: World) -> None:
    async with a_stream(world, "?after=7", {"Last-Event-ID": "9"}) as response:
        await event(response)
        await until(lambda: world.feed.open == 1)
    async with a_stream(world, "?after=7") as response:
        await event(response)
        await until(lambda: len(world.feed.followed) == 2)

    assert [cursor for _, cursor in world.feed.followed] == [9, 7]


async def test_silence_is_a_comment(world: World) -> None:
    await world.feed.batches.put([])

    async with a_stream(world) as response:
        await event(response)
        assert await event(response) == b":\n\n"


async def test_a_client_that_leaves_is_forgotten(world: World) -> None:
    gauge = metrics.RECEIPT_STREAMS.labels("ESOP")
    async with a_stream(world) as response:
        await event(response)
        await until(lambda: world.feed.open == 1)
        assert gauge._value.get() == 1
        response.close()
        await until(lambda: world.feed.open == 0)

    await until(lambda: gauge._value.get() == 0)


async def test_a_stream_ends_when_the_daemon_stops(world: World) -> None:
    async with a_stream(world) as response:
        await event(response)
        await until(lambda: world.feed.open == 1)
        await world.stop()
        assert await response.content.read() == b""

    assert world.feed.open == 0


async def test_a_stream_ends_when_the_database_is_out_of_reach(world: World) -> None:
    async with a_stream(world) as response:
        await event(response)
        await world.feed.batches.put(StoreUnavailable("away"))
        assert await response.content.read() == b""


async def test_no_more_streams_than_there_is_room_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlrd.limits.RECEIPT_STREAMS_MAX", 1)
    async with a_stream(world) as response:
        await event(response)
        full = await world.ask("GET", "/v1/receipts/stream")

    assert (full.status, full.json["code"]) == (429, "STREAMS_FULL")


async def test_a_client_that_takes_nothing_is_cut(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlrd.limits.STREAM_WRITE_TIMEOUT_S", 0.05)
    for _ in range(40):
        await world.feed.batches.put([(1, b'"%b"' % (b"x" * 2**20))])

    async with a_stream(world) as response:
        await until(lambda: world.feed.open == 1)
        await until(lambda: world.feed.open == 0)
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?after=x", {}, "CURSOR_INVALID"),
        ("?after=-1", {}, "CURSOR_INVALID"),
        ("?after=" + "9" * 30, {}, "CURSOR_INVALID"),
        ("", {"Last-Event-ID": "abc"}, "CURSOR_INVALID"),
        ("?afer=1", {}, "FIELD_UNKNOWN"),
    ],
)
async def test_a_cursor_that_is_none_is_refused(
    world: World, query: str, headers: dict[str, str], code: str
) -> None:
    reply = await world.ask("GET", "/v1/receipts/stream" + query, headers=headers)

    assert (reply.status, reply.json["code"]) == (400, code)
    assert world.feed.followed == []
