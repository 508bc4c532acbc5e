"""Operators in their own name: whose token it is, and whether he may.

Without the right nothing is done. What only looks is asked about here; each act passes `acting`.
"""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from hlrd import metrics
from hlrd.api.auth import CALLER, OperatorOf
from hlrd.api.seam import Operators
from hlrd.codec.token import Cause, TokenInvalid
from hlrd.domain.errors import NotAllowed, Refusal, Unauthorized
from hlrd.domain.rights import READ, Operator

OPERATORS: Final = web.AppKey("operators", Operators)

_LOOKS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


def operator_of(operators: Operators) -> OperatorOf:
    async def known(token: str) -> Operator | None:
        try:
            return operators.operator(token)
        except TokenInvalid as invalid:
            raise _unauthorized(invalid.cause) from None

    return known


def _unauthorized(cause: Cause) -> Unauthorized:
    if cause is Cause.EXPIRED:
        return Unauthorized("TOKEN_EXPIRED", "your token has expired; log in at the SSO anew")
    return Unauthorized("TOKEN_INVALID", f"no token of the SSO for hlrd: {_WRONG[cause]}")


_WRONG: Final = {
    Cause.FORM: "it is not of the form, or lacks a claim",
    Cause.KEY: "it is signed by no key that hlrd knows, or not as that key signs",
    Cause.SIGNATURE: "the signature is not that of the key",
    Cause.ISSUER: "it was issued by somebody else",
    Cause.AUDIENCE: "it is meant for another system",
    Cause.EARLY: "it is not valid yet",
}


def looking() -> Middleware:
    """An operator who looks needs the right to. To be asked once it is known who asks."""

    @web.middleware
    async def looked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _LOOKS and CALLER in request:
            await demand_right(request, READ, request.path)
        return await handler(request)

    return looked


async def demand_right(request: web.Request, right: str, subject: str) -> None:
    """NotAllowed: he has not that right. Unavailable: nobody can say now. Who does not ask in his
    own name, with a token of the configuration or of a session, has the rights of his source.
    """
    operator = request[CALLER].operator
    if operator is None:
        return
    try:
        if not await request.app[OPERATORS].may(operator, right, subject):
            raise NotAllowed("RIGHT_MISSING", f"{operator} has not the right {right}")
    except Refusal as refusal:
        metrics.RIGHTS_REFUSED.labels(right, refusal.code).inc()
        raise
