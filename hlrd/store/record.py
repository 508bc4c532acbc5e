"""What the database says about orders, numbers and cards, as people and the API want it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hlrd.domain.identity import Binding, Card


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the journal holds it."""

    id: int
    source: str
    order_id: str
    kind: str
    state: str  #: of its last receipt; `queued` without one
    user_id: str
    operator_id: str
    province: str
    priority: int
    accepted_at: datetime
    closed_at: datetime | None
    payload: bytes  #: the order's JSON, without its Ki
    binding: Binding | None  #: its user's as of now
    receipts: Sequence[bytes] = ()  #: interim ones first, the final one last
    trail: bytes | None = None  #: JSON of tasks and commands as they went, up to the last receipt


@dataclass(frozen=True, slots=True)
class RangeRow:
    first: str
    last: str
    province: str
    hlr: str


@dataclass(frozen=True, slots=True)
class PoolRow:
    name: str
    ranges: Sequence[RangeRow] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)  #: by NumberState


@dataclass(frozen=True, slots=True)
class NumberRow:
    msisdn: str
    pool: str
    province: str
    hlr: str
    state: str  #: NumberState
    user_id: str | None = None  #: who has it
    iccid: str | None = None
    quarantined_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LotRow:
    name: str
    vendor: str
    province: str
    hlr: str
    quantity: int
    cards: Mapping[str, int] = field(default_factory=dict)  #: by CardState


@dataclass(frozen=True, slots=True)
class Delivery:
    """A vendor's file of cards, read whole and good, its keys sealed."""

    name: str
    vendor: str
    province: str
    hlr: str
    file_hash: bytes  #: SHA-256
    cards: Sequence[Card]
