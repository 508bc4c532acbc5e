"""A whole session with an HLR behind CAI as it is on the wire: test and manual at once."""

import asyncio
from typing import Final

from adapters.ericsson_cai import EricssonCAI
from hlrd.codec import cai
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.adapter import Account
from loadtest import faults
from loadtest.cai.server import Server, Settings
from loadtest.cai.session import BANNER
from tests.adapters.conformance import the_replies
from tests.adapters.transcript import outcome_of, request_of, steps

DIALECT: Final = "ericsson_cai"
ACCOUNT: Final = Account("hlr1.example", cai.PORT, "hlrd", "hlrd")
FAULTS: Final = '{"once": [{"fault": "busy", "command": "SET:HLRSUB"}]}'


def wire(reply: str) -> bytes:
    """Blanks at the end of lines are not shown."""
    return reply.replace("\n", "\r\n").encode() + b" "


def test_the_adapter_says_and_makes_of_it_what_the_transcript_shows() -> None:
    adapter = EricssonCAI(ACCOUNT, the_replies(DIALECT))
    decoder = adapter.decoder()
    decoder.feed(BANNER)

    for step in steps(DIALECT):
        assert request_of(adapter, step) == step.request.encode()
        [reply] = decoder.feed(wire(step.reply))
        assert adapter.echoes(step.request.encode(), reply)
        assert outcome_of(adapter, step, reply).verdict == step.verdict


async def test_the_emulator_answers_as_the_transcript_shows() -> None:
    server = Server(Settings(), faults.decode(FAULTS))
    await server.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await asyncio.wait_for(reader.readexactly(len(BANNER)), 10.0) == BANNER

    for step in steps(DIALECT):
        writer.write(step.request.encode())
        answer = await asyncio.wait_for(reader.readexactly(len(wire(step.reply))), 10.0)
        assert answer == wire(step.reply)

    assert await asyncio.wait_for(reader.read(), 10.0) == b""
    writer.close()
    await server.close()


def test_the_transcript_shows_every_operation_and_what_may_come_of_it() -> None:
    shown = steps(DIALECT)

    assert {step.task.operation for step in shown if step.task} == {
        *EricssonCAI.operations,
        Operation.FIND_NUMBER,
    }
    assert {step.verdict for step in shown} >= {
        Verdict.DONE,
        Verdict.NO_CHANGE,
        Verdict.EXISTS,
        Verdict.PREREQUISITE,
        Verdict.BUSY,
        Verdict.APPLIED,
        Verdict.ABSENT,
    }
