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
    SCHEDULED = "scheduled"  #: 预约: durable, dated ahead; waits in the journal for its time
    PARKED = "parked"  #: 网元挂起: durable, waits in the journal until memory has room
    EXECUTING = "executing"  #: 执行中
    COMPENSATING = "compensating"  #: 回滚中: undoing in reverse order
    FALLOUT = "fallout"  #: 异常: needs a person; blocks its user
    SUCCEEDED = "succeeded"  #: 竣工
    FAILED = "failed"  #: 失败: nothing of it is left on the network
    CANCELLED = "cancelled"  #: 撤单: called off before its first command


class OrderEvent(StrEnum):
    JOURNALED = "journaled"  #: the accept record is durable
    OVERFLOWED = "overflowed"  #: memory is full, or the user has parked orders before it
    DATED_AHEAD = "datedAhead"  #: durable, and its time is to come
    DUE = "due"  #: its time has come
    UNPARKED = "unparked"
    STARTED = "started"  #: it is first within its user
    WITHDRAWN = "withdrawn"  #: before its first command: to be called off, or coalesced
    NEEDLESS = "needless"  #: superseded, coalesced or done by another order: no command
    CANCELLED = "cancelled"  #: by whoever sent it, or by staff
    STEPS_DONE = "stepsDone"
    STEP_FAILED_BACKWARD = "stepFailedBackward"  #: for good, and the kind is undone
    STEP_FAILED_FORWARD = "stepFailedForward"  #: for good, and the kind only goes forward
    UNDONE = "undone"
    UNDO_FAILED = "undoFailed"
    NO_LONGER_POSSIBLE = "noLongerPossible"  #: an earlier order of the user took its ground away
    RELEASED = "released"  #: by staff: to run on, to be taken back, or to count as done
    ROLL_BACK_ORDERED = "rollBackOrdered"  #: by staff, of one that fell out
    FORCED = "forced"  #: by staff: it counts as done (人工竣工)


ORDER: Final[Mapping[tuple[OrderState, OrderEvent], OrderState]] = {
    (OrderState.RECEIVED, OrderEvent.JOURNALED): OrderState.QUEUED,
    (OrderState.RECEIVED, OrderEvent.DATED_AHEAD): OrderState.SCHEDULED,
    (OrderState.SCHEDULED, OrderEvent.DUE): OrderState.PARKED,
    (OrderState.SCHEDULED, OrderEvent.CANCELLED): OrderState.CANCELLED,
    (OrderState.PARKED, OrderEvent.CANCELLED): OrderState.CANCELLED,
    (OrderState.QUEUED, OrderEvent.CANCELLED): OrderState.CANCELLED,
    (OrderState.QUEUED, OrderEvent.NEEDLESS): OrderState.SUCCEEDED,
    (OrderState.EXECUTING, OrderEvent.WITHDRAWN): OrderState.QUEUED,
    (OrderState.QUEUED, OrderEvent.OVERFLOWED): OrderState.PARKED,
    (OrderState.PARKED, OrderEvent.UNPARKED): OrderState.QUEUED,
    (OrderState.QUEUED, OrderEvent.STARTED): OrderState.EXECUTING,
    (OrderState.QUEUED, OrderEvent.NO_LONGER_POSSIBLE): OrderState.FAILED,
    (OrderState.EXECUTING, OrderEvent.STEPS_DONE): OrderState.SUCCEEDED,
    (OrderState.EXECUTING, OrderEvent.STEP_FAILED_BACKWARD): OrderState.COMPENSATING,
    (OrderState.EXECUTING, OrderEvent.STEP_FAILED_FORWARD): OrderState.FALLOUT,
    (OrderState.COMPENSATING, OrderEvent.UNDONE): OrderState.FAILED,
    (OrderState.COMPENSATING, OrderEvent.UNDO_FAILED): OrderState.FALLOUT,
    (OrderState.FALLOUT, OrderEvent.RELEASED): OrderState.QUEUED,
    (OrderState.EXECUTING, OrderEvent.ROLL_BACK_ORDERED): OrderState.COMPENSATING,
    (OrderState.EXECUTING, OrderEvent.FORCED): OrderState.SUCCEEDED,
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
    SKIPPED = "skipped"  #: a person said that it counts as done


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
    PASSED_OVER = "passedOver"  #: by a person's word


TASK: Final[Mapping[tuple[TaskState, TaskEvent], TaskState]] = {
    (TaskState.WAITING, TaskEvent.RELEASED): TaskState.READY,
    (TaskState.WAITING, TaskEvent.DOUBTED): TaskState.IN_DOUBT,
    (TaskState.WAITING, TaskEvent.PASSED_OVER): TaskState.SKIPPED,
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
    RENUMBERED = "renumbered"  #: its user goes on under another one
    CARD_CHANGED = "cardChanged"  #: its user goes on with another card
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
    (NumberState.IN_USE, NumberEvent.RENUMBERED): NumberState.QUARANTINED,
    (NumberState.IN_USE, NumberEvent.CARD_CHANGED): NumberState.IN_USE,
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
    (NumberState.LOCKED, NumberEvent.RENUMBERED): NumberState.LOCKED,
    (NumberState.LOCKED, NumberEvent.CARD_CHANGED): NumberState.LOCKED,
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
    REPLACED = "replaced"  #: its user goes on with another card
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
    (CardState.IN_USE, CardEvent.REPLACED): CardState.SCRAPPED,
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


class ECState(StrEnum):
    """Of one product that an enterprise (EC, 集团客户) has."""

    PENDING = "pending"  #: ordered; not every platform knows it, and members wait
    ACTIVE = "active"  #: members may be opened and may have the product
    ENDING = "ending"  #: being cancelled; no new member


class ECEvent(StrEnum):
    CONFIRMED = "confirmed"  #: every platform took it
    REFUSED = "refused"  #: for good, and what was done is undone
    CANCEL_ORDERED = "cancelOrdered"
    CANCELLED = "cancelled"
    CANCEL_REFUSED = "cancelRefused"  #: it stands as before


EC: Final[Mapping[tuple[ECState, ECEvent], ECState | None]] = {
    (ECState.PENDING, ECEvent.CONFIRMED): ECState.ACTIVE,
    (ECState.PENDING, ECEvent.REFUSED): None,  # the enterprise never had it
    (ECState.ACTIVE, ECEvent.CANCEL_ORDERED): ECState.ENDING,
    (ECState.ENDING, ECEvent.CANCELLED): None,
    (ECState.ENDING, ECEvent.CANCEL_REFUSED): ECState.ACTIVE,
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


class BatchState(StrEnum):
    """批量工单, and the walk over all members of an EC, which begins as running."""

    WAITING = "waiting"  #: its file is on disk; files are checked one after the other
    CHECKING = "checking"  #: every line is read and looked up; nothing is handed in
    RESERVING = "reserving"  #: openings: the numbers and cards of all rows are being reserved
    READY = "ready"  #: its order is handed in, and not begun
    RUNNING = "running"  #: its children are handed in, a bounded number at a time
    PAUSED = "paused"  #: by staff or its source: no more are handed in
    STOPPING = "stopping"  #: cancelled or overtaken: those under way are carried out
    DONE = "done"  #: every child that was handed in is closed
    REFUSED = "refused"  #: nothing was handed in; the cause says why


class BatchEvent(StrEnum):
    STARTED = "started"
    FAULTY = "faulty"  #: its error file names every fault
    CHECKED = "checked"
    LACKING = "lacking"  #: too few numbers or cards
    RESERVED = "reserved"
    BEGUN = "begun"  #: its order has its turn
    PAUSED = "paused"
    RESUMED = "resumed"
    CANCELLED = "cancelled"  #: those not handed in
    OVERTAKEN = "overtaken"  #: a later order of the EC takes back what this one does
    ENDED = "ended"


BATCH: Final[Mapping[tuple[BatchState, BatchEvent], BatchState]] = {
    (BatchState.WAITING, BatchEvent.STARTED): BatchState.CHECKING,
    (BatchState.WAITING, BatchEvent.CANCELLED): BatchState.REFUSED,
    (BatchState.CHECKING, BatchEvent.STARTED): BatchState.CHECKING,  # again, after a crash
    (BatchState.CHECKING, BatchEvent.FAULTY): BatchState.REFUSED,
    (BatchState.CHECKING, BatchEvent.CHECKED): BatchState.RESERVING,
    (BatchState.CHECKING, BatchEvent.CANCELLED): BatchState.REFUSED,
    (BatchState.RESERVING, BatchEvent.LACKING): BatchState.REFUSED,
    (BatchState.RESERVING, BatchEvent.RESERVED): BatchState.READY,
    (BatchState.RESERVING, BatchEvent.CANCELLED): BatchState.REFUSED,
    (BatchState.READY, BatchEvent.BEGUN): BatchState.RUNNING,
    (BatchState.READY, BatchEvent.CANCELLED): BatchState.REFUSED,
    (BatchState.RUNNING, BatchEvent.PAUSED): BatchState.PAUSED,
    (BatchState.RUNNING, BatchEvent.CANCELLED): BatchState.STOPPING,
    (BatchState.RUNNING, BatchEvent.OVERTAKEN): BatchState.STOPPING,
    (BatchState.RUNNING, BatchEvent.ENDED): BatchState.DONE,
    (BatchState.PAUSED, BatchEvent.RESUMED): BatchState.RUNNING,
    (BatchState.PAUSED, BatchEvent.CANCELLED): BatchState.STOPPING,
    (BatchState.PAUSED, BatchEvent.OVERTAKEN): BatchState.STOPPING,
    (BatchState.PAUSED, BatchEvent.ENDED): BatchState.DONE,
    (BatchState.STOPPING, BatchEvent.ENDED): BatchState.DONE,
}


class BulkState(StrEnum):
    """Of an act on many orders of the fallout desk at once."""

    PROPOSED = "proposed"  #: by one person; waits for another
    RUNNING = "running"  #: a bounded number of orders a second
    DONE = "done"
    STOPPED = "stopped"  #: by a person, before it was confirmed or before its end
    EXPIRED = "expired"  #: nobody confirmed it in time


class BulkEvent(StrEnum):
    CONFIRMED = "confirmed"  #: by a second person
    STOPPED = "stopped"
    EXPIRED = "expired"
    ENDED = "ended"  #: the last order that was meant is let go


BULK: Final[Mapping[tuple[BulkState, BulkEvent], BulkState]] = {
    (BulkState.PROPOSED, BulkEvent.CONFIRMED): BulkState.RUNNING,
    (BulkState.PROPOSED, BulkEvent.STOPPED): BulkState.STOPPED,
    (BulkState.PROPOSED, BulkEvent.EXPIRED): BulkState.EXPIRED,
    (BulkState.RUNNING, BulkEvent.STOPPED): BulkState.STOPPED,
    (BulkState.RUNNING, BulkEvent.ENDED): BulkState.DONE,
}


class SheetState(StrEnum):
    """Of a sheet at the EOMS about an order that fell out."""

    WANTED = "wanted"  #: not known to be there yet
    OPEN = "open"  #: people have it
    CLOSING = "closing"  #: it was answered, or its order needs it no longer
    CLOSED = "closed"
    REFUSED = "refused"  #: the EOMS does not take it, or has none to close


class SheetEvent(StrEnum):
    TAKEN = "taken"
    LOST = "lost"  #: the EOMS does not know it any more
    ANSWERED = "answered"
    NEEDLESS = "needless"  #: somebody else let the order go
    REFUSED = "refused"
    CLOSED = "closed"


SHEET: Final[Mapping[tuple[SheetState, SheetEvent], SheetState]] = {
    (SheetState.WANTED, SheetEvent.TAKEN): SheetState.OPEN,
    (SheetState.WANTED, SheetEvent.NEEDLESS): SheetState.CLOSING,
    (SheetState.WANTED, SheetEvent.REFUSED): SheetState.REFUSED,
    (SheetState.OPEN, SheetEvent.LOST): SheetState.WANTED,
    (SheetState.OPEN, SheetEvent.ANSWERED): SheetState.CLOSING,
    (SheetState.OPEN, SheetEvent.NEEDLESS): SheetState.CLOSING,
    (SheetState.CLOSING, SheetEvent.CLOSED): SheetState.CLOSED,
    (SheetState.CLOSING, SheetEvent.REFUSED): SheetState.REFUSED,
}


class DeliveryState(StrEnum):
    PENDING = "pending"  #: on its way, or waits for its next try or for an earlier one of its user
    DELIVERED = "delivered"  #: the endpoint said so
    DEAD = "dead"  #: not taken for 24 hours; staff may send it again


class DeliveryEvent(StrEnum):
    TAKEN = "taken"  #: the endpoint has it
    NOT_TAKEN = "notTaken"  #: refused, not answered, or the endpoint is away: tried again
    GIVEN_UP = "givenUp"  #: the last try of 24 hours failed
    REDELIVERY_ORDERED = "redeliveryOrdered"  #: by staff, or by its source


DELIVERY: Final[Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState]] = {
    (DeliveryState.PENDING, DeliveryEvent.TAKEN): DeliveryState.DELIVERED,
    (DeliveryState.PENDING, DeliveryEvent.NOT_TAKEN): DeliveryState.PENDING,
    (DeliveryState.PENDING, DeliveryEvent.GIVEN_UP): DeliveryState.DEAD,
    (DeliveryState.PENDING, DeliveryEvent.REDELIVERY_ORDERED): DeliveryState.PENDING,
    (DeliveryState.DELIVERED, DeliveryEvent.REDELIVERY_ORDERED): DeliveryState.PENDING,
    (DeliveryState.DEAD, DeliveryEvent.REDELIVERY_ORDERED): DeliveryState.PENDING,
}


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def advance(table: Mapping[tuple[S, E], T], state: S, event: E) -> T:
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None
