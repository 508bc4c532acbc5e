"""What every emulator does with clients that come while it goes."""

import asyncio
import gc
import socket
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import uvloop

from loadtest.dsmp.server import Server, Settings
from loadtest.faults import Profile

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
TURNS = 6
"""Of the loop: from a connection's coming until it is made, and some more."""

Go = Callable[[Server], Awaitable[None]]


async def close(server: Server) -> None:
    await server.close()


async def restart(server: Server) -> None:
    server.restart()


async def restart_and_close(server: Server) -> None:
    server.restart()
    await server.close()


@contextmanager
def a_client(port: int) -> Iterator[socket.socket]:
    """Connected as far as the kernels are concerned."""
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.setblocking(False)
        yield client


async def is_turned_away(client: socket.socket) -> bool:
    try:
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(client, 1) == b""
    except ConnectionResetError:
        return True


async def goes_while_a_client_comes(go: Go, turns: int) -> None:
    server = Server(Settings(), Profile(restart_s=0.01))
    await server.open("127.0.0.1", 0)
    with a_client(server.port) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await go(server)
        assert await is_turned_away(client)
    await server.close()
    assert not server.is_listening
    assert not server.connections
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("go", [close, restart, restart_and_close])
@pytest.mark.parametrize("turns", range(TURNS))
def test_a_client_that_comes_while_it_goes_is_turned_away_and_nothing_of_it_is_left(
    new_loop: Callable[[], asyncio.AbstractEventLoop], go: Go, turns: int
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(goes_while_a_client_comes(go, turns))
        gc.collect()

    assert [str(each.message) for each in told] == []


@pytest.mark.parametrize("turns", range(2 * TURNS))
async def test_one_that_is_closed_while_it_comes_back_does_not_listen_any_more(turns: int) -> None:
    server = Server(Settings(), Profile(restart_s=0.0))
    await server.open("127.0.0.1", 0)
    server.restart()
    for _ in range(turns):
        await asyncio.sleep(0)

    await server.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
