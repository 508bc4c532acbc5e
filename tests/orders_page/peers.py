"""The emulators' cores as network elements of the engine: true wire text, and no socket.

What is shown of a command is what the emulator's own log shows.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from hlrd.codec import mml
from hlrd.codec.http import HTTPRequests
from hlrd.codec.mml import MMLCommands
from hlrd.domain.outcome import Outcome
from hlrd.ne.adapter import Adapter
from hlrd.ports import Command, Intent
from loadtest import jsonpeer
from loadtest.dsmp import core as dsmp
from loadtest.eoms.core import Office
from loadtest.hlr import results
from loadtest.hlr.core import HLR
from loadtest.hlr.frames import Frames
from loadtest.jsonpeer import Work
from loadtest.platform.core import Platform
from loadtest.relay import server as relay
from loadtest.relay.core import Role, System
from tests.adapters.chain import Chain
from tests.adapters.conformance import KEY, KEYED, an_adapter
from tests.adapters.conformance import PASSWORD as TOKEN
from tests.adapters.headquarters import Headquarters, QuickPeople

STAMP: Final = "2026-01-01 08:16:40+08:00"
PLACES: Final = 16
PARTNERS: Final = ("280", "571")
"""Provinces that the BBOSS can reach."""


class Logged(NamedTuple):
    """One command, as the log of the emulator that served it shows it."""

    ne: str
    command: str
    code: str
    operation: str  #: empty: of a query
    is_beside: bool  #: side by side with the one before it


class Reply(NamedTuple):
    shown: str
    code: str
    bytes: bytes


class Peer(Protocol):
    def serve(self, request: bytes, *, is_refused: bool = False) -> Reply:
        """`is_refused`: answered by a refusal for good, and not executed."""
        ...


class HLRPeer:
    def __init__(self, name: str) -> None:
        self.core = HLR()
        self._frames = Frames(name)

    def serve(self, request: bytes, *, is_refused: bool = False) -> Reply:
        [command] = MMLCommands().feed(request)
        result = results.REFUSED if is_refused else self.core.handle(command)
        reply = self._frames.reply(command.text, result, STAMP)
        return Reply(mml.masked(command.text.decode("ascii")), str(result.code), reply)


class DSMPPeer:
    def __init__(self) -> None:
        self.core = dsmp.Platform()

    def serve(self, request: bytes, *, is_refused: bool = False) -> Reply:
        [read] = HTTPRequests().feed(request)
        order = self.core.read(read)
        assert isinstance(order, dsmp.Order), "hlrd asks in good form"
        served = dsmp.refusal(order, dsmp.REFUSED_CODE) if is_refused else self.core.execute(order)
        return Reply(dsmp.shown(order), str(served.code), served.reply)


class JSONPeer:
    """A platform, a relay or an EOMS with those behind it: they get on before the next query."""

    def __init__(self, core: Platform | System | Office, carry: Callable[[], None]) -> None:
        self.core = core
        self._carry = carry

    def serve(self, request: bytes, *, is_refused: bool = False) -> Reply:
        [read] = HTTPRequests().feed(request)
        if read.method == "GET":
            self._carry()
        work = self.core.read(read)
        if not isinstance(work, Work):
            return Reply(f"{read.method} {read.target}", work.answer.code, jsonpeer.reply(work))
        served = (
            jsonpeer.refusal(work.resource, work.key, 403, "REFUSED")
            if is_refused
            else self.core.execute(work)
        )
        return Reply(relay.shown(work), served.answer.code, jsonpeer.reply(served))


class Wire:
    """`ports.NE`. What is sent waits in `sent` until it is served."""

    settle_s = 1.0
    poll_s = 0.5

    def __init__(self, name: str, dialect: str, peer: Peer, sent: deque["Sent"]) -> None:
        self.name = name
        self.peer = peer
        self.adapter = _adapter(dialect)
        self._sent = sent

    def free(self) -> int:
        return PLACES - sum(one.wire is self for one in self._sent)

    def window(self) -> int:
        return PLACES

    def wants(self, waiting: int) -> None:
        pass

    def execute(self, command: Command) -> None:
        self._sent.append(Sent(self, command, is_beside=bool(self._sent)))

    def serve(
        self, command: Command, *, is_beside: bool, is_refused: bool
    ) -> tuple[Logged, Outcome]:
        """As the driver does it."""
        query = self.adapter.read_back(command.task) if _is_query(command) else None
        request = self._request(command) if query is None else query
        served = self.peer.serve(request, is_refused=is_refused)
        [reply] = self.adapter.decoder().feed(served.bytes)
        assert self.adapter.echoes(request, reply)
        judge = self.adapter.classify if query is None else self.adapter.compare
        operation = str(command.task.operation) if query is None else ""
        logged = Logged(self.name, served.shown, served.code, operation, is_beside)
        return logged, judge(command.task, reply)

    def _request(self, command: Command) -> bytes:
        operation = command.task.operation
        return self.adapter.encode(command.task, KEY if operation in KEYED else None)


@cache
def _adapter(dialect: str) -> Adapter[Any]:
    """It holds nothing that changes."""
    return an_adapter(dialect)


class Sent(NamedTuple):
    wire: Wire
    command: Command
    is_beside: bool


def _is_query(command: Command) -> bool:
    return command.intent is Intent.READ_BACK


def network(sent: deque[Sent]) -> Mapping[str, Wire]:
    """Every element that the examples meet, by its name."""
    found = (
        Wire("hlr1", "huawei_hlr", HLRPeer("HLR1"), sent),
        Wire("dsmp", "dsmp", DSMPPeer(), sent),
        Wire("nation", "nationwide_management", _chain("nationwide_management"), sent),
        Wire("class1", "class1_platform", _chain("class1_platform"), sent),
        Wire("gateway", "iot_gateway", _chain("iot_gateway"), sent),
        Wire("platform", "province_platform", _chain("province_platform"), sent),
        Wire("management", "province_management", _chain("province_management"), sent),
        Wire("boss1", "boss1_relay", _headquarters(Role.BOSS1), sent),
        Wire("bboss", "bboss_relay", _headquarters(Role.BBOSS), sent),
        Wire("eoms", "eoms", _people(), sent),
    )
    return {wire.name: wire for wire in found}


def _chain(dialect: str) -> JSONPeer:
    chain = Chain(dialect, token=TOKEN)
    return JSONPeer(chain.platform, chain.carry)


def _headquarters(role: Role) -> JSONPeer:
    relays = Headquarters(role, token=TOKEN, partners=PARTNERS)
    return JSONPeer(relays.system, relays.carry)


def _people() -> JSONPeer:
    people = QuickPeople(token=TOKEN)
    return JSONPeer(people.office, people.carry)
