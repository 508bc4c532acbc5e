"""An HLR or HSS by the SOAP dialect of all vendors (`docs/ne/hss_soap.md`).

It says what `huawei_hlr` says, command by command, in envelopes over HTTP; so that dialect makes
the commands and judges the answers, by a table that both share. What HTTP and SOAP say besides is
in `adapters/replies/hss_soap.toml`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from adapters.huawei_hlr import HuaweiHLR
from hlrd.codec import hss, mml, soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.hss import HSSReply
from hlrd.codec.http import HTTPReplies, HTTPReply, Target
from hlrd.codec.mml import MMLCommand
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.script import Script
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

BY_TOKEN: Final = "307"
BY_HEADER: Final = "header"
TOKEN_LENGTH: Final = 64

NO_LOCATION: Final = "NO LOCATION"
"""The code of a login that was accepted and led nowhere."""

_OPTIONS: Final[Mapping[str, str]] = {"login": BY_TOKEN, "path": "/"}
_LOCATION: Final = re.compile(r"(?:https?://[^/?#\s]+)?(/[0-9A-Za-z._~-]{1,128})\Z")
_ROOT: Final = b"POST / "
_SENT_NAME: Final = re.compile(rb":Body><([A-Z_0-9]+)[ >]")
_SENT_IMSI: Final = re.compile(rb"<IMSI[^>]*>([0-9]+)<")

READ_ANEW_BYTES_MIN: Final = 2 * 2**10
"""A longer answer shows a record, and is not said twice."""

ANSWERS_REMEMBERED: Final = 512
"""Answers that only say how it went, one for each command, session and outcome: 1 MB at most."""


class HSSSOAP(Adapter[HTTPReply]):
    dialect = "hss_soap"
    family = HuaweiHLR.dialect
    operations = HuaweiHLR.operations
    inquiries = HuaweiHLR.inquiries

    @classmethod
    def check_script(cls, script: Script) -> None:
        HuaweiHLR.check_script(script)

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        options = {**_OPTIONS, **account.options}
        way, path = options.pop("login"), options.pop("path")
        if way not in (BY_TOKEN, BY_HEADER):
            raise AccountError(f"option login = {way!r}: {BY_TOKEN} or {BY_HEADER}")
        if way == BY_TOKEN and path != "/":
            raise AccountError("option path: with login = 307 the login gives the path")
        self._has_login = way == BY_TOKEN
        self._credentials = (
            {} if self._has_login else {"UserName": account.user, "PassWord": account.password}
        )
        inner = Account(account.host, account.port, account.user, account.password, options)
        try:
            self._mml = HuaweiHLR(inner, replies)
            self._target = _target(account, path)
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error
        except AccountError as error:
            text = f"hss_soap knows {sorted(_OPTIONS)} and what huawei_hlr does: {error}"
            raise AccountError(text) from error
        self._login = self._asked(self._mml.login())
        self._logout = self._asked(self._mml.logout())
        self._keepalive = self._asked(self._mml.keepalive())
        self._remembered = lru_cache(maxsize=ANSWERS_REMEMBERED)(hss.read)

    def decoder(self) -> HTTPReplies:
        return HTTPReplies()

    def login(self) -> bytes | None:
        return self._login if self._has_login else None

    def classify_login(self, reply: HTTPReply) -> Outcome:
        """Its answer is a redirection with a whole answer in it."""
        if not reply.body or reply.status not in (200, 307):
            return self._judge(Asked.LOGIN, None, f"HTTP {reply.status}")
        answer = self._read(reply.body)
        if answer.name == soap.FAULT:
            return self._classify_fault(Asked.LOGIN, None, answer)
        outcome = self._mml.classify_login(answer.said)
        if outcome.verdict is Verdict.DONE and _LOCATION.match(reply.location) is None:
            return self._judge(Asked.LOGIN, None, NO_LOCATION)
        return outcome

    def ticket(self, reply: HTTPReply) -> str | None:
        """The path that all later commands go to. Whose address it has is left aside: the
        connection stays.
        """
        found = _LOCATION.match(reply.location)
        return None if found is None else found[1]

    def ticketed(self, request: bytes, ticket: str) -> bytes:
        return b"POST %b %b" % (ticket.encode("ascii"), request.removeprefix(_ROOT))

    def logout(self) -> bytes | None:
        return self._logout if self._has_login else None

    def keepalive(self) -> bytes:
        return self._keepalive

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        return self._asked(self._mml.encode(task, key))

    def classify(self, task: Task, reply: HTTPReply) -> Outcome:
        """Raises ProtocolError when HTTP says 200 and the content is not an answer to a request."""
        answer = self._answer(reply)
        if answer is None:
            return self._judge(Asked.COMMAND, task.operation, f"HTTP {reply.status}")
        if answer.name == soap.FAULT:
            return self._classify_fault(Asked.COMMAND, task.operation, answer)
        return self._mml.classify(task, answer.said)

    def read_back(self, task: Task) -> bytes | None:
        query = self._mml.read_back(task)
        return None if query is None else self._asked(query)

    def compare(self, task: Task, reply: HTTPReply) -> Outcome:
        answer = self._answer(reply)
        if answer is None:
            return self._judge(Asked.READ_BACK, task.operation, f"HTTP {reply.status}")
        if answer.name == soap.FAULT:
            return self._classify_fault(Asked.READ_BACK, task.operation, answer)
        return self._mml.compare(task, answer.said)

    def echoes(self, request: bytes, reply: HTTPReply) -> bool:
        """An answer names its command, and the card when it shows a record."""
        if reply.status != 200:
            return True
        try:
            answer = self._read(reply.body)
        except ProtocolError:
            return False
        sent = _SENT_NAME.search(request)
        if answer.name == soap.FAULT or sent is None:
            return True
        return answer.name.encode() == sent[1] and _is_of_the_card(request, answer)

    def is_last(self, reply: HTTPReply) -> bool:
        return not reply.keep_alive

    def masked(self, task: Task) -> str:
        return self._mml.masked(task)

    def _asked(self, command: bytes) -> bytes:
        return self._target.post(hss.request(_apart(command), self._credentials))

    def _read(self, body: bytes) -> HSSReply:
        if len(body) >= READ_ANEW_BYTES_MIN:
            return hss.read(body)
        return self._remembered(body)

    def _answer(self, reply: HTTPReply) -> HSSReply | None:
        """None where HTTP itself refuses. SOAP 1.1 sends its faults with status 500."""
        if reply.status == 200:
            return self._read(reply.body)
        try:
            answer = self._read(reply.body)
        except ProtocolError:
            return None
        return answer if answer.name == soap.FAULT else None

    def _classify_fault(
        self, asked: Asked, operation: Operation | None, answer: HSSReply
    ) -> Outcome:
        said = answer.said
        return self._judge(asked, operation, f"Fault {said.status}", said.text)

    def _judge(
        self, asked: Asked, operation: Operation | None, code: str, text: str = ""
    ) -> Outcome:
        safe = mml.masked(text.replace(self.account.password, mml.MASK))[:200]
        ruling = self.replies.ruling(asked, operation, code, safe)
        return Outcome(ruling.verdict, code, safe or ruling.text, ruling.then, ruling.is_known)


def _apart(command: bytes) -> MMLCommand:
    """A command that the MML dialect wrote: no value of it holds a delimiter."""
    name, _, rest = command.decode("ascii")[:-1].partition(":")
    pairs = [part.partition("=") for part in rest.split(",")] if rest else []
    return MMLCommand(name, {key: value.strip('"') for key, _, value in pairs}, command)


def _target(account: Account, path: str) -> Target:
    host = f"[{account.host}]" if ":" in account.host else account.host
    return Target(path, f"{host}:{account.port}", headers={"SOAPAction": '""'})


def _is_of_the_card(request: bytes, answer: HSSReply) -> bool:
    if not answer.said.body:
        return True
    sent = _SENT_IMSI.search(request)
    shown = answer.said.values().get("IMSI")
    return sent is None or shown is None or shown.encode() == sent[1]
