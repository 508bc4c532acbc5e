"""The engine's own machinery for tasks, on a real driver: orders in, their ends out.

Dispatch, execution, decisions and timers are the daemon's; only the journal and intake are left
out, so that an order can consist of whatever tasks a dialect knows.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from hlrd.domain.catalogue import BY_NAME, Direction, OrderKind
from hlrd.domain.group import Enterprises
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderEvent, OrderState
from hlrd.domain.operation import Task
from hlrd.domain.orders import UserTerminate
from hlrd.domain.outcome import Outcome
from hlrd.domain.plans.plan import Plan, Routes
from hlrd.domain.publication import Products
from hlrd.engine.book import Book, OpenOrder, OpenTask
from hlrd.engine.dispatch import Dispatch
from hlrd.engine.execution import Execution
from hlrd.engine.segments import Segments
from hlrd.ne.adapter import Adapter
from hlrd.ne.driver import Driver
from hlrd.ports import Command, Vault
from hlrd.runtime.outcomes import Outcomes
from tests.domain.orders import GOOD
from tests.matrix.lives import NE
from tests.ne.rig import RealClock, some_settings

REPLY_TIMEOUT_S: Final = 0.15
SETTLE_S: Final = 0.2
DELAY_S: Final = 0.18
"""Of the fault: past the reply time-out, and done by the time of the read-back."""

OPENING: Final = BY_NAME["USER_OPEN"]
LATER: Final = BY_NAME["USER_TERMINATE"]
assert (OPENING.direction, LATER.direction) == (Direction.BACKWARD, Direction.FORWARD)

_SETTINGS: Final = {
    "name": NE,
    "connect_timeout_s": 0.3,
    "reply_timeout_s": REPLY_TIMEOUT_S,
    "settle_s": SETTLE_S,
    "poll_s": 0.03,
    "breaker_probe_s": 0.05,
}


class Floor:
    def __init__(self, adapter: Adapter[Any], vault: Vault, *, seed: int, **settings: Any) -> None:
        clock, chance = RealClock(), Random(seed)
        outcomes = Outcomes()
        outcomes.attach(self)  # type: ignore[arg-type]
        account = adapter.account
        self.driver = Driver(
            some_settings(account.port, **{"host": account.host, **_SETTINGS, **settings}),
            adapter,
            vault=vault,
            clock=clock,
            chance=chance,
            on_outcome=outcomes.put,
            on_free=outcomes.on_free,
        )
        self._clock = clock
        self._dispatch = Dispatch(
            clock=clock,
            nes={NE: self.driver},
            on_outcome=self._on_task_outcome,
        )
        self._execution = Execution(
            clock=clock,
            chance=chance.random,
            dispatch=self._dispatch,
            routes=Routes(dsmp=NE, templates={}),
            products=Products(),
            enterprises=Enterprises(),
            segments=Segments(Book()),
            doubt_until=0.0,
            predecessor_wait_s=0.0,
            on_end=self._ended,
        )
        self._ends: dict[int, asyncio.Future[OrderState]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def carry_out(
        self, tasks: Sequence[Task], kind: OrderKind, *, is_resent: bool = False
    ) -> OrderState:
        """One after the other. `is_resent`: by a person, out of fallout."""
        number = len(self._ends) + 1
        order = _order(number, kind, is_resent=is_resent)
        end: asyncio.Future[OrderState] = asyncio.get_running_loop().create_future()
        self._ends[number] = end
        self._execution._run(order, tuple((task,) for task in tasks))
        self._wind()
        return await end

    # What the engine's shells call.

    def on_outcomes(self, answered: Iterable[tuple[Command, Outcome]]) -> None:
        with self._dispatch.gathered():
            for command, outcome in answered:
                self._dispatch.answer(command, outcome)
        self._wind()

    def on_free(self, ne: str) -> None:
        self._dispatch.pump(ne)

    def _on_task_outcome(self, task: OpenTask, outcome: Outcome) -> None:
        self._execution.on_outcome(task, outcome)

    def _ended(self, order: OpenOrder) -> None:
        self._ends[order.id].set_result(order.state)

    def _wind(self) -> None:
        due = self._execution.timers.next_due()
        if self._timer is not None:
            self._timer.cancel()
        if due is not None:
            delay_s = max(0.0, due - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        with self._dispatch.gathered():
            self._execution.on_timer()
        self._wind()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.driver.drain(0.5)


@asynccontextmanager
async def a_floor(
    adapter: Adapter[Any], vault: Vault, *, seed: int, **settings: Any
) -> AsyncIterator[Floor]:
    floor = Floor(adapter, vault, seed=seed, **settings)
    floor.driver.start()
    try:
        yield floor
    finally:
        await floor.close()


def _order(number: int, kind: OrderKind, *, is_resent: bool) -> OpenOrder:
    header = {name: value for name, value in GOOD["USER_TERMINATE"].items() if name != "type"}
    clock = RealClock()
    order = OpenOrder(
        id=number,
        source="OPS",
        order=UserTerminate(**header),
        kind=kind,
        user_id=UserId(str(number)),
        priority=kind.priority,
        content_hash=b"",
        received_at=clock.wall(),
        received=clock.monotonic(),
        operator_id="op",
        is_doubted=is_resent,
    )
    order.move(OrderEvent.JOURNALED)
    order.move(OrderEvent.STARTED)
    order.plan = Plan((), None)
    return order
