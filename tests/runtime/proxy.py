"""A TCP front of the server's unix socket that goes down, or loses the answer to a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit


class Proxy:
    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._clients: set[asyncio.StreamWriter] = set()
        self.is_down = False
        self.refused = 0
        self.commits_to_swallow = 0  #: executed by the server, and the client never learns
        self.swallowed = 0

    def go_down(self) -> None:
        """Cut every connection, and each new one until `is_down` is false again."""
        self.is_down = True
        for client in self._clients:
            client.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            self.refused += 1
            writer.transport.abort()
            return
        self._clients.add(writer)
        up_reader, up_writer = await asyncio.open_unix_connection(self._socket_path)
        cut = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                ends = [
                    group.create_task(self._up(reader, up_writer, cut)),
                    group.create_task(self._down(up_reader, writer, cut)),
                ]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for end in ends:
                    end.cancel()
        finally:
            self._clients.discard(writer)
            writer.transport.abort()
            up_writer.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if b"COMMIT\0" in data and self.commits_to_swallow:
                self.commits_to_swallow -= 1
                cut.set()
            writer.write(data)

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if cut.is_set() and b"COMMIT\0" in data:
                self.swallowed += 1
                return
            writer.write(data)


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """The proxy, and the DSN that goes through it."""
    parts = urlsplit(dsn)
    folder = parse_qs(parts.query)["host"][0]
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"postgresql://hlrd@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        server.close()
        proxy.go_down()
        for _ in range(10):  # a connection that the kernel gave us is still on its way
            await asyncio.sleep(0)
