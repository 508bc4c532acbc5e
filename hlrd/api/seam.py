"""What the API asks of the rest of hlrd, each as small as its routes need.

Whatever is read here may already be out of date when the client sees it, except that an order an
`Intake` answered without a refusal is durable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hlrd.domain.identity import MSISDN
from hlrd.domain.operation import Task
from hlrd.pool.ranges import Span
from hlrd.ports import Answer, Submission
from hlrd.store.record import Delivery, LotRow, NumberRow, OrderRecord, PoolRow


class Intake(Protocol):
    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None:
        """Judge these orders. `on_answers` is called once with one answer per order in their order,
        as soon as all are durable or refused; perhaps before this returns."""
        ...

    def when_closed(self, order: int, on_receipt: Callable[[bytes], None], /) -> Callable[[], None]:
        """Call back once with the final receipt of an open order; returns how to call this off."""
        ...


class Desk(Protocol):
    """What staff and inquirers may ask of the engine."""

    def show(self, order: int, /) -> Mapping[str, object] | None:
        """State and live tasks of an order in memory, ready for JSON; None for any other."""
        ...

    def resend(self, order: int, /) -> None:
        """Run a fallout order again from a read-back of every task; NotFound for any other."""
        ...


class Orders(Protocol):
    async def by_id(self, order: int, /) -> OrderRecord | None: ...

    async def by_order_id(self, source: str, order_id: str, /) -> OrderRecord | None: ...


class Receipts(Protocol):
    async def after(
        self, source: str, cursor: int, limit: int, wait_s: float
    ) -> list[tuple[int, bytes]]:
        """Receipts of `source` past `cursor`, oldest first, each with its own cursor.

        Waits up to `wait_s` seconds for the first; empty when none came.
        """
        ...


class NumberPools(Protocol):
    async def create_pool(self, name: str) -> None:
        """Conflict if the name is taken."""
        ...

    async def add_range(self, span: Span) -> None:
        """NotFound for the pool; Conflict if a number of the range is in any range already."""
        ...

    async def pools(self) -> Sequence[PoolRow]: ...

    async def pool(self, name: str) -> PoolRow | None: ...

    async def number(self, msisdn: MSISDN) -> NumberRow | None: ...


class SIMStock(Protocol):
    async def import_lot(self, delivery: Delivery) -> None:
        """All cards or none. The same file again changes nothing.

        Conflict if the name is another file's, or a card is in stock already.
        """
        ...

    async def lots(self) -> Sequence[LotRow]: ...

    async def lot(self, name: str) -> LotRow | None: ...


class Element(Protocol):
    """One network element; implemented by `ne.driver`."""

    name: str

    def show(self) -> Mapping[str, object]:
        """Dialect, address, sessions, window, breaker: ready for JSON, no password."""
        ...

    def masked(self, task: Task, /) -> str:
        """The task's command as people may see it: no Ki, no password."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    ready: bool
    reason: str = ""  #: why not: starting, draining, the database is out of reach
