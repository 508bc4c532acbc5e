"""Carries tasks out on any NE by the real driver, session and adapter."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from adapters import DIALECTS
from hlrd.domain.operation import Task
from hlrd.domain.outcome import Outcome, Step, decide
from hlrd.ne.adapter import Account, Adapter
from hlrd.ports import Command, Intent
from tests.adapters.conformance import the_replies
from tests.ne.rig import Rig, until

PATIENCE_S: Final = 20.0
POLL_S: Final = 0.02

_ENDS: Final = (Step.DONE, Step.DONE_THEN, Step.FAIL)
_ASKS: Final = (Step.READ_BACK, Step.AWAIT)


class Desk(Rig):
    """Carries tasks out to their end, as the engine does."""

    def __init__(self, port: int, adapter: Adapter[Any], **changes: Any) -> None:
        settings = {"sessions_max": 1, "reply_timeout_s": 5.0, "connect_timeout_s": 2.0, **changes}
        super().__init__(port, adapter=adapter, **settings)
        self.waited: list[Outcome] = []  #: every outcome that did not end its task
        self._last_id = 0

    async def ask(self, task: Task, intent: Intent = Intent.EXECUTE) -> Outcome:
        self._last_id += 1
        command = Command(self._last_id, task, intent)
        self.give(command)
        await until(lambda: command.id in self.answers, within_s=PATIENCE_S)
        (outcome,) = self.answers[command.id]
        return outcome

    async def carry_out(self, task: Task, *, is_in_doubt: bool = False) -> Outcome:
        """The outcome that ends it."""
        is_read_back, attempt = is_in_doubt, 1
        while True:
            outcome = await self.ask(task, Intent.READ_BACK if is_read_back else Intent.EXECUTE)
            decision = decide(
                outcome,
                attempt=attempt,
                is_read_back=is_read_back,
                settle_s=0.05,
                poll_s=POLL_S,
                gives_up=True,
                jitter=0.0,
            )
            if decision.step in _ENDS:
                return outcome
            self.waited.append(outcome)
            attempt += decision.counts
            is_read_back = decision.step in _ASKS
            await asyncio.sleep(decision.delay_s)

    async def carry_out_all(self, tasks: Sequence[Task]) -> list[Outcome]:
        """One after the other."""
        return [await self.carry_out(task) for task in tasks]

    async def open(self) -> Self:
        """Running, with its first session ready."""
        self.driver.start()
        await until(lambda: self.driver.free() > 0, within_s=PATIENCE_S)
        return self


@asynccontextmanager
async def a_desk(
    dialect: str, port: int, *, password: str = "", **changes: Any
) -> AsyncIterator[Desk]:
    """At an emulator on loopback."""
    account = Account("127.0.0.1", port, "hlrd", password)
    desk = Desk(port, DIALECTS[dialect](account, the_replies(dialect)), **changes)
    try:
        yield await desk.open()
    finally:
        await desk.driver.drain(0.0)
