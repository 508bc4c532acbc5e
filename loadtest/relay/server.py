"""An emulated relay, registry or partner province as a whole: its connections, its records, its
faults, whom it passes changes on to, and the messages that it notes.
"""

import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from adapters.json_platform import DONE, FOUND, NOT_FOUND
from hlrd.codec.http import HTTPRequest
from loadtest import jsonpeer
from loadtest.business.message import Messages, Party
from loadtest.business.northbound import LoginRefused
from loadtest.control import number_of, stream
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.forward import Ending
from loadtest.jsonpeer import JSONSession, Served, Work
from loadtest.kept import Kept
from loadtest.relay import journal
from loadtest.relay.core import RELAYS, Role, System
from loadtest.relay.journal import Line
from loadtest.relay.naming import PARTIES, Notes, command_of
from loadtest.relay.onward import Origin
from loadtest.relay.partners import Publication
from loadtest.relay.records import CONFIRMED, FAILED, ON_ITS_WAY, Record
from loadtest.relay.ways import Neighbours, Tell, Ways

KEY: Final = "key"
OWED_MAX: Final = 10_000
"""Endings that wait to be asked for, only to be noted then."""

_ALONE: Final = Neighbours()
_TAKEN: Final = 202


class Owed(NamedTuple):
    """An ending that the caller is to hear of."""

    command: str
    key: str
    province: str
    said: str


@dataclass(frozen=True, slots=True)
class Settings:
    role: Role
    name: str = "relay1"
    path: str = ""  #: empty: the dialect's own
    token: str = ""  #: empty: everybody is let in
    neighbours: Neighbours = _ALONE
    caller: str = ""  #: in messages, if it notes none itself; may name {province}
    idle_close_s: float = 300.0
    state_file: Path | None = None  #: None: nothing outlives the process
    seed: int = 0


class Server(Emulator):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(
            settings.name,
            faults=Faults(profile, seed=settings.seed),
            kept=Kept(settings.state_file),
            idle_close_s=settings.idle_close_s,
        )
        near = settings.neighbours
        assert (near.registry is not None) == (settings.role in RELAYS), "a registry for relays"
        self.messages = Messages()
        self.system = System(
            settings.role,
            path=settings.path,
            token=settings.token,
            partners={*near.partners, *near.provinces},
            leads=near.provinces,
            has_hlrd=near.hlrd is not None,
        )
        party = PARTIES[settings.role]
        self._notes = Notes(self.messages, party, settings.caller)
        tell = Tell(self.settle, self._ordered, self._told, self._moved)
        origin = Origin(party, self.messages, self.faults, self.record)
        self._ways = Ways(near, tell, origin)
        self._owed: dict[str, Owed] = {}  #: by resource: endings that no caller has asked for

    def connect(self) -> JSONSession:
        return JSONSession(self)

    def routes(self) -> Sequence[web.RouteDef]:
        return (web.get("/messages", self._get_messages),)

    async def close(self) -> None:
        await self._ways.close()
        await super().close()

    def read(self, request: HTTPRequest) -> Work | Served:
        read = self.system.read(request)
        if self._owed and isinstance(read, Served):
            self._feed_back(read)
        return read

    def execute(self, work: Work) -> Served:
        province = self.system.province_of(work.resource, work.content)
        self._notes.asked(work.command, work.resource, province)
        served = self.system.execute(work)
        if served.status != _TAKEN:
            code = served.answer.code
            self._notes.answered(work.command, work.resource, province, code)
        if served.has_effect:
            self._add(journal.line_of(work.resource, self.system))
            self._pass_on(self.system.records.get(work.resource))
        return served

    def settle(self, resource: str, key: str, ending: Ending) -> None:
        """What the registry, or headquarters' hlrd, says of a change."""
        record = self.system.records.get(resource)
        province = self.system.province_of(resource)
        news = self.system.settle(resource, key, ending)
        if news is None or record is None:
            return
        command = command_of(resource, is_leaving=record.is_leaving)
        if self.system.role in RELAYS:
            self._notes.fed_back(command, resource, Party.PBOSS, _said(ending))
        self._owe(resource, Owed(command, key, province, _said(ending)))
        self._add(journal.line_of(resource, self.system))
        for publication in self.system.publications.values():
            if publication.resource == resource:
                self._add(Line(publication=publication))
        self.keep()
        self._publish(news)

    def stats(self) -> Mapping[str, int]:
        states = (CONFIRMED, ON_ITS_WAY, FAILED)
        records = {f"records_{state}": self.system.counts[state] for state in states}
        waiting = {"publications": len(self.system.publications), **self._ways.stats()}
        return {"connections": len(self.connections), **waiting, **records}

    def dump(self) -> list[Record]:
        return list(self.system.records.values())

    def shown(self, command: Work | str) -> str:
        return shown(command)

    def restore(self, lines: Sequence[bytes]) -> None:
        cursors = journal.recall(lines, self.system, self._kept.path)
        self._kept.rewrite(journal.lines_of(self.system, cursors))
        self._ways.start(cursors, self._fail)
        for record in list(self.system.pending()):
            self._pass_on(record)
        self._publish(list(self.system.publications.values()))

    # --- onward ------------------------------------------------------------------------------

    def _pass_on(self, record: Record | None) -> None:
        if record is None or record.state != ON_ITS_WAY:
            return
        if self._ways.registry is None:
            key = self.system.sealed.get(record.resource)
            self._ways.order(record, self.system.province_of(record.resource), key)
            return
        command = command_of(record.resource, is_leaving=record.is_leaving)
        self._notes.passed_on(command, record.resource, Party.PBOSS)
        self._ways.registry.add(self.system.passed(record))

    def _ordered(self, resource: str, key: str, order_id: str) -> None:
        if self.system.ordered(resource, key, order_id) is not None:
            self._add(journal.line_of(resource, self.system))
            self.keep()

    def _moved(self, hlrd: str, cursor: str) -> None:
        self._add(Line(cursor=cursor, hlrd=hlrd))
        self.keep()

    def _publish(self, news: Iterable[Publication]) -> None:
        for publication in news:
            if not self._ways.is_of_hlrd(publication.province):
                self._notes.published(publication.resource, _partner(publication.province))
            self._ways.publish(publication)

    def _told(self, province: str, resource: str, key: str, ending: Ending) -> None:
        """A partner without an hlrd that refuses a publication is not asked again: its people must
        look."""
        if not self._ways.is_of_hlrd(province):
            self._notes.published(resource, _partner(province), _said(ending))
        told = self.system.publications[province, resource]
        newer = self.system.published(province, resource, key)
        if newer is not None:
            self._publish([newer])
            return
        self._add(Line(publication=told, is_told=True))
        self.record.took_effect("PUBLISH", f"{province} {resource}")
        self.record.served("PUBLISH", f"{province} {resource}", _said(ending))
        self.keep()

    def _fail(self, error: BaseException) -> None:
        """An account that hlrd refuses will be refused again; all else is a defect."""
        is_told = isinstance(error, LoginRefused)
        print(f"{self.name}: {error}", file=sys.stderr, flush=True)
        if not is_told:
            traceback.print_exception(error)
        self.stop()

    # --- its caller --------------------------------------------------------------------------

    def _owe(self, resource: str, owed: Owed) -> None:
        """Until the caller asks."""
        self._owed.pop(resource, None)
        self._owed[resource] = owed
        if len(self._owed) > OWED_MAX:
            del self._owed[next(iter(self._owed))]

    def _feed_back(self, served: Served) -> None:
        answer = served.answer
        owed = self._owed.get(answer.resource)
        if owed is None or (answer.code == FOUND and answer.transaction != owed.key):
            return
        if answer.code in (FOUND, NOT_FOUND):
            del self._owed[answer.resource]
            self._notes.answered(owed.command, answer.resource, owed.province, owed.said)

    # --- the control port --------------------------------------------------------------------

    async def _get_messages(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, self.messages.after(number_of(request, "after")))

    def _add(self, line: Line) -> None:
        self._kept.add(journal.encoded(line))


def _said(ending: Ending) -> str:
    return DONE if ending is None else ending.code


def _partner(province: str) -> str:
    return Party.ESOP.of(province)


def shown(command: Work | str) -> str:
    """A report without the key in it."""
    if isinstance(command, str) or command.content is None or KEY not in command.content:
        return jsonpeer.shown(command)
    content = {name: value for name, value in command.content.items() if name != KEY}
    return jsonpeer.shown(command._replace(body=msgspec.json.encode(content)))
