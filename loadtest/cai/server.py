"""The emulated gateway as a whole: who is logged in, what is stored, what outlives a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hlrd.codec import cai
from hlrd.codec.cai import CAICommand, parse_command
from hlrd.domain.errors import HlrdError
from loadtest.cai import core
from loadtest.cai.core import HLR, Result
from loadtest.cai.session import Session
from loadtest.connection import Connection
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.kept import Kept


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
        self._settings = settings
        self._logged_in = 0
        self._logins_refused = 0

    def connect(self) -> Session:
        return Session(self)

    def closed(self, connection: Connection[Any, Any]) -> None:
        super().closed(connection)
        self._logged_in -= isinstance(connection, Session) and connection.is_logged_in

    def login(self, session: Session, command: CAICommand) -> Result:
        result = self._judge_login(session, command.params)
        if result is not core.OK:
            self._logins_refused += 1
        elif not session.is_logged_in:
            session.is_logged_in = True
            self._logged_in += 1
        return result

    def execute(self, command: CAICommand) -> Result:
        result = self.hlr.handle(command)
        if result.changed:
            self._kept.add(b" ".join(command.text.splitlines()))
            self.record.took_effect(command.name, result.changed)
        return result

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            if not self.hlr.handle(parse_command(line)).changed:
                raise StateFileDamaged(
                    f"{self._settings.state_file}, line {number} changes nothing;"
                    " remove the file to start empty"
                )

    def stats(self) -> Mapping[str, int]:
        return {
            "connections": len(self.connections),
            "sessions": self._logged_in,
            "logins_refused": self._logins_refused,
            "keys": len(self.hlr.keys),
            "subscribers": len(self.hlr.subscribers),
        }

    def dump(self) -> Sequence[Any]:
        return self.hlr.dump()

    def shown(self, command: bytes) -> str:
        return cai.masked(command.decode("latin-1"))

    def _judge_login(self, session: Session, params: Mapping[str, str]) -> Result:
        settings = self._settings
        if self.faults.refuses_login():
            return core.IN_MAINTENANCE
        if (params.get("USER"), params.get("PASSWORD")) != (settings.user, settings.password):
            return core.WRONG_ACCOUNT
        if not session.is_logged_in and self._logged_in >= settings.sessions_max:
            return core.TOO_MANY_SESSIONS
        return core.OK
