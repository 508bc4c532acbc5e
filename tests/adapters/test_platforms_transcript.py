"""Whole sessions with the five platforms as they are on the wire: test and manual at once."""

import json
import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from adapters import DIALECTS
from adapters.json_platform import Failure
from hlrd.codec.http import HTTPReplies
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account
from tests.adapters.chain import Chain
from tests.adapters.conformance import PLATFORMS, SUBSCRIPTION, a_task, the_replies

FOLDER: Final = Path(__file__).parents[1] / "transcripts"
TOKEN: Final = "invented-token"
READ_BACK: Final = ("read back", "read back at once")
IN_VAIN: Final = "send in vain"
_STEP: Final = re.compile(
    r"^## (send|send in vain|read back|read back at once) (\w+) (\w+):[^\n]*\n"
    r">>>\n(.*?)\n<<<\n(.*?)\n=== (\w+)",
    re.M | re.S,
)


class Step(NamedTuple):
    way: str
    task: Task
    request: bytes
    reply: bytes
    verdict: str


def steps(dialect: str) -> list[Step]:
    return [
        Step(
            way,
            a_task(Operation(operation), transaction=transaction, details=SUBSCRIPTION),
            _wire(request),
            _wire(reply),
            verdict,
        )
        for way, operation, transaction, request, reply, verdict in _STEP.findall(
            (FOLDER / f"{dialect}.txt").read_text("utf-8")
        )
    ]


def _wire(text: str) -> bytes:
    """Lines of an HTTP head end in CR LF; the transcript does not show it."""
    head, _, body = text.partition("\n\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


@pytest.mark.parametrize("dialect", PLATFORMS)
def test_the_transcript_is_what_both_sides_say_to_the_byte(dialect: str) -> None:
    account = Account("ne1.example", 8080, password=TOKEN)
    adapter = DIALECTS[dialect](account, the_replies(dialect))
    chain = Chain(dialect, token=TOKEN)

    for way, task, request, wire, verdict in steps(dialect):
        is_query = way in READ_BACK
        asked = adapter.read_back(task) if is_query else adapter.encode(task, None)
        assert asked == request
        assert chain.exchange(request, gets_on=way == "read back") == wire
        if way == IN_VAIN:
            failure = Failure("iot_gateway", "REFUSED", "not in this network")
            resource = json.loads(wire.partition(b"\r\n\r\n")[2])["resource"]
            chain.platform.settle(resource, task.transaction, failure)
        [reply] = HTTPReplies().feed(wire)
        assert adapter.echoes(request, reply)
        outcome = (adapter.compare if is_query else adapter.classify)(task, reply)
        assert outcome.verdict == verdict


@pytest.mark.parametrize("dialect", PLATFORMS)
def test_the_transcript_shows_what_can_come_of_a_change(dialect: str) -> None:
    shown = {step.verdict for step in steps(dialect)}

    is_chain = dialect in ("province_management", "nationwide_management")
    own = {Verdict.PENDING, Verdict.APPLIED} if is_chain else {Verdict.DONE, Verdict.ABSENT}
    assert own | {Verdict.NO_CHANGE, Verdict.APPLIED, Verdict.PERMANENT} <= shown
    assert {step.task.operation for step in steps(dialect)} >= {
        Operation.SUBSCRIBE_EC,
        Operation.SUBSCRIBE_MEMBER,
        Operation.PAUSE_RELATION,
        Operation.UNSUBSCRIBE_EC,
        Operation.UNSUBSCRIBE_MEMBER,
    }
