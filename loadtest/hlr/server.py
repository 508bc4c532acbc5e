"""The emulated HLR as a whole: who is logged in, what is stored, what is kept over a restart.

One process may be several logical HLRs, each with its serial number (HLRSN) and subscribers of its
own. The one that a command names holds, else the one that its login named, else the first.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import msgspec
from aiohttp import web
from msgspec import Struct

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand, parse_command
from hlrd.domain.errors import HlrdError
from loadtest.connection import Connection
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.hlr import batch, results
from loadtest.hlr.core import HLR, Dumped
from loadtest.hlr.frames import Frames
from loadtest.hlr.results import Result
from loadtest.hlr.session import Session
from loadtest.kept import Kept

_UNPUSHED: Final = b"!"
"""In front of a kept command whose effect the serving node was not told."""


_OF_HLR: Final = b"@"
"""In front of a kept command that went to another HLR than it tells: its serial number, a blank."""


class StateFileDamaged(HlrdError):
    """A line of the file does not replay; the text says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "hlr1"
    hlrsns: tuple[str, ...] = ("1",)  #: serial numbers of its logical HLRs
    user: str = "hlrd"
    password: str = field(default="hlrd", repr=False)
    sessions_max: int = 32  #: logged in; one more is refused and closed
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: the commands that took effect, with their keys; None: none
    is_old_layout: bool = False
    has_tables: bool = False  #: queries are answered by column tables
    packet_lines: int = 0  #: body lines per packet of a reply; 0 for one packet
    seed: int = 0


@runtime_checkable
class Seat(Protocol):
    """A connection that may be logged in."""

    is_logged_in: bool
    hlrsn: str


class Logical(Struct, tag="hlr", tag_field="record", frozen=True):
    """In a dump: what follows is of this HLR."""

    hlrsn: str


class Server(Emulator):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(
            settings.name,
            faults=Faults(profile, seed=settings.seed),
            kept=Kept(settings.state_file),
            idle_close_s=settings.idle_close_s,
        )
        self.hlrs = {hlrsn: HLR() for hlrsn in settings.hlrsns}
        self.first_hlrsn = settings.hlrsns[0]
        self.hlr = self.hlrs[self.first_hlrsn]
        self.frames = Frames(
            settings.name,
            is_old=settings.is_old_layout,
            has_tables=settings.has_tables,
            packet_lines=settings.packet_lines,
        )
        self._settings = settings
        self._logged_in = 0
        self._logins_refused = 0
        self._second = 0
        self._stamp = ""

    def connect(self) -> Connection[Any, Any]:
        return Session(self)

    def closed(self, connection: Connection[Any, Any]) -> None:
        super().closed(connection)
        self._logged_in -= isinstance(connection, Seat) and connection.is_logged_in

    def login(self, session: Seat, command: MMLCommand) -> Result:
        result = self._judge_login(session, command.params)
        if result is not results.OK:
            self._logins_refused += 1
            return result
        session.hlrsn = command.params.get("HLRSN", self.first_hlrsn)
        if not session.is_logged_in:
            session.is_logged_in = True
            self._logged_in += 1
        return result

    def execute(self, command: MMLCommand, *, hlrsn: str = "", is_unpushed: bool = False) -> Result:
        """`hlrsn`: of the session's login; empty for the first HLR."""
        name = command.params.get("HLRSN") or hlrsn or self.first_hlrsn
        hlr = self.hlrs.get(name)
        if hlr is None:
            return results.wrong("HLRSN")
        if not batch.is_batch(command):
            return self._execute(hlr, name, command, is_unpushed=is_unpushed)
        lines = batch.expand(command)
        if isinstance(lines, Result):
            return lines
        return batch.summary(
            [(line, self._execute(hlr, name, line, is_unpushed=is_unpushed)) for line in lines]
        )

    def _execute(self, hlr: HLR, hlrsn: str, command: MMLCommand, *, is_unpushed: bool) -> Result:
        result = hlr.handle(command, is_unpushed=is_unpushed)
        if result.changed:
            if self._kept.path is not None:
                self._kept.add(self._line(hlrsn, command, is_unpushed=is_unpushed))
            self.record.took_effect(command.name, result.changed)
        return result

    def _line(self, hlrsn: str, command: MMLCommand, *, is_unpushed: bool) -> bytes:
        line = b" ".join(command.text.splitlines())
        if command.params.get("HLRSN", self.first_hlrsn) != hlrsn:
            line = _OF_HLR + hlrsn.encode("ascii") + b" " + line
        return _UNPUSHED + line if is_unpushed else line

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            is_unpushed = line.startswith(_UNPUSHED)
            if not self._replay(line.removeprefix(_UNPUSHED), is_unpushed=is_unpushed):
                raise StateFileDamaged(
                    f"{self._settings.state_file}, line {number}: changes nothing;"
                    " remove the file to start empty"
                )

    def _replay(self, line: bytes, *, is_unpushed: bool) -> bool:
        """Whether it changed anything, as all kept commands did."""
        hlrsn = ""
        if line.startswith(_OF_HLR):
            head, _, line = line.partition(b" ")
            hlrsn = head.removeprefix(_OF_HLR).decode("latin-1")
        command = parse_command(line)
        hlr = self.hlrs.get(hlrsn or command.params.get("HLRSN", self.first_hlrsn))
        return hlr is not None and bool(hlr.handle(command, is_unpushed=is_unpushed).changed)

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
            "keys": sum(len(hlr.keys) for hlr in self.hlrs.values()),
            "subscribers": sum(len(hlr.subscribers) for hlr in self.hlrs.values()),
            "cancel_pending": sum(len(hlr.cancel_pending) for hlr in self.hlrs.values()),
        }

    def dump(self) -> Sequence[Any]:
        """Several HLRs one after the other, each behind a line with its serial number."""
        if len(self.hlrs) == 1:
            return self.hlr.dump()
        return [row for hlrsn, hlr in self.hlrs.items() for row in (Logical(hlrsn), *hlr.dump())]

    def routes(self) -> Sequence[web.RouteDef]:
        """POST /load: the records of another one's dump (NDJSON), into the first HLR. They are
        gone after a restart."""
        return (web.post("/load", self._load),)

    async def _load(self, request: web.Request) -> web.Response:
        try:
            lines = (await request.read()).splitlines()
            records = [msgspec.json.decode(line, type=Dumped) for line in lines]
        except msgspec.MsgspecError as error:
            raise web.HTTPBadRequest(text=f"nothing loaded: {error}\n") from error
        self.hlr.load(records)
        return web.json_response({"loaded": len(records)})

    def shown(self, command: bytes) -> str:
        return mml.masked(command.decode("latin-1"))

    def _judge_login(self, session: Seat, params: Mapping[str, str]) -> Result:
        settings = self._settings
        if self.faults.refuses_login():
            return results.IN_MAINTENANCE
        if params.get("HLRSN", self.first_hlrsn) not in self.hlrs:
            return results.wrong("HLRSN")
        if (params.get("OPNAME"), params.get("PWD")) != (settings.user, settings.password):
            return results.WRONG_ACCOUNT
        if not session.is_logged_in and self._logged_in >= settings.sessions_max:
            return results.TOO_MANY_SESSIONS
        return results.OK
