"""One receipt as one signed POST, and what the endpoint's answer means.

Where it goes is the settings' word alone: no redirect is followed and no proxy of the environment
is used. Of an answer only the status and Retry-After count.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from time import time
from typing import Final

import aiohttp
from aiohttp import hdrs

from hlrd import __version__, limits
from hlrd.codec import webhook
from hlrd.codec.webhook import Signer
from hlrd.domain.delivery import Content, Endpoint, Outgoing, Reception, Reply, read_status

_KEEPALIVE_S: Final = 30.0
_CONNECT_S_MAX: Final = 5.0
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: webhook.CONTENT_TYPE,
    hdrs.USER_AGENT: f"hlrd/{__version__}",
}
_LOST: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError)


@dataclass(frozen=True, slots=True)
class Registration:
    """An endpoint of the settings, with what is secret about it."""

    endpoint: Endpoint
    signer: Signer
    trust: SSLContext | None = None  #: None: the certificates that the machine trusts


class Sender:
    """Build it inside a running loop, and `close` it in the end."""

    def __init__(self, registration: Registration, *, node: str) -> None:
        self.registration = registration  #: may be replaced at any time
        self._node = node
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._http.close()

    async def send(self, receipt: Outgoing, content: Content) -> Reply:
        """An idle connection that the endpoint closed just now is no failure of anybody."""
        endpoint = self.registration.endpoint
        body = webhook.encode(receipt.seq, receipt.user_id, content, node=self._node)
        id = webhook.event_id(receipt.seq)
        headers = self.registration.signer.headers(id, time(), body)
        try:
            with suppress(*_LOST):
                return await self._post(body, headers)
            return await self._post(body, headers)
        except TimeoutError:
            return Reply(Reception.FAILED, f"no answer in {endpoint.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(Reception.FAILED, _told(error))

    async def _post(self, body: bytes, headers: dict[str, str]) -> Reply:
        endpoint = self.registration.endpoint
        timeout = aiohttp.ClientTimeout(
            total=endpoint.timeout_s, sock_connect=min(_CONNECT_S_MAX, endpoint.timeout_s)
        )
        async with self._http.post(
            endpoint.url,
            data=body,
            headers=headers,
            timeout=timeout,
            ssl=self.registration.trust or True,
            allow_redirects=False,
        ) as response:
            reply = read_status(response.status, _retry_after_s(response))
            await _throw_away(response)
        return reply


async def _throw_away(response: aiohttp.ClientResponse) -> None:
    """The status is told already, so nothing that is wrong with the rest matters; but a connection
    with a rest that is long or does not end is not used again."""
    left = limits.DELIVERY_ANSWER_BYTES_MAX
    with suppress(aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
        while left > 0 and (part := await response.content.read(left)):
            left -= len(part)
        if left > 0:
            return
    response.close()


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date. None: it says nothing that can be read."""
    said = response.headers.get(hdrs.RETRY_AFTER, "").strip()
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    with suppress(ValueError, OverflowError):
        moment = parsedate_to_datetime(said)
        return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return None


def _told(error: Exception) -> str:
    """By its kind: the text could quote the address, and a site may keep a secret in that."""
    cause = error.__cause__ or error
    strerror = getattr(cause, "strerror", None)
    return f"not reached: {strerror or type(error).__name__}"
