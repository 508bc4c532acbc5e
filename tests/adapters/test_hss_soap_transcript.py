"""A whole session with an HSS by SOAP as it is on the wire: test and manual at once."""

import asyncio
from typing import Final

import pytest

from adapters.hss_soap import HSSSOAP
from hlrd.codec.http import HTTPReplies
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account
from loadtest import faults
from loadtest.hss.server import Server, Settings
from tests.adapters.conformance import the_replies
from tests.adapters.transcript import outcome_of, request_of, steps

DIALECT: Final = "hss_soap"
ACCOUNT: Final = Account("hss1.example", 8002, "hlrd", "hlrd")
FAULTS: Final = '{"once": [{"fault": "busy", "command": "MOD LCK"}]}'


def wire(text: str) -> bytes:
    """Lines of an HTTP head end in CR LF; the transcript does not show it."""
    head, _, body = text.partition("\n\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


def test_the_adapter_says_and_makes_of_it_what_the_transcript_shows() -> None:
    adapter = HSSSOAP(ACCOUNT, the_replies(DIALECT))
    ticket = None

    for step in steps(DIALECT):
        request = request_of(adapter, step)
        assert request is not None
        if step.what == "login":
            ticket = None
        if ticket is not None:
            request = adapter.ticketed(request, ticket)
        assert request == wire(step.request)
        [reply] = HTTPReplies().feed(wire(step.reply))
        assert adapter.echoes(request, reply)
        assert outcome_of(adapter, step, reply).verdict == step.verdict
        ticket = adapter.ticket(reply) or ticket


async def test_the_emulator_answers_as_the_transcript_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        Server, "location", lambda server, token: f"http://hss1.example:8002/{token}"
    )
    server = Server(Settings(name="hss1"), faults.decode(FAULTS))
    await server.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    for step in steps(DIALECT):
        if step.verdict == Verdict.SESSION:
            server.expire()
        writer.write(wire(step.request))
        answer = await asyncio.wait_for(reader.readexactly(len(wire(step.reply))), 10.0)
        assert answer == wire(step.reply)

    assert await asyncio.wait_for(reader.read(), 10.0) == b""
    writer.close()
    await server.close()


def test_the_transcript_shows_a_login_for_a_path_and_what_becomes_of_it() -> None:
    shown = steps(DIALECT)

    assert {step.task.operation for step in shown if step.task} == {
        *HSSSOAP.operations,
        Operation.FIND_NUMBER,
    }
    assert [step.what for step in shown].count("login") == 2
    assert {step.verdict for step in shown} >= {
        Verdict.DONE,
        Verdict.NO_CHANGE,
        Verdict.EXISTS,
        Verdict.PREREQUISITE,
        Verdict.BUSY,
        Verdict.SESSION,
        Verdict.APPLIED,
        Verdict.ABSENT,
    }
