"""Request bodies: bounded in bytes, in time, and in what all of them together hold in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from hlrd import limits
from hlrd.api.problem import BrokenBody, TooSlow, WrongMediaType
from hlrd.domain.errors import Unavailable

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})


class Bodies:
    """A body counts from its first byte until its reader has made of it what it wants."""

    def __init__(
        self,
        *,
        bytes_max: int = limits.BODIES_BYTES_MAX,
        read_timeout_s: float = limits.BODY_READ_TIMEOUT_S,
    ) -> None:
        self._bytes_max = bytes_max
        self._read_timeout_s = read_timeout_s
        self._bytes_held = 0

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[bytes]:
        expected = _expected_bytes(request)
        if self._bytes_held + expected > self._bytes_max:
            raise Unavailable("BODIES_FULL", "too many bodies are being read at once", 1.0)
        self._bytes_held += expected
        try:
            yield await self._read(request)
        finally:
            self._bytes_held -= expected

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._read_timeout_s):
                return await request.read()
        except TimeoutError:
            raise TooSlow(
                "BODY_TOO_SLOW", f"the body took longer than {self._read_timeout_s:g} s"
            ) from None
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
            request.content.feed_eof()  # or aiohttp reads on after the answer, and fails again
            raise BrokenBody("BODY_BROKEN", "the body does not end as its headers say") from error


def media_type(request: web.Request, *allowed: str) -> str:
    """The body's type, if it is one of these, in UTF-8, and packed in a way that hlrd unpacks."""
    if request.content_type not in allowed:
        raise WrongMediaType("MEDIA_TYPE", f"Content-Type must be {' or '.join(allowed)}")
    charset = (request.charset or "utf-8").lower()
    if charset not in ("utf-8", "utf8"):
        raise WrongMediaType("CHARSET", "the body must be UTF-8")
    if request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower() not in _ENCODINGS:
        raise unpackable()
    return request.content_type


def unpackable() -> WrongMediaType:
    return WrongMediaType("CONTENT_ENCODING", "Content-Encoding must be gzip, deflate or none")


def _expected_bytes(request: web.Request) -> int:
    if request.content_length is None or hdrs.CONTENT_ENCODING in request.headers:
        return limits.BODY_BYTES_MAX
    if request.content_length > limits.BODY_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(limits.BODY_BYTES_MAX, request.content_length)
    return request.content_length
