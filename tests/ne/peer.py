"""A peer that speaks `lines` and misbehaves as its script says."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto
from types import TracebackType
from typing import Final, Self, cast

from hlrd import limits

_ACCEPT_TURNS: Final = 3
"""Of the loop: until a connection that came is made."""


class Act(Enum):
    """What a peer does with a request, besides answering it by a word."""

    HANG = auto()  #: executes it, says nothing
    CUT = auto()  #: executes it, hangs up
    CUT_UNDONE = auto()  #: hangs up
    WRONG_ECHO = auto()
    GARBAGE = auto()
    OVERSIZE = auto()
    DOUBLED = auto()  #: one answer too many, in the same segment
    SPLIT = auto()  #: answers byte by byte
    DRIP = auto()  #: one byte now and then, never a whole answer
    FAREWELL = auto()  #: answers and hangs up
    LAST = auto()  #: the same, and says so in its answer


Script = Callable[[str], Act | str]


def always(act: Act | str) -> Script:
    return lambda request: act


def in_turn(*acts: Act | str) -> Script:
    """One after the other, for requests that are commands; OK when they are used up."""
    left: Iterator[Act | str] = iter(acts)

    def script(request: str) -> Act | str:
        return next(left, "OK") if request.startswith(("DO", "IS")) else "OK"

    return script


class Peer:
    def __init__(self) -> None:
        self.script: Script = always("OK")
        self.sessions_max = 1_000
        self.connected = 0  #: in all
        self.open_max = 0  #: at once
        self.requests: list[str] = []
        self.executed: Counter[str] = Counter()
        self.port = 0
        self.links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """The first time on any port, later on the same one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Link(self), "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        for listening in self._server.sockets:  # closed at once, it would leave who comes half made
            asyncio.get_running_loop().remove_reader(listening)
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        self._server.close()
        for link in tuple(self.links):
            link.transport.abort()
        await self._server.wait_closed()
        while self.links:  # noqa: ASYNC110 (the end of a link has no event of its own)
            await asyncio.sleep(0)
        self._server = None

    def asked(self, verb: str) -> int:
        return sum(request.startswith(verb) for request in self.requests)


class _Link(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._rest = b""
        self._is_counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._peer.links.add(self)
        self._peer.connected += 1
        self._peer.open_max = max(self._peer.open_max, len(self._peer.links))

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer.links.discard(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(line.decode("ascii"))

    def _heard(self, request: str) -> None:
        peer = self._peer
        peer.requests.append(request)
        act = peer.script(request)
        if request.startswith("LOGIN") and len(peer.links) > peer.sessions_max:
            act = "BUSY"
        if act is not Act.CUT_UNDONE and act not in ("BUSY", "LATER", "WHO", "NO"):
            peer.executed[request] += 1
        if isinstance(act, str):
            self._write(f"{act} {request}\n".encode())
        else:
            self._do(act, f"OK {request}\n".encode())

    def _do(self, act: Act, answer: bytes) -> None:
        if act in (Act.CUT, Act.CUT_UNDONE):
            self.transport.abort()
        elif act is Act.WRONG_ECHO:
            self._write(b"OK something else\n")
        elif act is Act.GARBAGE:
            self._write(b"\xff\xfe\x00\n")
        elif act is Act.OVERSIZE:
            self._write(b"x" * (limits.FRAME_BYTES_MAX + 1))
        elif act is Act.DOUBLED:
            self._write(answer + answer)
        elif act is Act.SPLIT:
            self._trickle(answer, 0.0)
        elif act is Act.DRIP:
            self._trickle(answer.rstrip() + b"." * 1_000, 0.01)
        elif act is Act.FAREWELL:
            self._write(answer)
            self.transport.close()
        elif act is Act.LAST:
            self._write(b"LAST" + answer.removeprefix(b"OK"))
            self.transport.close()

    def _trickle(self, data: bytes, pause_s: float) -> None:
        self._write(data[:1])
        if len(data) > 1 and not self.transport.is_closing():
            asyncio.get_running_loop().call_later(pause_s, self._trickle, data[1:], pause_s)

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)
