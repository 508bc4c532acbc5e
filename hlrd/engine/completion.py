"""How an order closes: its receipt (回单), its trail, and its effect on the user. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from hlrd.domain import trail
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.orders import (
    ProductOrder,
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    UserTerminate,
    user_of,
)
from hlrd.domain.outcome import Verdict
from hlrd.domain.product import Holding, Product
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
        trail=trail_of(order),
        closed_at=now,
        is_final=is_final,
        user=user if is_final and _changes_user(order) else None,
        binding_end=end,
        binding=order.binding if end else None,
        quarantine_days=getattr(order.order, "quarantine_days", None),
        products=_products_after(order) if is_final else None,
        activated=activated(order),
    )


def binding_end(order: OpenOrder) -> BindingEnd | None:
    if order.state is OrderState.SUCCEEDED:
        after = _user_after(order)
        ends = after is not None and after.binding is None and order.binding is not None
        return BindingEnd.TERMINATED if ends else None
    if order.state is not OrderState.FAILED or not order.kind.opens_user:
        return None
    # A number goes back only if nothing of it can be left on the HLR.
    is_clean = not (order.impossible and order.is_doubted) and not _found_different(order.history)
    return BindingEnd.ROLLED_BACK if is_clean else BindingEnd.UNPROVEN


def receipt(order: OpenOrder, user: User | None, now: datetime) -> bytes:
    accepted_s = order.received_at.timestamp()
    body = trail.Receipt(
        id=str(order.id),
        order_id=order.order.order_id,
        type=order.kind.name,
        user_id=user_of(order.user_id),
        result=order.state,
        received_at=trail.moment(accepted_s),
        closed_at=trail.moment(now.timestamp()),
    )
    if order.started is not None:
        body.first_command_at = trail.moment(accepted_s - order.received + order.started)
    if isinstance(order.order, ProductOrder):
        body.product, body.product_version = order.order.product, _version_of(order)
    binding = order.binding
    if binding is not None and order.state is not OrderState.FAILED:
        body.msisdn, body.imsi, body.iccid = binding.msisdn, binding.imsi, binding.iccid
    if user is not None and order.state is OrderState.SUCCEEDED:
        body.user_state = user.state
        body.effective_level = user.level
        body.remaining_reasons = sorted(user.reasons)
    body.marks = _marks(order)
    if order.failure is not None or order.impossible is not None:
        _tell_failure(body, order)
    return trail.encode_receipt(body)


def activated(order: OpenOrder) -> Product | None:
    if order.state is OrderState.SUCCEEDED and isinstance(order.order, ProductPublish):
        return order.order.content()
    return None


def trail_of(order: OpenOrder) -> bytes:
    """Tasks and commands as they went; `trail.decode` reads it."""
    epoch_s = order.received_at.timestamp() - order.received
    return trail.encode(
        [
            trail.row(task.task, task.state, [_command(sent, epoch_s) for sent in _kept(task.sent)])
            for task in order.history
        ]
    )


def _kept(sent: list[Sent]) -> list[Sent]:
    if len(sent) <= TRAIL_COMMANDS_MAX:
        return sent
    half = TRAIL_COMMANDS_MAX // 2
    return sent[:half] + sent[-half:]


def _command(sent: Sent, epoch_s: float) -> tuple[Any, ...]:
    at, outcome = epoch_s + sent.started, sent.outcome
    if outcome is None:
        return (sent.intent, at)
    return (sent.intent, at, sent.elapsed_s, outcome.verdict, outcome.code, outcome.text)


def _tell_failure(body: trail.Receipt, order: OpenOrder) -> None:
    if order.impossible is not None:
        body.code, body.text = order.impossible.code, order.impossible.text
        return
    failed = order.failure
    if failed is None or failed.outcome is None:
        return
    outcome = failed.outcome
    body.code = "NE_REFUSED" if outcome.verdict is Verdict.PERMANENT else "NE_FAILED"
    body.ne, body.operation = failed.task.ne, failed.task.operation
    body.ne_class, body.ne_code, body.ne_text = outcome.verdict, outcome.code, outcome.text


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


def _products_after(order: OpenOrder) -> tuple[Holding, ...] | None:
    after = _user_after(order)
    if after is None or not isinstance(
        order.order, ProductSubscribe | ProductUnsubscribe | UserTerminate
    ):
        return None
    return after.products


def _version_of(order: OpenOrder) -> int | None:
    return getattr(order.order, "product_version", None)


def _changes_user(order: OpenOrder) -> bool:
    """Whether the journal must hold a user row: not for one that is plainly active."""
    assert order.plan is not None or order.state is OrderState.FAILED
    after = _user_after(order)
    if after is None:
        return False
    return not order.kind.opens_user or bool(after.reasons)
