"""A TCP proxy that breaks connections on purpose, since this kernel has no netem.

Everything can be set while it runs; a change holds for what arrives after it.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 64 * 2**10
_ACCEPT_TURNS = 10
_LINE_CHUNKS_MAX = 256
"""Chunks on the way in one direction of a connection; more are not read from the sender."""

_Line = asyncio.Queue[tuple[float, bytes]]


@dataclass(slots=True)
class Direction:
    """What befalls the bytes that go one way."""

    delay_s: float = 0.0  #: kept back so long, in order
    is_swallowed: bool = False  #: taken and thrown away
    is_frozen: bool = False  #: not even taken, as if the receiver were stopped
    cut_after: int | None = None  #: bytes of one connection; then both sides are reset
    piece_bytes: int | None = None  #: given in pieces of that size, some time apart
    piece_every_s: float = 0.01
    is_garbled: bool = False  #: other bytes arrive, as many
    passed: int = 0  #: bytes, of all connections


@dataclass(slots=True)
class Faults:
    up: Direction = field(default_factory=Direction)  #: from client to server
    down: Direction = field(default_factory=Direction)  #: from server to client
    is_refusing: bool = False  #: a new connection is reset as soon as it is accepted


class FaultProxy:
    """`async with FaultProxy(host, port) as proxy: connect("127.0.0.1", proxy.port)`."""

    def __init__(self, host: str, port: int) -> None:
        self.faults = Faults()
        self.port = 0
        self.accepted = 0  #: connections, since the start
        self._target = (host, port)
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thawed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.faults.is_refusing = True
        for _ in range(_ACCEPT_TURNS):  # a connection that the kernel gave us is still on its way
            await asyncio.sleep(0)
        self.reset_all()
        for link in tuple(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        await self._server.wait_closed()

    def reset_all(self) -> None:
        """Break every connection, both sides, with a reset."""
        for writer in tuple(self._writers):
            _reset(writer)

    def freeze(self) -> None:
        """Silence both ways, connections kept: what SIGSTOP of the server looks like."""
        self.faults.up.is_frozen = self.faults.down.is_frozen = True
        self._thawed.clear()

    def thaw(self) -> None:
        self.faults.up.is_frozen = self.faults.down.is_frozen = False
        self._thawed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.faults.is_refusing:
            _reset(writer)
            return
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as pumps:
                self._start(pumps, reader, far_writer, self.faults.up)
                self._start(pumps, far_reader, writer, self.faults.down)
        except* OSError:
            pass  # a reset or an end, of ours or of theirs
        finally:
            for end in (writer, far_writer):
                _reset(end)
                self._writers.discard(end)

    def _start(
        self,
        pumps: asyncio.TaskGroup,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Direction,
    ) -> None:
        line: _Line = asyncio.Queue(_LINE_CHUNKS_MAX)
        pumps.create_task(self._take(reader, line, way))
        pumps.create_task(self._give(line, writer, way))

    async def _take(self, reader: asyncio.StreamReader, line: _Line, way: Direction) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await reader.read(_CHUNK_BYTES)
            while way.is_frozen:
                await self._thawed.wait()
            if not way.is_swallowed or not data:
                await line.put((loop.time() + way.delay_s, data))

    async def _give(self, line: _Line, writer: asyncio.StreamWriter, way: Direction) -> None:
        loop = asyncio.get_running_loop()
        passed = 0
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            room = len(data) if way.cut_after is None else max(0, way.cut_after - passed)
            await _give_in_pieces(writer, data[:room], way)
            passed += min(room, len(data))
            way.passed += min(room, len(data))
            if not data or passed == way.cut_after:
                raise ConnectionResetError  # ends the other way too


async def _give_in_pieces(writer: asyncio.StreamWriter, data: bytes, way: Direction) -> None:
    if way.is_garbled:
        data = bytes(byte ^ 0xFF for byte in data)
    while way.piece_bytes is not None and len(data) > way.piece_bytes:
        writer.write(data[: way.piece_bytes])
        data = data[way.piece_bytes :]
        await asyncio.sleep(way.piece_every_s)
    writer.write(data)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset, not an end."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
