"""Bodies that come packed. Unpacked here and not by aiohttp, which takes a gzip body that is cut
off for a whole one, and of several joined together hears the first alone."""

import zlib
from collections.abc import Iterator
from typing import Final

from aiohttp import hdrs, web

from hlrd.domain.errors import HlrdError

_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = "gzip"
_DEFLATE: Final = "deflate"
KNOWN: Final = _PLAIN | {_GZIP, _DEFLATE}

_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_PIECE_BYTES: Final = 256 * 2**10
"""Unpacked at once, however little it was packed into."""


class PackingBroken(HlrdError):
    """The body is not packed as its head says, or does not go to its end."""


def packing(request: web.BaseRequest) -> str:
    """How the body is packed, as its head says: one of KNOWN, or nothing that is unpacked here."""
    return request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()


def is_plain(request: web.BaseRequest) -> bool:
    return packing(request) in _PLAIN


def unpacker(request: web.BaseRequest) -> "Plain | Unpacker":
    return Plain() if is_plain(request) else Unpacker(packing(request))


class Plain:
    """A body that is not packed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        return


class Unpacker:
    """One body of gzip (RFC 1952, also several joined together) or deflate (RFC 9110, 8.4.1.2; also
    without the head of zlib, as some send it)."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What it unpacks to, in pieces of bounded size. Raises PackingBroken."""
        has_more = bool(data)
        while has_more:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._wbits(data))
            piece, data = self._unpack(self._stream, data)
            is_full = len(piece) == _PIECE_BYTES  # zlib may hold back more, and need nothing for it
            has_more = bool(data) or (is_full and self._stream is not None)
            if piece:
                yield piece

    def end(self) -> None:
        """Nothing comes any more. Raises PackingBroken if something should have."""
        if self._stream is not None:
            raise PackingBroken("the packed body is cut off")

    def _unpack(self, stream: "zlib._Decompress", data: bytes) -> tuple[bytes, bytes]:
        """A piece, and what is left of `data`."""
        try:
            piece = stream.decompress(data, _PIECE_BYTES)
        except zlib.error as error:
            raise PackingBroken(f"the body is not {self._how}") from error
        if not stream.eof:
            return piece, stream.unconsumed_tail
        if stream.unused_data and self._how == _DEFLATE:
            raise PackingBroken("something follows the packed body")
        self._stream = None
        return piece, stream.unused_data

    def _wbits(self, data: bytes) -> int:
        if self._how == _GZIP:
            return _GZIP_WBITS
        return zlib.MAX_WBITS if data[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
