"""The emulated osmo-hlr as a whole: its connections, its records, what is kept over a restart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hlrd.codec.ipa import Command, CTRLCommand, parse_command
from hlrd.domain.errors import HlrdError
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.kept import Kept
from loadtest.osmo.core import HLR, Record, Result
from loadtest.osmo.session import Session, name


class StateFileDamaged(HlrdError):
    """A line of the file does not replay; the text says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    name: str = "hlr1"
    idle_close_s: float = 3_600.0  #: a real one never closes
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
        self._state_file = settings.state_file

    def connect(self) -> Session:
        return Session(self)

    def execute(self, command: CTRLCommand) -> Result:
        result = self.hlr.handle(command)
        if result.changed:
            line = f"{command.verb} {command.id} {command.variable} {command.value}"
            self._kept.add(line.encode("ascii"))
            self.record.took_effect(name(command), result.changed)
        return result

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            if not self.hlr.handle(parse_command(line.decode("latin-1"))).changed:
                raise StateFileDamaged(
                    f"{self._state_file}, line {number} changes nothing;"
                    " remove the file to start empty"
                )

    def stats(self) -> Mapping[str, int]:
        records = self.hlr.records.values()
        return {
            "connections": len(self.connections),
            "subscribers": len(records),
            "keys": sum(bool(record.aud2g or record.aud3g) for record in records),
        }

    def dump(self) -> Sequence[Record]:
        return list(self.hlr.records.values())

    def shown(self, command: CTRLCommand) -> str:
        return Command(command.verb, command.variable, command.value).masked()
