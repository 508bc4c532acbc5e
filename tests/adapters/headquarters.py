"""A relay and the registry behind it, joined without a socket; an EOMS whose people are quick."""

from collections.abc import Sequence

import msgspec

from adapters.json_platform import ANSWERS, Failure
from adapters.pboss_registry import PBOSSRegistry
from hlrd.codec import jsonhttp
from hlrd.codec.http import HTTPRequest, HTTPRequests
from loadtest import jsonpeer
from loadtest.eoms.core import WITH_PEOPLE, Office, Word
from loadtest.forward import Next, sent
from loadtest.relay.core import Role, System
from loadtest.relay.records import Record

PARTNERS = ("GD", "SC")
DONE = Word("done", "people", "done")


class Headquarters:
    """What was taken by the relay gets on before the next query."""

    def __init__(self, role: Role, *, token: str = "", partners: Sequence[str] = PARTNERS) -> None:
        """`partners`: the provinces that a BBOSS can reach."""
        reached = partners if role is Role.BBOSS else ()
        self.system = System(role, token=token, partners=reached)
        self.registry = System(Role.PBOSS)

    def exchange(self, request: bytes) -> bytes:
        [read] = HTTPRequests().feed(request)
        if read.method == "GET":
            self.carry()
        return jsonpeer.reply(self.system.handle(read))

    def carry(self) -> None:
        for record in list(self.system.pending()):
            self.system.settle(record.resource, record.transaction, self._pass_on(record))

    def _pass_on(self, record: Record) -> Failure | None:
        change = self.system.passed(record)
        body = b"" if change.content is None else msgspec.json.encode(change.content)
        target = PBOSSRegistry.path + change.resource
        served = self.registry.handle(HTTPRequest(change.method, target, body, key=change.key))
        answer = jsonhttp.read(msgspec.json.encode(served.answer), ANSWERS)
        ending = sent(Role.PBOSS, served.status, answer)
        assert not isinstance(ending, Next), f"{record.resource} is stuck at the registry"
        return ending


class QuickPeople:
    """Whatever is with them is done before anybody asks."""

    def __init__(self, *, token: str = "") -> None:
        self.office = Office(lambda sheet: None, token=token)

    def exchange(self, request: bytes) -> bytes:
        [read] = HTTPRequests().feed(request)
        if read.method == "GET":
            self.carry()
        heard = self.office.read(read)
        served = self.office.execute(heard) if isinstance(heard, jsonpeer.Work) else heard
        return jsonpeer.reply(served)

    def carry(self) -> None:
        for sheet in list(self.office.sheets.values()):
            if sheet.state in WITH_PEOPLE:
                self.office.reply(sheet.number, DONE)
