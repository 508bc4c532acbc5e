"""Request bodies: bounded in bytes, in time, and in what all of them together hold in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from hlrd import limits
from hlrd.api.packing import KNOWN, PackingBroken, is_plain, packing, unpacker
from hlrd.api.problem import BrokenBody, TooSlow, WrongMediaType
from hlrd.domain.errors import Unavailable

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

UTF_8: Final = "utf-8"
CHINESE: Final = (UTF_8, "gbk", "gb2312", "gb18030")


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
        expected = expected_bytes(request, limits.BODY_BYTES_MAX)
        if self._bytes_held + expected > self._bytes_max:
            raise Unavailable("BODIES_FULL", "too many bodies are being read at once", 1.0)
        self._bytes_held += expected
        try:
            yield await self._read(request)
        finally:
            self._bytes_held -= expected

    async def _read(self, request: web.Request) -> bytes:
        with _reading(request, self._read_timeout_s):
            async with asyncio.timeout(self._read_timeout_s):
                return await request.read() if is_plain(request) else await _unpacked(request)


async def _unpacked(request: web.Request) -> bytes:
    """Of a bomb no more than limits.BODY_BYTES_MAX and a piece."""
    whole, unpacking = bytearray(), unpacker(request)
    async for part in request.content.iter_any():
        for piece in unpacking.feed(part):
            whole += piece
            if len(whole) > limits.BODY_BYTES_MAX:
                raise web.HTTPRequestEntityTooLarge(limits.BODY_BYTES_MAX, len(whole))
    unpacking.end()
    return bytes(whole)


async def stream(
    request: web.Request, bytes_max: int, *, read_timeout_s: float = limits.BODY_READ_TIMEOUT_S
) -> AsyncIterator[bytes]:
    """A body for the disk, part by part, as it comes. Each part has `read_timeout_s`, and all of
    them together `limits.SIM_UPLOAD_TIMEOUT_S`."""
    received, unpacking = 0, unpacker(request)
    deadline = asyncio.get_running_loop().time() + limits.SIM_UPLOAD_TIMEOUT_S
    with _reading(request, read_timeout_s):
        while True:
            async with asyncio.timeout(read_timeout_s):
                part = await request.content.readany()
            if not part and request.content.at_eof():
                unpacking.end()
                return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError
            for piece in unpacking.feed(part):
                received += len(piece)
                if received > bytes_max:
                    raise web.HTTPRequestEntityTooLarge(bytes_max, received)
                yield piece


@contextmanager
def _reading(request: web.Request, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise TooSlow("BODY_TOO_SLOW", f"the body took longer than {timeout_s:g} s") from None
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
        request.content.feed_eof()  # or aiohttp reads on after the answer, and fails again
        raise BrokenBody("BODY_BROKEN", "the body does not end as its headers say") from error
    except PackingBroken as error:
        raise BrokenBody("BODY_BROKEN", str(error)) from error


def media_type(request: web.Request, *allowed: str, charsets: Collection[str] = (UTF_8,)) -> str:
    """The body's type, if it is one of these, in one of these character sets, and packed in a way
    that hlrd unpacks."""
    if request.content_type not in allowed:
        raise WrongMediaType("MEDIA_TYPE", f"Content-Type must be {' or '.join(allowed)}")
    charset = (request.charset or UTF_8).lower().replace("utf8", UTF_8)
    if charset not in charsets:
        raise WrongMediaType("CHARSET", f"the body must be {' or '.join(charsets).upper()}")
    if packing(request) not in KNOWN:
        raise unpackable()
    return request.content_type


def unpackable() -> WrongMediaType:
    return WrongMediaType("CONTENT_ENCODING", "Content-Encoding must be gzip, deflate or none")


def expected_bytes(request: web.Request, bytes_max: int) -> int:
    """What the headers announce, or else the most there may be."""
    if request.content_length is None or hdrs.CONTENT_ENCODING in request.headers:
        return bytes_max
    if request.content_length > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, request.content_length)
    return request.content_length
