"""What all peers share that speak JSON over HTTP (`docs/ne/platforms.md`): resources that are put
and deleted under an idempotency key, and asked for by GET.

A peer that passes a change on to others takes it (202) and tells by GET how far it has come. What
an answer's code means is in `adapters/replies/json_platform.toml` and the dialect's own table.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hlrd.codec import jsonhttp
from hlrd.codec.base import UnsafeValue
from hlrd.codec.http import HTTPReplies, HTTPReply
from hlrd.codec.jsonhttp import Service
from hlrd.domain.errors import ProtocolError
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

HEALTH: Final = "/health"

GET: Final = "GET"
PUT: Final = "PUT"
DELETE: Final = "DELETE"

DONE: Final = "DONE"
UNCHANGED: Final = "UNCHANGED"
PENDING: Final = "PENDING"
FOUND: Final = "FOUND"
NOT_FOUND: Final = "NOT_FOUND"
CONFIRMED: Final = "confirmed"

_SENT_KEY: Final = re.compile(rb"\r\nIdempotency-Key: ([0-9A-Za-z]+)\r\n")
_PATH: Final = "path"
_TEXT_MAX: Final = 200


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why a change that was taken came to nothing."""

    hop: str  #: the system on the way that refused it
    code: str
    text: str = ""


class Answer(Struct, frozen=True, omit_defaults=True):
    """The body of every answer. `state` and what follows are told of a resource that is FOUND."""

    resource: str
    code: str
    transaction: str = ""  #: the command's own; of a resource: of the last change to it
    text: str = ""
    state: str = ""  #: confirmed, pending or failed
    content: Mapping[str, Any] = {}
    failure: Failure | None = None


class Request(NamedTuple):
    """What a task asks for: a resource to be as `content` says, (DELETE) not to be, or (GET) only
    how it is."""

    method: str
    resource: str
    content: Mapping[str, object] | None = None


ANSWERS: Final = msgspec.json.Decoder(Answer)


class JSONPlatform(Adapter[HTTPReply]):
    family = "json_platform"
    path: ClassVar[str]  #: where the service stands, unless the option `path` says otherwise
    options: ClassVar[frozenset[str]] = frozenset({_PATH})
    owner: ClassVar[str] = ""  #: a field of the content that tells whose the resource is

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        unknown = sorted(account.options.keys() - self.options)
        if unknown:
            raise AccountError(f"options {unknown}: {self.dialect} knows {sorted(self.options)}")
        host = f"[{account.host}]" if ":" in account.host else account.host
        self._base = account.options.get(_PATH, self.path)
        try:
            self._service = Service(
                f"{host}:{account.port}", base=self._base, token=account.password
            )
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error
        self._outcomes = {
            operation: {
                code: Outcome(ruling.verdict, code, ruling.text, ruling.then)
                for code, ruling in replies.codes(Asked.COMMAND, operation).items()
            }
            for operation in self.operations
        }

    @abstractmethod
    def request(self, task: Task) -> Request:
        """Raises UnsafeValue for what is not fit to be named in a path."""

    def decoder(self) -> HTTPReplies:
        return HTTPReplies()

    def keepalive(self) -> bytes:
        return self._service.get(HEALTH)

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        method, resource, content = self.request(task)
        return self._service.send(method, resource, key=task.transaction, content=content)

    def classify(self, task: Task, reply: HTTPReply) -> Outcome:
        """Raises ProtocolError when HTTP says success and the content is not an answer."""
        answer = _answer(reply)
        if answer is None:
            return self._judge_status(Asked.COMMAND, task, reply)
        prepared = self._outcomes[task.operation].get(answer.code)
        if prepared is not None and not answer.text:
            return prepared
        return self._judge(Asked.COMMAND, task, answer.code, answer.text)

    def read_back(self, task: Task) -> bytes:
        return self._service.get(self.request(task).resource)

    def compare(self, task: Task, reply: HTTPReply) -> Outcome:
        answer = _answer(reply)
        if answer is None:
            return self._judge_status(Asked.READ_BACK, task, reply)
        if answer.code == FOUND:
            return self.compare_found(task, answer)
        return self._judge(Asked.READ_BACK, task, answer.code, answer.text)

    def echoes(self, request: bytes, reply: HTTPReply) -> bool:
        """What is not an answer of the platform itself names nothing."""
        target = jsonhttp.target_of(request)
        try:
            answer = _answer(reply)
        except ProtocolError:
            return target == self._base + HEALTH
        if answer is None:
            return True
        sent = _SENT_KEY.search(request)
        is_its_own = sent is None or sent[1].decode() == answer.transaction
        return is_its_own and target == self._base + answer.resource

    def is_last(self, reply: HTTPReply) -> bool:
        return not reply.keep_alive

    def masked(self, task: Task) -> str:
        method, resource, content = self.request(task)
        shown = f"{method} {self._base}{resource} {task.transaction}"
        return shown if content is None else f"{shown} {msgspec.json.encode(content).decode()}"

    def compare_found(self, task: Task, found: Answer) -> Outcome:
        """A change of another transaction tells nothing of ours, but that ours is not there."""
        is_ours = found.transaction == task.transaction
        if found.state == "failed" and is_ours and found.failure is not None:
            return self._judge_failure(task, found.failure)
        if found.state == "pending" and is_ours:
            return Outcome(Verdict.PENDING, PENDING, "on its way to the last system of the chain")
        if found.state != CONFIRMED:
            return Outcome(Verdict.ABSENT, found.state, "another change was made there")
        return self.compare_content(self.request(task), found.content)

    def compare_content(self, wanted: Request, found: Mapping[str, Any]) -> Outcome:
        if wanted.content is None:
            return Outcome(Verdict.ABSENT, FOUND, "still there")
        if self.owner in wanted.content and wanted.content[self.owner] != found.get(self.owner):
            return Outcome(Verdict.DIFFERENT, FOUND, f"of another {self.owner}")
        is_equal = all(found.get(name) == value for name, value in wanted.content.items())
        return Outcome(Verdict.APPLIED if is_equal else Verdict.ABSENT, FOUND)

    def _judge_failure(self, task: Task, failure: Failure) -> Outcome:
        outcome = self._judge(Asked.READ_BACK, task, failure.code, failure.text)
        text = f"{failure.hop[:64]}: {outcome.text}"
        return replace(outcome, text=text, is_standing=True)

    def _judge_status(self, asked: Asked, task: Task, reply: HTTPReply) -> Outcome:
        outcome = self._judge(asked, task, f"HTTP {reply.status}")
        if reply.retry_after_s is None:
            return outcome
        return replace(outcome, text=f"{outcome.text}: back in {reply.retry_after_s:.0f} s")

    def _judge(self, asked: Asked, task: Task, code: str, text: str = "") -> Outcome:
        code, text = code[:64], text[:_TEXT_MAX]
        ruling = self.replies.ruling(asked, task.operation, code, text)
        return Outcome(ruling.verdict, code, text or ruling.text, ruling.then, ruling.is_known)


def _answer(reply: HTTPReply) -> Answer | None:
    """None: it is HTTP that refuses, or something between. Raises ProtocolError for a success
    without an answer."""
    try:
        return jsonhttp.read(reply.body, ANSWERS)
    except ProtocolError:
        if reply.status < 300:
            raise
        return None
