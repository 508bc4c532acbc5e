"""One connection to an emulator, whatever its dialect: commands in, answers out, in order, one at a
time, as fast, slow or wrong as its faults say.

A command in service when its connection goes is executed all the same, as a real NE would; those
behind it are not.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from time import perf_counter
from typing import Final, Generic, Protocol, TypeVar, cast

from hlrd.codec.base import Decoder
from hlrd.domain.errors import ProtocolError
from loadtest.faults import Fault, Faults
from loadtest.record import Record

GARBAGE: Final = b"\x00\xff\x15 no protocol at all \x1b\r\n\r\n" * 4
"""What a peer says that lost its senses: no frame of any dialect, nor the beginning of one."""

QUEUE_COMMANDS_MAX: Final = 256
"""Commands a client may have waiting here; above it nothing more is read from its socket."""

C = TypeVar("C")
W = TypeVar("W")


class Owner(Protocol):
    """The emulator as a whole, as far as a connection must know it."""

    faults: Faults
    record: Record

    def opened(self, connection: "Connection[C, W]") -> None: ...

    def closed(self, connection: "Connection[C, W]") -> None: ...

    def restart(self) -> None:
        """Go away with every connection, and come back."""
        ...

    def keep(self) -> None:
        """Called before answers go out: what they promise must be safe."""
        ...


class Connection(asyncio.Protocol, ABC, Generic[C, W]):
    """`C` is what the decoder gives, `W` the work in it: what takes time and what faults befall."""

    def __init__(self, owner: Owner, decoder: Decoder[C]) -> None:
        self._owner = owner
        self._decoder = decoder
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None  #: None once the connection is gone
        self._queue: deque[C] = deque()
        self._answers: list[bytes] = []  #: not yet written
        self._is_serving = False  #: a command is in service, or its answer drips
        self._is_hung = False
        self._is_choked = False  #: the client does not read its answers
        self.is_reading = True
        self.closes_when_idle = False
        self.active_at_s = self._loop.time()

    @abstractmethod
    def serve(self, command: C) -> None:
        """Either `answer` it or `begin` it."""

    @abstractmethod
    def execute(self, work: W, fault: Fault | None) -> bytes:
        """Do it and give its answer; but for BUSY and REFUSE, which are answered and not done."""

    @abstractmethod
    def leave(self, work: W, fault: Fault) -> None:
        """Not executed and not answered, because of `fault`: only for the record."""

    def begin(self, name: str, work: W) -> None:
        """Let the faults have their way with `work`, then execute it."""
        faults = self._owner.faults
        if faults.is_calm:
            self._answers.append(self.execute(work, None))
            return
        fault = faults.befalls(name, self._loop.time())
        delay_s = faults.latency_s(name, fault)
        if delay_s > 0.0:
            self._is_serving = True
            self._loop.call_later(delay_s, self._finish, work, fault, perf_counter())
        else:
            self._end(work, fault)

    def answer(self, reply: bytes) -> None:
        self._answers.append(reply)

    def cut(self) -> None:
        """Reset the connection; what was not yet written is lost."""
        if self._transport is not None:
            self._transport.abort()
            self._gone()

    def close(self) -> None:
        """Write what is owed, then close."""
        if self._transport is not None:
            self._flush()
            self._transport.close()
            self._gone()

    def close_if_idle(self, since_s: float) -> None:
        if self.active_at_s < since_s and not self._is_serving:
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()

    def data_received(self, data: bytes) -> None:
        self.active_at_s = self._loop.time()
        try:
            self._queue.extend(self._decoder.feed(data))
        except ProtocolError:
            self.cut()
            return
        self._pump()

    def pause_writing(self) -> None:
        self._is_choked = True
        self._regulate()

    def resume_writing(self) -> None:
        self._is_choked = False
        self._regulate()

    def _gone(self) -> None:
        if self._transport is not None:
            self._transport = None
            self._queue.clear()
            self._answers.clear()
            self._owner.closed(self)

    def _pump(self) -> None:
        """Serve until a command takes time, or none is left."""
        queue = self._queue
        while queue and not self._is_serving and not self._is_hung:
            self.serve(queue.popleft())
        self._flush()
        if self.closes_when_idle and not (queue or self._is_serving or self._is_hung):
            self.close()
        if queue or self._is_hung or not self.is_reading:
            self._regulate()

    def _flush(self) -> None:
        self._owner.keep()
        answers = self._answers
        if answers and self._transport is not None:
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))
            answers.clear()

    def _regulate(self) -> None:
        if self._transport is None:
            return
        reads = not (self._is_hung or self._is_choked or len(self._queue) > QUEUE_COMMANDS_MAX)
        if reads and not self.is_reading:
            self._transport.resume_reading()
        elif self.is_reading and not reads:
            self._transport.pause_reading()
        self.is_reading = reads

    def _finish(self, work: W, fault: Fault | None, begun_s: float) -> None:
        self._is_serving = False
        self._end(work, fault)
        self._pump()
        self._owner.record.held_s += perf_counter() - begun_s

    def _end(self, work: W, fault: Fault | None) -> None:
        if fault is Fault.HANG or fault is Fault.CUT_BEFORE:
            self.leave(work, fault)
            self._hang() if fault is Fault.HANG else self.cut()
            return
        reply = self.execute(work, fault)
        if fault is Fault.CUT_AFTER:
            self._owner.keep()
            self.cut()
        elif fault is Fault.RESTART:
            self._owner.keep()
            self._owner.restart()
        elif fault is Fault.GARBAGE:
            self.answer(GARBAGE)
        elif fault is Fault.DRIP:
            self._is_serving = True
            self._drip(reply)
        elif fault is not Fault.WITHHOLD:
            self.answer(reply)

    def _hang(self) -> None:
        self._is_hung = True
        self._queue.clear()

    def _drip(self, rest: bytes) -> None:
        self._flush()
        if self._transport is None or not rest:
            self._is_serving = False
            self._loop.call_soon(self._pump)
            return
        profile = self._owner.faults.profile
        self._transport.write(rest[: profile.drip_bytes])
        self._loop.call_later(profile.drip_interval_s, self._drip, rest[profile.drip_bytes :])
