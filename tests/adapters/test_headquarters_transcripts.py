"""Whole sessions with an EOMS and a relay as they are on the wire: test and manual at once."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from adapters import DIALECTS
from hlrd.codec.http import HTTPReplies, HTTPRequests
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.ne.adapter import Account, Adapter
from loadtest import jsonpeer
from loadtest.eoms.core import Office, Word
from loadtest.jsonpeer import Served, Work
from loadtest.relay.core import Role
from tests.adapters.conformance import KEY, KEYED, REPORTS, SHEET, a_task, the_replies
from tests.adapters.headquarters import Headquarters

FOLDER: Final = Path(__file__).parents[1] / "transcripts"
TOKEN: Final = "invented-token"
DIALECTS_SHOWN: Final = ("eoms", "boss1_relay")
EACH: Final = pytest.mark.parametrize("dialect", DIALECTS_SHOWN)

_STEP: Final = re.compile(
    r"^## (?:(?P<how>send|read back) (?P<operation>\w+) (?P<transaction>\w+):[^\n]*\n"
    r">>>\n(?P<request>.*?)\n<<<\n(?P<reply>.*?)\n=== (?P<outcome>[^\n]*)"
    r"|(?P<act>people (?:take on|do|cannot do)|the hops get on)\b)",
    re.M | re.S,
)


class Step(NamedTuple):
    act: str  #: what happens behind the peer; empty: an exchange
    how: str
    operation: str
    transaction: str
    request: bytes
    reply: bytes
    outcome: str


def steps(dialect: str) -> Iterator[Step]:
    for found in _STEP.finditer((FOLDER / f"{dialect}.txt").read_text("utf-8")):
        said = {name: value or "" for name, value in found.groupdict().items()}
        yield Step(
            said["act"],
            said["how"],
            said["operation"],
            said["transaction"],
            _wire(said["request"]),
            _wire(said["reply"]),
            said["outcome"],
        )


def _wire(text: str) -> bytes:
    """Lines of an HTTP head end in CR LF; the transcript does not show it."""
    head, _, body = text.partition("\n\n")
    return head.rstrip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


class Peer:
    """The emulator's core, and what happens behind it."""

    def __init__(self, dialect: str) -> None:
        self.office = Office(lambda sheet: None, token=TOKEN)
        self.headquarters = Headquarters(Role.BOSS1, token=TOKEN)
        system = self.headquarters.system
        self._handle: Callable[..., Served] = self._open if dialect == "eoms" else system.handle
        self._acts: dict[str, Callable[[], Any]] = {
            "people take on": lambda: self.office.acknowledge(self._newest(), "li.si"),
            "people do": lambda: self._reply("done", "antenna is up"),
            "people cannot do": lambda: self._reply("cannotBeDone", "no power at the site"),
            "the hops get on": self.headquarters.carry,
        }

    def act(self, act: str) -> None:
        self._acts[act]()

    def answer(self, request: bytes) -> bytes:
        [read] = HTTPRequests().feed(request)
        return jsonpeer.reply(self._handle(read))

    def _open(self, request: Any) -> Served:
        read = self.office.read(request)
        return self.office.execute(read) if isinstance(read, Work) else read

    def _newest(self) -> str:
        return list(self.office.sheets)[-1]

    def _reply(self, result: Any, text: str) -> None:
        self.office.reply(self._newest(), Word(result, "li.si", text))


def an_adapter(dialect: str) -> Adapter[Any]:
    account = Account("ne1.example", 8080, password=TOKEN)
    return DIALECTS[dialect](account, the_replies(dialect))


def the_task(dialect: str, step: Step) -> Task:
    operation = Operation(step.operation)
    details = SHEET if dialect == "eoms" else REPORTS[operation]
    return a_task(operation, transaction=step.transaction, details=details)


def asked(adapter: Adapter[Any], task: Task, how: str) -> bytes:
    if how == "send":
        return adapter.encode(task, KEY if task.operation in KEYED else None)
    query = adapter.read_back(task)
    assert query is not None
    return query


def judged(adapter: Adapter[Any], task: Task, how: str, wire: bytes) -> Outcome:
    [reply] = HTTPReplies().feed(wire)
    return adapter.classify(task, reply) if how == "send" else adapter.compare(task, reply)


def shown(outcome: Outcome) -> str:
    then = f", then {outcome.then}" if outcome.then else ""
    return f"{outcome.verdict}: {outcome.code}, {outcome.text}{then}".removesuffix(", ")


@EACH
def test_the_transcript_is_what_both_sides_say_to_the_byte(dialect: str) -> None:
    adapter, peer = an_adapter(dialect), Peer(dialect)

    for step in steps(dialect):
        if step.act:
            peer.act(step.act)
            continue
        task = the_task(dialect, step)
        assert asked(adapter, task, step.how) == step.request
        assert peer.answer(step.request) == step.reply
        [reply] = HTTPReplies().feed(step.reply)
        assert adapter.echoes(step.request, reply)
        assert shown(judged(adapter, task, step.how, step.reply)) == step.outcome


@EACH
def test_the_transcript_shows_each_operation_done_and_refused(dialect: str) -> None:
    seen = [(step.operation, step.outcome.partition(":")[0]) for step in steps(dialect)]

    assert {operation for operation, _ in seen} - {""} == DIALECTS[dialect].operations
    assert {Verdict.PENDING, Verdict.APPLIED, Verdict.PERMANENT} <= {each for _, each in seen}
