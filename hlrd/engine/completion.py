"""How an order closes: its receipt (回单), its trail, and its effect on the user. Pure."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from hlrd.domain import suspension
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.order import BEIJING
from hlrd.domain.outcome import Verdict
from hlrd.domain.user import User
from hlrd.engine.book import OpenOrder, OpenTask, Sent
from hlrd.ports import BindingEnd, Closing

FOLLOW_UP_MISSING: Final = "FOLLOW_UP_MISSING"
TRAIL_COMMANDS_MAX: Final = 20
"""Commands of one task kept in its trail, the first and the last ones; a long outage makes many."""


def closing(order: OpenOrder, now: datetime) -> Closing:
    """The record that closes `order`, or for a fallout its interim receipt."""
    is_final = order.state is not OrderState.FALLOUT
    end = binding_end(order)
    user = _user_after(order)
    return Closing(
        order_id=order.id,
        source=order.source,
        user_id=order.user_id,
        state=order.state,
        receipt=receipt(order, user, now),
        trail=orjson.dumps(trail(order)),
        closed_at=now,
        is_final=is_final,
        user=user if is_final and _changes_user(order) else None,
        binding_end=end,
        binding=order.binding if end else None,
        quarantine_days=getattr(order.order, "quarantine_days", None),
    )


def binding_end(order: OpenOrder) -> BindingEnd | None:
    if order.state is OrderState.SUCCEEDED:
        ends = (
            order.plan is not None and order.plan.user.binding is None and order.binding is not None
        )
        return BindingEnd.TERMINATED if ends else None
    if order.state is not OrderState.FAILED or not order.kind.opens_user:
        return None
    # A number goes back only if nothing of it can be left on the HLR.
    is_clean = not (order.impossible and order.is_doubted) and not _found_different(order.history)
    return BindingEnd.ROLLED_BACK if is_clean else BindingEnd.UNPROVEN


def receipt(order: OpenOrder, user: User | None, now: datetime) -> bytes:
    body: dict[str, Any] = {
        "id": str(order.id),
        "order_id": order.order.order_id,
        "type": order.kind.name,
        "user_id": order.user_id,
        "result": order.state,
        "received_at": moment(order.received_at),
        "closed_at": moment(now),
    }
    if order.started is not None:
        body["first_command_at"] = _text(_epoch_s(order) + order.started)
    if order.binding is not None and order.state is not OrderState.FAILED:
        body["msisdn"] = order.binding.msisdn
        body["imsi"] = order.binding.imsi
        body["iccid"] = order.binding.iccid
    if user is not None and order.state is OrderState.SUCCEEDED:
        body["user_state"] = user.state
        body["effective_level"] = int(suspension.effective(user.reasons))
        body["remaining_reasons"] = sorted(user.reasons)
    marks = _marks(order)
    if marks:
        body["marks"] = marks
    body.update(_failure(order))
    return orjson.dumps(body)


def trail(order: OpenOrder) -> list[dict[str, Any]]:
    """Tasks and their commands as they went. No request text: the dialect can write it again."""
    epoch_s = _epoch_s(order)
    return [
        {
            "operation": task.task.operation,
            "ne": task.task.ne,
            "state": task.state,
            "level": int(task.task.level),
            "template": task.task.template,
            "transaction": task.task.transaction,
            "cause": task.task.cause,
            "commands": [_command(sent, epoch_s) for sent in _kept(task.sent)],
        }
        for task in order.history
    ]


def moment(when: datetime) -> str:
    """Beijing time with its offset, to the millisecond."""
    return _text(when.timestamp())


def _text(epoch_s: float) -> str:
    second = int(epoch_s)
    return f"{_second(second)}.{int((epoch_s - second) * 1000):03d}+08:00"


@lru_cache(maxsize=256)
def _second(epoch_s: int) -> str:
    """Orders that close together have their moments within a few seconds of each other."""
    return datetime.fromtimestamp(epoch_s, BEIJING).strftime("%Y-%m-%dT%H:%M:%S")


def _epoch_s(order: OpenOrder) -> float:
    """What turns monotonic seconds of the order's course into seconds of the epoch."""
    return order.received_at.timestamp() - order.received


def _kept(sent: list[Sent]) -> list[Sent]:
    if len(sent) <= TRAIL_COMMANDS_MAX:
        return sent
    half = TRAIL_COMMANDS_MAX // 2
    return sent[:half] + sent[-half:]


def _command(sent: Sent, epoch_s: float) -> dict[str, Any]:
    command: dict[str, Any] = {"intent": sent.intent, "at": _text(epoch_s + sent.started)}
    if sent.outcome is not None:
        command["elapsed_ms"] = round(sent.elapsed_s * 1000, 3)
        command["verdict"] = sent.outcome.verdict
        command["code"] = sent.outcome.code
        command["text"] = sent.outcome.text
    return command


def _failure(order: OpenOrder) -> dict[str, str]:
    if order.impossible is not None:
        return {"code": order.impossible.code, "text": order.impossible.text}
    failed = order.failure
    if failed is None or failed.outcome is None:
        return {}
    return {
        "code": "NE_REFUSED" if failed.outcome.verdict is Verdict.PERMANENT else "NE_FAILED",
        "ne": failed.task.ne,
        "operation": failed.task.operation,
        "ne_class": failed.outcome.verdict,
        "ne_code": failed.outcome.code,
        "ne_text": failed.outcome.text,
    }


def _marks(order: OpenOrder) -> list[str]:
    marks: list[str] = list(order.plan.marks) if order.plan else []
    if any(task.is_follow_up and task.state is TaskState.FAILED for task in order.history):
        marks.append(FOLLOW_UP_MISSING)
    return marks


def _found_different(history: Iterable[OpenTask]) -> bool:
    return any(
        task.outcome is not None and task.outcome.verdict is Verdict.DIFFERENT for task in history
    )


def _user_after(order: OpenOrder) -> User | None:
    if order.state is OrderState.SUCCEEDED and order.plan is not None:
        return order.plan.user
    return None


def _changes_user(order: OpenOrder) -> bool:
    """Whether the journal must hold a user row: not for one that is plainly active."""
    assert order.plan is not None or order.state is OrderState.FAILED
    if order.state is not OrderState.SUCCEEDED or order.plan is None:
        return False
    return not order.kind.opens_user or bool(order.plan.user.reasons)
