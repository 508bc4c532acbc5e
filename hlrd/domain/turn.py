"""Which order of a user runs next, and whether it needs to run at all. Pure.

Orders of one user run one after the other. Openings go first, since all else depends on them; the
rest goes by upstream's sequence, where upstream gives one, and else as it came. Priority plays no
part: it works between users.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from hlrd.domain.catalogue import OrderKind
from hlrd.domain.conflict import Nature
from hlrd.domain.lifecycle import OrderState, UserState
from hlrd.domain.orders import WorkOrder
from hlrd.domain.plans.plan import Mark
from hlrd.domain.user import User

Applied: TypeAlias = Mapping[str, int]
"""By subject, the highest sequence number of the user that was applied to it. Under the subject
`ANY` the highest that was used up, whatever became of its order."""

ANY: Final = ""
STATE: Final = "state"
"""The subject under which the version of user state stands, as its master counts."""

NONE_APPLIED: Final[Applied] = {}


class Note(Struct, frozen=True, gc=False):
    """What the journal keeps of an order's turn, where there is anything to keep."""

    due_at: datetime | None  #: it is dated ahead
    after: int  #: it goes behind its user's orders up to this place
    business_key: str | None
    used_up: tuple[tuple[str, int], ...] = ()  #: of its user's sequence, with its acceptance
    place: int | None = None  #: since it fell due


NO_NOTE: Final = Note(None, 0, None)


class Standing(Protocol):
    """An order in the line of its user."""

    @property
    def id(self) -> int: ...

    @property
    def order(self) -> WorkOrder: ...

    @property
    def kind(self) -> OrderKind: ...

    @property
    def state(self) -> OrderState: ...

    @property
    def received(self) -> float:
        """Monotonic seconds."""
        ...

    @property
    def place(self) -> int:
        """Its id; of one that was dated ahead, an id of the moment when it fell due."""
        ...

    @property
    def after(self) -> int:
        """It came too late to go before those up to this place: one of them may have begun."""
        ...

    @property
    def is_doubted(self) -> bool:
        """A run before this one may have sent it."""
        ...

    @property
    def repeat_of(self) -> int | None:
        """The order under another id that did the same already."""
        ...


T = TypeVar("T", bound=Standing)


@dataclass(frozen=True, slots=True)
class Run:
    """Its turn has come."""

    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet."""

    code: str  #: why, as docs/api.md lists it
    until: float | None = None  #: at the latest, monotonic seconds; None: until it is told


@dataclass(frozen=True, slots=True)
class Needless:
    """The first orders of the line succeed without a command."""

    places: tuple[int, ...]  #: which of the line, in order
    mark: Mark


Turn: TypeAlias = Run | Wait | Needless
RUN: Final = Run()
_LATE: Final = Run((Mark.PREDECESSOR_MISSING,))


def sequence_of(one: Standing) -> int | None:
    """What was dated ahead stands in the line by its date, whatever its number."""
    seq = one.order.seq
    return seq if seq is not None and one.place == one.id and one.kind.is_of_user else None


def state_version_of(kind: OrderKind, order: WorkOrder) -> int | None:
    version: int | None = getattr(order, "state_version", None) if kind.is_versioned else None
    return version


def is_counted(kind: OrderKind, order: WorkOrder) -> bool:
    """Upstream gives it a number, in the sequence of its user or of the user's state."""
    if order.seq is not None:
        return True
    return kind.is_versioned and getattr(order, "state_version", None) is not None


def subject_of(kind: OrderKind, order: WorkOrder) -> str:
    """What of its user the order is about: a suspension reason, or a product. Of two orders about
    the same subject the later one holds. `ANY` for what is about the user on the whole.
    """
    reason = getattr(order, "reason", None)
    if reason is not None and kind.nature in (Nature.SUSPEND, Nature.RESUME):
        return str(reason)
    if kind.nature is Nature.PRODUCT and kind.is_of_user:
        return f"product:{getattr(order, 'product', '')}"
    return ANY


def business_key(kind: OrderKind, order: WorkOrder) -> str | None:
    """Names what the order does in upstream's business, whichever system sent it and under which
    id: two orders of one user with the same key are one. None where upstream names no such thing.
    """
    version = getattr(order, "state_version", None) if kind.is_versioned else None
    if version is None and order.root_order_id is None:
        return None
    subject = subject_of(kind, order)
    if subject == ANY:
        return None
    named = f"root:{order.root_order_id}" if version is None else f"version:{version}"
    return f"{kind.name} {subject} {getattr(order, 'level', '')} {named}"


def steps_of(one: Standing) -> tuple[tuple[str, int], ...]:
    """What an order that ended has moved on in its user's sequence, by subject. One that failed was
    applied to nothing, and its number is used up all the same.
    """
    if not is_counted(one.kind, one.order):
        return ()
    seq, version = sequence_of(one), state_version_of(one.kind, one.order)
    steps: list[tuple[str, int]] = [] if seq is None else [(ANY, seq)]
    if one.state is OrderState.SUCCEEDED:
        subject = subject_of(one.kind, one.order)
        if seq is not None and subject != ANY:
            steps.append((subject, seq))
        if version is not None:
            steps.append((STATE, version))
    return tuple(steps)


# The line.


def in_order(queue: Sequence[T]) -> Sequence[T]:
    """The orders of one user as they are to run; `queue` as they were accepted."""
    if len(queue) < 2:
        return queue
    barrier = max(one.after for one in queue)
    line = sorted(queue, key=_place)
    if barrier:
        begun = sum(one.place <= barrier for one in line)
        line = [*_by_rank(line[:begun]), *_by_rank(line[begun:])]
    else:
        line = _by_rank(line)
    if any(one.kind.opens_user for one in line):
        line.sort(key=lambda one: not one.kind.opens_user)
    return line


def _place(one: Standing) -> int:
    return one.place


def _by_rank(line: list[T]) -> list[T]:
    return _rearranged(_rearranged(line, sequence_of), _accept_time_alone)


def _accept_time_alone(one: Standing) -> str | None:
    if one.order.seq is not None or one.place != one.id:
        return None
    return one.order.accept_time


def _rearranged(line: list[T], rank: Callable[[T], Any]) -> list[T]:
    """Those that have a rank take the places they hold together by it; the others keep theirs."""
    places = [place for place, one in enumerate(line) if rank(one) is not None]
    if len(places) < 2:
        return line
    rearranged = list(line)
    for place, origin in zip(places, sorted(places, key=lambda at: rank(line[at])), strict=True):
        rearranged[place] = line[origin]
    return rearranged


# The turn of its first.


def judge(
    line: Sequence[Standing],
    *,
    user: User | None,
    applied: Applied,
    now: float,
    patience_s: float,
) -> Turn:
    """What becomes of the first of `line`. `user` and `applied` as the orders before leave them;
    `patience_s`: how long an order waits for one that is missing in upstream's sequence.
    """
    first = line[0]
    if user is None or not first.kind.is_about(user, first.order):
        return RUN  # it fails, and its receipt says why
    if first.repeat_of is not None:
        return Needless((0,), Mark.DUPLICATE_OF)
    if _is_late(first, applied):
        return Needless((0,), Mark.SUPERSEDED)
    seq = sequence_of(first)
    marks: tuple[Mark, ...] = ()
    if seq is not None and _misses_one(seq, line, applied):
        if now < first.received + patience_s:
            return Wait("PREDECESSOR_MISSING", first.received + patience_s)
        marks = (Mark.PREDECESSOR_MISSING,)
    if len(line) > 1:
        places = coalescing(line, user, applied)
        if places:
            return Needless(places, Mark.COALESCED)
    return _LATE if marks else RUN


def _misses_one(seq: int, line: Sequence[Standing], applied: Applied) -> bool:
    """What goes before `seq` was not used up, and is not here."""
    if ANY not in applied or seq <= applied[ANY] + 1:
        return False
    return not any(sequence_of(one) == seq - 1 for one in line)


def _is_late(one: Standing, applied: Applied) -> bool:
    """Something later was applied to its subject already, by upstream's sequence or by the version
    of the state."""
    seq, version = sequence_of(one), state_version_of(one.kind, one.order)
    if version is not None and applied.get(STATE, version) > version:
        return True
    subject = subject_of(one.kind, one.order)
    return seq is not None and subject != ANY and applied.get(subject, -1) > seq


def coalescing(line: Sequence[Standing], user: User, applied: Applied) -> tuple[int, ...]:
    """The suspensions for one reason from the first on, and the resume that takes them all back,
    if nothing between them could tell the difference; else nothing.

    Not for a reason that the user has already, since the resume must then clear it; not beyond an
    order that is missing; not if any of them may have been sent; and not by one that came too late,
    since it takes nothing back.
    """
    first = line[0]
    reason = _reason_of(first)
    if first.kind.nature is not Nature.SUSPEND or reason is None:
        return ()
    if user.state is not UserState.ACTIVE or reason in user.reasons:
        return ()
    last_seq, version = applied.get(ANY), applied.get(STATE)
    found: list[int] = []
    for place, one in enumerate(line):
        seq = sequence_of(one)
        if seq is not None:
            if last_seq is not None and seq > last_seq + 1 and place:
                return ()
            last_seq = seq if last_seq is None else max(seq, last_seq)
        said = state_version_of(one.kind, one.order)
        if said is not None:
            if version is not None and said < version:
                return ()
            version = said
        if not _may_coalesce(one) or not one.kind.is_about(user, one.order):
            return ()
        if _reason_of(one) == reason and one.repeat_of is None:
            if _is_late(one, applied):
                return ()
            found.append(place)
            if one.kind.nature is Nature.RESUME:
                return tuple(found)
    return ()


def _may_coalesce(one: Standing) -> bool:
    """Durable, never sent, and of a reason alone: the way of the others past it changes nothing."""
    return _reason_of(one) is not None and not one.is_doubted and one.state in _UNSENT


_UNSENT: Final = frozenset({OrderState.QUEUED, OrderState.EXECUTING})
"""Of one under way the caller knows that no command of it was sent."""


def _reason_of(one: Standing) -> str | None:
    """Of an order that sets or clears a reason, and does nothing else."""
    if getattr(one.order, "reasons", None) is not None:
        return None  # it says the whole set
    reason = getattr(one.order, "reason", None)
    return reason if one.kind.nature in (Nature.SUSPEND, Nature.RESUME) else None
