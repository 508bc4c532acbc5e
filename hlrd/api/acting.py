"""What people do goes into the audit trail before it is done."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from hlrd.api.auth import CALLER, SOURCE
from hlrd.api.operators import demand_right
from hlrd.domain.audit import UNNAMED, Action, Facts, Trail, refused
from hlrd.domain.errors import BadRequest, NotAllowed, Refusal, Unavailable
from hlrd.domain.orders import Source
from hlrd.ports import Submission

TRAIL: Final = web.AppKey("trail", Trail)
OPERATOR: Final = "Operator-Id"
"""The header that names the person, for acts whose body does not."""

_log: Final = structlog.get_logger(__name__)
_OPERATOR: Final = re.compile(r"\A[\x21-\x7e]{1,20}\Z")


@asynccontextmanager
async def acting(
    request: web.Request,
    action: Action,
    subject: str,
    *,
    actor: str | None = None,
    order: int | None = None,
    before: Facts | None = None,
    after: Facts | None = None,
) -> AsyncIterator[None]:
    """Do the act inside. NotAllowed: an operator without the right. Unavailable: nobody could say
    whether he has it, or no row could be written. Of all these nothing is done.

    `subject`: kind and name, as `number:1064800000001`; `after`: what is asked for. An act that is
    then refused gets a second row that says so.
    """
    await allowed(request, action, subject, named=actor, order=order)
    record = _recorder(request, action, subject, actor=actor or person(request), order=order)
    row = await record(before=before, after=after)
    try:
        yield
    except Refusal as refusal:
        await _note(record, refusal, refused(refusal.code, row))
        raise


async def allowed(
    request: web.Request,
    action: Action,
    subject: str,
    *,
    named: str | None = None,
    order: int | None = None,
) -> None:
    """Of an operator's token: that he has the right, and that `named` by the body and whoever the
    header names is he. What he is refused has a row too.
    """
    operator = request[CALLER].operator
    if operator is None:
        return
    try:
        refuse_another(request, named, request.headers.get(OPERATOR))
        await demand_right(request, action, subject)
    except Refusal as refusal:
        record = _recorder(request, action, subject, actor=operator, order=order)
        await _note(record, refusal, {"refused": refusal.code, "right": action})
        raise


async def own(request: web.Request, orders: list[Submission]) -> list[Submission]:
    """Orders as an operator may post them: with the right to, and each under his own name."""
    if request[CALLER].operator is None:
        return orders
    only = orders[0].order if len(orders) == 1 else None
    subject, name = f"orders:{len(orders)}", None
    if only is not None:
        subject, name = f"order:{only.order_id}", only.operator_id
    await allowed(request, Action.ORDER_SUBMIT, subject, named=name)
    return [_own(request, each) for each in orders]


def _own(request: web.Request, submission: Submission) -> Submission:
    if submission.order is None:
        return submission
    try:
        refuse_another(request, submission.order.operator_id)
    except NotAllowed as refusal:
        return Submission(submission.source, None, refusal.at("operator_id"))
    return submission


def refuse_another(request: web.Request, *names: str | None) -> None:
    """Nobody acts under a name that his token does not say. No name is no other."""
    operator = request[CALLER].operator
    if operator is not None and any(name not in (None, operator) for name in names):
        raise NotAllowed("OPERATOR_NOT_YOU", f"your token is {operator}'s; name nobody else")


def _recorder(
    request: web.Request, action: Action, subject: str, *, actor: str, order: int | None
) -> Callable[..., Awaitable[int]]:
    return partial(
        request.app[TRAIL].record,
        actor=actor,
        source=request[SOURCE],
        action=action,
        subject=subject,
        order=order,
    )


async def _note(record: Callable[..., Awaitable[int]], refusal: Refusal, after: Facts) -> None:
    try:
        await record(after=after)
    except Unavailable:
        _log.warning("audit_refusal_not_written", code=refusal.code, **after)


def acting_as_staff(
    request: web.Request,
    action: Action,
    subject: str,
    *,
    actor: str | None = None,
    after: Facts | None = None,
) -> AbstractAsyncContextManager[None]:
    """The same where upstream systems do it too, as part of their business: theirs is no act."""
    if request[SOURCE] is not Source.OPS:
        return nullcontext()
    return acting(request, action, subject, actor=actor, after=after)


def somebody(request: web.Request) -> str:
    """For what need not name anybody: staff, where the token is not an operator's own."""
    return request[CALLER].operator or Source.OPS


def person(request: web.Request) -> str:
    """Who asks: as his own token says, or else the header."""
    if operator := request[CALLER].operator:
        return operator
    name = request.headers.get(OPERATOR)
    if name is None:
        return UNNAMED
    if not _OPERATOR.match(name):
        raise BadRequest("OPERATOR_INVALID", f"{OPERATOR} is 1 to 20 printable characters")
    return name
