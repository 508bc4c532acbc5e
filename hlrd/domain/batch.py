"""What a batch (批量工单) makes of its rows, and how many of them may be under way. Pure.

A child is an ordinary order. Its id is derived from the batch and the row, so that handing a child
in twice is a repeat, and whatever is killed when, each row takes effect once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec import Struct

from hlrd import limits
from hlrd.domain import orders
from hlrd.domain.catalogue import BY_NAME, BY_SHAPE
from hlrd.domain.identity import ICCID, MSISDN, UserId
from hlrd.domain.orders import Source, WorkOrder
from hlrd.domain.orders.batch import ECFanOut, ECSuspendAll
from hlrd.domain.suspension import Reason


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Posting:
    """What is said of a batch file that is posted."""

    source: Source
    order_id: str
    operator_id: str
    province: str
    child: str
    priority: int
    format: Format
    charset: str
    common: Mapping[str, Any] = field(default_factory=dict)
    cards: tuple[ICCID, ICCID] | None = None  #: the range that the rows get their cards of
    is_partial: bool = False  #: rows that are good go on without those that are not


class RowState(StrEnum):
    SENT = "sent"  #: handed in, and neither refused nor closed
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: closed as failed, refused, or never an order for what is wrong with it
    LEFT = "left"  #: not handed in, as the rest was cancelled


class Child(NamedTuple):
    """One row as an order."""

    row: int  #: line of the file; of members, the place in the walk
    order: WorkOrder


class Template(Struct, frozen=True):
    """What all children of one batch have in common."""

    batch: int
    kind: str
    order_id: str  #: of the batch's own order
    province: str
    operator_id: str
    priority: int
    common: Mapping[str, Any] = {}  #: fields of the kind that no row names itself

    def child(self, row: int, fields: Mapping[str, Any], *, is_text: bool) -> WorkOrder:
        """`is_text`: the values are as a CSV has them. Raises BadRequest with the field."""
        named = {**self.common, **fields}
        header = {
            "type": self.kind,
            "order_id": child_id(self.batch, str(row)),
            "root_order_id": self.order_id,
            "province": named.get("province", self.province),
            "operator_id": self.operator_id,
            "priority": self.priority,
        }
        return orders.of_fields({**named, **header}, is_text=is_text)


NOT_OF_ROWS: Final = frozenset(
    {"type", "version", "order_id", "root_order_id", "operator_id", "priority", "mode",
     "deadline_ms", "reply_to"}
)  # fmt: skip
"""Fields that the batch has, and no row."""


def child_id(batch: int, row: str) -> str:
    """Room for a user id of 19 digits: a batch's own id is far from having 11."""
    return f"B{batch}-{row}"


_MEMBER_KINDS: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.ARREARS: ("ARREARS_SUSPEND", "PAYMENT_RESUME"),
    Reason.VOLUNTARY: ("VOLUNTARY_SUSPEND", "VOLUNTARY_RESUME"),
}
_OTHER_KINDS: Final = ("OPERATOR_SUSPEND", "OPERATOR_RESUME")
_PASSED_ON: Final = (
    "level", "reason", "account_id", "bill_month", "payment_id", "state_version", "accept_time"
)  # fmt: skip


def member_child(order: ECFanOut, batch: int, user: UserId, msisdn: MSISDN) -> WorkOrder:
    """What the EC's order means for one member. The EC's own sequence is not the user's."""
    kind = kind_of(order)
    fields = {
        "type": kind,
        "order_id": child_id(batch, user),
        "root_order_id": order.order_id,
        "province": order.province,
        "operator_id": order.operator_id,
        "priority": child_priority(order),
        "user_id": user,
        "msisdn": msisdn,
        **_known(kind, order),
    }
    return orders.of_fields(fields, is_text=False)


def child_priority(order: ECFanOut) -> int:
    """Whatever the reason, a stop of a hundred thousand is no urgent work, and a resume is."""
    return BY_SHAPE[type(order)].priority if order.priority is None else order.priority


def kind_of(order: ECFanOut) -> str:
    """Of the children."""
    suspend, resume = _MEMBER_KINDS.get(order.reason, _OTHER_KINDS)
    return suspend if isinstance(order, ECSuspendAll) else resume


def _known(kind: str, order: ECFanOut) -> dict[str, Any]:
    """What the EC's order says beside, as far as the kind has a field for it."""
    fields = BY_NAME[kind].shape.__struct_fields__
    said = {name: getattr(order, name, None) for name in _PASSED_ON if name in fields}
    return {name: value for name, value in said.items() if value is not None}


def room(*, young: int, open_: int, others: int, is_urgent: bool) -> int:
    """How many more children may be handed in.

    `young`: those under way for less than limits.BATCH_CHILD_OLD_S. An older one waits for
    something, an NE that is away or a person, and is no load; `open_`: all that are under way, of
    fan-outs that are alike; `others`: orders in memory that are no children.
    """
    share = 1.0
    if not is_urgent:
        share = max(0.0, 1.0 - others / limits.BATCH_YIELDS_TO_ORDERS)
    most = max(limits.BATCH_CHILDREN_MIN, int(limits.BATCH_CHILDREN_MAX * share))
    return max(0, min(most - young, limits.BATCH_CHILDREN_OPEN_MAX - open_))
