"""The orders in memory that change the state of a province's users."""

from hlrd.domain.turn import STATE
from hlrd.engine.book import Book, Lane, OpenOrder


class StateOrders:
    def __init__(self, book: Book) -> None:
        self._book = book

    def open_of(self, province: str) -> int:
        """Those read and not closed, durable or not; more may be parked."""
        return sum(
            order.kind.is_state_change and self._province_of(order) == province
            for order in self._book
        )

    def forget_versions(self, province: str) -> None:
        """Another master counts the versions of its users anew."""
        for lane in self._book.lanes.values():
            if lane.applied and _is_of(lane, province):
                lane.applied.pop(STATE, None)

    def _province_of(self, order: OpenOrder) -> str:
        lane = self._book.lanes.get(order.user_id)
        return province_of(order, lane)


def province_of(order: OpenOrder, lane: Lane | None) -> str:
    """Where the user is, whatever the order says; of an unknown one, what the order says."""
    user = None if lane is None else lane.user
    if user is None or user.binding is None:
        return order.order.province
    return user.binding.province


def _is_of(lane: Lane, province: str) -> bool:
    user = lane.user
    return user is not None and user.binding is not None and user.binding.province == province
