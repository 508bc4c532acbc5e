"""One order as people and upstream systems may see it: masked commands, no key."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from hlrd.domain import trail
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.operation import Task
from hlrd.domain.orders import BEIJING, user_of
from hlrd.domain.suspension import Level
from hlrd.domain.trail import TaskTrail
from hlrd.store.record import OrderRecord

_ENCODER: Final = msgspec.json.Encoder()

_WAITS: Final = frozenset({TaskState.READY, TaskState.IN_DOUBT})
"""For their NE, and not for another task or a time of their own."""

_NOT_STARTED: Final = frozenset({OrderState.QUEUED, OrderState.PARKED})


class LackOf(Protocol):
    def __call__(
        self, kind: str, payload: bytes, /, *, is_bound: bool
    ) -> Mapping[str, Any] | None: ...


class Resources(Struct):
    msisdn: str
    imsi: str
    iccid: str
    hlr: str
    province: str


class _Told(Struct):
    """Of a receipt."""

    msisdn: str | None = None
    imsi: str | None = None


class Order(Struct):
    id: str
    source: str
    order_id: str
    type: str
    state: str
    user_id: str | None  #: None for an order of no user
    operator_id: str
    session: str | None  #: that it came by
    priority: int
    accepted_at: datetime
    closed_at: datetime | None
    resources: Resources | None  #: its user's number and card
    order: msgspec.Raw  #: as it was posted, without its Ki
    amended: msgspec.Raw | None  #: as staff changed it, where they did: what is carried out
    receipts: Sequence[msgspec.Raw]  #: interim ones first
    tasks: Sequence[Mapping[str, Any]]  #: so far; empty while the order waits its turn
    waits: Mapping[str, Any] | None  #: why it is not started


def order(
    record: OrderRecord,
    live: Mapping[str, Any] | None,
    *,
    masked: Callable[[Task], str | None],
    obstacle: Callable[[str], Mapping[str, Any] | None],
    hold_of: Callable[[Binding | None], Mapping[str, Any] | None],
    lack_of: LackOf,
) -> bytes:
    """`hold_of` says why no order of a binding is started, `lack_of` what a parked order has not,
    `obstacle` why what waits for an NE is not sent. `live` is the order as it stands in memory, if
    it does; else the journal's word holds.

    Of a fallout memory knows the state only; what led to it came with its interim receipt.
    """
    document = (live or {}).get("trail") or record.trail
    tasks = [] if document is None else trail.decode(document)
    state = record.state if live is None else str(live["state"])
    is_live = bool(live and live.get("trail"))
    binding = record.binding if _has_it_still(record) else None
    view = Order(
        id=str(record.id),
        source=record.source,
        order_id=record.order_id,
        type=record.kind,
        state=state,
        user_id=user_of(record.user_id),
        operator_id=record.operator_id,
        session=record.session,
        priority=record.priority,
        accepted_at=record.accepted_at.astimezone(BEIJING),
        closed_at=record.closed_at and record.closed_at.astimezone(BEIJING),
        resources=_resources(record.binding),
        order=msgspec.Raw(record.payload),
        amended=None if record.amended is None else msgspec.Raw(record.amended),
        receipts=[msgspec.Raw(receipt) for receipt in record.receipts],
        tasks=[
            {
                **_with_request(task, task.binding or binding, masked),
                **(_with_obstacle(task, obstacle) if is_live else {}),
            }
            for task in tasks
        ],
        waits=_waits(record, live, state, hold_of, lack_of),
    )
    return _ENCODER.encode(view)


def _waits(
    record: OrderRecord,
    live: Mapping[str, Any] | None,
    state: str,
    hold_of: Callable[[Binding | None], Mapping[str, Any] | None],
    lack_of: LackOf,
) -> Mapping[str, Any] | None:
    if state == OrderState.SCHEDULED and record.scheduled_for is not None:
        return {"reason": "EFFECTIVE_TIME", "until": record.scheduled_for.astimezone(BEIJING)}
    if state not in _NOT_STARTED:
        return None
    waits = hold_of(record.binding) or (live or {}).get("waits")
    if waits is None and state == OrderState.PARKED:
        payload = record.payload if record.amended is None else record.amended
        return lack_of(record.kind, payload, is_bound=record.binding is not None)
    return waits


def _has_it_still(record: OrderRecord) -> bool:
    """The user has the number and the card that he had when the order closed."""
    if not record.receipts or record.binding is None:
        return True
    told = msgspec.json.decode(record.receipts[-1], type=_Told)
    now = record.binding
    return told.msisdn in (None, now.msisdn) and told.imsi in (None, now.imsi)


def _with_request(
    task: TaskTrail, binding: Binding | None, masked: Callable[[Task], str | None]
) -> Mapping[str, Any]:
    """The journal keeps no command text, as the dialect can write it again."""
    if binding is None:
        return task.shown()
    request = masked(
        Task(
            operation=task.operation,
            ne=task.ne,
            binding=binding,
            cause=task.cause,
            level=Level(task.level),
            template=task.template,
            transaction=task.transaction,
            details=task.details,
        )
    )
    return {**task.shown(), "request": request}


def _with_obstacle(
    task: TaskTrail, obstacle: Callable[[str], Mapping[str, Any] | None]
) -> Mapping[str, Any]:
    hinders = obstacle(task.ne) if task.state in _WAITS else None
    return {} if hinders is None else {"waits": hinders}


def _resources(binding: Binding | None) -> Resources | None:
    if binding is None:
        return None
    return Resources(binding.msisdn, binding.imsi, binding.iccid, binding.hlr, binding.province)
