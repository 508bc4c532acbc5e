"""What an order leaves behind for people: its receipt (回单), and the trail of its commands.

The trail is kept as bare rows and written out only for who asks: every order has one, and few are
ever looked at.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hlrd.domain.identity import Binding
from hlrd.domain.operation import NO_DETAILS, NOBODY, Cause, Details, Operation, Task
from hlrd.domain.orders import BEIJING


class Receipt(Struct, omit_defaults=True, kw_only=True, gc=False):
    """Times are Beijing time with its offset. Never a key."""

    id: str
    order_id: str  #: upstream's
    type: str
    user_id: str | None = None  #: None for an order of no user
    product: str | None = None
    product_version: int | None = None
    ec_code: str | None = None
    result: str  #: OrderState: succeeded, failed, or fallout in an interim receipt
    received_at: str
    first_command_at: str | None = None
    closed_at: str
    msisdn: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    old_msisdn: str | None = None  #: that a change took off the user
    old_imsi: str | None = None
    old_iccid: str | None = None
    user_state: str | None = None
    effective_level: int | None = None
    remaining_reasons: list[str] | None = None
    rows_ok: int | None = None  #: of a batch, or of all members of an EC: children that succeeded,
    rows_failed: int | None = None  #: that failed or were refused,
    rows_left: int | None = None  #: and that were never handed in
    marks: list[str] = []
    duplicate_of: str | None = None  #: hlrd's id of the order that did the same before
    reply_to: str | None = None  #: the endpoint that the order named for it
    code: str | None = None  #: why it failed, in hlrd's words
    text: str | None = None
    not_done: list[dict[str, str]] = []  #: of one that a person finished: the operations not sent
    ne: str | None = None  #: where it failed, and in whose words
    operation: str | None = None
    ne_class: str | None = None
    ne_code: str | None = None
    ne_text: str | None = None


class CommandTrail(Struct, array_like=True, gc=False):
    intent: str
    at: float  #: seconds of the epoch
    elapsed_s: float | None = None  #: None: not answered yet
    verdict: str = ""
    code: str = ""
    text: str = ""

    def shown(self) -> dict[str, Any]:
        told: dict[str, Any] = {"intent": self.intent, "at": moment(self.at)}
        if self.elapsed_s is not None:
            told["elapsed_ms"] = round(self.elapsed_s * 1000, 3)
            told |= {"verdict": self.verdict, "code": self.code, "text": self.text}
        return told


class TaskTrail(Struct, array_like=True, gc=False):
    operation: Operation
    ne: str
    state: str
    level: int
    template: str
    transaction: str
    cause: Cause
    commands: list[CommandTrail]
    details: Details = NO_DETAILS
    binding: Binding | None = None  #: of a change, whose tasks are about two; without its key

    def shown(self) -> dict[str, Any]:
        told: dict[str, Any] = {"operation": self.operation, "ne": self.ne, "state": self.state}
        if self.details.service:
            told["service"] = self.details.service
        return told | {"commands": [command.shown() for command in self.commands]}


Row = tuple[str, str, str, int, str, str, str, list[tuple[Any, ...]], Details]
"""A `TaskTrail` before it is one: what the hot path makes."""

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(list[TaskTrail])


def row_of_change(task: Task, state: str, commands: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    plain = row(task, state, commands)
    target = task.details.target
    if target is None:
        return (*plain, _without_key(task.binding))
    return (
        *plain[:-1],
        replace(task.details, target=_without_key(target)),
        _without_key(task.binding),
    )


def row(task: Task, state: str, commands: list[tuple[Any, ...]]) -> Row:
    return (
        task.operation,
        task.ne,
        state,
        task.level,
        task.template,
        task.transaction,
        task.cause,
        commands,
        task.details,
    )


def _without_key(binding: Binding) -> Binding:
    return replace(binding, key=NOBODY.key)


def encode(rows: Iterable[tuple[Any, ...]]) -> bytes:
    return _ENCODER.encode(rows)


def encode_receipt(receipt: Receipt) -> bytes:
    return _ENCODER.encode(receipt)


def decode(document: bytes) -> list[TaskTrail]:
    return _DECODER.decode(document)


def moment(epoch_s: float) -> str:
    """Beijing time with its offset, to the millisecond."""
    second = int(epoch_s)
    return f"{_second(second)}.{int((epoch_s - second) * 1000):03d}+08:00"


@lru_cache(maxsize=256)
def _second(epoch_s: int) -> str:
    """Orders that close together have their moments within a few seconds of each other."""
    return datetime.fromtimestamp(epoch_s, BEIJING).strftime("%Y-%m-%dT%H:%M:%S")
