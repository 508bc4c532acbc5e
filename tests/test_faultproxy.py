"""The proxy breaks what it is told to break, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faultproxy import FaultProxy
from tests.owntime import own_time


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of an echo."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1_000):
                writer.write(data)
        except OSError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, FaultProxy(*server.sockets[0].getsockname()[:2]) as proxy:
        yield proxy


async def a_connection(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), 0.1)
    except TimeoutError:
        return True
    return False


async def test_without_faults_bytes_pass_both_ways(proxy: FaultProxy) -> None:
    reader, writer = await a_connection(proxy)

    writer.write(b"hello")

    assert await reader.readexactly(5) == b"hello"
    assert (proxy.faults.up.passed, proxy.faults.down.passed) == (5, 5)
    writer.close()


async def test_each_direction_is_delayed_by_its_own_time_and_keeps_its_order(
    proxy: FaultProxy,
) -> None:
    proxy.faults.up.delay_s, proxy.faults.down.delay_s = 0.05, 0.1
    reader, writer = await a_connection(proxy)
    started = time.monotonic()

    async with own_time() as own:
        for byte in (b"a", b"b", b"c"):
            writer.write(byte)
            await writer.drain()
        assert await reader.readexactly(3) == b"abc"

    assert time.monotonic() - started >= 0.15
    assert own.s < 0.4
    writer.close()


async def test_a_swallowed_reply_never_comes(proxy: FaultProxy) -> None:
    proxy.faults.down.is_swallowed = True
    reader, writer = await a_connection(proxy)

    writer.write(b"hello")

    assert await is_silent(reader)
    assert proxy.faults.up.passed == 5
    writer.close()


async def test_a_reply_drips(proxy: FaultProxy) -> None:
    proxy.faults.down.piece_bytes = 2
    proxy.faults.down.piece_every_s = 0.05
    reader, writer = await a_connection(proxy)
    started = time.monotonic()

    writer.write(b"hello")

    assert await reader.readexactly(5) == b"hello"
    assert time.monotonic() - started >= 0.1
    writer.close()


async def test_a_garbled_reply_is_another_one_as_long(proxy: FaultProxy) -> None:
    proxy.faults.down.is_garbled = True
    reader, writer = await a_connection(proxy)

    writer.write(b"hello")

    garbled = await reader.readexactly(5)
    assert not set(garbled) & set(b"hello")
    writer.close()


async def test_a_connection_is_cut_after_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.faults.down.cut_after = 3
    reader, writer = await a_connection(proxy)

    writer.write(b"hello")

    assert await reader.readexactly(3) == b"hel"
    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_all_connections_are_reset_at_once(proxy: FaultProxy) -> None:
    reader, writer = await a_connection(proxy)
    writer.write(b"hello")
    await reader.readexactly(5)

    proxy.reset_all()

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_frozen_peer_answers_when_it_goes_on(proxy: FaultProxy) -> None:
    reader, writer = await a_connection(proxy)
    proxy.freeze()
    writer.write(b"hello")
    assert await is_silent(reader)

    proxy.thaw()

    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_a_refusing_proxy_resets_what_it_accepts(proxy: FaultProxy) -> None:
    proxy.faults.is_refusing = True
    reader, writer = await a_connection(proxy)

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
