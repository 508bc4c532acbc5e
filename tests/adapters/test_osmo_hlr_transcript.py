"""A whole session with an osmo-hlr as it is on the wire: test and manual at once."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from hlrd.codec import ipa
from hlrd.codec.ipa import CTRLCommands
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Verdict
from loadtest.osmo.core import HLR
from tests.adapters.conformance import KEY, an_adapter
from tests.adapters.transcript import a_step_task, named

TRANSCRIPT: Final = Path(__file__).parents[1] / "transcripts/osmo_hlr.txt"
PING: Final = "fe 00"
PONG: Final = "fe 01"
_STEP: Final = re.compile(
    r"^## (\w+)(?: (\w+))?((?: \w+=\S+)*):[^\n]*\n>>>\n(.*?)\n<<<\n(.*?)\n=== (\w+)", re.M | re.S
)


class Step(NamedTuple):
    what: str  #: login, execute or readBack
    task: Task | None
    requests: list[str]
    answers: list[str]
    verdict: str


def steps() -> list[Step]:
    found = _STEP.findall(TRANSCRIPT.read_text("utf-8"))
    return [
        Step(
            what,
            a_step_task("osmo_hlr", operation, named(names)),
            _lines(requests),
            _lines(answers),
            verdict,
        )
        for what, operation, names, requests, answers, verdict in found
    ]


def _lines(text: str) -> list[str]:
    return [line.replace(r"\n", "\n").replace(r"\t", "\t") for line in text.splitlines()]


def wire(lines: list[str]) -> bytes:
    if lines in ([PING], [PONG]):
        return ipa.PING if lines == [PING] else ipa.PONG
    return b"".join(map(ipa.frame, lines))


def request_of(step: Step, number: int) -> bytes | None:
    adapter = an_adapter("osmo_hlr")
    if step.task is None:
        return adapter.login()
    if step.what == "readBack":
        query = adapter.read_back(step.task)
        return None if query is None else adapter.numbered(query, number)
    key = KEY if step.task.operation is Operation.ADD_KEY else None
    return adapter.numbered(adapter.encode(step.task, key), number)


def test_the_adapter_says_and_makes_of_it_what_the_transcript_shows() -> None:
    adapter = an_adapter("osmo_hlr")
    decoder = adapter.decoder()

    for number, step in enumerate(steps()):
        request = request_of(step, number)
        assert request == wire(step.requests)
        [reply] = decoder.feed(wire(step.answers))
        assert adapter.echoes(request, reply)
        if step.task is None:
            outcome = adapter.classify_login(reply)
        elif step.what == "readBack":
            outcome = adapter.compare(step.task, reply)
        else:
            outcome = adapter.classify(step.task, reply)
        assert outcome.verdict == step.verdict


def test_the_emulator_answers_as_the_transcript_shows() -> None:
    emulated = HLR()

    for step in steps()[1:]:
        commands = CTRLCommands().feed(wire(step.requests))
        for command, answer in zip(commands, step.answers, strict=True):
            result = emulated.handle(command)
            said = (
                ipa.refusal(command, result.error)
                if result.error
                else ipa.answer(command, result.value)
            )
            assert said == ipa.frame(answer)


def test_the_transcript_shows_more_than_success() -> None:
    verdicts = {step.verdict for step in steps()}

    assert verdicts >= {Verdict.DONE, Verdict.PREREQUISITE, Verdict.PERMANENT, Verdict.NO_CHANGE}
    assert {step.task.operation for step in steps() if step.task} == an_adapter(
        "osmo_hlr"
    ).operations
