"""The orders that wait for a person: set aside out of memory until one lets them go."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from hlrd.domain.fallout import UNDOES, EOMSRule, Fall, Release
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.operation import Task
from hlrd.domain.orders import NERepair, Opening, ProductSubscribe, WorkOrder
from hlrd.domain.plans.plan import Routes
from hlrd.engine.book import OpenOrder, OpenTask
from hlrd.engine.eligibility import check_services
from hlrd.engine.parking import Parking
from hlrd.engine.products import ProductRules
from hlrd.ports import StoredOrder


class Fallout:
    """Blocks the parked orders of each user who has one here."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self._orders: dict[int, tuple[UserId, int]] = {}
        self._of_user: dict[UserId, int] = {}
        self._leaving: dict[int, None] = {}  #: let go and not read back yet, the first first

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._orders

    def __iter__(self) -> Iterator[int]:
        return iter(self._orders)

    def of_user(self, user_id: UserId) -> int | None:
        """The order of the user that waits for a person."""
        return self._of_user.get(user_id)

    @property
    def has_leaving(self) -> bool:
        return bool(self._leaving)

    def is_leaving(self, order_id: int) -> bool:
        return order_id in self._leaving

    def put(self, order_id: int, user_id: UserId, priority: int) -> None:
        self._orders[order_id] = (user_id, priority)
        self._of_user[user_id] = order_id
        self._parking.block(user_id)

    def release(self, order_id: int) -> bool:
        """False for one that is not here, or not any more: a decision may be told twice."""
        if order_id not in self._orders or order_id in self._leaving:
            return False
        self._leaving[order_id] = None
        return True

    def leaving(self, most: int) -> frozenset[int]:
        return frozenset(islice(self._leaving, most))

    def users(self, order_ids: Iterable[int]) -> list[UserId]:
        return [self._orders[order_id][0] for order_id in order_ids]

    def left(self, order_ids: Iterable[int]) -> None:
        """They are read back: what is parked of their users may follow."""
        for order_id in order_ids:
            del self._leaving[order_id]
            user_id = self._orders.pop(order_id)[0]
            self._of_user.pop(user_id, None)
            self._parking.unblock(user_id)


def rejudge(stored: StoredOrder, order: WorkOrder, rules: ProductRules, routes: Routes) -> None:
    """Raises what stands against `order` in the place of the stored one, as for a new order."""
    binding = stored.binding
    if binding is None and stored.user is not None:
        binding = stored.user.binding
    if isinstance(order, Opening | NERepair):
        if binding is not None and order.services is not None:
            check_services(binding.hlr, order.services, routes)
    elif isinstance(order, ProductSubscribe):
        rules.check_subscription(order, stored.user, is_first=True)


def fall_of(order: OpenOrder, rule: EOMSRule) -> Fall | None:
    """Where `order` is stuck; None for one that is not."""
    if order.state is not OrderState.FALLOUT:
        return None
    stuck = _stuck(order)
    assert stuck is not None, "an order falls out by a task"
    assert stuck.outcome is not None, "a task fails by an outcome"
    task, outcome = stuck.task, stuck.outcome
    return Fall(
        ne=task.ne,
        operation=task.operation,
        verdict=outcome.verdict,
        code=outcome.code,
        text=outcome.text,
        step=task.transaction,
        is_undo=task.transaction.endswith(UNDOES),
        to_eoms=rule.takes(task.ne, outcome.code),
    )


def _stuck(order: OpenOrder) -> OpenTask | None:
    """The failed task of the last stage that ran: on the way back it is not what failed first."""
    last = order.stages[order.stage] if order.stage < len(order.stages) else ()
    failed = [task for task in last if task.state is TaskState.FAILED]
    return order.failure if order.failure in failed or not failed else failed[0]


def as_left(tasks: Sequence[Task], order: OpenOrder, release: Release) -> list[OpenTask]:
    """The tasks of an order that a person finished: what was done, and what never will be."""
    return [OpenTask(task, order, state=_left_in(task, release)) for task in tasks]


def _left_in(task: Task, release: Release) -> TaskState:
    if task.transaction in release.skipped:
        return TaskState.SKIPPED
    return TaskState.DONE if task.transaction in release.done else TaskState.WAITING
