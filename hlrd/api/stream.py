"""Receipts as server-sent events: each as it becomes durable, and from where the client stopped.

An event's id is the receipt's cursor. A browser's EventSource, or any client that sends the last id
as Last-Event-ID, goes on after it: at least once, in order per user, like polling.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import Final

from aiohttp import hdrs, web

from hlrd import limits, metrics
from hlrd.api.auth import CALLER, SOURCE
from hlrd.api.patience import Patience
from hlrd.api.seam import Feed
from hlrd.domain.errors import BadRequest, Busy
from hlrd.store.errors import StoreUnavailable

LAST_ID: Final = "Last-Event-ID"

_CURSOR: Final = re.compile(r"\A[0-9]{1,18}\Z")
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.SERVER: "hlrd",
    "X-Accel-Buffering": "no",  # for proxies that would keep events until a buffer is full
}
_BEGIN: Final = b"retry: 2000\n\n"  # milliseconds until a client that was cut comes back
_HEARTBEAT: Final = b":\n\n"


class StreamRoutes:
    def __init__(self, feed: Feed, patience: Patience) -> None:
        self._feed = feed
        self._patience = patience
        self._open = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/receipts/stream", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        cursor = _cursor_of(request)
        if self._open >= limits.RECEIPT_STREAMS_MAX:
            raise Busy("STREAMS_FULL", "too many streams are open; fetch by GET /v1/receipts", 5.0)
        response = web.StreamResponse(headers=_HEADERS)
        gauge = metrics.RECEIPT_STREAMS.labels(request[SOURCE])
        self._open += 1
        gauge.inc()
        try:
            await response.prepare(request)
            async with self._patience.at_most(session=request[CALLER].session):
                await self._write(request, response, cursor)
        finally:
            gauge.dec()
            self._open -= 1
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse, cursor: int) -> None:
        """Until the client is gone or too slow, the database is away, or the daemon stops."""
        source = request[SOURCE]
        await response.write(_BEGIN)
        with suppress(StoreUnavailable):  # the client comes back, and waits then
            async with aclosing(self._feed.follow(source, cursor)) as batches:
                async for batch in batches:
                    try:
                        async with asyncio.timeout(limits.STREAM_WRITE_TIMEOUT_S):
                            await response.write(_events(batch) or _HEARTBEAT)
                    except TimeoutError:
                        _cut(request)
                        return
                    metrics.RECEIPTS_FETCHED.labels(source).inc(len(batch))


def _events(batch: Sequence[tuple[int, bytes]]) -> bytes:
    """A receipt is one line of JSON, so it needs no cutting."""
    return b"".join(b"id: %d\nevent: receipt\ndata: %b\n\n" % receipt for receipt in batch)


def _cut(request: web.Request) -> None:
    """What is in its buffer would wait for the client for ever."""
    if request.transport is not None:
        request.transport.abort()


def _cursor_of(request: web.Request) -> int:
    """The header goes before the query, since a client that comes back repeats the query."""
    said = request.headers.get(LAST_ID) or request.query.get("after", "0")
    if not _CURSOR.match(said):
        raise BadRequest("CURSOR_INVALID", "not a cursor of receipts", "after")
    if set(request.query) - {"after"}:
        raise BadRequest("FIELD_UNKNOWN", "a stream has no parameter but after", "")
    return int(said)
