"""HTTP/1.1 between peers that keep their connection (RFC 9112), with no socket in sight.

Both halves stand here: `Target` and `HTTPReplies` for the one that asks, `HTTPRequests` and `reply`
for the one that answers. Only what a kept connection needs is spoken: each message says its own
length, so one that runs to the end of the connection is refused.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Generic, NoReturn, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser
from msgspec import Struct

from hlrd import limits
from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")
_PATH: Final = re.compile(r"/[!-~]*\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+\Z")
_SECONDS: Final = re.compile(rb"[0-9]{1,6}\Z")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_SAID: Final = frozenset({b"retry-after", b"idempotency-key", b"authorization", b"location"})
_HEARD: Final = _FRAMING | _SAID
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

M = TypeVar("M")


class HTTPReply(Struct, frozen=True, gc=False):
    status: int
    body: bytes
    keep_alive: bool = True  #: false: the peer closes behind this reply
    retry_after_s: float | None = None  #: None also when the peer named a date
    location: str = ""  #: where a redirection points


class HTTPRequest(Struct, frozen=True, gc=False):
    method: str
    target: str
    body: bytes
    keep_alive: bool = True
    key: str = ""  #: Idempotency-Key
    authorization: str = ""  #: a secret


class Target:
    """One path of one host, and how to ask for it. All text is checked here, once: UnsafeValue."""

    def __init__(
        self,
        path: str,
        host: str,
        *,
        content_type: str = "text/xml; charset=utf-8",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        if not _PATH.match(path):
            raise UnsafeValue("an HTTP path starts with / and is visible ASCII")
        named = head(host, headers)
        typed = _lines({"Content-Type": content_type})
        self._get = f"GET {path} HTTP/1.1\r\n{named}\r\n".encode()
        self._post = f"POST {path} HTTP/1.1\r\n{named}{typed}Content-Length: ".encode()

    def get(self) -> bytes:
        return self._get

    def post(self, body: bytes) -> bytes:
        return b"%b%d\r\n\r\n%b" % (self._post, len(body), body)


def head(host: str, headers: Mapping[str, str] = _NO_HEADERS) -> str:
    """The header lines that every request to `host` has. Raises UnsafeValue."""
    if not _HOST.match(host):
        raise UnsafeValue("not the name or address of a host, with or without a port")
    return _lines({"Host": host, **headers})


def reply(
    status: int,
    body: bytes = b"",
    *,
    content_type: str = "text/xml; charset=utf-8",
    keep_alive: bool = True,
    retry_after_s: int | None = None,
    location: str = "",
) -> bytes:
    """Raises UnsafeValue for a `location` that no header can hold."""
    head = _reply_head(status, content_type, keep_alive, retry_after_s, location)
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)


@lru_cache(maxsize=64)
def _reply_head(
    status: int, content_type: str, keep_alive: bool, retry_after_s: int | None, location: str
) -> bytes:
    headers = {"Content-Type": content_type, "Connection": "keep-alive" if keep_alive else "close"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if location:
        headers["Location"] = location
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{status_line}{_lines(headers)}Content-Length: ".encode()


def _lines(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if not (_TOKEN.match(name) and _HEADER_VALUE.match(value)):
            raise UnsafeValue(f"not fit for the HTTP header {name!r}")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


class _Messages(Generic[M]):
    """What requests and replies share: collects one message after the other, and bounds each.

    The methods `on_…` are called by the parser.
    """

    def __init__(self, parse: Callable[[bytes], None]) -> None:
        self._parse = parse
        self._complete: list[M] = []
        self._unheard = 0
        self._broken = ""
        self._begin()

    def feed(self, data: bytes) -> list[M]:
        """Take what arrived, however cut, and return the messages it completed.

        Raises ProtocolError when the peer broke the frame, or before a frame above
        limits.FRAME_BYTES_MAX would be buffered; the instance is of no use afterwards.
        """
        size = self._size
        try:
            self._parse(data)
        except HttpParserUpgrade as error:
            raise ProtocolError("the peer wants to leave HTTP") from error
        except HttpParserError as error:
            raise ProtocolError(self._broken or f"not HTTP/1.1: {error}") from error
        complete = self._complete
        if complete:
            self._complete = []
            self._unheard = 0
        else:
            self._bound_the_unheard(len(data), has_heard=self._size != size)
        return complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > limits.FRAME_BYTES_MAX:
            self._refuse_size()
        key = name.lower()
        if key in _HEARD and not self._is_in_body:  # there it is a trailer
            self._hear(key, value)

    def _hear(self, key: bytes, value: bytes) -> None:
        if key == b"content-length":
            self._has_length = True
            if int(value) > limits.FRAME_BYTES_MAX:
                self._refuse_size()
        elif key == b"transfer-encoding":
            self._has_length = value.lower().rstrip().endswith(b"chunked")
        else:
            self._said[key] = value.strip()

    def on_headers_complete(self) -> None:
        self._is_in_body = True

    def on_body(self, body: bytes) -> None:
        self._count(len(body))
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body
        self._finish(body[0] if len(body) == 1 else b"".join(body))
        self._begin()

    def _finish(self, body: bytes) -> None:
        raise NotImplementedError

    def _begin(self) -> None:
        self._size = 0
        self._body: list[bytes] = []
        self._is_in_body = False
        self._has_length = False
        self._said: dict[bytes, bytes] = {}

    def _spoken(self, name: bytes) -> str:
        return self._said[name].decode("latin-1") if name in self._said else ""

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > limits.FRAME_BYTES_MAX:
            self._refuse_size()

    def _bound_the_unheard(self, size: int, *, has_heard: bool) -> None:
        """A header line that never ends is kept by the parser, which bounds nothing."""
        self._unheard = 0 if has_heard else self._unheard + size
        if self._unheard > limits.FRAME_BYTES_MAX:
            self._refuse_size()

    def _refuse_size(self) -> NoReturn:
        self._break(f"an HTTP message above {limits.FRAME_BYTES_MAX} bytes")

    def _break(self, reason: str) -> NoReturn:
        self._broken = reason
        raise ProtocolError(reason)


class HTTPReplies(_Messages[HTTPReply]):
    """A `codec.base.Decoder`: the replies on one connection that asks."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._status = 0
        super().__init__(self._parser.feed_data)

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        status = self._status = self._parser.get_status_code()
        if not (self._has_length or status < 200 or status in (204, 304)):
            self._break(f"an HTTP {status} without a length, on a connection to be kept")

    def _finish(self, body: bytes) -> None:
        if self._status < 200:
            return  # 100 Continue and its like announce the reply
        keep_alive = self._parser.should_keep_alive()
        retry_after_s = _seconds(self._said.get(b"retry-after", b""))
        location = self._spoken(b"location")
        self._complete.append(HTTPReply(self._status, body, keep_alive, retry_after_s, location))


def _seconds(text: bytes) -> float | None:
    return float(text) if _SECONDS.match(text) else None


class HTTPRequests(_Messages[HTTPRequest]):
    """The requests on one connection that answers; several may come glued together."""

    def __init__(self) -> None:
        self._parser = HttpRequestParser(self)
        super().__init__(self._parser.feed_data)

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self._target += url

    def _begin(self) -> None:
        super()._begin()
        self._target = b""

    def _finish(self, body: bytes) -> None:
        method = self._parser.get_method().decode()
        target = self._target.decode("latin-1")
        keep_alive = self._parser.should_keep_alive()
        key, authorization = self._spoken(b"idempotency-key"), self._spoken(b"authorization")
        self._complete.append(HTTPRequest(method, target, body, keep_alive, key, authorization))
