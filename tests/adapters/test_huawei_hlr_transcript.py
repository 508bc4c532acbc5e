"""Whole sessions with an M-HLR as they are on the wire: test and manual at once."""

import asyncio
import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from msgspec import structs

from adapters.huawei_hlr import HuaweiHLR
from hlrd.codec.mml import MMLReply
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account
from loadtest import faults
from loadtest.hlr.server import Server, Settings
from tests.adapters.conformance import KEY, a_binding, the_replies, the_task

TRANSCRIPTS: Final = Path(__file__).parents[1] / "transcripts"
LAYOUTS: Final = {
    "huawei_hlr": Settings(),
    "huawei_hlr_old": Settings(is_old_layout=True, packet_lines=3),
}
ACCOUNT: Final = Account("hlr1.example", 7776, "hlrd", "hlrd")
FAULTS: Final = (
    '{"once": [{"fault": "busy", "command": "LST LCK"},'
    ' {"fault": "unpushed", "command": "RMV SUB"}]}'
)
STAMP: Final = "2026-01-31 08:00:00+00:00"
_STEP: Final = re.compile(
    r"^## (\w+)(?: (\w+))?(?: level=(\d))?(?: user=(\d))?:"
    r"[^\n]*\n>>>\n(.*?)\n<<<\n(.*?)\n=== (\w+)",
    re.M | re.S,
)

each_layout = pytest.mark.parametrize("name", list(LAYOUTS))


class Step(NamedTuple):
    what: str  #: login, execute, readBack or logout
    task: Task | None
    request: bytes
    reply: bytes
    verdict: str


def steps(name: str) -> list[Step]:
    found = _STEP.findall((TRANSCRIPTS / f"{name}.txt").read_text("utf-8"))
    return [
        Step(
            what,
            the_task_of(operation, level, user) if operation else None,
            request.encode(),
            (reply + "\n").replace("\n", "\r\n").encode(),
            verdict,
        )
        for what, operation, level, user, request, reply, verdict in found
    ]


def the_task_of(operation: str, level: str, user: str) -> Task:
    """`user` tells one from the others by a last digit; without it, whom the suite has it done."""
    task = the_task("huawei_hlr", Operation(operation))
    if user:
        binding = a_binding(imsi=f"00101000000000{user}", msisdn=f"106490000000{user}")
        task = structs.replace(task, binding=binding)
    return structs.replace(task, level=Level(int(level or 0)))


def request_of(adapter: HuaweiHLR, step: Step) -> bytes | None:
    if step.task is None:
        return adapter.login() if step.what == "login" else adapter.logout()
    if step.what == "readBack":
        return adapter.read_back(step.task)
    return adapter.encode(step.task, KEY if step.task.operation is Operation.ADD_KEY else None)


def outcome_of(adapter: HuaweiHLR, step: Step, reply: MMLReply) -> Outcome:
    if step.task is None:
        return adapter.classify_login(reply)
    if step.what == "readBack":
        return adapter.compare(step.task, reply)
    return adapter.classify(step.task, reply)


@each_layout
def test_the_adapter_says_and_makes_of_it_what_the_transcript_shows(name: str) -> None:
    adapter = HuaweiHLR(ACCOUNT, the_replies("huawei_hlr"))

    for step in steps(name):
        assert request_of(adapter, step) == step.request
        [reply] = adapter.decoder().feed(step.reply)
        assert adapter.echoes(step.request, reply)
        assert outcome_of(adapter, step, reply).verdict == step.verdict


@each_layout
async def test_the_emulator_answers_as_the_transcript_shows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "stamp", lambda server: STAMP)
    server = Server(LAYOUTS[name], faults.decode(FAULTS))
    await server.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    for step in steps(name):
        writer.write(step.request)
        answer = await asyncio.wait_for(reader.readexactly(len(step.reply)), 10.0)
        assert answer == step.reply

    assert await asyncio.wait_for(reader.read(), 10.0) == b""
    writer.close()
    await server.close()


def test_both_layouts_lead_to_the_same_verdicts() -> None:
    new, old = steps("huawei_hlr"), steps("huawei_hlr_old")

    assert [step[:3] for step in new] == [step[:3] for step in old]
    assert [step.verdict for step in new] == [step.verdict for step in old]
    assert {Verdict.FOLLOW_UP, Verdict.PREREQUISITE, Verdict.EXISTS, Verdict.BUSY} <= {
        step.verdict for step in new
    }
