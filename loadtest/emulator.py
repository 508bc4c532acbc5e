"""What every emulator is, whatever its dialect: a listener, its connections, its record and its
end. `run` makes a process of it.
"""

import asyncio
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
import typer
import uvloop
from aiohttp import web

from hlrd.domain.errors import HlrdError
from loadtest import faults as fault_profiles
from loadtest.connection import Connection
from loadtest.control import ControlPort
from loadtest.faults import Faults, Profile
from loadtest.kept import Kept
from loadtest.record import Record

CONNECTIONS_MAX: Final = 1_024
"""One more is reset."""

_IDLE_CHECK_S: Final = 1.0
_ACCEPT_TURNS: Final = 10
"""Of the loop: until a connection that the kernel gave us just now has come, and gone again."""


class Emulator(ABC):
    """Build it inside a running loop, `open` it, and `close` it in the end."""

    def __init__(self, name: str, *, faults: Faults, kept: Kept, idle_close_s: float) -> None:
        self.name = name
        self.faults = faults
        self.record = Record()
        self.stopping = asyncio.Event()
        self.port = 0
        self.connections: dict[Connection[Any, Any], None] = {}
        self.keep = kept.flush  #: before answers go out
        self._loop = asyncio.get_running_loop()
        self._kept = kept
        self._idle_close_s = idle_close_s
        self._listener: asyncio.Server | None = None
        self._is_taking = False  #: connections
        self._closing = asyncio.Event()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._host = ""

    @abstractmethod
    def connect(self) -> Connection[Any, Any]:
        """A fresh one for a client that comes in."""

    @abstractmethod
    def restore(self, lines: Sequence[bytes]) -> None:
        """Bring the empty emulator to where the kept lines say it was."""

    @abstractmethod
    def stats(self) -> Mapping[str, int]: ...

    @abstractmethod
    def dump(self) -> Sequence[Any]: ...

    @abstractmethod
    def shown(self, command: Any) -> str:
        """A command of the record as people may see it."""

    def routes(self) -> Sequence[web.RouteDef]:
        """What its control port has beside that of every emulator."""
        return ()

    async def open(self, host: str, port: int) -> None:
        """Raises HlrdError when what was kept is damaged, or OSError when the port is taken."""
        self.restore(list(self._kept.lines()))
        self._host = host
        await self._listen(port)
        self._check_idle()

    async def _listen(self, port: int) -> None:
        self._listener = await self._loop.create_server(
            self.connect, self._host, port, backlog=CONNECTIONS_MAX
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._is_taking = True

    async def close(self) -> None:
        self._closing.set()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._restarting is not None:
            await self._restarting
        self._take_no_more()
        for connection in list(self.connections):
            connection.close()
        await self._stop_listening()
        self._kept.close()

    def _take_no_more(self) -> None:
        """A listener that is closed between a connection's coming and the loop's making a
        transport of it leaves that connection half made (python/cpython#109564)."""
        self._is_taking = False
        if self._listener is not None:
            for listening in self._listener.sockets:
                self._loop.remove_reader(listening)

    async def _stop_listening(self) -> None:
        """Once those that came before are made, and gone again."""
        for _ in range(_ACCEPT_TURNS):  # a client that does not read is not awaited
            await asyncio.sleep(0)
        if self._listener is not None:
            self._listener.close()

    @property
    def is_listening(self) -> bool:
        return self._is_taking

    def opened(self, connection: Connection[Any, Any]) -> None:
        self.connections[connection] = None
        if not self._is_taking or len(self.connections) > CONNECTIONS_MAX:
            connection.cut()

    def closed(self, connection: Connection[Any, Any]) -> None:
        del self.connections[connection]

    def cut(self, sessions: int | None) -> int:
        chosen = list(self.connections)[:sessions]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    def restart(self) -> None:
        """Away for `Profile.restart_s`: every connection reset, none taken; then back as it was."""
        if self._is_taking:
            self._take_no_more()
            self.cut(None)
            self._restarting = self._loop.create_task(self._come_back())

    async def _come_back(self) -> None:
        """Unless it is closed meanwhile."""
        await self._stop_listening()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.faults.profile.restart_s):
                await self._closing.wait()
        if not self._closing.is_set():
            await self._listen(self.port)
        self._restarting = None

    def stop(self) -> None:
        self.stopping.set()

    def _check_idle(self) -> None:
        since_s = self._loop.time() - self._idle_close_s
        for connection in list(self.connections):
            connection.close_if_idle(since_s)
        check_s = min(_IDLE_CHECK_S, self._idle_close_s / 4)
        self._idle_timer = self._loop.call_later(check_s, self._check_idle)


def profile_of(document: str) -> Profile:
    """The value of a `--faults` option."""
    try:
        return fault_profiles.decode(document)
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from error


def password_of(password: str, variable: str) -> str:
    """The values of `--password` and `--password-env`: a command line is for all to read."""
    if not variable:
        return password
    try:
        return os.environ[variable]
    except KeyError:
        raise typer.BadParameter(f"no variable {variable}", param_hint="--password-env") from None


def run(
    build: Callable[[], Emulator], *, name: str, host: str, port: int, control_port: int
) -> None:
    """The whole process: until SIGTERM, SIGINT or the control port's word."""
    try:
        uvloop.run(_serve(build, host=host, port=port, control_port=control_port))
    except (HlrdError, OSError) as error:
        sys.exit(f"{name}: {error}")


async def _serve(build: Callable[[], Emulator], *, host: str, port: int, control_port: int) -> None:
    """Says on stdout when it listens."""
    emulator = build()
    control = ControlPort(emulator)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, emulator.stop)
    try:
        await emulator.open(host, port)
        await control.open(host, control_port)
        print(f"ready {emulator.name} port={emulator.port} control={control.port}", flush=True)
        await emulator.stopping.wait()
    finally:
        await control.close()
        await emulator.close()
