"""Gathers what NEs answer in one turn of the loop into one call of the engine.

Under load some seventy replies arrive in a turn. Taken together they run through the same code one
after the other, and each NE is looked at once for all of them.
"""

import asyncio

from hlrd.domain.outcome import Outcome
from hlrd.engine.engine import Engine
from hlrd.ports import Command


class Outcomes:
    """Its length is bounded by what is in flight."""

    def __init__(self) -> None:
        self._answered: list[tuple[Command, Outcome]] = []
        self._engine: Engine

    def attach(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, command: Command, outcome: Outcome) -> None:
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._give)
        self._answered.append((command, outcome))

    def _give(self) -> None:
        answered, self._answered = self._answered, []
        self._engine.on_outcomes(answered)

    def on_free(self, ne: str) -> None:
        self._engine.on_free(ne)
