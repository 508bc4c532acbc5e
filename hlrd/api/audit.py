"""The audit trail: read, and proven whole."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Raw, Struct

from hlrd import limits
from hlrd.api.auth import demand
from hlrd.api.seam import AuditBook, Orders
from hlrd.api.typed import as_json, parse
from hlrd.domain.audit import Head, Row, Walk, parse_head
from hlrd.domain.orders import BEIJING, Source
from hlrd.store.audit_trail import AuditFilter
from hlrd.store.record import OrderRecord

_PATH: Final = "/v1/audit"
_SEQ_MAX: Final = 2**63 - 1

Seq = Annotated[int, Meta(ge=1, le=_SEQ_MAX)]


class Asked(Struct, forbid_unknown_fields=True):
    """Query of the trail; all that is given must hold."""

    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    order: Seq | None = None  #: hlrd's own id
    since: Annotated[datetime, Meta(tz=True)] | None = None
    before: Seq = _SEQ_MAX  #: rows below this one
    limit: Annotated[int, Meta(ge=1, le=limits.AUDIT_SHOWN_MAX)] = 100


class Kept(Struct, forbid_unknown_fields=True):
    head: str | None = None  #: one that was kept elsewhere


class AuditRoutes:
    def __init__(self, book: AuditBook, orders: Orders) -> None:
        self._book = book
        self._orders = orders

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.get(_PATH + "/head", self.head, allow_head=False),
            web.get(_PATH + "/verify", self.verify, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """The newest first."""
        demand(request, Source.OPS)
        asked = parse(request, Asked)
        wanted = AuditFilter(asked.subject, asked.actor, asked.action, asked.order, asked.since)
        rows = await self._book.page(wanted, asked.before, asked.limit)
        shown: dict[str, object] = {"rows": _shown(rows)}
        if asked.order is not None:
            shown["posted"] = _posted(await self._orders.by_id(asked.order))
        return as_json(msgspec.json.encode(shown))

    async def head(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return as_json(msgspec.json.encode({"head": str(await self._book.head())}))

    async def verify(self, request: web.Request) -> web.Response:
        """Every row is read: a second for some 45,000."""
        demand(request, Source.OPS)
        asked = parse(request, Kept)
        kept = None if asked.head is None else parse_head(asked.head)
        return as_json(msgspec.json.encode(await self._proven(kept)))

    async def _proven(self, kept: Head | None) -> Mapping[str, object]:
        walk = Walk(kept)
        fault = None
        async for rows in self._book.rows():
            fault = next((found for row in rows if (found := walk.step(row))), None)
            if fault is not None:
                break
        else:
            fault = walk.end()
        broken = None if fault is None else {"row": fault.seq, "text": fault.text}
        return {"rows": walk.head.seq, "head": str(walk.head), "fault": broken}


def _posted(order: OrderRecord | None) -> Mapping[str, object] | None:
    """Orders are no acts; who posted one is in the journal, for good."""
    if order is None:
        return None
    return {
        "at": order.accepted_at.astimezone(BEIJING),
        "type": order.kind,
        "order_id": order.order_id,
        "source": order.source,
        "operator_id": order.operator_id,
        "session": order.session,
    }


def _shown(rows: Sequence[Row]) -> Sequence[Mapping[str, object]]:
    return [
        {
            "row": row.seq,
            "at": row.at.astimezone(BEIJING),
            "actor": row.actor,
            "source": row.source,
            "action": row.action,
            "subject": row.subject,
            "order": None if row.order is None else str(row.order),
            "before": _json(row.before),
            "after": _json(row.after),
            "hash": row.hash.hex(),
        }
        for row in rows
    ]


def _json(text: str | None) -> Raw | None:
    return None if text is None else Raw(text.encode())
