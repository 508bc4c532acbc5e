"""The audit trail (操作日志): who did what to what, each row bound to all before it by a hash.

A row that is changed, left out, put in between or put in another place breaks the chain at that
row. Rows cut off at the end break nothing, and neither does a chain that was made anew as a whole:
against both helps only a head that is kept elsewhere (`Head`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from hlrd import limits
from hlrd.domain.errors import BadRequest

Facts = Mapping[str, object]
"""What was so before or after: small, ready for JSON, and no secret in it."""

ORIGIN: Final = bytes(32)
"""What the first row is chained to."""

DAEMON: Final = "hlrd"
"""The actor and the source of what the daemon does on its own."""

UNNAMED: Final = "unnamed"
"""The actor where the caller named nobody."""

_HEAD: Final = re.compile(r"\A([0-9]{1,18}):([0-9a-f]{64})\Z")


class Action(StrEnum):
    """Every act that is audited: what it is done to, and what is done."""

    POOL_CREATE = "pool.create"
    POOL_RANGE = "pool.range"  #: NUMBER_SEGMENT_IMPORT: a range was added
    POOL_LOW_WATER = "pool.low-water"
    POOL_SHARE = "pool.share"
    POOL_TAKE_BACK = "pool.take-back"
    NUMBER_LOCK = "number.lock"
    NUMBER_UNLOCK = "number.unlock"
    NUMBER_RECYCLE = "number.recycle"
    NUMBER_RECYCLE_DUE = "number.recycle-due"
    RESERVATION_CREATE = "reservation.create"
    RESERVATION_CHOOSE = "reservation.choose"
    RESERVATION_EXTEND = "reservation.extend"
    RESERVATION_CANCEL = "reservation.cancel"
    CARD_SCRAP = "card.scrap"
    IMPORT_START = "import.start"  #: SIM_LOT_IMPORT
    IMPORT_CANCEL = "import.cancel"
    BATCH_POST = "batch.post"
    BATCH_PAUSE = "batch.pause"
    BATCH_RESUME = "batch.resume"
    BATCH_CANCEL = "batch.cancel"
    NE_HOLD = "ne.hold"
    NE_DRAIN = "ne.drain"
    NE_RELEASE = "ne.release"
    MOVE_START = "move.start"
    MOVE_SWITCH = "move.switch"
    MOVE_VERIFY = "move.verify"
    MOVE_RETURN = "move.return"
    ORDER_SUBMIT = "order.submit"  #: that an operator may not; what is taken is in the journal
    ORDER_CANCEL = "order.cancel"
    ORDER_CHASE = "order.chase"
    FALLOUT_RESEND = "fallout.resend"
    FALLOUT_CHANGE = "fallout.change"
    FALLOUT_SKIP = "fallout.skip"
    FALLOUT_FINISH = "fallout.finish"
    FALLOUT_CANCEL = "fallout.cancel"
    FALLOUT_TO_EOMS = "fallout.to-eoms"
    FALLOUT_PROPOSE = "fallout.propose"  #: of a bulk act; what becomes of each order is a row too
    FALLOUT_CONFIRM = "fallout.confirm"
    FALLOUT_STOP = "fallout.stop"
    RECEIPT_REDELIVER = "receipt.redeliver"
    MASTER_DRAIN = "master.drain"  #: a switch was asked for
    MASTER_CANCEL = "master.cancel"
    MASTER_SWITCH = "master.switch"  #: it took effect
    MASTER_RECONCILE = "master.reconcile"
    SESSION_OPEN = "session.open"  #: a source system logged in
    SESSION_REFUSE = "session.refuse"  #: a login with a wrong user or password; by the daemon
    SESSION_CLOSE = "session.close"
    ACCOUNT_LOCK = "account.lock"  #: wrong passwords did; by the daemon
    ACCOUNT_UNLOCK = "account.unlock"
    SETTINGS_RELOAD = "settings.reload"  #: by SIGHUP; the row follows the act


class Trail(Protocol):
    """Where acts are written down; implemented by `runtime.audit`."""

    async def record(
        self,
        *,
        actor: str,
        source: str,
        action: str,
        subject: str,
        order: int | None = None,
        before: Facts | None = None,
        after: Facts | None = None,
    ) -> int:
        """The row's number, once it is durable. Unavailable: it is not, so do not act."""
        ...


class Act(Struct, frozen=True):
    """One thing that a person, or the daemon on its own, is about to do."""

    action: str  #: an `Action`
    subject: str  #: kind and name: `number:1064800000001`
    actor: str
    source: str
    order: int | None = None  #: hlrd's id of the order that it is about
    before: Facts | None = None
    after: Facts | None = None


class Row(Struct, frozen=True):
    """An act in its place of the chain; `before` and `after` as the very text that was hashed."""

    seq: int  #: from 1, without a gap
    at: datetime
    actor: str
    source: str
    action: str
    subject: str
    order: int | None
    before: str | None
    after: str | None
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """The last row's place and hash: who keeps it can tell whether all up to there still stands."""

    seq: int = 0
    hash: bytes = ORIGIN

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    def joined(self, act: Act, at: datetime) -> Row:
        """The row that makes `act` the next of the chain."""
        row = Row(
            self.seq + 1,
            at,
            act.actor,
            act.source,
            act.action,
            act.subject,
            act.order,
            text_of(act.before),
            text_of(act.after),
        )
        return replace(row, hash=hash_of(row, after=self.hash))


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the chain breaks first."""

    seq: int
    text: str


def is_same_person(one: str, other: str) -> bool:
    """Of two operator ids, where a second person is asked for: capitals make none of the first."""
    return one.casefold() == other.casefold()


def refused(code: str, row: int) -> Facts:
    """What a second row, after row `row`, says of an act that was not carried out."""
    return {"refused": code, "row": row}


def parse_head(text: str) -> Head:
    """What `str(head)` gave."""
    found = _HEAD.match(text)
    if found is None:
        raise BadRequest("HEAD_INVALID", "a head is <row>:<64 hex digits>", "head")
    return Head(int(found[1]), bytes.fromhex(found[2]))


def text_of(facts: Facts | None) -> str | None:
    """Canonical: keys sorted, no spaces, ASCII. Too much of it is kept as its digest alone."""
    if facts is None:
        return None
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    if len(text) <= limits.AUDIT_FACTS_CHARS_MAX:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"chars": len(text), "sha256": digest}, separators=(",", ":"))


def hash_of(row: Row, *, after: bytes) -> bytes:
    """SHA-256 over the hash before and the row as JSON: sequence, time (UTC, microseconds), actor,
    source, action, subject, order, before, after. The hash in `row` itself does not count.
    """
    seq, at, *rest = _columns(row)
    assert isinstance(at, datetime)
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    document = json.dumps([seq, moment, *rest], separators=(",", ":"))
    return hashlib.sha256(after + document.encode()).digest()


class Walk:
    """Takes the rows in order and finds the first that does not belong where it stands."""

    def __init__(self, kept: Head | None = None) -> None:
        """`kept`: a head that was kept elsewhere."""
        self.head = Head()
        self._kept = kept

    def step(self, row: Row) -> Fault | None:
        expected = self.head.seq + 1
        if row.seq != expected:
            return Fault(expected, f"row {expected} is missing: row {row.seq} comes next")
        if hash_of(row, after=self.head.hash) != row.hash:
            return Fault(row.seq, f"row {row.seq} is not as it was written, or one before it is")
        self.head = Head(row.seq, row.hash)
        if self._kept is not None and self._kept.seq == row.seq and self._kept != self.head:
            return Fault(row.seq, f"row {row.seq} is not the one whose head was kept")
        return None

    def end(self) -> Fault | None:
        """After the last row: whether rows are cut off behind it."""
        if self._kept is None or self._kept.seq <= self.head.seq:
            return None
        first = self.head.seq + 1
        return Fault(first, f"rows {first} to {self._kept.seq} are cut off at the end")


def _columns(row: Row) -> tuple[object, ...]:
    """All but the hash, in the order that is hashed."""
    return (
        row.seq,
        row.at,
        row.actor,
        row.source,
        row.action,
        row.subject,
        row.order,
        row.before,
        row.after,
    )
