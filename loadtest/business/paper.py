"""The papers of a business system: an order, the sub-orders that it is decomposed into (订单分解),
and the rules by which it closes (订单关闭). Pure.

Rule 1: an order closes when all its sub-orders have answered.
Rule 2: what was booked (定购类) for an order that the network refuses is taken back: the order
stays open, reversing, until that is answered too.
Rule 3: a change of state goes forward only: it is never taken back.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

ORDERS_MAX: Final = 300_000
"""Rows kept; at about 1.2 KB each, 360 MB. The oldest closed ones go first."""


class Full(Exception):
    """No further order can be open at once."""


class Kind(StrEnum):
    BOOKING = "定购类"
    PROVISIONING = "开通类"
    STATE = "用户状态变更类"


class To(StrEnum):
    """Who carries a sub-order out."""

    BOSS = "BOSS"
    CRM = "CRM"
    HLRD = "hlrd"


class SubState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    REVERSED = "reversed"


class State(StrEnum):
    OPEN = "open"
    REVERSING = "reversing"
    CLOSED = "closed"


class Result(StrEnum):
    NONE = ""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVERSED = "reversed"


_LETTERS: Final = {Kind.BOOKING: "B", Kind.PROVISIONING: "P", Kind.STATE: "S"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


class Answer(Struct, frozen=True, gc=False):
    """What came back for a sub-order."""

    is_done: bool
    code: str = ""
    text: str = ""
    marks: tuple[str, ...] = ()


class SubOrder(Struct, gc=False):
    kind: Kind
    order_id: str
    to: To
    state: SubState = SubState.WAITING
    code: str = ""
    text: str = ""
    marks: tuple[str, ...] = ()


class Order(Struct, gc=False):
    order_id: str  #: of the business order: the same at CRM and at BOSS
    act: str  #: the kind of its provisioning order, or what else it is about
    operator_id: str
    user_id: str
    sub_orders: list[SubOrder]
    state: State = State.OPEN
    result: Result = Result.NONE
    code: str = ""
    text: str = ""
    subject: str = ""  #: the product or account that it is about
    opened_at: float = 0.0  #: monotonic
    closed_at: float = 0.0
    notes: list[str] = field(default_factory=list)  #: interim receipts

    def sub(self, kind: Kind) -> SubOrder | None:
        for sub in self.sub_orders:
            if sub.kind is kind:
                return sub
        return None

    def answer(self, kind: Kind, answer: Answer, *, now: float) -> bool:
        """False if that changes nothing any more: answers come at least once."""
        sub = self.sub(kind)
        if sub is None or sub.state is not SubState.WAITING or self.state is State.CLOSED:
            return False
        sub.state = SubState.DONE if answer.is_done else SubState.FAILED
        sub.code, sub.text, sub.marks = answer.code, answer.text, answer.marks
        if not answer.is_done and not self.code:
            self.code, self.text = answer.code, answer.text
        self._settle(now)
        return True

    def abandon(self, *, now: float) -> None:
        """A part has failed that the others would have followed: they are not asked for."""
        self._close(Result.FAILED, now)

    def finish(self, *, now: float) -> None:
        """It has nothing to wait for."""
        self._close(Result.SUCCEEDED, now)

    def reversed(self, *, now: float) -> bool:
        """What was booked is taken back. False if it was before."""
        sub = self.sub(Kind.BOOKING)
        if sub is None or self.state is not State.REVERSING:
            return False
        sub.state = SubState.REVERSED
        self._close(Result.REVERSED, now)
        return True

    def _settle(self, now: float) -> None:
        states = {sub.state for sub in self.sub_orders}
        if self._must_reverse():
            self.state = State.REVERSING
        elif self._is_unbookable():
            self._close(Result.FAILED, now)
        elif SubState.WAITING not in states:
            self._close(Result.FAILED if SubState.FAILED in states else Result.SUCCEEDED, now)

    def _must_reverse(self) -> bool:
        booking, network = self.sub(Kind.BOOKING), self.sub(Kind.PROVISIONING)
        return (
            booking is not None
            and network is not None
            and booking.state is SubState.DONE
            and network.state is SubState.FAILED
        )

    def _is_unbookable(self) -> bool:
        """Nothing was asked of the network yet, and nothing will be."""
        booking = self.sub(Kind.BOOKING)
        return booking is not None and booking.state is SubState.FAILED

    def _close(self, result: Result, now: float) -> None:
        self.state, self.result, self.closed_at = State.CLOSED, result, now


class Orders:
    """By order id; the oldest closed ones make room."""

    def __init__(self, *, rows_max: int = ORDERS_MAX) -> None:
        self.open_count = 0
        self.results: dict[Result, int] = dict.fromkeys(Result, 0)
        self._rows: dict[str, Order] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._rows_max = rows_max

    def add(self, order: Order) -> None:
        """Raises Full."""
        if len(self._rows) >= self._rows_max:
            self._make_room()
        self._rows[order.order_id] = order
        self.open_count += 1

    def get(self, order_id: str) -> Order | None:
        return self._rows.get(order_id)

    def of(self, sub_order_id: str) -> tuple[Order, Kind] | None:
        """The order and the kind that a sub-order's id tells; None for one that is not known."""
        order_id, _, letters = sub_order_id.rpartition("-")
        order = self._rows.get(order_id)
        kind = _KINDS.get(letters[-1:])
        return None if order is None or kind is None else (order, kind)

    def closed(self, order: Order) -> None:
        """To be told once, when it has closed."""
        self.open_count -= 1
        self.results[order.result] += 1
        self._closed[order.order_id] = None

    def of_user(self, user_id: str) -> list[Order]:
        return [order for order in self._rows.values() if order.user_id == user_id]

    def __iter__(self) -> Iterator[Order]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def _make_room(self) -> None:
        if not self._closed:
            raise Full(f"{len(self._rows)} orders are open")
        oldest, _ = self._closed.popitem(last=False)
        del self._rows[oldest]


def sub_orders(order_id: str, parts: Sequence[tuple[Kind, To]], *, side: str) -> list[SubOrder]:
    """`side` is a letter that keeps those of CRM and of BOSS apart: C1-CP, C1-BP."""
    return [SubOrder(kind, f"{order_id}-{side}{_LETTERS[kind]}", to) for kind, to in parts]


def answer_of(receipt: Mapping[str, Any]) -> Answer:
    """What a final receipt says."""
    marks = tuple(receipt.get("marks", ()))
    if receipt["result"] == "succeeded":
        return Answer(True, marks=marks)
    text = receipt.get("text") or receipt.get("ne_text") or ""
    return Answer(False, receipt.get("code", "FAILED"), text, marks)
