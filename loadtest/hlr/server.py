"""The emulated HLR as a whole: its sessions, its one record of subscribers, its faults."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand
from loadtest.faults import Faults, Profile
from loadtest.hlr import core
from loadtest.hlr.core import HLR, Result
from loadtest.hlr.effects import Effects
from loadtest.hlr.frames import Frames
from loadtest.hlr.session import Session
from loadtest.record import Record

CONNECTIONS_MAX: Final = 1_024
"""Connections, logged in or not; one more is reset."""

_IDLE_CHECK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "hlr1"
    user: str = "hlrd"
    password: str = field(default="hlrd", repr=False)
    sessions_max: int = 32  #: logged in; one more is refused and closed
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: None: nothing outlives the process
    is_old_layout: bool = False
    packet_lines: int = 0  #: body lines per packet of a reply; 0 for one packet
    seed: int = 0


class Server:
    """Build it inside a running loop, `open` it, and `close` it in the end."""

    def __init__(self, settings: Settings, profile: Profile) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = settings.name
        self.faults = Faults(profile, seed=settings.seed)
        self.record = Record()
        self.hlr = HLR()
        self.effects = Effects(settings.state_file)
        self.frames = Frames(
            settings.name, is_old=settings.is_old_layout, packet_lines=settings.packet_lines
        )
        self.stopping = asyncio.Event()
        self.port = 0
        self._settings = settings
        self._sessions: dict[Session, None] = {}
        self._logged_in = 0
        self._logins_refused = 0
        self._listener: asyncio.Server | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._stamp = ""

    async def open(self, host: str, port: int) -> None:
        """Raises StateFileDamaged, or OSError when the port is taken."""
        self.effects.replay(self.hlr)
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
        for session in list(self._sessions):
            session.close()
        if self._listener is not None:
            await self._listener.wait_closed()
        self.effects.close()

    def opened(self, session: Session) -> None:
        self._sessions[session] = None
        if len(self._sessions) > CONNECTIONS_MAX:
            session.cut()

    def closed(self, session: Session) -> None:
        del self._sessions[session]
        if session.is_logged_in:
            session.is_logged_in = False
            self._logged_in -= 1

    def login(self, session: Session, command: MMLCommand) -> Result:
        result = self._judge_login(session, command.params)
        if result is not core.OK:
            self._logins_refused += 1
        elif not session.is_logged_in:
            session.is_logged_in = True
            self._logged_in += 1
        return result

    def execute(self, command: MMLCommand, *, is_unpushed: bool = False) -> Result:
        result = self.hlr.handle(command, is_unpushed=is_unpushed)
        if result.changed:
            self.effects.add(command, is_unpushed=is_unpushed)
            self.record.took_effect(command.name, result.changed)
        return result

    def stamp(self) -> str:
        """Now, as replies show it."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(second))
        return self._stamp

    def stats(self) -> Mapping[str, int]:
        return {
            "connections": len(self._sessions),
            "sessions": self._logged_in,
            "logins_refused": self._logins_refused,
            "keys": len(self.hlr.keys),
            "subscribers": len(self.hlr.subscribers),
            "cancel_pending": len(self.hlr.cancel_pending),
        }

    def dump(self) -> list[Any]:
        return self.hlr.dump()

    def masked(self, text: str) -> str:
        return mml.masked(text)

    def cut(self, sessions: int | None) -> int:
        chosen = list(self._sessions)[:sessions]
        for session in chosen:
            session.cut()
        return len(chosen)

    def stop(self) -> None:
        self.stopping.set()

    def _judge_login(self, session: Session, params: Mapping[str, str]) -> Result:
        settings = self._settings
        if self.faults.refuses_login():
            return core.IN_MAINTENANCE
        if (params.get("OPNAME"), params.get("PWD")) != (settings.user, settings.password):
            return core.WRONG_ACCOUNT
        if not session.is_logged_in and self._logged_in >= settings.sessions_max:
            return core.TOO_MANY_SESSIONS
        return core.OK

    def _check_idle(self) -> None:
        since_s = self.loop.time() - self._settings.idle_close_s
        for session in list(self._sessions):
            session.close_if_idle(since_s)
        check_s = min(_IDLE_CHECK_S, self._settings.idle_close_s / 4)
        self._idle_timer = self.loop.call_later(check_s, self._check_idle)
