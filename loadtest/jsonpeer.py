"""What every emulated peer shares that speaks JSON over HTTP: its connections, the keys it
remembers, how it reads a request, and the form of its answers. What the answers say is each peer's
own.
"""

import re
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from adapters.json_platform import DONE, HEALTH, Answer
from hlrd.codec import jsonhttp
from hlrd.codec.http import HTTPRequest, HTTPRequests
from loadtest.connection import Connection, Owner
from loadtest.faults import Fault, Faults
from loadtest.record import Record

KEYS_MAX: Final = 200_000
"""Executed changes remembered by their Idempotency-Key: half a minute of full load."""

RETRY_AFTER_S: Final = 1
QUERY: Final = "QUERY"
OTHER: Final = "OTHER"
"""The name of a request that is neither a change nor a query."""

_LATER: Final = frozenset({429, 503})
_KEY: Final = re.compile(rf"{jsonhttp.KEY_PATTERN}\Z")


class Work(NamedTuple):
    """A change that is in good form."""

    command: str  #: its name in faults and records
    method: str
    resource: str
    content: dict[str, object] | None
    key: str
    body: bytes  #: as it came: the same key must come with the same


class Served(NamedTuple):
    """One request and what came of it."""

    status: int
    answer: Answer
    has_effect: bool = False


class KeyReused(Exception):
    """The key stands for another change."""


class Keys:
    """What was executed under which key, resource by resource: senders of several provinces may
    number their changes alike, and never change the same."""

    def __init__(self) -> None:
        self._executed: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    def holds(self, work: Work) -> bool:
        """Whether this very change was executed. Raises KeyReused when another was."""
        known = self._executed.get((work.resource, work.key))
        if known is not None and known != (work.method, work.body):
            raise KeyReused
        return known is not None

    def add(self, work: Work) -> None:
        self._executed[work.resource, work.key] = (work.method, work.body)
        if len(self._executed) > KEYS_MAX:
            self._executed.popitem(last=False)

    def forget(self, resource: str, key: str) -> None:
        """Of a change that came to nothing: it may be tried anew."""
        self._executed.pop((resource, key), None)


class Refused(Exception):
    """Of a request or a change: the answer says so."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class JSONCore(ABC):
    """The pure half of a peer: what stands between a request and the rules of the peer."""

    def __init__(self, path: str, token: str) -> None:
        self._path = path
        self._authorization = f"Bearer {token}" if token else ""
        self._keys = Keys()

    def handle(self, request: HTTPRequest) -> Served:
        read = self.read(request)
        return self.execute(read) if isinstance(read, Work) else read

    def read(self, request: HTTPRequest) -> Work | Served:
        """The change in a request, or the answer to one that is none, or not in good form."""
        resource = request.target.removeprefix(self._path)
        if resource == request.target:
            return refusal(request.target, request.key, 404, "NO_SUCH_RESOURCE")
        if self._authorization and request.authorization != self._authorization:
            return refusal(resource, request.key, 401, "UNAUTHORIZED")
        if request.method == "GET" and resource == HEALTH:
            return Served(200, Answer(resource, DONE))
        try:
            return self._read(request, resource)
        except Refused as refused:
            return refusal(resource, request.key, refused.status, refused.code)

    def execute(self, work: Work) -> Served:
        """Answer by the state of things; what was executed already is answered by what became of
        it."""
        try:
            served = self._repeated(work) if self._keys.holds(work) else self._change(work)
        except KeyReused:
            return refusal(work.resource, work.key, 422, "KEY_REUSED")
        except Refused as refused:
            return refusal(work.resource, work.key, refused.status, refused.code)
        self._keys.add(work)
        return served

    @abstractmethod
    def _read(self, request: HTTPRequest, resource: str) -> Work | Served:
        """As `read`; may raise Refused."""

    @abstractmethod
    def _repeated(self, work: Work) -> Served:
        """What became of a change that was executed. What failed further on was forgotten, and is
        tried anew."""

    @abstractmethod
    def _change(self, work: Work) -> Served:
        """May raise Refused."""


class Peer(Owner, Protocol):
    faults: Faults
    record: Record

    def read(self, request: HTTPRequest) -> Work | Served:
        """The change in a request, or the answer to one that is none, or not in good form."""
        ...

    def execute(self, work: Work) -> Served: ...


class JSONSession(Connection[HTTPRequest, Work | HTTPRequest]):
    """A query is work as well: it takes its time, and faults befall it."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer, HTTPRequests())
        self._peer = peer
        self._is_refused = peer.faults.refuses_login()

    def serve(self, command: HTTPRequest) -> None:
        if self._is_refused:
            maintenance = refusal("", "", 503, "BUSY")
            self._answer_at_once(command, maintenance, keep_alive=False)
            self.closes_when_idle = True
            return
        if not command.keep_alive:
            self.closes_when_idle = True
        read = self._peer.read(command)
        if isinstance(read, Work):
            self.begin(read.command, read)
        elif command.method == "GET" and read.answer.resource != HEALTH:
            self.begin(QUERY, command)
        else:
            self._answer_at_once(command, read)

    def execute(self, work: Work | HTTPRequest, fault: Fault | None) -> bytes:
        if isinstance(work, HTTPRequest):
            return self._find(work, fault)
        if fault is Fault.BUSY:
            served = refusal(work.resource, work.key, *self._busy())
        elif fault is Fault.REFUSE:
            served = refusal(work.resource, work.key, 403, "REFUSED")
        else:
            served = self._peer.execute(work)
        record = self._peer.record
        record.served(work.command, work, served.answer.code, fault or "")
        if served.has_effect:
            record.took_effect(work.command, work.resource)
        if fault is Fault.WRONG_ECHO:
            served = refusal("/another", "0", served.status, served.answer.code)
        return reply(served)

    def leave(self, work: Work | HTTPRequest, fault: Fault) -> None:
        if isinstance(work, HTTPRequest):
            self._peer.record.served(QUERY, _line(work), "", fault)
        else:
            self._peer.record.served(work.command, work, "", fault)

    def _find(self, query: HTTPRequest, fault: Fault | None) -> bytes:
        served = self._peer.read(query)
        assert isinstance(served, Served), "a query changes nothing"
        if fault is Fault.BUSY:
            served = refusal(served.answer.resource, "", *self._busy())
        elif fault is Fault.REFUSE:
            served = refusal(served.answer.resource, "", 403, "REFUSED")
        self._peer.record.served(QUERY, _line(query), served.answer.code, fault or "")
        if fault is Fault.WRONG_ECHO:
            served = refusal("/another", "0", served.status, served.answer.code)
        return reply(served)

    def _busy(self) -> tuple[int, str]:
        is_by_rate = self._peer.faults.profile.commands_per_s is not None
        return (429, "RATE_EXCEEDED") if is_by_rate else (503, "BUSY")

    def _answer_at_once(
        self, request: HTTPRequest, served: Served, *, keep_alive: bool = True
    ) -> None:
        self._peer.record.served(OTHER, _line(request), served.answer.code)
        self.answer(reply(served, keep_alive=keep_alive))


def _line(request: HTTPRequest) -> str:
    return f"{request.method} {request.target}"


def refusal(resource: str, key: str, status: int, code: str, text: str = "") -> Served:
    return Served(status, Answer(resource, code, key, text))


def answered(work: Work, status: int, code: str, *, has_effect: bool = False) -> Served:
    return Served(status, Answer(work.resource, code, work.key), has_effect)


def command_of(request: HTTPRequest, commands: Mapping[str, str]) -> str:
    """The change that its method stands for, by `commands`. May raise Refused."""
    command = commands.get(request.method)
    if command is None:
        raise Refused(405, "MALFORMED")
    if not _KEY.match(request.key):
        raise Refused(400, "KEY_MISSING")
    return command


def reply(served: Served, *, keep_alive: bool = True) -> bytes:
    retry_after_s = RETRY_AFTER_S if served.status in _LATER else None
    return jsonhttp.answer(
        served.status, served.answer, keep_alive=keep_alive, retry_after_s=retry_after_s
    )


def shown(command: Work | str) -> str:
    if isinstance(command, str):
        return command
    return f"{command.method} {command.resource} {command.key} {command.body.decode()}".rstrip()
