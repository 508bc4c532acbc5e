"""An upstream system as it should behave: batches over keep-alive HTTP, patient when told to be.

What was not answered is posted again under the same order ids until it is; receipts are fetched by
cursor, at least once each.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import hdrs
from msgspec import Struct

_RECONNECT_S: Final = 0.25
_POST_TIMEOUT: Final = aiohttp.ClientTimeout(total=90, sock_connect=5)
_POLL_WAIT_S: Final = 5
_POLL_TIMEOUT: Final = aiohttp.ClientTimeout(total=_POLL_WAIT_S + 30, sock_connect=5)
_POLL_PAUSE_S: Final = 0.02
"""Between two pages, so that pages fill up instead of costing a request per receipt."""
_BUSY: Final = frozenset({429, 503})
_UNAUTHORIZED: Final = 401
_NO_ANSWER: Final = 0


class Refused(Exception):
    """An order that is refused for what it says; it would be refused for ever."""


class TokenRefused(Refused):
    """The daemon does not know the token, or no longer."""


class Refusal(Struct):
    status: int
    code: str
    detail: str
    field: str = ""
    retry_after_s: float | None = None


class Line(Struct):
    """One order's answer within a batch."""

    order_id: str | None
    state: str
    id: str | int = 0
    repeated: bool = False
    msisdn: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    refusal: Refusal | None = None
    receipt: dict[str, Any] | None = None  #: of an order that is closed


class BatchAnswer(Struct):
    answers: list[Line]


_BATCH: Final = msgspec.json.Decoder(BatchAnswer)
_LINE: Final = msgspec.json.Decoder(Line)
_PROBLEM: Final = msgspec.json.Decoder(Refusal)


@dataclass(slots=True)
class Counters:
    """What the upstream side lived through."""

    posts: int = 0
    posts_lost: int = 0  #: no answer: connection lost or timed out
    posts_busy: int = 0  #: answered 429 or 503
    orders_repeated: int = 0  #: the daemon had them already


@dataclass(slots=True)
class Upstream:
    """One source system, told by its token."""

    http: aiohttp.ClientSession
    url: str
    token: str = field(repr=False)
    random: Random = field(default_factory=Random)
    counters: Counters = field(default_factory=Counters)
    cursor: str = "0"  #: of the last receipt taken

    async def post(self, orders: Sequence[tuple[str, bytes]]) -> dict[str, Line]:
        """Post until each order is durable; answers by order id. Ends only by being cancelled.

        Raises Refused for the first order that will never be taken.
        """
        lines = await self.offer(orders)
        for order_id, line in lines.items():
            if line.refusal is not None:
                refusal = line.refusal
                raise Refused(f"{order_id}: {refusal.code} {refusal.field}: {refusal.detail}")
        return lines

    async def offer(self, orders: Sequence[tuple[str, bytes]]) -> dict[str, Line]:
        """As `post`, but an order that will never be taken has its refusal in its line."""
        left = dict(orders)
        answered: dict[str, Line] = {}
        while left:
            lines, wait_s = await self._try_post(left)
            for order_id, line in zip(list(left), lines, strict=False):  # each in its place
                if not _is_busy(line):
                    answered[order_id] = line
                    del left[order_id]
            if left:
                await asyncio.sleep(wait_s * (1 + self.random.random() / 2))
        return answered

    async def post_and_wait(self, order: bytes) -> Line:
        """One order whose `mode` is sync: its line, with the receipt if the order closed before its
        deadline. Posted until it is answered; ends only by being cancelled."""
        while True:
            status, content, wait_s = await self._request(order)
            if status in (200, 202):
                return _LINE.decode(content)
            if status >= 400 and status not in _BUSY:
                order_id = msgspec.json.decode(order)["order_id"]
                return Line(order_id, "refused", refusal=_PROBLEM.decode(content))
            await asyncio.sleep(wait_s * (1 + self.random.random() / 2))

    async def receipts(self, cursor: str) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """The next page past `cursor` and the cursor after it; empty when none came in time."""
        url = f"{self.url}/v1/receipts"
        params = {"after": cursor, "wait": str(_POLL_WAIT_S), "limit": "1000"}
        async with self.http.get(
            url, params=params, headers=self._headers(), timeout=_POLL_TIMEOUT
        ) as response:
            if response.status == _UNAUTHORIZED:
                raise TokenRefused(await response.text())
            response.raise_for_status()
            page = msgspec.json.decode(await response.read())
        return str(page["cursor"]), page["receipts"]

    async def follow(self, on_receipt: Callable[[Mapping[str, Any]], None]) -> None:
        """Every receipt not taken before, across restarts of the daemon; until cancelled."""
        while True:
            try:
                cursor, page = await self.receipts(self.cursor)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(_RECONNECT_S)
                continue
            for receipt in page:
                on_receipt(receipt)
            self.cursor = cursor
            await asyncio.sleep(_POLL_PAUSE_S)

    async def _try_post(self, orders: Mapping[str, bytes]) -> tuple[list[Line], float]:
        """The answers of one request, and how long to wait before the next."""
        body = b"[" + b",".join(orders.values()) + b"]"
        status, content, wait_s = await self._request(body)
        if status == _NO_ANSWER or status in _BUSY:
            return [], wait_s
        if status >= 400:
            raise Refused(f"batch refused with {status}: {content[:500]!r}")
        lines = _BATCH.decode(content).answers
        self.counters.orders_repeated += sum(line.repeated for line in lines)
        return lines, max((_wait_s(line) for line in lines), default=_RECONNECT_S)

    async def _request(self, body: bytes) -> tuple[int, bytes, float]:
        """Status (`_NO_ANSWER` when none came), content, and how long to wait before the next."""
        self.counters.posts += 1
        try:
            async with self.http.post(
                f"{self.url}/v1/work-orders",
                data=body,
                headers=self._headers(),
                timeout=_POST_TIMEOUT,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.counters.posts_lost += 1
            return _NO_ANSWER, b"", _RECONNECT_S
        if response.status == _UNAUTHORIZED:
            raise TokenRefused(content.decode("utf-8", "replace")[:500])
        if response.status in _BUSY:
            self.counters.posts_busy += 1
            return response.status, content, float(response.headers.get(hdrs.RETRY_AFTER, 1))
        return response.status, content, _RECONNECT_S

    def _headers(self) -> dict[str, str]:
        return {hdrs.AUTHORIZATION: f"Bearer {self.token}", hdrs.CONTENT_TYPE: "application/json"}


def _is_busy(line: Line) -> bool:
    return line.refusal is not None and line.refusal.status in _BUSY


def _wait_s(line: Line) -> float:
    if line.refusal is None or line.refusal.status not in _BUSY:
        return _RECONNECT_S
    asked_s = line.refusal.retry_after_s
    return max(_RECONNECT_S, 1.0 if asked_s is None else asked_s)
