"""JSON over kept HTTP connections: requests with an idempotency key, and answers typed by msgspec.

Both halves stand here: `Service` and `read` for the one that asks, `answer` for the one that
answers. What is asked for is a resource; a request names the state it is to reach, not a step.
"""

import re
from typing import Final, TypeVar

import msgspec

from hlrd.codec import http
from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

CONTENT_TYPE: Final = "application/json"

KEY_PATTERN: Final = "[0-9A-Za-z]{1,64}"
"""Of an Idempotency-Key, which a peer may use as a name of its own."""

_KEY: Final = re.compile(rf"{KEY_PATTERN}\Z")
_SEGMENT: Final = r"/(?!\.{1,2}(?:/|\Z))[0-9A-Za-z._~-]+"
_BASE: Final = re.compile(rf"(?:{_SEGMENT})*\Z")
_RESOURCE: Final = re.compile(rf"(?:{_SEGMENT})+\Z")
_TOKEN: Final = re.compile(r"[!-~]{1,512}\Z")
_ENCODER: Final = msgspec.json.Encoder()

T = TypeVar("T")


class Service:
    """The resources below one path of one host. All text is checked: UnsafeValue."""

    def __init__(self, host: str, *, base: str = "", token: str = "") -> None:
        """`token`, unless empty, goes with each request as its bearer (RFC 6750)."""
        if not _BASE.match(base):
            raise UnsafeValue("the base of a service is a path of plain segments, as in /iot/v1")
        if token and not _TOKEN.match(token):
            raise UnsafeValue("a token is 1 to 512 visible ASCII characters")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._base = f" {base}"
        self._rest = f" HTTP/1.1\r\n{http.head(host, headers)}"

    def get(self, resource: str) -> bytes:
        return f"{self._asked('GET', resource)}\r\n".encode()

    def send(self, method: str, resource: str, *, key: str, content: object = None) -> bytes:
        """A request that changes something. Without `content` it has no body."""
        if not _KEY.match(key):
            raise UnsafeValue("an Idempotency-Key is 1 to 64 letters and digits")
        asked = f"{self._asked(method, resource)}Idempotency-Key: {key}\r\n"
        if content is None:
            return f"{asked}Content-Length: 0\r\n\r\n".encode()
        body = _ENCODER.encode(content)
        described = f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        return f"{asked}{described}".encode() + body

    def _asked(self, method: str, resource: str) -> str:
        if not _RESOURCE.match(resource):
            raise UnsafeValue("a resource is a path of plain segments")
        return method + self._base + resource + self._rest


def read(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Raises ProtocolError when it is not JSON, or not what it should be."""
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:  # a wrong type and wrong UTF-8 are the former
        raise ProtocolError(f"not the JSON that belongs here: {error}") from None


def answer(
    status: int, content: object, *, keep_alive: bool = True, retry_after_s: int | None = None
) -> bytes:
    return http.reply(
        status,
        _ENCODER.encode(content),
        content_type=CONTENT_TYPE,
        keep_alive=keep_alive,
        retry_after_s=retry_after_s,
    )


def target_of(request: bytes) -> str:
    """What a request that a `Service` built is about: its base and its resource."""
    return request[: request.index(b" HTTP/1.1\r\n")].partition(b" ")[2].decode()
