"""What the upstream systems write down themselves: every order that they posted, when it was taken,
and every receipt as it came. The checker believes nobody else about what was meant.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec import Struct

from hlrd.domain.orders import Source

SUCCEEDED: Final = "succeeded"
FALLOUT: Final = "fallout"


class Kind(StrEnum):
    ACTIVATE = "MEMBER_ACTIVATE"
    OPEN = "USER_OPEN"
    STOP = "ARREARS_SUSPEND"
    PAY = "PAYMENT_RESUME"
    REPORT_STOP = "VOLUNTARY_SUSPEND"
    REPLACE = "SIM_REPLACE"
    SUBSCRIBE = "PRODUCT_SUBSCRIBE"
    UNSUBSCRIBE = "PRODUCT_UNSUBSCRIBE"


OPENINGS: Final = frozenset({Kind.ACTIVATE, Kind.OPEN})


class Order(Struct, frozen=True, gc=False):
    order_id: str
    source: Source
    kind: Kind
    user: str
    place: int  #: among the orders of its user, as upstream means them: its `seq`
    level: int = 0  #: of a stop
    is_urgent: bool = False  #: somebody waits for it, or has paid


class Told(NamedTuple):
    """What a receipt says of its user and its order."""

    receipt: str
    result: str
    msisdn: str = ""
    imsi: str = ""
    iccid: str = ""
    old_imsi: str = ""
    level: int | None = None
    marks: tuple[str, ...] = ()

    @classmethod
    def by(cls, receipt: Mapping[str, Any]) -> "Told":
        return cls(
            receipt["id"],
            receipt["result"],
            receipt.get("msisdn", ""),
            receipt.get("imsi", ""),
            receipt.get("iccid", ""),
            receipt.get("old_imsi", ""),
            receipt.get("effective_level"),
            tuple(receipt.get("marks", ())),
        )


def run_of(order_id: str) -> str:
    """Orders of one run have ids that begin alike."""
    return order_id.partition("-")[0]


@dataclass(slots=True)
class Book:
    """Times are monotonic seconds of the client."""

    orders: dict[str, Order] = field(default_factory=dict)
    posted_s: dict[str, float] = field(default_factory=dict)  #: intended, or first, time of it
    accepted_s: dict[str, float] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)  #: by final receipt
    closed_s: dict[str, float] = field(default_factory=dict)
    fallouts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    children: dict[tuple[str, str], dict[str, Told]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By kind and user, of fan-outs; then by order id."""

    of_no_user: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Orders about a product, an enterprise or a file, with their final receipts."""

    left: Counter[str] = field(default_factory=Counter)
    """Orders posted and without their receipt, by their run."""

    last_level: dict[str, int] = field(default_factory=dict)  #: by user, as last told
    received: int = 0  #: final receipts, repeats left out
    repeated: int = 0  #: delivered again; at least once is the promise
    contradictions: list[str] = field(default_factory=list)  #: told in two ways
    strangers: list[str] = field(default_factory=list)  #: of an order that nobody posted

    def post(self, order: Order, at_s: float) -> None:
        self.orders[order.order_id] = order
        self.posted_s[order.order_id] = at_s
        self.left[run_of(order.order_id)] += 1

    def accept(self, order_ids: Iterable[str], now_s: float) -> None:
        for order_id in order_ids:
            self.accepted_s.setdefault(order_id, now_s)

    @property
    def open(self) -> int:
        return len(self.accepted_s) - len(self.told)

    def post_of_no_user(self, order_id: str) -> None:
        self.of_no_user[order_id] = None

    def take(self, receipt: Mapping[str, Any], now_s: float) -> None:
        """One receipt of any feed, perhaps not for the first time."""
        order_id = receipt["order_id"]
        if receipt["result"] == FALLOUT:
            self.fallouts[order_id] = receipt
            return
        if order_id in self.of_no_user:
            self.of_no_user[order_id] = receipt
            return
        told = Told.by(receipt)
        if order_id in self.orders:
            self.left[run_of(order_id)] -= order_id not in self.told
            known = self.told.setdefault(order_id, told)
            self.closed_s.setdefault(order_id, now_s)
        elif "user_id" in receipt and order_id.startswith("B"):
            own = self.children[receipt["type"], receipt["user_id"]]
            known = own.setdefault(order_id, told)
        else:
            self.strangers.append(order_id)
            return
        self._count(known, told, order_id, receipt)

    def _count(self, known: Told, told: Told, order_id: str, receipt: Mapping[str, Any]) -> None:
        if known is not told:
            self.repeated += 1
            if known != told:
                self.contradictions.append(order_id)
            return
        self.received += 1
        if told.level is not None:
            self.last_level[receipt["user_id"]] = told.level

    def unfinished(self) -> str:
        """For the person who reads that a storm did not end."""
        unanswered = [each for each in self.posted_s if each not in self.accepted_s]
        unclosed = [each for each in self.accepted_s if each not in self.told]
        named = ", ".join((unanswered + unclosed)[:5])
        return (
            f"{len(unanswered)} orders without an answer, {len(unclosed)} without a receipt,"
            f" {len(self.fallouts)} in fallout: {named}"
        )
