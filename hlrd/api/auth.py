"""Who asks: the source system is told by its bearer token (RFC 6750), never by a body."""

import hashlib
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from hlrd.api.problem import Unauthorized
from hlrd.domain.errors import NotAllowed
from hlrd.domain.orders import Source

SOURCE: Final = web.RequestKey("source", Source)

_SCHEME: Final = "bearer "


class Tokens:
    """Holds digests only. A token is looked up by its SHA-256, so the time of a comparison tells
    nothing about any token that a guess could be built on."""

    def __init__(self, tokens: Iterable[tuple[Source, str]]) -> None:
        self._sources = {_digest(token): source for source, token in tokens}

    def source(self, authorization: str | None) -> Source:
        if authorization is None or not authorization[: len(_SCHEME)].lower() == _SCHEME:
            raise Unauthorized("TOKEN_MISSING", "send Authorization: Bearer and your token")
        source = self._sources.get(_digest(authorization[len(_SCHEME) :].strip()))
        if source is None:
            raise Unauthorized("TOKEN_UNKNOWN", "this token belongs to no source system")
        return source


def authenticate(tokens: Tokens) -> Middleware:
    """Every path below /v1/ wants a token, whether it exists or not."""

    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            request[SOURCE] = tokens.source(request.headers.get(hdrs.AUTHORIZATION))
        return await handler(request)

    return authenticated


def demand(request: web.Request, *allowed: Source) -> None:
    if request[SOURCE] not in allowed:
        raise NotAllowed("SOURCE_NOT_ALLOWED", f"this is open to {', '.join(allowed)} only")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
