"""Receipts to whoever posted the orders: a cursor and a long poll, at least once, in order.

Nothing is acknowledged: asking past a cursor says that everything up to it arrived.
"""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from hlrd import limits, metrics
from hlrd.api.auth import CALLER, SOURCE
from hlrd.api.patience import Patience
from hlrd.api.seam import Receipts
from hlrd.api.typed import as_json, parse

_CURSOR_MAX: Final = 2**63 - 1
_LIMIT_DEFAULT: Final = 100


class Poll(Struct, forbid_unknown_fields=True):
    """Query of GET /v1/receipts."""

    after: Annotated[int, Meta(ge=0, le=_CURSOR_MAX)] = 0  #: cursor of the page before
    limit: Annotated[int, Meta(ge=1, le=limits.RECEIPTS_PAGE_MAX)] = _LIMIT_DEFAULT
    wait: Annotated[float, Meta(ge=0, le=limits.LONG_POLL_S_MAX)] = 0  #: seconds


class Page(Struct):
    receipts: list[msgspec.Raw]
    cursor: int  #: the next `after`


class ReceiptRoutes:
    def __init__(self, receipts: Receipts, patience: Patience) -> None:
        self._receipts = receipts
        self._patience = patience

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/receipts", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.Response:
        poll = parse(request, Poll)
        source = request[SOURCE]
        found: list[tuple[int, bytes]] = []
        async with self._patience.at_most(session=request[CALLER].session):
            found = await self._receipts.after(source, poll.after, poll.limit, poll.wait)
        metrics.RECEIPTS_FETCHED.labels(source).inc(len(found))
        page = Page(
            receipts=[msgspec.Raw(receipt) for _, receipt in found],
            cursor=found[-1][0] if found else poll.after,
        )
        return as_json(msgspec.json.encode(page))
