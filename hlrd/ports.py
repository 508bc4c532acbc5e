"""The seams of the engine: what it needs from the world, each as small as its use.

Nothing here blocks or awaits. A port takes what it is given and answers later by calling back the
engine's matching `on_…` method from the same thread; it never calls back from within the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from hlrd.domain.errors import Refusal
from hlrd.domain.fallout import Fall, Release
from hlrd.domain.group import Membership, Partner, Standing
from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, Card, CardKey, SealedKey, UserId
from hlrd.domain.lifecycle import NumberState
from hlrd.domain.operation import Task
from hlrd.domain.orders import Service, WorkOrder
from hlrd.domain.product import Holding, Product
from hlrd.domain.turn import NONE_APPLIED, Applied, Note
from hlrd.domain.user import User


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds, for intervals."""
        ...

    def wall(self) -> datetime:
        """UTC with time zone, for records and people."""
        ...


class Intent(StrEnum):
    EXECUTE = "execute"
    READ_BACK = "readBack"


class Command(Struct, eq=False, gc=False):
    """One request on one session and its reply (联机指令), as the engine hands it to an NE."""

    id: int
    task: Task
    intent: Intent


class NE(Protocol):
    """One network element: its sessions, its rate, its breaker. Implemented by `ne.driver`.

    Answers each command exactly once with `engine.on_outcomes`, whatever happens,
    and calls `engine.on_free(name)` when it can take commands again after it could not.
    """

    name: str
    settle_s: float  #: how long a lost command may still stand in the NE's queue
    poll_s: float  #: how often it is asked about what it has taken and not done yet

    def free(self) -> int:
        """Commands it takes now; 0 while the breaker is open or the rate is spent."""
        ...

    def window(self) -> int:
        """Commands it could have in flight at once as it stands."""
        ...

    def wants(self, waiting: int) -> None:
        """How many tasks wait; opens sessions by it."""
        ...

    def execute(self, command: Command) -> None:
        """Send now. Only while `free() > 0`."""
        ...


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the journal holds it; enough to run it again from the start."""

    id: int
    source: str
    order_id: str
    kind: str
    user_id: UserId
    priority: int
    content_hash: bytes
    payload: bytes
    accepted_at: datetime
    binding: Binding | None  #: the binding this order made, for those that draw
    user: User | None  #: as of now
    release: Release | None = None  #: with what a person let it go, if it ever fell out
    turn: Note | None = None
    applied: Applied = field(default_factory=dict)  #: of its user
    repeat_of: int | None = None  #: the order that did the same under another id
    claim: Binding | None = None  #: what this change of card or number holds


class Wanted(Struct, frozen=True, gc=False):
    """What intake must know of one order before it can judge it."""

    token: int  #: the engine's own, given back in `Facts`
    source: str
    order_id: str
    user_id: UserId
    msisdn: MSISDN | None = None  #: named by the order, to be bound
    imsi: IMSI | None = None
    iccid: ICCID | None = None
    reservation: int | None = None
    ec_product: tuple[str, str] | None = None  #: enterprise and product that are to part
    members_of: str | None = None  #: the enterprise whose members are meant
    has_seq: bool = False
    business_key: str | None = None
    is_dated: bool = False  #: by itself, or behind its user's opening: what is, of the user
    opened_with: bool = False  #: what services its user was opened with


@dataclass(frozen=True, slots=True)
class Repeat:
    """An order of the same source and id that is durable already."""

    id: int
    content_hash: bytes
    state: str  #: OrderState; QUEUED for any that is open, but for SCHEDULED
    binding: Binding | None
    receipt: bytes | None  #: the final receipt's body, once closed


@dataclass(frozen=True, slots=True)
class NumberFact:
    hlr: str
    province: str
    state: NumberState
    reservation: int | None = None  #: that it is kept for


@dataclass(frozen=True, slots=True)
class ReservationFact:
    source: str
    province: str
    has_cards: bool
    state: str  #: open, expired, cancelled or filling; its end is told by the database's clock


class Facts(Struct, frozen=True, gc=False):
    token: int
    repeat: Repeat | None
    user: User | None
    number: NumberFact | None  #: None: in no range, or none was named
    card: Card | None  #: None: not in stock, or none was named
    card_is_free: bool = False
    imsi_is_free: bool = True
    card_reservation: int | None = None  #: that the card is kept for
    reservation: ReservationFact | None = None  #: None: none was named, or there is none
    ec_product_used: bool = False  #: members have it, or were reported with it
    has_members: bool = False  #: users are recorded as members of the enterprise
    applied: Applied = NONE_APPLIED  #: of the user; read for an order that has a `seq`
    repeat_of: int | None = None  #: the order that did the same under another id
    opens_at: datetime | None = None  #: when the user's opening falls due
    scheduled: int = 0  #: orders of the user that wait for their time; counted up to a bound
    opened_with: tuple[Service, ...] | None = None  #: services; None: not asked, or not known
    as_of: int = 0  #: `Allocator.holds_made` when the reading began


class Lookup(Protocol):
    """Reads for intake, in batches; answers of each kind in the order of asking."""

    def resolve(self, wanted: Wanted) -> None:
        """Answered by `engine.on_resolved(facts)`, many at a time."""
        ...

    def unpark(self, order_ids: Sequence[int], users: Sequence[UserId]) -> None:
        """Answered by `engine.on_unparked(stored)`: these orders, and every other open order of
        their users, in order of id."""
        ...


class BindingEnd(StrEnum):
    """What becomes of number and card when a binding ends."""

    ROLLED_BACK = "rolledBack"  #: never live: number idle, card back in stock
    UNPROVEN = "unproven"  #: the HLR is not proven clean: number locked, card scrapped
    TERMINATED = "terminated"  #: number quarantined, card scrapped


class ClaimEnd(Struct, frozen=True, gc=False):
    """What becomes of a claim (`domain.claim`) when its order closes."""

    claim: Binding
    binding: Binding | None  #: the user's, while he has one
    end: BindingEnd | None  #: of what was held; None: the user has it now, and no more what it had


class Acceptance(Struct, frozen=True, gc=False):
    """The accept record of an order. Durable before the order is answered."""

    id: int
    source: str
    order_id: str
    kind: str
    user_id: UserId
    operator_id: str
    province: str
    priority: int
    content_hash: bytes
    payload: bytes
    accepted_at: datetime
    session: str | None  #: that it came by; None: by a token of the configuration, or from hlrd
    binding: Binding | None  #: that an opening makes, or the claim of a change
    product: Product | None = None  #: the version that it stages
    turn: Note | None = None
    enterprise: Standing | None = None  #: how a product of an enterprise stands from now on
    is_named: bool = False  #: its number was not drawn from a lease


class Closing(Struct, frozen=True, gc=False):
    """The close record of an order: receipt and every effect on the user, in one commit.

    With `is_final` false it is the interim receipt of a fallout, and carries no effect.
    """

    order_id: int
    source: str
    user_id: UserId
    state: str
    receipt: bytes
    trail: bytes  #: tasks and commands as they went, JSON
    closed_at: datetime
    is_final: bool = True
    user: User | None = None  #: the user's new state, when it changed
    binding_end: BindingEnd | None = None
    binding: Binding | None = None  #: the one that ends
    claim_end: ClaimEnd | None = None
    quarantine_days: int | None = None
    products: tuple[Holding, ...] | None = None  #: all that the user has now, when that changed
    activated: Product | None = None  #: the version that users may subscribe to from now on
    enterprise: Standing | None = None  #: how a product of an enterprise stands from now on
    joins: Membership | None = None  #: the user is a member from now on
    leaves_ec: bool = False  #: the user is a member no more
    partner: Partner | None = None  #: a member that another province opened
    fall: Fall | None = None  #: where it is stuck; of an interim receipt
    leaves_fallout: bool = False  #: it fell out before
    applied: tuple[tuple[str, int], ...] = ()  #: steps of its user's sequence, by subject
    was_dated: bool = False  #: it was dated ahead


class Clash(StrEnum):
    """Which unique key refused an accept record."""

    ORDER = "order"
    USER = "user"
    NUMBER = "number"
    CARD = "card"


class Journal(Protocol):
    """Group commit. Records become durable in batches; the order of the calls is kept per user."""

    def accept(self, record: Acceptance) -> None:
        """Answered by `engine.on_accepted(id)` or `engine.on_clash(id, clash)`."""
        ...

    def close(self, record: Closing) -> None:
        """Answered by `engine.on_closed(order_id)` for a final one."""
        ...

    def backlog(self) -> int:
        """Records not yet durable."""
        ...


class Vault(Protocol):
    """Seals card keys for storage and opens them for the wire."""

    def seal(self, imsi: IMSI, key: CardKey) -> SealedKey: ...

    def open(self, imsi: IMSI, sealed: SealedKey) -> CardKey: ...


# Intake: what the API hands to the engine and is given back.


class Submission(Struct):
    """One order as it was read from upstream: decoded, or refused for what it says."""

    source: str
    order: WorkOrder | None
    refusal: Refusal | None = None  #: already known when the order could not be decoded
    session: str | None = None  #: that it came by


class Answer(Struct):
    """What upstream is told of one order, once it is durable, refused or (if asked for) closed."""

    order_id: str | None  #: upstream's; None when the order could not be decoded
    refusal: Refusal | None = None
    id: int = 0
    state: str = ""  #: OrderState
    is_repeat: bool = False  #: the order was durable before; this is the stored answer
    msisdn: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    receipt: bytes | None = None  #: JSON of the final receipt, once closed
