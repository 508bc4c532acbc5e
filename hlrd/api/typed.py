"""Queries and small JSON bodies, typed both ways; a misspelt parameter is refused, not ignored."""

import json
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from hlrd.api.body import JSON
from hlrd.api.decode import refuse_repeated
from hlrd.domain.errors import BadRequest
from hlrd.domain.orders import refusal_of

T = TypeVar("T")


def parse(request: web.Request, shape: type[T]) -> T:
    given = dict(request.query)
    if len(given) != len(request.query):
        raise BadRequest("PARAMETER_TWICE", "a query parameter comes twice")
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None


def as_json(
    document: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(body=document, status=status, content_type=JSON, headers=headers)


def parse_json(document: bytes, shape: type[T]) -> T:
    try:
        decoded = msgspec.json.decode(document, type=shape)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("JSON_INVALID", f"not a JSON document: {error}") from None
    json.loads(document, object_pairs_hook=refuse_repeated)
    return decoded
