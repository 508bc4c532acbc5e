"""What whoever sent an order may still do about it: call it off (撤单), or urge it on (催单)."""

from collections.abc import Callable
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.errors import Conflict, Unavailable
from hlrd.domain.lifecycle import OrderEvent, OrderState
from hlrd.engine.book import Book, OpenOrder
from hlrd.engine.execution import Execution
from hlrd.engine.fallout import Fallout
from hlrd.engine.parking import Parking

_log: Final = structlog.get_logger(__name__)


class Recall:
    def __init__(
        self,
        *,
        book: Book,
        parking: Parking,
        fallout: Fallout,
        execution: Execution,
        on_end: Callable[[OpenOrder], None],
    ) -> None:
        self._book = book
        self._parking = parking
        self._fallout = fallout
        self._execution = execution
        self._on_end = on_end

    # Calling off.

    def cancel(self, order_id: int, entry: OpenOrder | None) -> None:
        """Before its first command. `entry`: as the journal has it, of one that is not in memory.
        Conflict where it is too late, or a person's matter.
        """
        here = self._book.orders.get(order_id)
        if order_id in self._fallout:
            raise _in_fallout()
        if here is not None:
            self._cancel_here(here)
        elif entry is not None and (entry.due_at is not None or order_id in self._parking):
            self._cancel_in_journal(entry)
        else:
            raise Conflict("ORDER_CLOSED", "the order is closed", "id")

    def _cancel_here(self, order: OpenOrder) -> None:
        if order.state is OrderState.RECEIVED:
            raise Unavailable("UNSETTLED", "the order is being made durable; ask again", 1.0)
        if self._execution.is_unsent(order):
            self._execution.withdraw(order)
        if order.state is not OrderState.QUEUED or order.is_doubted:
            raise _begun()
        self._end(order)

    def _cancel_in_journal(self, order: OpenOrder) -> None:
        if order.is_doubted:
            raise _begun()
        if order.id in self._parking:
            self._parking.remove(order.id, order.priority)
        self._book.enqueue(self._book.add(order), order)
        self._end(order)

    def _end(self, order: OpenOrder) -> None:
        order.move(OrderEvent.CANCELLED)
        _log.info("order_cancelled", order=order.id, kind=order.kind.name)
        self._on_end(order)

    # Urging on.

    def chase(self, order_id: int, before: int) -> None:
        """Let it, and its user's orders before it, be as urgent as what somebody waits for.
        `before`: its priority until now. Conflict for one that waits for a person or for its time.
        """
        if order_id in self._fallout:
            raise _in_fallout()
        order = self._book.orders.get(order_id)
        priority = limits.PRIORITY_CHASED
        if order is not None:
            order.priority = min(order.priority, priority)
            self._execution.hurry(self._book.lanes[order.user_id], priority)
        elif order_id in self._parking:
            self._parking.lift(order_id, before, priority)
        else:
            raise Conflict("ORDER_NOT_OPEN", "the order is closed, or waits for its time", "id")
        metrics.ORDERS_CHASED.inc()
        _log.info("order_chased", order=order_id)


def _in_fallout() -> Conflict:
    return Conflict("ORDER_IN_FALLOUT", "the order waits for a person at the fallout desk", "id")


def _begun() -> Conflict:
    text = "commands of the order may have been sent; it goes on to its end"
    return Conflict("ORDER_BEGUN", text, "id")
