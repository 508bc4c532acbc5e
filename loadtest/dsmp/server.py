"""The emulated DSMP as a whole: its connections, its relations, its faults."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from hlrd.domain.errors import HlrdError
from loadtest.connection import Connection
from loadtest.dsmp import core
from loadtest.dsmp.core import Order, Platform, Served, State
from loadtest.dsmp.session import Session
from loadtest.faults import Faults, Profile
from loadtest.kept import Kept
from loadtest.record import Record

CONNECTIONS_MAX: Final = 1_024
"""One more is reset."""

_IDLE_CHECK_S: Final = 1.0


class StateFileDamaged(HlrdError):
    """A line of the file is no relation; the text says which."""


class Relation(Struct, frozen=True):
    msisdn: str
    sp_service_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "dsmp1"
    peer: str = "misc"
    path: str = "/dsmp"
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: None: nothing outlives the process
    seed: int = 0


class Server:
    """Build it inside a running loop, `open` it, and `close` it in the end."""

    def __init__(self, settings: Settings, profile: Profile) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = settings.name
        self.faults = Faults(profile, seed=settings.seed)
        self.record = Record()
        self.platform = Platform(peer=settings.peer, path=settings.path)
        self.stopping = asyncio.Event()
        self.port = 0
        self._settings = settings
        self._kept = Kept(settings.state_file)
        self.keep = self._kept.flush  #: before answers go out
        self.connections: dict[Connection[Any, Any], None] = {}
        self._listener: asyncio.Server | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._was_gateway = False

    async def open(self, host: str, port: int) -> None:
        """Raises StateFileDamaged, or OSError when the port is taken."""
        self._restore()
        self._listener = await self.loop.create_server(
            lambda: Session(self), host, port, backlog=CONNECTIONS_MAX
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._check_idle()

    async def close(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.close()
        if self._listener is not None:
            await self._listener.wait_closed()
        self._kept.close()

    def opened(self, connection: Connection[Any, Any]) -> None:
        self.connections[connection] = None
        if len(self.connections) > CONNECTIONS_MAX:
            connection.cut()

    def closed(self, connection: Connection[Any, Any]) -> None:
        del self.connections[connection]

    def execute(self, order: Order) -> Served:
        served = self.platform.execute(order)
        if served.state:
            self._kept.add(f"{order.relation} {served.state}".encode())
            self.record.took_effect(served.command, order.relation)
        return served

    def busy_code(self) -> int:
        """9007 for the rate; else gateway and DSMP have a full queue in turn."""
        if self.faults.profile.commands_per_s is not None:
            return 9007
        self._was_gateway = not self._was_gateway
        return 9004 if self._was_gateway else 9006

    def stats(self) -> Mapping[str, int]:
        relations = {f"relations_{state}": self.platform.counts[state] for state in State}
        return {"connections": len(self.connections), **relations}

    def dump(self) -> list[Relation]:
        relations = self.platform.relations.items()
        return [_relation(name, state) for name, state in relations]

    def shown(self, command: Order | str) -> str:
        return core.shown(command) if isinstance(command, Order) else command

    def cut(self, sessions: int | None) -> int:
        chosen = list(self.connections)[:sessions]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    def stop(self) -> None:
        self.stopping.set()

    def _restore(self) -> None:
        for number, line in enumerate(self._kept.lines(), start=1):
            try:
                msisdn, service, state = line.decode("ascii").split(" ")
                self.platform.put(f"{msisdn} {service}", State(state))
            except ValueError as error:
                raise StateFileDamaged(
                    f"{self._kept.path}, line {number}: not a relation;"
                    " remove the file to start empty"
                ) from error

    def _check_idle(self) -> None:
        since_s = self.loop.time() - self._settings.idle_close_s
        for connection in list(self.connections):
            connection.close_if_idle(since_s)
        check_s = min(_IDLE_CHECK_S, self._settings.idle_close_s / 4)
        self._idle_timer = self.loop.call_later(check_s, self._check_idle)


def _relation(name: str, state: State) -> Relation:
    msisdn, _, service = name.partition(" ")
    return Relation(msisdn, service, state)
