"""What people do goes into the audit trail before it is done."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from hlrd.api.auth import SOURCE
from hlrd.domain.audit import UNNAMED, Action, Facts, Trail, refused
from hlrd.domain.errors import BadRequest, Refusal, Unavailable
from hlrd.domain.orders import Source

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
    """Do the act inside. Unavailable: no row could be written, so nothing is done.

    `subject`: kind and name, as `number:1064800000001`; `after`: what is asked for. An act that is
    then refused gets a second row that says so.
    """
    record = partial(
        request.app[TRAIL].record,
        actor=actor or named(request),
        source=request[SOURCE],
        action=action,
        subject=subject,
        order=order,
    )
    row = await record(before=before, after=after)
    try:
        yield
    except Refusal as refusal:
        try:
            await record(after=refused(refusal.code, row))
        except Unavailable:
            _log.warning("audit_refusal_not_written", row=row, action=action, code=refusal.code)
        raise


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


def named(request: web.Request) -> str:
    """Who asks, as the header says."""
    name = request.headers.get(OPERATOR)
    if name is None:
        return UNNAMED
    if not _OPERATOR.match(name):
        raise BadRequest("OPERATOR_INVALID", f"{OPERATOR} is 1 to 20 printable characters")
    return name
