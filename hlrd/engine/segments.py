"""A segment on its way to another HLR (割接), as the engine sees it: its orders wait.

The order that had begun is carried out; the others of the segment are not started. Once the new
home is durable, whatever was read or reserved by the old one is set right here.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec.structs import replace

from hlrd.domain.identity import Binding, UserId
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.routing import Rehoming, Segment
from hlrd.domain.user import User
from hlrd.engine.book import Book, Lane, OpenOrder
from hlrd.engine.dispatch import memory_share

HELD_LINE: Final = "a held segment"
"""Where its orders are parked; no NE has such a name."""

_NOT_BEGUN: Final = frozenset({OrderState.RECEIVED, OrderState.QUEUED})


class Segments:
    """One segment is held at a time."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._held: Segment | None = None
        self._why: Mapping[str, Any] = {}
        self._waiting: dict[UserId, None] = {}
        self._moved: tuple[Rehoming, ...] = ()

    # Holding.

    def hold(self, segment: Segment, why: Mapping[str, Any]) -> None:
        """`why` is what its orders say of it."""
        self._held, self._why = segment, why

    def release(self) -> list[UserId]:
        """The users whose orders waited."""
        self._held = None
        waiting, self._waiting = list(self._waiting), {}
        return waiting

    def hold_of(self, binding: Binding | None) -> Mapping[str, Any] | None:
        """Why orders of this binding are not started."""
        return self._why if self._holds(binding) else None

    def keeps(self, lane: Lane, order: OpenOrder) -> bool:
        """Whether the order whose turn it is must wait; it is started with the release."""
        if self._held is None:
            return False
        if not (self._holds(_binding_of(order, lane)) or self._holds(order.claim)):
            return False
        self._waiting[lane.user_id] = None
        return True

    def _holds(self, binding: Binding | None) -> bool:
        return self._held is not None and binding is not None and self._held.holds(binding)

    def waiting(self) -> int:
        """Users whose orders wait in memory."""
        return len(self._waiting)

    def running(self) -> int:
        """Orders of it that had begun and are not durably closed."""
        return sum(
            order.state not in _NOT_BEGUN
            and (self._holds(order.binding) or self._holds(order.claim))
            for order in self._book
        )

    # Parking.

    def line(self, binding: Binding | None) -> str:
        """Where an order of this binding is parked: by its home, or apart."""
        if binding is None:
            return ""
        return HELD_LINE if self._holds(binding) else binding.hlr

    def is_crowded(self) -> bool:
        """Whether so many of it are in memory that the others need the rest."""
        return self._held is not None and len(self._waiting) > memory_share()

    # The new home.

    def rehome(self, rehoming: Rehoming) -> list[int]:
        """It is durable: set right what memory holds. Returns the orders whose binding is on its
        way to the journal with the old home."""
        if self._moved[-1:] != (rehoming,):
            self._moved = (*self._moved, rehoming)
        arriving = []
        for order in self._book:
            if order.claim is not None:
                claim = rehoming.of(order.claim)
                if claim is not order.claim and order.state is OrderState.RECEIVED:
                    arriving.append(order.id)
                order.claim = claim
            if order.binding is None:
                continue
            binding = rehoming.of(order.binding)
            if binding is not order.binding and order.state is OrderState.RECEIVED:
                arriving.append(order.id)
            order.binding = binding
        for lane in self._book.lanes.values():
            lane.user = self.user(lane.user)
        return arriving

    def are_durable(self, order_ids: Collection[int]) -> bool:
        orders = (self._book.orders.get(order_id) for order_id in order_ids)
        return all(order is None or order.state is not OrderState.RECEIVED for order in orders)

    def binding(self, binding: Binding) -> Binding:
        """With its new home, if it was read or reserved before that was known."""
        for rehoming in self._moved:
            binding = rehoming.of(binding)
        return binding

    def user(self, user: User | None) -> User | None:
        if not self._moved or user is None or user.binding is None:
            return user
        binding = self.binding(user.binding)
        return user if binding is user.binding else replace(user, binding=binding)


def _binding_of(order: OpenOrder, lane: Lane) -> Binding | None:
    if order.binding is not None:
        return order.binding
    return None if lane.user is None else lane.user.binding
