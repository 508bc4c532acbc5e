"""What the fallout desk asks of the engine and the EOMS."""

from collections.abc import Callable, Sequence
from typing import Protocol

from hlrd.domain.operation import Task
from hlrd.domain.orders import WorkOrder
from hlrd.domain.outcome import Outcome
from hlrd.ports import StoredOrder


class Engine(Protocol):
    def release(self, *order_ids: int) -> None: ...

    def rejudge(self, stored: StoredOrder, order: WorkOrder, /) -> None:
        """Raises what stands against `order` in the place of the stored one."""
        ...


class Errands(Protocol):
    """Commands and queries that belong to no order; each returns how to call it off."""

    def errand(
        self, task: Task, on_outcome: Callable[[Task, Outcome], None], /
    ) -> Callable[[], None]: ...

    def inquire(
        self, tasks: Sequence[Task], on_outcome: Callable[[Task, Outcome], None], /
    ) -> Callable[[], None]: ...
