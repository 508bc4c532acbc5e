"""One order as people and upstream systems may see it: masked commands, no key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from hlrd.api.seam import OrderRecord
from hlrd.domain.identity import Binding

_ENCODER: Final = msgspec.json.Encoder()


class Resources(Struct):
    msisdn: str
    imsi: str
    iccid: str
    hlr: str
    province: str


class Order(Struct):
    id: str
    source: str
    order_id: str
    type: str
    state: str
    user_id: str
    operator_id: str
    priority: int
    accepted_at: datetime
    closed_at: datetime | None
    resources: Resources | None  #: what this order drew or bound
    order: msgspec.Raw  #: as it was posted, without its Ki
    receipts: Sequence[msgspec.Raw]  #: interim ones first
    trail: msgspec.Raw | None  #: tasks and commands as they went, once closed
    live: Mapping[str, object] | None  #: state and tasks as they stand in memory, while open


def order(record: OrderRecord, live: Mapping[str, object] | None) -> bytes:
    view = Order(
        id=str(record.id),
        source=record.source,
        order_id=record.order_id,
        type=record.kind,
        state=str((live or {}).get("state", record.state)),
        user_id=record.user_id,
        operator_id=record.operator_id,
        priority=record.priority,
        accepted_at=record.accepted_at,
        closed_at=record.closed_at,
        resources=_resources(record.binding),
        order=msgspec.Raw(record.payload),
        receipts=[msgspec.Raw(receipt) for receipt in record.receipts],
        trail=None if record.trail is None else msgspec.Raw(record.trail),
        live=live,
    )
    return _ENCODER.encode(view)


def _resources(binding: Binding | None) -> Resources | None:
    if binding is None:
        return None
    return Resources(binding.msisdn, binding.imsi, binding.iccid, binding.hlr, binding.province)
