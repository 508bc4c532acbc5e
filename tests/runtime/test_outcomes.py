"""The outcomes of one turn of the loop reach the engine in one call, in order."""

import asyncio
from collections.abc import Iterable
from typing import cast

from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.engine.engine import Engine
from hlrd.ports import Command, Intent
from hlrd.runtime.outcomes import Outcomes

DONE = Outcome(Verdict.DONE)


class Listener:
    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.freed: list[str] = []

    def on_outcomes(self, answered: Iterable[tuple[Command, Outcome]]) -> None:
        self.calls.append([command.id for command, _ in answered])

    def on_free(self, ne: str) -> None:
        self.freed.append(ne)


def a_command(number: int) -> Command:
    return Command(number, cast(Task, None), Intent.EXECUTE)


async def test_what_one_turn_brings_is_given_together_and_the_next_turn_apart() -> None:
    listener, outcomes = Listener(), Outcomes()
    outcomes.attach(cast(Engine, listener))

    for number in (1, 2, 3):
        outcomes.put(a_command(number), DONE)
    given_within_the_call = list(listener.calls)
    await asyncio.sleep(0)
    outcomes.put(a_command(4), DONE)
    await asyncio.sleep(0)

    assert given_within_the_call == []
    assert listener.calls == [[1, 2, 3], [4]]


async def test_that_an_element_is_free_is_told_at_once() -> None:
    listener, outcomes = Listener(), Outcomes()
    outcomes.attach(cast(Engine, listener))

    outcomes.on_free("hlr1")

    assert listener.freed == ["hlr1"]
