"""Every error of the API in one shape: problem+json (RFC 9457), with a stable code.

A refusal of the domain already carries status, code, text and field; what only HTTP can get wrong
is refused by the classes here, so that one function answers for all.
"""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from hlrd.domain.errors import BadRequest, Busy, NotFound, Refusal, Unauthorized

CONTENT_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:hlrd:problem:"


class MethodNotAllowed(Refusal):
    status: ClassVar[int] = 405


class TooSlow(Refusal):
    status: ClassVar[int] = 408


class BrokenBody(BadRequest):
    """Nobody knows where the next request would begin."""


class TooLarge(Refusal):
    status: ClassVar[int] = 413


class WrongMediaType(Refusal):
    status: ClassVar[int] = 415


class Failure(Refusal):
    """A bug of ours, as the client may see it; the log holds the rest."""

    status: ClassVar[int] = 500


class Fault(Struct):
    """One of several things wrong with one body."""

    field: str
    detail: str


class BadContent(BadRequest):
    """Several things are wrong at once; each is named in `errors`."""

    def __init__(self, code: str, detail: str, errors: Sequence[Fault]) -> None:
        super().__init__(code, detail)
        self.errors = errors


class Problem(Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str = ""
    retry_after_s: float | None = None
    errors: Sequence[Fault] = ()


def describe(refusal: Refusal) -> Problem:
    return Problem(
        type=_TYPE + refusal.code.lower().replace("_", "-"),
        title=refusal.code.replace("_", " ").capitalize(),
        status=refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        field=refusal.field,
        retry_after_s=refusal.retry_after_s if isinstance(refusal, Busy) else None,
        errors=refusal.errors if isinstance(refusal, BadContent) else (),
    )


def respond(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    response = web.Response(
        status=refusal.status,
        body=msgspec.json.encode(describe(refusal)),
        content_type=CONTENT_TYPE,
        headers=headers,
    )
    if isinstance(refusal, Busy):
        response.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(refusal.retry_after_s)))
    elif isinstance(refusal, Unauthorized):
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="hlrd"'
    elif isinstance(refusal, TooSlow | BrokenBody):
        response.force_close()
    return response


def respond_to(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals: no such path, no such method, a body above the limit."""
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = error.headers.get(hdrs.ALLOW, "")
        refusal = MethodNotAllowed("METHOD_NOT_ALLOWED", f"this path takes {allowed}")
        return respond(refusal, {hdrs.ALLOW: allowed})
    return respond(_refusal_of(error))


def _refusal_of(error: web.HTTPException) -> Refusal:
    if error.status == HTTPStatus.NOT_FOUND:
        return NotFound("PATH_UNKNOWN", "no such path; docs/api.md lists them")
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge("BODY_TOO_LARGE", "the body is above the limit: send several")
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BadRequest("HTTP_INVALID", error.reason)
    return Failure("INTERNAL", "hlrd failed; the log says how")
