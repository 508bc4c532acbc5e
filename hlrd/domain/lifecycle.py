"""The states of orders, tasks, users, numbers and cards, and every move between them.

Rule 1: whatever changes a state is in this file, as a row of a table.
Rule 2: this file does no I/O and reads no clock, so the tables are the whole truth;
`docs/states.md` is drawn from them and a test fails when the two differ.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar


class IllegalTransition(AssertionError):
    """A bug of ours: caught nowhere."""


class OrderState(StrEnum):
    RECEIVED = "received"  #: 已接收: being checked, not yet durable, not yet answered
    QUEUED = "queued"  #: 排队: durable; waits for its turn within its user
    PARKED = "parked"  #: 网元挂起: durable, waits in the journal until memory has room
    EXECUTING = "executing"  #: 执行中
    COMPENSATING = "compensating"  #: 回滚中: undoing in reverse order
    FALLOUT = "fallout"  #: 异常: needs a person; blocks its user
    SUCCEEDED = "succeeded"  #: 竣工
    FAILED = "failed"  #: 失败: nothing of it is left on the network


class OrderEvent(StrEnum):
    JOURNALED = "journaled"  #: the accept record is durable
    OVERFLOWED = "overflowed"  #: memory is full, or the user has parked orders before it
    UNPARKED = "unparked"
    STARTED = "started"  #: it is first within its user
    STEPS_DONE = "stepsDone"
    STEP_FAILED_BACKWARD = "stepFailedBackward"  #: for good, and the kind is undone
    STEP_FAILED_FORWARD = "stepFailedForward"  #: for good, and the kind only goes forward
    UNDONE = "undone"
    UNDO_FAILED = "undoFailed"
    NO_LONGER_POSSIBLE = "noLongerPossible"  #: an earlier order of the user took its ground away
    RESENT = "resent"  #: by staff


ORDER: Final[Mapping[tuple[OrderState, OrderEvent], OrderState]] = {
    (OrderState.RECEIVED, OrderEvent.JOURNALED): OrderState.QUEUED,
    (OrderState.QUEUED, OrderEvent.OVERFLOWED): OrderState.PARKED,
    (OrderState.PARKED, OrderEvent.UNPARKED): OrderState.QUEUED,
    (OrderState.QUEUED, OrderEvent.STARTED): OrderState.EXECUTING,
    (OrderState.QUEUED, OrderEvent.NO_LONGER_POSSIBLE): OrderState.FAILED,
    (OrderState.EXECUTING, OrderEvent.STEPS_DONE): OrderState.SUCCEEDED,
    (OrderState.EXECUTING, OrderEvent.STEP_FAILED_BACKWARD): OrderState.COMPENSATING,
    (OrderState.EXECUTING, OrderEvent.STEP_FAILED_FORWARD): OrderState.FALLOUT,
    (OrderState.COMPENSATING, OrderEvent.UNDONE): OrderState.FAILED,
    (OrderState.COMPENSATING, OrderEvent.UNDO_FAILED): OrderState.FALLOUT,
    (OrderState.FALLOUT, OrderEvent.RESENT): OrderState.QUEUED,
}


class TaskState(StrEnum):
    WAITING = "waiting"  #: for the tasks before it
    READY = "ready"  #: in the lane of its NE
    SENT = "sent"  #: written to a session, no reply yet
    IN_DOUBT = "inDoubt"  #: written, reply lost: the NE is read back before a resend
    TAKEN = "taken"  #: the peer took it and does it in its own time: asked again later
    READING = "reading"  #: the read-back is written, no reply yet
    DELAYED = "delayed"  #: waits for its next try
    DONE = "done"
    FAILED = "failed"


class TaskEvent(StrEnum):
    RELEASED = "released"  #: the tasks before it are done
    WRITTEN = "written"
    CONFIRMED = "confirmed"  #: done, or found applied
    REFUSED = "refused"  #: for good
    POSTPONED = "postponed"  #: busy, passing fault, session gone
    LOST = "lost"  #: no answer
    TAKEN_ON = "takenOn"  #: taken, and not done yet
    FOUND_ABSENT = "foundAbsent"
    DUE = "due"
    DOUBTED = "doubted"  #: recovered from the journal: it may have been sent before


TASK: Final[Mapping[tuple[TaskState, TaskEvent], TaskState]] = {
    (TaskState.WAITING, TaskEvent.RELEASED): TaskState.READY,
    (TaskState.WAITING, TaskEvent.DOUBTED): TaskState.IN_DOUBT,
    (TaskState.READY, TaskEvent.WRITTEN): TaskState.SENT,
    (TaskState.SENT, TaskEvent.CONFIRMED): TaskState.DONE,
    (TaskState.SENT, TaskEvent.REFUSED): TaskState.FAILED,
    (TaskState.SENT, TaskEvent.POSTPONED): TaskState.DELAYED,
    (TaskState.SENT, TaskEvent.LOST): TaskState.IN_DOUBT,
    (TaskState.SENT, TaskEvent.TAKEN_ON): TaskState.TAKEN,
    (TaskState.READING, TaskEvent.TAKEN_ON): TaskState.TAKEN,
    (TaskState.TAKEN, TaskEvent.WRITTEN): TaskState.READING,
    (TaskState.DELAYED, TaskEvent.DUE): TaskState.READY,
    (TaskState.IN_DOUBT, TaskEvent.WRITTEN): TaskState.READING,
    (TaskState.READING, TaskEvent.CONFIRMED): TaskState.DONE,
    (TaskState.READING, TaskEvent.REFUSED): TaskState.FAILED,
    (TaskState.READING, TaskEvent.FOUND_ABSENT): TaskState.READY,
    (TaskState.READING, TaskEvent.POSTPONED): TaskState.IN_DOUBT,
    (TaskState.READING, TaskEvent.LOST): TaskState.IN_DOUBT,
}


class UserState(StrEnum):
    PROVISIONING = "provisioning"  #: bound, its opening order not closed
    ACTIVE = "active"  #: 正常; may be suspended for any set of reasons
    PRE_TERMINATED = "preTerminated"  #: 预销户: stopped two-way; number and card are kept
    TERMINATED = "terminated"  #: 销户


class UserEvent(StrEnum):
    OPENED = "opened"
    OPENING_FAILED = "openingFailed"
    PRE_CLOSED = "preClosed"
    REINSTATED = "reinstated"  #: its reasons stand as before
    CLOSED = "closed"


USER: Final[Mapping[tuple[UserState, UserEvent], UserState | None]] = {
    (UserState.PROVISIONING, UserEvent.OPENED): UserState.ACTIVE,
    (UserState.PROVISIONING, UserEvent.OPENING_FAILED): None,  # the user never was
    (UserState.ACTIVE, UserEvent.PRE_CLOSED): UserState.PRE_TERMINATED,
    (UserState.PRE_TERMINATED, UserEvent.REINSTATED): UserState.ACTIVE,
    (UserState.PRE_TERMINATED, UserEvent.CLOSED): UserState.TERMINATED,
    (UserState.ACTIVE, UserEvent.CLOSED): UserState.TERMINATED,
}


class NumberState(StrEnum):
    IDLE = "idle"  #: 空闲
    LEASED = "leased"  #: idle, in the memory of a node
    RESERVED = "reserved"  #: 预占: kept for the owner of a reservation until it expires
    IN_USE = "inUse"  #: 在用: bound
    QUARANTINED = "quarantined"  #: 冷冻, until a date
    LOCKED = "locked"  #: 封存: the HLR is not proven clean, or staff locked it; bound or not


class NumberEvent(StrEnum):
    LEASED = "leased"
    LEASE_LOST = "leaseLost"  #: its node died
    RESERVED = "reserved"
    RESERVATION_ENDED = "reservationEnded"  #: cancelled, expired, or not chosen
    BOUND = "bound"
    ROLLED_BACK = "rolledBack"  #: the opening failed and the HLR is proven clean
    ROLL_BACK_UNPROVEN = "rollBackUnproven"
    TERMINATED = "terminated"
    RECYCLED = "recycled"  #: 回收: no HLR record, no open order, no arrears hold
    RECORD_FOUND = "recordFound"  #: due for recycling, and the HLR still has a record of it
    LOCKED = "locked"  #: by staff
    UNLOCKED = "unlocked"  #: by staff
    UNLOCKED_BOUND = "unlockedBound"  #: by staff, while a user has it


NUMBER: Final[Mapping[tuple[NumberState, NumberEvent], NumberState]] = {
    (NumberState.IDLE, NumberEvent.LEASED): NumberState.LEASED,
    (NumberState.LEASED, NumberEvent.LEASE_LOST): NumberState.IDLE,
    (NumberState.IDLE, NumberEvent.RESERVED): NumberState.RESERVED,
    (NumberState.LEASED, NumberEvent.RESERVED): NumberState.RESERVED,
    (NumberState.RESERVED, NumberEvent.RESERVATION_ENDED): NumberState.IDLE,
    (NumberState.LEASED, NumberEvent.BOUND): NumberState.IN_USE,
    (NumberState.IDLE, NumberEvent.BOUND): NumberState.IN_USE,
    (NumberState.RESERVED, NumberEvent.BOUND): NumberState.IN_USE,
    (NumberState.IN_USE, NumberEvent.ROLLED_BACK): NumberState.IDLE,
    (NumberState.IN_USE, NumberEvent.ROLL_BACK_UNPROVEN): NumberState.LOCKED,
    (NumberState.IN_USE, NumberEvent.TERMINATED): NumberState.QUARANTINED,
    (NumberState.QUARANTINED, NumberEvent.RECYCLED): NumberState.IDLE,
    (NumberState.QUARANTINED, NumberEvent.RECORD_FOUND): NumberState.LOCKED,
    (NumberState.IDLE, NumberEvent.LOCKED): NumberState.LOCKED,
    (NumberState.LEASED, NumberEvent.LOCKED): NumberState.LOCKED,
    (NumberState.RESERVED, NumberEvent.LOCKED): NumberState.LOCKED,
    (NumberState.IN_USE, NumberEvent.LOCKED): NumberState.LOCKED,
    (NumberState.QUARANTINED, NumberEvent.LOCKED): NumberState.LOCKED,
    (NumberState.LOCKED, NumberEvent.ROLLED_BACK): NumberState.LOCKED,
    (NumberState.LOCKED, NumberEvent.ROLL_BACK_UNPROVEN): NumberState.LOCKED,
    (NumberState.LOCKED, NumberEvent.TERMINATED): NumberState.LOCKED,
    (NumberState.LOCKED, NumberEvent.UNLOCKED): NumberState.IDLE,
    (NumberState.LOCKED, NumberEvent.UNLOCKED_BOUND): NumberState.IN_USE,
}


class CardState(StrEnum):
    IN_STOCK = "inStock"  #: 在库
    LEASED = "leased"  #: in stock, in the memory of a node
    RESERVED = "reserved"  #: 预占: kept for the owner of a reservation until it expires
    IN_USE = "inUse"  #: 在用
    SCRAPPED = "scrapped"  #: 作废: a card that was live never returns to stock


class CardEvent(StrEnum):
    LEASED = "leased"
    LEASE_LOST = "leaseLost"
    RESERVED = "reserved"
    RESERVATION_ENDED = "reservationEnded"
    BOUND = "bound"
    ROLLED_BACK = "rolledBack"
    ROLL_BACK_UNPROVEN = "rollBackUnproven"
    TERMINATED = "terminated"
    SCRAPPED = "scrapped"  #: by staff: damaged or lost before it was live


CARD: Final[Mapping[tuple[CardState, CardEvent], CardState]] = {
    (CardState.IN_STOCK, CardEvent.LEASED): CardState.LEASED,
    (CardState.LEASED, CardEvent.LEASE_LOST): CardState.IN_STOCK,
    (CardState.IN_STOCK, CardEvent.RESERVED): CardState.RESERVED,
    (CardState.LEASED, CardEvent.RESERVED): CardState.RESERVED,
    (CardState.RESERVED, CardEvent.RESERVATION_ENDED): CardState.IN_STOCK,
    (CardState.LEASED, CardEvent.BOUND): CardState.IN_USE,
    (CardState.IN_STOCK, CardEvent.BOUND): CardState.IN_USE,
    (CardState.RESERVED, CardEvent.BOUND): CardState.IN_USE,
    (CardState.IN_USE, CardEvent.ROLLED_BACK): CardState.IN_STOCK,
    (CardState.IN_USE, CardEvent.ROLL_BACK_UNPROVEN): CardState.SCRAPPED,
    (CardState.IN_USE, CardEvent.TERMINATED): CardState.SCRAPPED,
    (CardState.IN_STOCK, CardEvent.SCRAPPED): CardState.SCRAPPED,
    (CardState.LEASED, CardEvent.SCRAPPED): CardState.SCRAPPED,
    (CardState.RESERVED, CardEvent.SCRAPPED): CardState.SCRAPPED,
}


class ImportState(StrEnum):
    WAITING = "waiting"  #: its file is on disk; imports run one after the other
    CHECKING = "checking"  #: every line is read, nothing is in the stock yet
    LOADING = "loading"  #: cards go in by chunks, and none of them can be drawn yet
    REMOVING = "removing"  #: refused or cancelled: what was loaded goes out again
    DONE = "done"  #: 入库: all its cards are in stock
    REFUSED = "refused"  #: none of its cards is; the cause says why


class ImportEvent(StrEnum):
    STARTED = "started"
    CHECKED = "checked"  #: without a fault
    FAULTY = "faulty"  #: its error file names every fault
    LOADED = "loaded"
    CLASHED = "clashed"  #: a card came into use, or into the stock, while it was loaded
    CANCELLED = "cancelled"  #: by staff, or its file was lost
    REMOVED = "removed"


IMPORT: Final[Mapping[tuple[ImportState, ImportEvent], ImportState]] = {
    (ImportState.WAITING, ImportEvent.STARTED): ImportState.CHECKING,
    (ImportState.WAITING, ImportEvent.CANCELLED): ImportState.REMOVING,
    (ImportState.CHECKING, ImportEvent.STARTED): ImportState.CHECKING,  # again, after a crash
    (ImportState.CHECKING, ImportEvent.FAULTY): ImportState.REFUSED,
    (ImportState.CHECKING, ImportEvent.CHECKED): ImportState.LOADING,
    (ImportState.CHECKING, ImportEvent.CANCELLED): ImportState.REMOVING,
    (ImportState.LOADING, ImportEvent.LOADED): ImportState.DONE,
    (ImportState.LOADING, ImportEvent.CLASHED): ImportState.REMOVING,
    (ImportState.LOADING, ImportEvent.CANCELLED): ImportState.REMOVING,
    (ImportState.REMOVING, ImportEvent.REMOVED): ImportState.REFUSED,
}


class ProductState(StrEnum):
    """Of one version of a product."""

    STAGED = "staged"  #: taken; its targets do not all know it, and no user may have it
    ACTIVE = "active"  #: users may subscribe to it
    RETIRED = "retired"  #: a later version is active; users who have this one keep it


class ProductEvent(StrEnum):
    PUBLISHED = "published"  #: every target took it
    SUPERSEDED = "superseded"  #: a later version was published


PRODUCT: Final[Mapping[tuple[ProductState, ProductEvent], ProductState]] = {
    (ProductState.STAGED, ProductEvent.PUBLISHED): ProductState.ACTIVE,
    (ProductState.ACTIVE, ProductEvent.SUPERSEDED): ProductState.RETIRED,
}


class MoveState(StrEnum):
    """割接: a segment of numbers or cards on its way from one HLR to another."""

    DRAINING = "draining"  #: its orders wait; those that had begun are carried out
    DRAINED = "drained"  #: nothing of it is in flight: move its data, by the HLRs' own tools
    SWITCHING = "switching"  #: bindings, ranges and lots get their new home
    VERIFYING = "verifying"  #: the new HLR is asked for its subscribers
    UNPROVEN = "unproven"  #: it does not have them all; the orders wait on
    RETURNING = "returning"  #: bindings, ranges and lots get their old home again
    DONE = "done"  #: its orders go on at the new HLR
    RETURNED = "returned"  #: its orders go on at the old HLR


class MoveEvent(StrEnum):
    EMPTIED = "emptied"  #: the last order that had begun is closed
    SWITCH_ORDERED = "switchOrdered"  #: by staff: the data is at the new HLR
    SWITCHED = "switched"
    PROVEN = "proven"
    NOT_PROVEN = "notProven"
    VERIFY_ORDERED = "verifyOrdered"  #: by staff: once more
    RETURN_ORDERED = "returnOrdered"  #: by staff
    RETURNED = "returned"


MOVE: Final[Mapping[tuple[MoveState, MoveEvent], MoveState]] = {
    (MoveState.DRAINING, MoveEvent.EMPTIED): MoveState.DRAINED,
    (MoveState.DRAINING, MoveEvent.RETURN_ORDERED): MoveState.RETURNED,
    (MoveState.DRAINED, MoveEvent.SWITCH_ORDERED): MoveState.SWITCHING,
    (MoveState.DRAINED, MoveEvent.RETURN_ORDERED): MoveState.RETURNED,
    (MoveState.SWITCHING, MoveEvent.SWITCHED): MoveState.VERIFYING,
    (MoveState.VERIFYING, MoveEvent.PROVEN): MoveState.DONE,
    (MoveState.VERIFYING, MoveEvent.NOT_PROVEN): MoveState.UNPROVEN,
    (MoveState.UNPROVEN, MoveEvent.VERIFY_ORDERED): MoveState.VERIFYING,
    (MoveState.UNPROVEN, MoveEvent.RETURN_ORDERED): MoveState.RETURNING,
    (MoveState.RETURNING, MoveEvent.RETURNED): MoveState.RETURNED,
}

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def advance(table: Mapping[tuple[S, E], T], state: S, event: E) -> T:
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None
