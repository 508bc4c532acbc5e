"""Work orders in, one by one or in batches, and what became of them."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from aiohttp import hdrs, web

from hlrd import limits
from hlrd.api import answer, body, decode, view, wait
from hlrd.api.auth import SOURCE, demand
from hlrd.api.body import JSON, NDJSON, Bodies
from hlrd.api.seam import Desk, Intake, OrderRecord, Orders
from hlrd.api.typed import as_json, parse
from hlrd.domain.errors import NotFound, Unavailable
from hlrd.domain.order import OrderIdText, Source
from hlrd.ports import Answer, Submission

_PATH: Final = "/v1/work-orders"
_ID_MAX: Final = 2**63 - 1
_PREFER: Final = "Prefer"
_APPLIED: Final = "Preference-Applied"


class Lookup(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /v1/work-orders."""

    order_id: OrderIdText
    source: Source | None = None  #: absent: the caller's own


class WorkOrders:
    def __init__(self, *, intake: Intake, orders: Orders, desk: Desk, bodies: Bodies) -> None:
        self._intake = intake
        self._orders = orders
        self._desk = desk
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self.post),
            web.get(_PATH, self.find, allow_head=False),
            web.get(_PATH + "/{id}", self.get, allow_head=False),
            web.post(_PATH + "/{id}/resend", self.resend),
        ]

    async def post(self, request: web.Request) -> web.Response:
        media = body.media_type(request, JSON, NDJSON)
        source = request[SOURCE]
        async with self._bodies.read(request) as document:
            if media == JSON and not decode.is_array(document):
                submission = decode.one(source, document)
            else:
                encoded = decode.lines(document) if media == NDJSON else decode.elements(document)
                submissions = await _decode(source, encoded)
                return await self._post_batch(submissions, media)
        return await self._post_one(request, submission)

    async def get(self, request: web.Request) -> web.Response:
        record = await self._record(request)
        return as_json(view.order(record, self._desk.show(record.id)))

    async def find(self, request: web.Request) -> web.Response:
        query = parse(request, Lookup)
        source = query.source or request[SOURCE]
        record = await self._orders.by_order_id(source, query.order_id)
        record = _visible(record, request[SOURCE])
        return as_json(view.order(record, self._desk.show(record.id)))

    async def resend(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        record = await self._record(request)
        self._desk.resend(record.id)
        return as_json(view.order(record, self._desk.show(record.id)), status=202)

    async def _record(self, request: web.Request) -> OrderRecord:
        text = request.match_info["id"]
        order = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else _ID_MAX + 1
        record = await self._orders.by_id(order) if order <= _ID_MAX else None
        return _visible(record, request[SOURCE])

    async def _post_batch(self, submissions: Sequence[Submission], media: str) -> web.Response:
        answers = await _settled(self._submit(submissions))
        refusal = answer.load_refusal(answers)
        if refusal is not None:
            raise refusal
        if media == NDJSON:
            return web.Response(body=answer.ndjson(answers), content_type=NDJSON)
        return as_json(answer.batch(answers))

    async def _post_one(self, request: web.Request, submission: Submission) -> web.Response:
        order = submission.order
        wish = None if order is None else wait.wanted(request.headers.get(_PREFER), order)
        if wish is None:
            (settled,) = await _settled(self._submit([submission]))
            return _one(settled)
        closing = self._submit([submission], wait_until_closed=True)
        await asyncio.wait([closing], timeout=wish.seconds)
        settled = closing.result()[0] if closing.done() else await self._open(submission, closing)
        return _one(settled, wish.applied)

    def _submit(
        self, submissions: Sequence[Submission], *, wait_until_closed: bool = False
    ) -> asyncio.Future[list[Answer]]:
        answers: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        on_answers = partial(_set_unless_gone, answers)
        self._intake.submit(submissions, on_answers, wait_until_closed=wait_until_closed)
        return answers

    async def _open(self, submission: Submission, closing: asyncio.Future[list[Answer]]) -> Answer:
        """What to say at the deadline of an order that is not closed.

        It may not even be durable yet if the deadline was short, and until it is (or is refused)
        202 would promise too much; so this waits on.
        """
        assert submission.order is not None
        order_id = submission.order.order_id
        deadline = asyncio.get_running_loop().time() + limits.SETTLE_TIMEOUT_S
        while True:
            record = await self._orders.by_order_id(submission.source, order_id)
            if closing.done():
                return closing.result()[0]
            if record is not None:
                return self._as_it_stands(record)
            if asyncio.get_running_loop().time() > deadline:
                raise _unsettled()
            await asyncio.wait([closing], timeout=limits.SETTLE_POLL_S)

    def _as_it_stands(self, record: OrderRecord) -> Answer:
        live = self._desk.show(record.id) or {}
        state = str(live.get("state", record.state))
        told = Answer(record.order_id, id=record.id, state=state)
        if record.binding is not None:
            told.msisdn = record.binding.msisdn
            told.imsi = record.binding.imsi
            told.iccid = record.binding.iccid
        return told


async def _decode(source: Source, encoded: Sequence[bytes]) -> list[Submission]:
    submissions: list[Submission] = []
    for piece in decode.slices(source, encoded):
        if submissions:
            await asyncio.sleep(0)
        submissions += piece
    return submissions


async def _settled(answers: asyncio.Future[list[Answer]]) -> list[Answer]:
    try:
        async with asyncio.timeout(limits.SETTLE_TIMEOUT_S):
            return await answers
    except TimeoutError:
        raise _unsettled() from None


def _unsettled() -> Unavailable:
    return Unavailable(
        "UNSETTLED", "not known to be durable yet; post the same again to learn the answer", 5.0
    )


def _set_unless_gone(future: asyncio.Future[list[Answer]], answers: list[Answer]) -> None:
    """The client may have gone, and its request with it."""
    if not future.done():
        future.set_result(answers)


def _one(settled: Answer, applied: str | None = None) -> web.Response:
    if settled.refusal is not None:
        raise settled.refusal
    response = as_json(answer.single(settled), status=202 if settled.receipt is None else 200)
    response.headers[hdrs.LOCATION] = f"{_PATH}/{settled.id}"
    if applied is not None:
        response.headers[_APPLIED] = applied
    return response


def _visible(record: OrderRecord | None, asker: Source) -> OrderRecord:
    """Another source's order is as unknown as one that never was."""
    if record is None or asker not in (Source.OPS, record.source):
        raise NotFound("ORDER_UNKNOWN", "no order of yours has this id")
    return record
