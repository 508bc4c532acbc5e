"""The cores of a chain of platforms, joined without a socket."""

import msgspec

from adapters import DIALECTS
from adapters.json_platform import ANSWERS, Answer
from adapters.subscriptions import SubscriptionPlatform
from hlrd.codec import jsonhttp
from hlrd.codec.http import HTTPRequest, HTTPRequests
from loadtest import jsonpeer
from loadtest.forward import Ending, Next, Passed, asked, sent
from loadtest.platform.core import NEXT_HOP, Platform
from loadtest.platform.server import passed


class Chain:
    """A platform and all behind it. What was taken gets on before a query that waits for it."""

    def __init__(self, dialect: str, *, token: str = "") -> None:
        self.dialect = dialect
        self.platform = Platform(dialect, token=token)
        self.next = Chain(NEXT_HOP[dialect]) if dialect in NEXT_HOP else None

    def exchange(self, request: bytes, *, gets_on: bool = True) -> bytes:
        [read] = HTTPRequests().feed(request)
        if read.method == "GET" and gets_on:
            self.carry()
        return jsonpeer.reply(self.platform.handle(read))

    def carry(self) -> None:
        if self.next is None:
            return
        for record in list(self.platform.pending()):
            ending = self._pass_on(record.resource)
            self.platform.settle(record.resource, record.transaction, ending)

    def _pass_on(self, resource: str) -> Ending:
        assert self.next is not None
        change = passed(self.dialect, self.platform.records[resource])
        step: Next | Ending = sent(self.next.dialect, *self._ask(change.method, change))
        if isinstance(step, Next):
            self.next.carry()
            step = asked(change, self._ask("GET", change)[1])
        assert not isinstance(step, Next), f"{resource} is stuck at {self.next.dialect}"
        return step

    def _ask(self, method: str, change: Passed) -> tuple[int, Answer]:
        assert self.next is not None
        spoken = DIALECTS[self.next.dialect]
        assert issubclass(spoken, SubscriptionPlatform)
        has_body = method == "PUT"
        body = msgspec.json.encode(change.content) if has_body else b""
        served = self.next.platform.handle(
            HTTPRequest(method, spoken.path + change.resource, body, key=change.key)
        )
        return served.status, jsonhttp.read(msgspec.json.encode(served.answer), ANSWERS)
