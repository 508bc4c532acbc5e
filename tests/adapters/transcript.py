"""Reads the transcripts that give each step's task by its names: test and manual at once.

## execute changeCard to_imsi=001010000000002: the words behind the colon are for people
>>>
what hlrd sends
<<<
what the NE answers
=== what hlrd makes of it
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hlrd.domain.operation import Details, Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Adapter
from tests.adapters.conformance import EMULATED, KEY, a_binding, a_task

TRANSCRIPTS: Final = Path(__file__).parents[1] / "transcripts"
_STEP: Final = re.compile(
    r"^## (\w+)(?: (\w+))?((?: \w+=\S+)*):[^\n]*\n>>>\n(.*?)\n<<<\n(.*?)\n=== (\w+)", re.M | re.S
)


class Step(NamedTuple):
    what: str  #: login, execute, readBack or logout
    task: Task | None
    request: str
    reply: str
    verdict: str


def steps(dialect: str) -> list[Step]:
    found = _STEP.findall((TRANSCRIPTS / f"{dialect}.txt").read_text("utf-8"))
    return [
        Step(what, a_step_task(dialect, operation, named(names)), request, reply, verdict)
        for what, operation, names, request, reply, verdict in found
    ]


def named(names: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in names.split())


def a_step_task(dialect: str, operation: str, names: Mapping[str, str]) -> Task | None:
    if not operation:
        return None
    asked = Operation(operation)
    who = {name: names[name] for name in ("imsi", "msisdn") if name in names}
    to = {name[3:]: value for name, value in names.items() if name.startswith("to_")}
    details = EMULATED[dialect].details.get(asked)
    if to:
        details = Details(target=a_binding(**{**who, **to}))
    return a_task(
        asked, binding=a_binding(**who), level=Level(int(names.get("level", 0))), details=details
    )


def request_of(adapter: Adapter[Any], step: Step) -> bytes | None:
    if step.task is None:
        return adapter.login() if step.what == "login" else adapter.logout()
    if step.what == "readBack":
        return adapter.read_back(step.task)
    return adapter.encode(step.task, KEY if step.task.operation is Operation.ADD_KEY else None)


def outcome_of(adapter: Adapter[Any], step: Step, reply: Any) -> Outcome:
    if step.what == "logout":
        return Outcome(Verdict.DONE)  # that it is answered is all
    if step.task is None:
        return adapter.classify_login(reply)
    if step.what == "readBack":
        return adapter.compare(step.task, reply)
    return adapter.classify(step.task, reply)
