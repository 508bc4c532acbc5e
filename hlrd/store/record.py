"""What the database says about orders, numbers and cards, as people and the API want it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import ImportState, MoveState
from hlrd.domain.routing import Rehoming


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as the journal holds it."""

    id: int
    source: str
    order_id: str
    kind: str
    state: str  #: of its last receipt; `queued` or `scheduled` without one
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
    scheduled_for: datetime | None = None  #: it is dated ahead, and its time is to come
    amended: bytes | None = None  #: as staff changed it when it had fallen out
    session: str | None = None  #: that it came by, if by one


@dataclass(frozen=True, slots=True)
class RangeRow:
    first: str
    last: str
    province: str
    hlr: str
    is_share: bool = False  #: cut from a national range


@dataclass(frozen=True, slots=True)
class PoolRow:
    name: str
    ranges: Sequence[RangeRow] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)  #: by NumberState
    low_water: int | None = None  #: idle numbers of a province below it are too few
    counted_at: datetime | None = None  #: the ranges are as of now, the states as of then


@dataclass(frozen=True, slots=True)
class StockRow:
    """The numbers of a pool that are alike: one line of the stock report."""

    pool: str
    province: str
    hlr: str
    digits: int
    numbers: Mapping[str, int]  #: by NumberState


@dataclass(frozen=True, slots=True)
class Report:
    counted_at: datetime | None
    rows: Sequence[StockRow]


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One number that is bound or held."""

    msisdn: str
    state: str  #: NumberState
    province: str
    hlr: str
    grade: str
    user_id: str  #: who has it
    iccid: str
    since: datetime | None  #: of the binding
    quarantined_until: datetime | None
    last_user_id: str  #: while nobody has it
    cause: str  #: of the hold


@dataclass(frozen=True, slots=True)
class PastRow:
    """One thing that is over in the life of a number."""

    event: str  #: NumberEvent
    since: datetime | None  #: when what ended had begun
    at: datetime
    user_id: str | None
    iccid: str | None
    order_id: str | None  #: the order that bound it
    reservation_id: str | None
    operator_id: str | None  #: staff, where it was staff
    cause: str | None


@dataclass(frozen=True, slots=True)
class History:
    """What holds of a number, and what it went through, the latest first."""

    number: "NumberRow"
    since: datetime | None  #: of its binding
    imsi: str | None
    order_id: str | None  #: the order that bound it
    last_user_id: str | None  #: while nobody has it
    cause: str | None  #: of the hold
    in_arrears: bool  #: its last user left owing
    grade: str | None
    reservation_id: str | None
    past: Sequence[PastRow]


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
    cards: Mapping[str, int]  #: by CardState
    counted_at: datetime  #: a count walks every binding, so it is made now and then


@dataclass(frozen=True, slots=True)
class CardRow:
    """One card of the stock; never its key."""

    iccid: str
    imsi: str
    lot: str
    province: str
    hlr: str
    state: str  #: CardState
    msisdn: str | None = None  #: while a user has it
    user_id: str | None = None
    cause: str | None = None  #: why scrapped


@dataclass(frozen=True, slots=True)
class Upload:
    """A vendor's file that is on disk, and the home that staff gave it."""

    file_hash: bytes  #: SHA-256
    file_bytes: int
    province: str
    hlr: str
    operator_id: str


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A vendor's file on its way into the stock."""

    id: int
    file_hash: bytes
    file_bytes: int
    lot: str | None  #: as its header names it, once read
    province: str
    hlr: str
    operator_id: str
    state: ImportState
    rows: int | None  #: cards, as the header announces them
    checked: int
    loaded: int
    faults: int
    left_s: float | None  #: until its end, as estimated with the last chunk
    code: str | None  #: why refused, as docs/api.md lists it
    cause: str | None
    started_at: datetime
    ended_at: datetime | None
    lot_id: int | None = None

    @property
    def is_over(self) -> bool:
        return self.state in (ImportState.DONE, ImportState.REFUSED)


@dataclass(frozen=True, slots=True)
class ReservedNumber:
    msisdn: str
    hlr: str
    user_id: str | None = None  #: whose order confirmed it


@dataclass(frozen=True, slots=True)
class ReservationRow:
    id: str
    source: str
    key: str
    state: str  #: filling, open, cancelled or expired, by the clock of the database
    operator_id: str
    pool: str
    province: str
    digits: int
    hlr: str | None
    grade: str | None
    with_cards: bool
    asked: int
    granted: int | None  #: None while it is filled
    confirmed: int | None  #: numbers in use by its orders; None in a list
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A move of a segment, and how far it is."""

    id: int
    rehoming: Rehoming
    operator_id: str
    state: MoveState
    sample: int | None  #: subscribers to be asked for; None: all
    switched: int  #: bindings that got the new home
    asked: int  #: by the last verification: subscribers,
    missing: int  #: of them not there as they should be,
    silent: int  #: and without a word of the HLR
    examples: Sequence[Mapping[str, str]]  #: some of those: number and why
    started_at: datetime
    changed_at: datetime

    @property
    def is_over(self) -> bool:
        return self.state in (MoveState.DONE, MoveState.RETURNED)
