"""One connection to the emulated HLR: commands in, answers out, in order, one at a time.

A command in service when its connection goes is executed all the same, as a real NE would; those
behind it are not.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from hlrd.codec.mml import MMLCommand, MMLCommands
from hlrd.domain.errors import ProtocolError
from loadtest.faults import Fault
from loadtest.hlr import core
from loadtest.hlr.core import Result

if TYPE_CHECKING:
    from loadtest.hlr.server import Server

QUEUE_COMMANDS_MAX: Final = 256
"""Commands a client may have waiting here; above it nothing more is read from its socket."""

BAD_LOGINS_MAX: Final = 5
"""Failed logins after which a connection is dropped."""

_FOREIGN_ECHO: Final = b'LST SUB:IMSI="001019999999999";'


class Session(asyncio.Protocol):
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._loop = server.loop
        self._transport: asyncio.Transport | None = None  #: None once the connection is gone
        self._decoder = MMLCommands()
        self._queue: deque[MMLCommand] = deque()
        self._answers: list[bytes] = []  #: not yet written
        self._bad_logins = 0
        self._is_serving = False  #: a command is in service, or its answer drips
        self._is_hung = False
        self._is_choked = False  #: the client does not read its answers
        self._is_reading = True
        self.is_logged_in = False
        self.active_at_s = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.opened(self)

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

    def _gone(self) -> None:
        if self._transport is not None:
            self._transport = None
            self._queue.clear()
            self._answers.clear()
            self._server.closed(self)

    def _pump(self) -> None:
        """Serve until a command takes time, or none is left."""
        while self._queue and not self._is_serving and not self._is_hung:
            self._serve(self._queue.popleft())
        self._flush()
        self._regulate()

    def _flush(self) -> None:
        """Effects are kept before their answers go out."""
        self._server.effects.flush()
        if self._answers and self._transport is not None:
            self._transport.write(b"".join(self._answers))
            self._answers.clear()

    def _regulate(self) -> None:
        if self._transport is None:
            return
        reads = not (self._is_hung or self._is_choked or len(self._queue) > QUEUE_COMMANDS_MAX)
        if reads and not self._is_reading:
            self._transport.resume_reading()
        elif self._is_reading and not reads:
            self._transport.pause_reading()
        self._is_reading = reads

    def _serve(self, command: MMLCommand) -> None:
        if command.name == "LGI":
            self._log_in(command)
        elif not self.is_logged_in:
            self._answer(command, core.NOT_LOGGED_IN)
        elif command.name == "LGO":
            self._answer(command, core.OK)
            self.close()
        else:
            self._begin(command)

    def _begin(self, command: MMLCommand) -> None:
        faults = self._server.faults
        fault = None
        if not faults.is_quiet:
            fault = faults.befalls(command.name, self._loop.time())
        if faults.has_latency and fault is not Fault.BUSY:
            delay_s = faults.latency_s(command.name)
            if delay_s > 0.0:
                self._is_serving = True
                self._loop.call_later(delay_s, self._finish, command, fault)
                return
        self._execute(command, fault)

    def _finish(self, command: MMLCommand, fault: Fault | None) -> None:
        self._is_serving = False
        self._execute(command, fault)
        self._pump()

    def _execute(self, command: MMLCommand, fault: Fault | None) -> None:
        if fault is None:
            self._answer(command, self._server.execute(command))
        elif fault is Fault.HANG or fault is Fault.CUT_BEFORE:
            self._server.record.served(command.name, command.text.decode("latin-1"), "", fault)
            self._hang() if fault is Fault.HANG else self.cut()
        elif fault is Fault.BUSY:
            self._answer(command, core.BUSY, fault)
        else:
            result = self._server.execute(command, is_unpushed=fault is Fault.UNPUSHED)
            self._answer(command, result, fault)

    def _hang(self) -> None:
        self._is_hung = True
        self._queue.clear()

    def _answer(self, command: MMLCommand, result: Result, fault: Fault | None = None) -> None:
        server = self._server
        server.record.served(
            command.name, command.text.decode("latin-1"), str(result.code), fault or ""
        )
        if fault is Fault.WITHHOLD:
            return
        if fault is Fault.CUT_AFTER:
            server.effects.flush()
            self.cut()
            return
        echo = _FOREIGN_ECHO if fault is Fault.WRONG_ECHO else command.text
        reply = server.frames.reply(echo, result, server.stamp())
        if fault is Fault.DRIP:
            self._is_serving = True
            self._drip(reply)
        else:
            self._answers.append(reply)

    def _drip(self, rest: bytes) -> None:
        self._flush()
        if self._transport is None or not rest:
            self._is_serving = False
            self._loop.call_soon(self._pump)
            return
        profile = self._server.faults.profile
        self._transport.write(rest[: profile.drip_bytes])
        self._loop.call_later(profile.drip_interval_s, self._drip, rest[profile.drip_bytes :])

    def _log_in(self, command: MMLCommand) -> None:
        fault = self._server.faults.befalls_login(command.name)
        if fault is Fault.HANG:
            self._hang()
            return
        if fault is not None:
            self.cut()
            return
        result = self._server.login(self, command)
        self._answer(command, result)
        if result is core.WRONG_ACCOUNT:
            self._bad_logins += 1
        if result is core.TOO_MANY_SESSIONS or self._bad_logins >= BAD_LOGINS_MAX:
            self.close()
