"""A whole session with a DSMP as it is on the wire: test and manual at once."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from adapters.dsmp import CLOSE, DSMP, OPEN, PAUSE, RESUME
from hlrd.codec.http import HTTPReplies, HTTPRequests
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account
from loadtest.dsmp.core import Platform
from tests.adapters.conformance import a_task, the_replies

TRANSCRIPT: Final = Path(__file__).parents[1] / "transcripts" / "dsmp.txt"
_STEP: Final = re.compile(r"^## (\w+) (\w+):[^\n]*\n>>>\n(.*?)\n<<<\n(.*?)\n=== (\w+)", re.M | re.S)


class Step(NamedTuple):
    operation: Operation
    transaction: str
    request: bytes
    reply: bytes
    verdict: str


def steps() -> list[Step]:
    found = _STEP.findall(TRANSCRIPT.read_text("utf-8"))
    return [
        Step(Operation(operation), transaction, _wire(request), _wire(reply), verdict)
        for operation, transaction, request, reply, verdict in found
    ]


def _wire(text: str) -> bytes:
    """Lines of an HTTP head end in CR LF; the transcript does not show it."""
    head, _, body = text.partition("\n\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


def test_the_transcript_is_what_both_sides_say_to_the_byte() -> None:
    platform = Platform()
    adapter = DSMP(Account("ne1.example", 8080), the_replies("dsmp"))

    for step in steps():
        task = a_task(step.operation, transaction=step.transaction)
        assert adapter.encode(task, None) == step.request
        [request] = HTTPRequests().feed(step.request)
        assert platform.handle(request).reply == step.reply
        [reply] = HTTPReplies().feed(step.reply)
        assert adapter.echoes(step.request, reply)
        assert adapter.classify(task, reply).verdict == step.verdict


def test_the_transcript_shows_each_action_done_repeated_and_found_done() -> None:
    assert [(step.operation, step.verdict) for step in steps()] == [
        (OPEN, Verdict.DONE),
        (OPEN, Verdict.DONE),
        (OPEN, Verdict.NO_CHANGE),
        (PAUSE, Verdict.DONE),
        (PAUSE, Verdict.NO_CHANGE),
        (OPEN, Verdict.PREREQUISITE),
        (RESUME, Verdict.DONE),
        (RESUME, Verdict.NO_CHANGE),
        (CLOSE, Verdict.DONE),
        (CLOSE, Verdict.NO_CHANGE),
        (PAUSE, Verdict.PERMANENT),
    ]
