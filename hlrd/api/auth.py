"""Who asks: told by a bearer token (RFC 6750), never by a body.

A token is one of the configuration, one that a source system was given when it logged in, or one
that an operator got elsewhere. They are asked for in this order, and only the last may wait.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from hlrd.api.seam import Sessions
from hlrd.domain.errors import NotAllowed, Unauthorized
from hlrd.domain.orders import Source

SOURCE: Final = web.RequestKey("source", Source)

LOGIN: Final = "/v1/sessions"
"""POST there is the one request that has no token yet."""

_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a token speaks for."""

    source: Source
    operator: str | None = None  #: the person, if the token is an operator's own
    session: str | None = None  #: id of the session, if it is of one


class Operator(Protocol):
    """A person who asks in his own name; always one of the staff."""

    @property
    def name(self) -> str: ...


CALLER: Final = web.RequestKey("caller", Caller)
PERSON: Final = web.RequestKey("person", Operator)
"""Set for an operator's own token alone, as its checker gave it."""

OperatorOf = Callable[[str], Awaitable[Operator | None]]
"""Whose token this is; None: nobody's. A Refusal: it is somebody's, and of no use now."""


class Tokens:
    """Holds digests only. A token is looked up by its SHA-256, so the time of a comparison tells
    nothing about any token that a guess could be built on."""

    def __init__(self, tokens: Iterable[tuple[Source, str]]) -> None:
        self._callers = {digest(token): Caller(source) for source, token in tokens}

    def caller(self, digest: bytes) -> Caller | None:
        return self._callers.get(digest)


def authenticate(
    tokens: Tokens, *, sessions: Sessions, operator_of: OperatorOf | None = None
) -> Middleware:
    """Every path below /v1/ wants a token, whether it exists or not; only a login has none."""

    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1/") and not _is_login(request):
            token = _token(request.headers.get(hdrs.AUTHORIZATION))
            caller = _known(tokens, sessions, digest(token))
            if caller is None and operator_of is not None:
                caller = await _operator(request, operator_of, token)
            if caller is None:
                raise Unauthorized("TOKEN_UNKNOWN", "nobody has this token now; log in (anew)")
            request[CALLER] = caller
            request[SOURCE] = caller.source
        return await handler(request)

    return authenticated


def demand(request: web.Request, *allowed: Source) -> None:
    if request[SOURCE] not in allowed:
        raise NotAllowed("SOURCE_NOT_ALLOWED", f"this is open to {', '.join(allowed)} only")


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _is_login(request: web.Request) -> bool:
    return request.path == LOGIN and request.method == hdrs.METH_POST


def _token(authorization: str | None) -> str:
    if authorization is None or not authorization[: len(_SCHEME)].lower() == _SCHEME:
        raise Unauthorized("TOKEN_MISSING", "send Authorization: Bearer and your token")
    return authorization[len(_SCHEME) :].strip()


def _known(tokens: Tokens, sessions: Sessions, digest: bytes) -> Caller | None:
    caller = tokens.caller(digest)
    if caller is not None:
        return caller
    session = sessions.heard(digest)
    return None if session is None else Caller(session.source, session=session.id)


async def _operator(request: web.Request, operator_of: OperatorOf, token: str) -> Caller | None:
    operator = await operator_of(token)
    if operator is None:
        return None
    request[PERSON] = operator
    return Caller(Source.OPS, operator=operator.name)
