"""The emulated DSMP as a whole: its connections, its relations, its faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from hlrd.domain.errors import HlrdError
from loadtest.dsmp import core
from loadtest.dsmp.core import Order, Platform, Served, State
from loadtest.dsmp.session import Session
from loadtest.emulator import Emulator
from loadtest.faults import Faults, Profile
from loadtest.kept import Kept


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


class Server(Emulator):
    def __init__(self, settings: Settings, profile: Profile) -> None:
        super().__init__(
            settings.name,
            faults=Faults(profile, seed=settings.seed),
            kept=Kept(settings.state_file),
            idle_close_s=settings.idle_close_s,
        )
        self.platform = Platform(peer=settings.peer, path=settings.path)
        self._was_gateway = False

    def connect(self) -> Session:
        return Session(self)

    def execute(self, order: Order) -> Served:
        served = self.platform.execute(order)
        if served.state:
            kept = f"* {order.relation}" if order.product else order.relation
            self._kept.add(f"{kept} {served.state}".encode())
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
        published = {"services_published": len(self.platform.services)}
        return {"connections": len(self.connections), **relations, **published}

    def dump(self) -> list[Relation]:
        relations = self.platform.relations.items()
        return [_relation(name, state) for name, state in relations]

    def shown(self, command: Order | str) -> str:
        return core.shown(command) if isinstance(command, Order) else command

    def restore(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, start=1):
            try:
                msisdn, service, state = line.decode("ascii").split(" ")
                if msisdn == "*":  # of a service that was published
                    self.platform.services[service] = state
                else:
                    self.platform.put(f"{msisdn} {service}", State(state))
            except ValueError as error:
                raise StateFileDamaged(
                    f"{self._kept.path}, line {number}: not a relation;"
                    " remove the file to start empty"
                ) from error


def _relation(name: str, state: State) -> Relation:
    msisdn, _, service = name.partition(" ")
    return Relation(msisdn, service, state)
