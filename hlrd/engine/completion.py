"""How an order closes: its receipt (回单), its trail, and its effect on the user. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, get_args

from msgspec.structs import replace

from hlrd.domain import trail
from hlrd.domain.fallout import FORCED, STEP_SKIPPED, Fall, Release, Way
from hlrd.domain.group import Partner
from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import OrderState, TaskState
from hlrd.domain.orders import (
    ProductPublish,
    ProductSubscribe,
    ProductUnsubscribe,
    UserTerminate,
    user_of,
)
from hlrd.domain.orders.group import OfMember, PartnerMemberImport
from hlrd.domain.outcome import Verdict
from hlrd.domain.plans.plan import Mark
from hlrd.domain.product import Holding, Product
from hlrd.domain.turn import steps_of
from hlrd.domain.user import User
from hlrd.engine.book import OpenOrder, OpenTask, Sent
from hlrd.ports import BindingEnd, ClaimEnd, Closing, Intent

_CHANGES_PRODUCTS: Final = frozenset(
    (ProductSubscribe, ProductUnsubscribe, UserTerminate, *get_args(OfMember))
)

CANCELLED_BY_STAFF: Final = "CANCELLED_BY_STAFF"
FOLLOW_UP_MISSING: Final = "FOLLOW_UP_MISSING"
NUMBER_LOCKED: Final = "NUMBER_LOCKED"
"""Mark of a failed opening: nothing proves that the HLR has no record of its number."""

_SUCCEEDED: Final = OrderState.SUCCEEDED  # looking a member up in its enum takes ten times as long
_DONE: Final = TaskState.DONE
_NOTHING_LEFT: Final = frozenset({OrderState.FAILED, OrderState.CANCELLED})
TRAIL_COMMANDS_MAX: Final = 20
"""Commands of one task kept in its trail, the first and the last ones; a long outage makes many."""


def closing(order: OpenOrder, now: datetime, fall: Fall | None = None) -> Closing:
    """The record that closes `order`, or for a fallout (`fall`) its interim receipt."""
    is_final = fall is None
    user = _user_after(order)
    end = _binding_end(order, user)
    plain = Closing(  # beyond 30, with keywords counted twice, CPython packs arguments: 2 us a call
        order.id,
        order.source,
        order.user_id,
        order.state,
        receipt(order, user, now),
        trail_of(order),
        now,
        is_final,
        user=user if is_final and _changes_user(order, user) else None,
        binding_end=end,
        binding=order.binding if end else None,
        claim_end=_claim_end(order, user) if is_final else None,
        quarantine_days=getattr(order.order, "quarantine_days", None),
        products=_products_after(order, user) if is_final else None,
        joins=user.member if user is not None and order.kind.opens_user else None,
        leaves_ec=order.state is _SUCCEEDED and _leaves_ec(order),
        leaves_fallout=is_final and order.release is not None,
        applied=steps_of(order) if is_final else (),
        was_dated=is_final and order.due_at is not None,
    )
    if fall is None and order.kind.is_of_user:
        return plain
    return replace(plain, activated=activated(order), partner=_partner(order), fall=fall)


def _binding_end(order: OpenOrder, after: User | None) -> BindingEnd | None:
    if order.state is _SUCCEEDED:
        ends = after is not None and after.binding is None and order.binding is not None
        return BindingEnd.TERMINATED if ends else None
    if order.state not in _NOTHING_LEFT or not order.kind.opens_user:
        return None
    return _taken_back(order)


def _claim_end(order: OpenOrder, after: User | None) -> ClaimEnd | None:
    """One that was needless, as a duplicate is, succeeds without it."""
    if order.claim is None:
        return None
    is_made = after is not None and after.binding != order.binding
    return ClaimEnd(order.claim, order.binding, None if is_made else _taken_back(order))


def _taken_back(order: OpenOrder) -> BindingEnd:
    """A number or card goes back only if nothing of it can be left on the HLR."""
    is_clean = not (order.impossible and order.is_doubted) and not any(
        _leaves_doubt(task) for task in order.history
    )
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
    if not order.kind.opens_user:
        body.ec_code = getattr(order.order, "ec_code", None)
        body.product, body.product_version = _product_of(order), _version_of(order)
    if order.binding is not None and order.state not in _NOTHING_LEFT:
        _tell_binding(body, order.binding, user)
    if user is not None:
        body.user_state = user.state
        body.effective_level = user.level
        body.remaining_reasons = sorted(user.reasons)
    body.marks = _marks(order)
    if order.repeat_of is not None and Mark.DUPLICATE_OF in body.marks:
        body.duplicate_of = str(order.repeat_of)
    body.reply_to = order.order.reply_to
    if order.kind.is_fan_out:
        _tell_counts(body, order)
    if order.failure is not None or order.impossible is not None:
        _tell_failure(body, order)
    elif order.release is not None:
        _tell_release(body, order, order.release)
    return trail.encode_receipt(body)


def _tell_counts(body: trail.Receipt, order: OpenOrder) -> None:
    for task in order.history:
        counts = task.outcome.counts if task.outcome else None
        if counts is not None:
            body.rows_ok, body.rows_failed, body.rows_left = counts.ok, counts.failed, counts.left
            body.marks += [counts.mark] if counts.mark else []


def _tell_binding(body: trail.Receipt, was: Binding, after: User | None) -> None:
    now = (after and after.binding) or was
    body.msisdn, body.imsi, body.iccid = now.msisdn, now.imsi, now.iccid
    if now.msisdn != was.msisdn:
        body.old_msisdn = was.msisdn
    if now.iccid != was.iccid:
        body.old_imsi, body.old_iccid = was.imsi, was.iccid


def activated(order: OpenOrder) -> Product | None:
    if type(order.order) is ProductPublish and order.state is _SUCCEEDED:
        return order.order.content()
    return None


def _leaves_ec(order: OpenOrder) -> bool:
    return order.plan is not None and order.plan.leaves_ec


def _partner(order: OpenOrder) -> Partner | None:
    if type(order.order) is PartnerMemberImport and order.state is _SUCCEEDED:
        return order.order.content()
    return None


def trail_of(order: OpenOrder) -> bytes:
    """Tasks and commands as they went; `trail.decode` reads it."""
    epoch_s = order.received_at.timestamp() - order.received
    row = trail.row if order.claim is None else trail.row_of_change
    return trail.encode(
        [
            row(task.task, task.state, [_command(sent, epoch_s) for sent in _kept(task.sent)])
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


def _tell_release(body: trail.Receipt, order: OpenOrder, release: Release) -> None:
    if release.way is Way.CANCEL:
        body.code, body.text = CANCELLED_BY_STAFF, release.reason
    elif release.way is Way.FINISH:
        body.text = release.reason
        body.not_done = [
            {"operation": task.task.operation, "ne": task.task.ne}
            for task in order.history
            if task.state is not _DONE
        ]


def _marks(order: OpenOrder) -> list[str]:
    marks: list[str] = [*order.marks, *order.plan.marks] if order.plan else []
    not_done = [task for task in order.history if task.state is not _DONE]
    if not_done or order.release is not None:
        marks += _shortfalls(order, not_done)
    if order.kind.reads_first and order.state is _SUCCEEDED and _was_in_order(order):
        marks.append(Mark.NO_CHANGE)
    if order.state is not _SUCCEEDED and _binding_end(order, None) is BindingEnd.UNPROVEN:
        marks.append(NUMBER_LOCKED)
    return marks


def _shortfalls(order: OpenOrder, not_done: Sequence[OpenTask]) -> Iterator[str]:
    if any(task.state is TaskState.SKIPPED for task in not_done):
        yield STEP_SKIPPED
    if order.state is _SUCCEEDED and _way_of(order) is Way.FINISH:
        yield FORCED
    if any(task.is_follow_up and task.state is TaskState.FAILED for task in not_done):
        yield FOLLOW_UP_MISSING


def _was_in_order(order: OpenOrder) -> bool:
    """Nothing was sent but queries."""
    return all(sent.intent is Intent.READ_BACK for task in order.history for sent in task.sent)


def _leaves_doubt(task: OpenTask) -> bool:
    if task.state is TaskState.SKIPPED:
        return True  # a person's word proves nothing of the HLR
    return task.outcome is not None and task.outcome.verdict is Verdict.DIFFERENT


def _way_of(order: OpenOrder) -> Way | None:
    return None if order.release is None else order.release.way


def _user_after(order: OpenOrder) -> User | None:
    if order.state is _SUCCEEDED and order.plan is not None:
        return order.plan.user
    return None


def _products_after(order: OpenOrder, after: User | None) -> tuple[Holding, ...] | None:
    if after is None or type(order.order) not in _CHANGES_PRODUCTS:
        return None
    return after.products


def _product_of(order: OpenOrder) -> str | None:
    return getattr(order.order, "product", None)


def _version_of(order: OpenOrder) -> int | None:
    return getattr(order.order, "product_version", None)


def _changes_user(order: OpenOrder, after: User | None) -> bool:
    """Whether the journal must hold a user row: not for one that is plainly active."""
    assert order.plan is not None or order.state in _NOTHING_LEFT
    if after is None:
        return False
    return not order.kind.opens_user or bool(after.reasons)
