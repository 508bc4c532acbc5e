"""How long payment resumes take (5分钟缴费开机及时率), and which of them are late."""

from collections.abc import Iterable
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.lifecycle import TaskState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import PaymentResume
from hlrd.engine.book import Book, OpenOrder

_log: Final = structlog.get_logger(__name__)


class Punctuality:
    """Knows every open payment resume, wherever it waits: in memory, parked or in fallout. So there
    are never more than open orders, which admission bounds.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._received: dict[int, float] = {}  #: by order, in monotonic seconds; the oldest first
        self._told: set[int] = set()

    def recover(self, resumes: Iterable[tuple[int, float]]) -> None:
        """Those that an earlier run left open: (id, when received), the oldest first."""
        self._received |= resumes

    def begin(self, order: OpenOrder) -> None:
        """It is durable. One that is to wait for a day that upstream named is not measured."""
        if type(order.order) is PaymentResume and order.order.effective_time is None:
            self._received.setdefault(order.id, order.received)

    def end(self, order: OpenOrder) -> None:
        if self._received.pop(order.id, None) is None:
            return
        self._told.discard(order.id)
        done = _unbarred(order)
        if done is not None:
            child = metrics.PAYMENT_RESUME_DURATION.labels(order.order.province)
            child.observe(done - order.received)

    def observe(self, now: float) -> None:
        """Count the late ones, and tell of each once."""
        late = 0
        for order_id, received in self._received.items():
            if now - received < limits.PAYMENT_RESUME_DUE_S:
                break
            order = self._book.orders.get(order_id)
            if order is not None and _unbarred(order) is not None:
                continue  # the line is free; what is left is the DSMP's or a platform's
            late += 1
            if order_id not in self._told:
                self._told.add(order_id)
                _log.warning("payment_resume_late", order=order_id, age_s=round(now - received))
        metrics.PAYMENT_RESUMES_LATE.set(late)


def _unbarred(order: OpenOrder) -> float | None:
    """When the HLR said so, in monotonic seconds; None if it has not, or was not asked."""
    for task in order.history:
        if task.task.operation is Operation.SET_BARRING and task.state is TaskState.DONE:
            sent = task.sent[-1]
            return sent.started + sent.elapsed_s
    return None
