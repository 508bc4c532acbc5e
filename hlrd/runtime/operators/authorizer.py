"""One question to the authorization service for one act (鉴权请求 / 鉴权结果).

Whatever is not a plain yes or no from the service itself is no answer, and then nobody may.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec
import structlog
from aiohttp import hdrs
from msgspec import Struct

from hlrd import __version__, limits, metrics
from hlrd.domain.errors import HlrdError
from hlrd.runtime.operators.registration import Service

_log: Final = structlog.get_logger(__name__)
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.ACCEPT: "application/json",
    hdrs.USER_AGENT: f"hlrd/{__version__}",
}
_CONNECT_S_MAX: Final = 2.0


class NoAnswer(HlrdError):
    """The service is away, slow, or says what makes no sense. The text is for the log."""


class Answer(Struct):
    allowed: bool


class Authorizer:
    """Build it inside a running loop, and `close` it in the end.

    Each question has a connection of its own: people ask few a second, and none is ever asked twice
    because a connection was closed meanwhile.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits.AUTHORIZATIONS_AT_ONCE_MAX, force_close=True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._http.close()

    async def allows(self, service: Service, *, operator: str, right: str, subject: str) -> bool:
        """Raises NoAnswer."""
        asked = msgspec.json.encode({"operator": operator, "right": right, "subject": subject})
        started, result = self._clock(), "failed"
        try:
            allowed = _said(await self._ask(service, asked))
            result = "allowed" if allowed else "refused"
        except NoAnswer as error:
            _log.warning("authorization_failed", right=right, cause=str(error))
            raise
        finally:
            metrics.AUTHORIZATION_DURATION.labels(result).observe(self._clock() - started)
        return allowed

    async def _ask(self, service: Service, asked: bytes) -> bytes:
        timeout = aiohttp.ClientTimeout(
            total=service.timeout_s, sock_connect=min(_CONNECT_S_MAX, service.timeout_s)
        )
        try:
            async with self._http.post(
                service.url,
                data=asked,
                headers={hdrs.AUTHORIZATION: service.authorization},
                timeout=timeout,
                ssl=service.trust or True,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise NoAnswer(f"it answers {response.status}")
                return await _whole(response)
        except TimeoutError:
            raise NoAnswer(f"no answer in {service.timeout_s:g} s") from None
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            raise NoAnswer(getattr(cause, "strerror", None) or type(cause).__name__) from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    answer = bytearray()
    async for part in response.content.iter_any():
        answer += part
        if len(answer) > limits.AUTHORIZATION_BYTES_MAX:
            raise NoAnswer("its answer is too long")
    return bytes(answer)


def _once(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) != len(members):
        raise ValueError


def _said(answer: bytes) -> bool:
    """One that says it twice says nothing."""
    try:
        allowed = msgspec.json.decode(answer, type=Answer).allowed
        json.loads(answer, object_pairs_hook=_once)
        return allowed
    except (ValueError, RecursionError):  # which each error of decoding is
        raise NoAnswer('its answer is not {"allowed": true or false}') from None
