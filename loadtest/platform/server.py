"""An emulated platform as a whole: its connections, its records, its faults, and the next hop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adapters.json_platform import DELETE, PUT
from hlrd.codec.http import HTTPRequest
from hlrd.domain.errors import HlrdError
from loadtest import jsonpeer
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.forward import Ending, Forwarder, Hop, Passed
from loadtest.jsonpeer import JSONSession, Served, Work
from loadtest.kept import Kept
from loadtest.platform.core import (
    CONFIRMED,
    FAILED,
    NEXT_HOP,
    ON_ITS_WAY,
    Platform,
    Record,
    passed_on,
)

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Record)


class StateFileDamaged(HlrdError):
    """A line of the file is no record; the text says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    dialect: str
    name: str = "platform1"
    path: str = ""  #: empty: the dialect's own
    token: str = ""  #: empty: everybody is let in
    hop: Hop | None = None  #: of those that pass changes on
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
        assert (settings.hop is not None) == (settings.dialect in NEXT_HOP), "a hop for those"
        self.platform = Platform(settings.dialect, path=settings.path, token=settings.token)
        self._dialect = settings.dialect
        self._forwarder: Forwarder | None = None
        if settings.hop is not None:
            self._forwarder = Forwarder(settings.hop, self.settle, every_s=settings.hop_every_s)

    def connect(self) -> JSONSession:
        return JSONSession(self)

    async def open(self, host: str, port: int) -> None:
        if self._forwarder is not None:
            self._forwarder.start()
        await super().open(host, port)

    async def close(self) -> None:
        if self._forwarder is not None:
            await self._forwarder.close()
        await super().close()

    def read(self, request: HTTPRequest) -> Work | Served:
        return self.platform.read(request)

    def execute(self, work: Work) -> Served:
        served = self.platform.execute(work)
        if served.has_effect:
            self._keep(work.resource)
            self._pass_on(self.platform.records.get(work.resource))
        return served

    def settle(self, resource: str, key: str, ending: Ending) -> None:
        if self.platform.settle(resource, key, ending):
            self._keep(resource)
            self.keep()

    def stats(self) -> Mapping[str, int]:
        states = (CONFIRMED, ON_ITS_WAY, FAILED)
        records = {f"records_{state}": self.platform.counts[state] for state in states}
        return {"connections": len(self.connections), **records}

    def dump(self) -> list[Record]:
        return list(self.platform.records.values())

    def shown(self, command: Work | str) -> str:
        return jsonpeer.shown(command)

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            try:
                self._recall(line)
            except (ValueError, AssertionError) as error:
                raise StateFileDamaged(
                    f"{self._kept.path}, line {number}: no record; remove the file to start empty"
                ) from error
        for record in list(self.platform.pending()):
            self._pass_on(record)

    def _recall(self, line: bytes) -> None:
        record = _DECODER.decode(line)
        self.platform.put(record)

    def _keep(self, resource: str) -> None:
        """Also of one that is gone: as a removal that was confirmed."""
        record = self.platform.records.get(resource)
        gone = Record(resource, {}, CONFIRMED, "", is_leaving=True)
        self._kept.add(_ENCODER.encode(record or gone))

    def _pass_on(self, record: Record | None) -> None:
        if self._forwarder is None or record is None or record.state != ON_ITS_WAY:
            return
        self._forwarder.add(passed(self._dialect, record))


def passed(dialect: str, record: Record) -> Passed:
    """`record`, which is on its way, as the next hop is told it."""
    if record.is_leaving:
        return Passed(DELETE, record.resource, None, record.transaction)
    content = passed_on(dialect, record.content)
    return Passed(PUT, record.resource, content, record.transaction)
