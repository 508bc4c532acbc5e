"""An emulated relay, registry or partner province as a whole: its connections, its records, its
faults, and whom it passes changes on to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from hlrd.codec.http import HTTPRequest
from hlrd.domain.errors import HlrdError
from loadtest import jsonpeer
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.forward import Ending, Forwarder, Hop
from loadtest.jsonpeer import JSONSession, Served, Work
from loadtest.kept import Kept
from loadtest.relay.core import RELAYS, Role, System
from loadtest.relay.partners import Publication
from loadtest.relay.records import CONFIRMED, FAILED, ON_ITS_WAY, Record

KEY: Final = "key"


class StateFileDamaged(HlrdError):
    """A line of the file is no record; the text says which."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One change, as it is kept; a relay's file holds the keys that are on their way."""

    record: Record | None = None
    sealed: dict[str, Any] | None = None
    publication: Publication | None = None
    is_told: bool = False  #: the publication reached its partner


@dataclass(frozen=True, slots=True)
class Settings:
    role: Role
    name: str = "relay1"
    path: str = ""  #: empty: the dialect's own
    token: str = ""  #: empty: everybody is let in
    hop: Hop | None = None  #: of a relay: the registry
    partners: Mapping[str, Hop] = field(default_factory=dict)  #: of a BBOSS, by province
    hop_every_s: float = 0.2
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
        assert (settings.hop is not None) == (settings.role in RELAYS), "a hop for relays"
        self.system = System(
            settings.role,
            path=settings.path,
            token=settings.token,
            partners=list(settings.partners),
        )
        every_s = settings.hop_every_s
        self._registry: Forwarder | None = None
        if settings.hop is not None:
            self._registry = Forwarder(settings.hop, self.settle, every_s=every_s)
        self._partners = {
            province: Forwarder(hop, partial(self._told, province), every_s=every_s)
            for province, hop in settings.partners.items()
        }

    def connect(self) -> JSONSession:
        return JSONSession(self)

    async def open(self, host: str, port: int) -> None:
        for forwarder in self._forwarders():
            forwarder.start()
        await super().open(host, port)

    async def close(self) -> None:
        for forwarder in self._forwarders():
            await forwarder.close()
        await super().close()

    def read(self, request: HTTPRequest) -> Work | Served:
        return self.system.read(request)

    def execute(self, work: Work) -> Served:
        served = self.system.execute(work)
        if served.has_effect:
            self._keep(work.resource)
            self._pass_on(self.system.records.get(work.resource))
        return served

    def settle(self, resource: str, key: str, ending: Ending) -> None:
        """What the registry says of a change."""
        news = self.system.settle(resource, key, ending)
        if news is None:
            return
        self._keep(resource)
        for publication in self.system.publications.values():
            if publication.resource == resource:
                self._add(Line(publication=publication))
        self.keep()
        self._publish(news)

    def stats(self) -> Mapping[str, int]:
        states = (CONFIRMED, ON_ITS_WAY, FAILED)
        records = {f"records_{state}": self.system.counts[state] for state in states}
        waiting = len(self.system.publications)
        return {"connections": len(self.connections), "publications": waiting, **records}

    def dump(self) -> list[Record]:
        return list(self.system.records.values())

    def shown(self, command: Work | str) -> str:
        return shown(command)

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            try:
                self._recall(msgspec.json.decode(line, type=Line))
            except (ValueError, KeyError, AssertionError):
                raise StateFileDamaged(
                    f"{self._kept.path}, line {number}: no record; remove the file to start empty"
                ) from None  # the cause may quote a key
        for record in list(self.system.pending()):
            self._pass_on(record)
        self._publish(self.system.publications.values())

    def _forwarders(self) -> Iterable[Forwarder]:
        if self._registry is not None:
            yield self._registry
        yield from self._partners.values()

    def _recall(self, line: Line) -> None:
        if line.record is not None:
            self.system.put(line.record)
            if line.sealed is not None:
                self.system.sealed[line.record.resource] = line.sealed
        if line.publication is not None:
            place = line.publication.province, line.publication.resource
            if line.is_told:
                del self.system.publications[place]
            else:
                self.system.publications[place] = line.publication

    def _keep(self, resource: str) -> None:
        """Also of one that is gone: as a removal that was confirmed."""
        record = self.system.records.get(resource)
        gone = Record(resource, {}, CONFIRMED, "", is_leaving=True)
        self._add(Line(record or gone, self.system.sealed.get(resource)))

    def _add(self, line: Line) -> None:
        self._kept.add(msgspec.json.encode(line))

    def _pass_on(self, record: Record | None) -> None:
        if self._registry is not None and record is not None and record.state == ON_ITS_WAY:
            self._registry.add(self.system.passed(record))

    def _publish(self, news: Iterable[Publication]) -> None:
        for publication in news:
            self._partners[publication.province].add(publication.passed())

    def _told(self, province: str, resource: str, key: str, ending: Ending) -> None:
        """A partner that refuses a publication is not asked again: its people must look."""
        told = self.system.publications[province, resource]
        newer = self.system.published(province, resource, key)
        if newer is not None:
            self._publish([newer])
            return
        self._add(Line(publication=told, is_told=True))
        self.record.took_effect("PUBLISH", f"{province} {resource}")
        self.record.served("PUBLISH", f"{province} {resource}", ending.code if ending else "DONE")
        self.keep()


def shown(command: Work | str) -> str:
    """A report without the key in it."""
    if isinstance(command, str) or command.content is None or KEY not in command.content:
        return jsonpeer.shown(command)
    content = {name: value for name, value in command.content.items() if name != KEY}
    return jsonpeer.shown(command._replace(body=msgspec.json.encode(content)))
