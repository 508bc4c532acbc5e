"""How one business system asks another: JSON over HTTP, each call and its answer noted once."""

from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import hdrs

from loadtest.business.message import Messages
from loadtest.business.system import Declined

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)


@dataclass(frozen=True, slots=True)
class Words:
    """The names of a call and of its answer, as the seeds print them."""

    request: str
    answer: str


class Neighbour:
    """Raises Declined for what the other declines, in its words, and with 503 `PEER_AWAY` when it
    does not answer."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        *,
        me: str,
        it: str,
        messages: Messages,
        token: str = "",
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {hdrs.AUTHORIZATION: f"Bearer {token}"} if token else {}
        self._http = http
        self._me = me
        self._it = it
        self._messages = messages

    async def ask(
        self, method: str, path: str, body: object = None, *, words: Words, detail: str = ""
    ) -> Any:
        """The content of its answer."""
        self._messages.note(self._me, self._it, words.request, detail)
        try:
            status, content = await self._call(method, path, body)
        except Declined as declined:
            self._answered(words, f"{detail} {declined.code}")
            raise
        self._answered(words, f"{detail} {status}")
        return content

    async def _call(self, method: str, path: str, body: object) -> tuple[int, Any]:
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._http.request(
                method, self.url + path, data=data, headers=self._headers, timeout=_TIMEOUT
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Declined(503, "PEER_AWAY", f"{self._it} does not answer: {error}") from error
        answered = _decoded(content)
        if response.status >= 400:
            raise _declined(response.status, answered, it=self._it)
        return response.status, answered

    def _answered(self, words: Words, detail: str) -> None:
        self._messages.note(self._it, self._me, words.answer, detail.strip(), is_answer=True)


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content) if content else None
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _declined(status: int, content: Any, *, it: str) -> Declined:
    if isinstance(content, dict) and "code" in content:
        return Declined(status, content["code"], str(content.get("detail", "")))
    return Declined(status, "PEER_FAILED", f"{it} answers {status}: {str(content)[:200]}")
