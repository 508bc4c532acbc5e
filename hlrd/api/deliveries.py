"""Receipts on their way to endpoints: shown, and sent again on request."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting_as_staff
from hlrd.api.auth import SOURCE, demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.seam import Deliveries, Orders
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain.audit import Action
from hlrd.domain.delivery import EndpointView
from hlrd.domain.errors import BadRequest, Conflict, NotFound
from hlrd.domain.lifecycle import DeliveryState
from hlrd.domain.orders import BEIJING, OperatorText, Source
from hlrd.store.deliveries import Listed, ReceiptRow
from hlrd.store.record import OrderRecord

_ENDPOINTS: Final = "/v1/receipt-endpoints"
_RECEIPTS: Final = "/v1/receipts/{id}"
_SEQ_MAX: Final = 2**63 - 1
T = TypeVar("T")

Cursor = Annotated[int, Meta(ge=0, le=_SEQ_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]


class Asked(Struct, forbid_unknown_fields=True):
    """Query of the deliveries of an endpoint."""

    state: Literal["pending", "dead"] = "dead"
    after: Cursor = 0  #: the last of the page before
    limit: Annotated[int, Meta(ge=1, le=limits.DELIVERIES_SHOWN_MAX)] = 100


class Again(Struct, forbid_unknown_fields=True):
    """What of an endpoint to send again: exactly one of the three."""

    operator_id: OperatorText
    receipts: (
        Annotated[list[Cursor], Meta(min_length=1, max_length=limits.DELIVERIES_SHOWN_MAX)] | None
    ) = None
    dead: bool = False  #: all that are dead
    since: Moment | None = None  #: all that closed from then …
    until: Moment | None = None  #: … until then


class Ordered(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class _Named(Struct):
    reply_to: str | None = None


class DeliveryRoutes:
    def __init__(self, deliveries: Deliveries, *, orders: Orders, bodies: Bodies) -> None:
        self._deliveries = deliveries
        self._orders = orders
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        one = _ENDPOINTS + "/{name}"
        return [
            web.get(_ENDPOINTS, self.endpoints, allow_head=False),
            web.get(one + "/deliveries", self.list, allow_head=False),
            web.post(one + "/redeliver", self.redeliver),
            web.get(_RECEIPTS, self.of_order, allow_head=False),
            web.post(_RECEIPTS + "/redeliver", self.redeliver_order),
        ]

    # For staff.

    async def endpoints(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        shown = [_endpoint(view) for view in await self._deliveries.endpoints()]
        return as_json(msgspec.json.encode({"endpoints": shown}))

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        asked = parse(request, Asked)
        found = await self._deliveries.listed(
            request.match_info["name"], DeliveryState(asked.state), asked.after, asked.limit
        )
        shown = {"deliveries": [_listed(one) for one in found]}
        return as_json(
            msgspec.json.encode({**shown, "cursor": found[-1].seq if found else asked.after})
        )

    async def redeliver(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        name = request.match_info["name"]
        wanted = await self._read(request, Again)
        _refuse_unclear(wanted)
        asked = {**msgspec.to_builtins(wanted), "operator_id": None}
        said = {field: value for field, value in asked.items() if value}
        async with acting_as_staff(
            request,
            Action.RECEIPT_REDELIVER,
            f"endpoint:{name}",
            actor=wanted.operator_id,
            after=said,
        ):
            return _ordered(await self._again(name, wanted))

    async def _again(self, name: str, wanted: Again) -> int:
        if wanted.dead:
            return await self._deliveries.redeliver_dead(name)
        if wanted.receipts is not None:
            return await self._deliveries.redeliver(name, wanted.receipts)
        assert wanted.since is not None
        until = wanted.until or datetime.now(UTC)
        return await self._deliveries.redeliver_span(name, wanted.since, until)

    # For the source of an order, and staff.

    async def of_order(self, request: web.Request) -> web.Response:
        order = await self._order(request)
        name = self._endpoint_of(order)
        found = await self._deliveries.receipts_of(order.id)
        return as_json(
            msgspec.json.encode(
                {
                    "id": str(order.id),
                    "order_id": order.order_id,
                    "endpoint": name,
                    "receipts": [self._receipt(row, name) for row in _one_each(found)],
                }
            )
        )

    async def redeliver_order(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Ordered)
        order = await self._order(request)
        name = self._endpoint_of(order)
        if name is None:
            text = "no endpoint is registered for receipts of this order; fetch them"
            raise Conflict("ENDPOINT_MISSING", text)
        seqs = [row.seq for row in _one_each(await self._deliveries.receipts_of(order.id))]
        async with acting_as_staff(
            request,
            Action.RECEIPT_REDELIVER,
            f"endpoint:{name}",
            actor=wanted.operator_id,
            after={"receipts": seqs},
        ):
            return _ordered(await self._deliveries.redeliver(name, seqs))

    def _endpoint_of(self, order: OrderRecord) -> str | None:
        named = msgspec.json.decode(order.payload, type=_Named)
        return self._deliveries.endpoint_of(order.source, named.reply_to)

    def _receipt(self, row: ReceiptRow, name: str | None) -> Mapping[str, Any]:
        shown: dict[str, Any] = {"cursor": row.seq, "delivery": None}
        if row.state is not None:
            shown["delivery"] = {
                "state": row.state,
                "failures": row.failures,
                "due_at": _beijing(row.due_at) if row.state is DeliveryState.PENDING else None,
                "said": row.said,
            }
        elif name is not None and (state := self._deliveries.delivered_to(name, row.seq)):
            shown["delivery"] = {"state": state, "failures": 0, "due_at": None, "said": ""}
        return {**shown, "receipt": msgspec.Raw(row.body)}

    async def _order(self, request: web.Request) -> OrderRecord:
        text = request.match_info["id"]
        is_id = text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _SEQ_MAX
        record = await self._orders.by_id(int(text)) if is_id else None
        if record is None or request[SOURCE] not in (Source.OPS, record.source):
            raise NotFound("ORDER_UNKNOWN", "no order of yours has this id")
        return record

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)


def _refuse_unclear(wanted: Again) -> None:
    ways = [wanted.dead, wanted.receipts is not None, wanted.since is not None]
    if sum(ways) != 1 or (wanted.until is not None and wanted.since is None):
        text = "say one of receipts, dead, and since (with until if it has an end)"
        raise BadRequest("REDELIVERY_UNCLEAR", text)


def _one_each(rows: Sequence[ReceiptRow]) -> list[ReceiptRow]:
    """A receipt whose endpoint changed can have a row of each; the last one tells."""
    return list({row.seq: row for row in rows}.values())


def _ordered(receipts: int) -> web.Response:
    return as_json(msgspec.json.encode({"receipts": receipts}), status=202)


def _endpoint(view: EndpointView) -> Mapping[str, Any]:
    failing = view.failing_since
    return {
        "name": view.name,
        "source": view.source,
        "url": view.url,
        "is_default": view.is_default,
        "state": view.state,
        "failing_since": None if failing is None else datetime.fromtimestamp(failing, BEIJING),
        "pending": view.pending,
        "dead": view.dead,
        "oldest_age_s": round(view.oldest_age_s, 3),
        "in_flight": view.in_flight,
        "cursor": view.cursor,
    }


def _listed(one: Listed) -> Mapping[str, Any]:
    return {
        "cursor": one.seq,
        "state": one.state,
        "id": str(one.order),
        "order_id": one.order_id,
        "type": one.kind,
        "user_id": one.user_id,
        "closed_at": _beijing(one.closed_at),
        "failures": one.failures,
        "since": _beijing(one.since),
        "due_at": _beijing(one.due_at) if one.state is DeliveryState.PENDING else None,
        "said": one.said,
    }


def _beijing(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(BEIJING)
