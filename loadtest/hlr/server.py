"""The emulated HLR as a whole: who is logged in, what is stored, what is kept over a restart."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand, parse_command
from hlrd.domain.errors import HlrdError
from loadtest.connection import Connection
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.hlr import core
from loadtest.hlr.core import HLR, Result
from loadtest.hlr.frames import Frames
from loadtest.hlr.session import Session
from loadtest.kept import Kept

_UNPUSHED: Final = b"!"
"""In front of a kept command whose effect the serving node was not told."""


class StateFileDamaged(HlrdError):
    """A line of the file does not replay; the text says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "hlr1"
    user: str = "hlrd"
    password: str = field(default="hlrd", repr=False)
    sessions_max: int = 32  #: logged in; one more is refused and closed
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: the commands that took effect, with their keys; None: none
    is_old_layout: bool = False
    packet_lines: int = 0  #: body lines per packet of a reply; 0 for one packet
    seed: int = 0


class Server(Emulator):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(
            settings.name,
            faults=Faults(profile, seed=settings.seed),
            kept=Kept(settings.state_file),
            idle_close_s=settings.idle_close_s,
        )
        self.hlr = HLR()
        self.frames = Frames(
            settings.name, is_old=settings.is_old_layout, packet_lines=settings.packet_lines
        )
        self._settings = settings
        self._logged_in = 0
        self._logins_refused = 0
        self._second = 0
        self._stamp = ""

    def connect(self) -> Session:
        return Session(self)

    def closed(self, connection: Connection[Any, Any]) -> None:
        super().closed(connection)
        self._logged_in -= isinstance(connection, Session) and connection.is_logged_in

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
            self._keep_line(command.text, is_unpushed=is_unpushed)
            self.record.took_effect(command.name, result.changed)
        return result

    def _keep_line(self, text: bytes, *, is_unpushed: bool) -> None:
        if self._kept.path is not None:
            line = b" ".join(text.splitlines())
            self._kept.add(_UNPUSHED + line if is_unpushed else line)

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            command = parse_command(line.removeprefix(_UNPUSHED))
            is_unpushed = line.startswith(_UNPUSHED)
            if not self.hlr.handle(command, is_unpushed=is_unpushed).changed:
                raise StateFileDamaged(
                    f"{self._settings.state_file}, line {number}:"
                    f" {command.name or 'no command'} changes nothing;"
                    " remove the file to start empty"
                )

    def stamp(self) -> str:
        """Now, as replies show it."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(second))
        return self._stamp

    def stats(self) -> Mapping[str, int]:
        return {
            "connections": len(self.connections),
            "sessions": self._logged_in,
            "logins_refused": self._logins_refused,
            "keys": len(self.hlr.keys),
            "subscribers": len(self.hlr.subscribers),
            "cancel_pending": len(self.hlr.cancel_pending),
        }

    def dump(self) -> Sequence[Any]:
        return self.hlr.dump()

    def shown(self, command: bytes) -> str:
        return mml.masked(command.decode("latin-1"))

    def _judge_login(self, session: Session, params: Mapping[str, str]) -> Result:
        settings = self._settings
        if self.faults.refuses_login():
            return core.IN_MAINTENANCE
        if (params.get("OPNAME"), params.get("PWD")) != (settings.user, settings.password):
            return core.WRONG_ACCOUNT
        if not session.is_logged_in and self._logged_in >= settings.sessions_max:
            return core.TOO_MANY_SESSIONS
        return core.OK
