"""Work orders in, one by one or in batches, and what became of them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs, web

from hlrd import limits
from hlrd.api import answer, body, decode, view, wait
from hlrd.api.acting import acting, own
from hlrd.api.auth import CALLER, SOURCE, Caller
from hlrd.api.body import JSON, NDJSON, Bodies
from hlrd.api.elements import Elements
from hlrd.api.patience import Patience
from hlrd.api.seam import Desk, Intake, Orders, Recall, Status
from hlrd.api.typed import as_json, parse
from hlrd.domain.audit import Action
from hlrd.domain.errors import NotFound, Unavailable
from hlrd.domain.orders import OrderIdText, Source
from hlrd.ports import Answer, Submission
from hlrd.store.record import OrderRecord

_PATH: Final = "/v1/work-orders"
_ID_MAX: Final = 2**63 - 1
T = TypeVar("T")

_APPLIED: Final = "Preference-Applied"


class Lookup(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /v1/work-orders."""

    order_id: OrderIdText
    source: Source | None = None  #: absent: the caller's own


class WorkOrders:
    def __init__(
        self,
        *,
        status: Callable[[], Status],
        intake: Intake,
        orders: Orders,
        desk: Desk,
        recall: Recall,
        elements: Elements,
        bodies: Bodies,
        patience: Patience,
    ) -> None:
        self._status = status
        self._intake = intake
        self._orders = orders
        self._desk = desk
        self._recall = recall
        self._elements = elements
        self._bodies = bodies
        self._patience = patience

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_PATH, self.post),
            web.get(_PATH, self.find, allow_head=False),
            web.get(_PATH + "/{id}", self.get, allow_head=False),
            web.post(_PATH + "/{id}/cancel", self.cancel),
            web.post(_PATH + "/{id}/chase", self.chase),
        ]

    async def post(self, request: web.Request) -> web.Response:
        now = self._status()
        if not now.ready:
            raise Unavailable("NOT_READY", now.reason, retry_after_s=1.0)
        media = body.media_type(request, JSON, NDJSON)
        caller = request[CALLER]
        async with self._bodies.read(request) as document:
            if media == JSON and not decode.is_array(document):
                submission = decode.one(caller.source, document, session=caller.session)
            else:
                encoded = decode.lines(document) if media == NDJSON else decode.elements(document)
                submissions = await _decode(caller, encoded)
                submissions = await own(request, submissions)
                return await self._post_batch(submissions, media)
        (submission,) = await own(request, [submission])
        return await self._post_one(request, submission)

    async def get(self, request: web.Request) -> web.Response:
        record = await self._record(request)
        return self._shown(record)

    async def find(self, request: web.Request) -> web.Response:
        query = parse(request, Lookup)
        source = query.source or request[SOURCE]
        record = await self._orders.by_order_id(source, query.order_id)
        record = _visible(record, request[SOURCE])
        return self._shown(record)

    async def cancel(self, request: web.Request) -> web.Response:
        record = await self._record(request)
        async with acting(request, Action.ORDER_CANCEL, f"order:{record.id}", order=record.id):
            await self._recall.cancel(record.id)
        return self._shown(await self._record(request))

    async def chase(self, request: web.Request) -> web.Response:
        record = await self._record(request)
        async with acting(request, Action.ORDER_CHASE, f"order:{record.id}", order=record.id):
            await self._recall.chase(record.id)
        return self._shown(await self._record(request), status=202)

    def _shown(self, record: OrderRecord, *, status: int = 200) -> web.Response:
        live = self._desk.show(record.id)
        elements = self._elements
        document = view.order(
            record,
            live,
            masked=elements.masked,
            obstacle=elements.obstacle,
            hold_of=self._desk.hold_of,
            lack_of=self._desk.lack_of,
        )
        return as_json(document, status=status)

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
        wish = None if order is None else wait.wanted(request.headers.get(wait.PREFER), order)
        if wish is None:
            (settled,) = await _settled(self._submit([submission]))
            return _one(settled)
        return _one(await self._closed(submission, wish.seconds), wish.applied)

    def _submit(self, submissions: Sequence[Submission]) -> asyncio.Future[list[Answer]]:
        answers = asyncio.get_running_loop().create_future()
        self._intake.submit(submissions, partial(_set_unless_gone, answers))
        return answers

    async def _closed(self, submission: Submission, seconds: float) -> Answer:
        """The answer with its receipt, or at the deadline as the order stands.

        The deadline does not cut the wait for the order to be durable, since before that 202 would
        promise too much.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        answers, receipt = loop.create_future(), loop.create_future()
        watches: list[Callable[[], None]] = []

        def on_answers(given: list[Answer]) -> None:
            is_open = given[0].refusal is None and given[0].receipt is None
            if is_open and not answers.done():  # in this call, as in a later one it may be closed
                on_receipt = partial(_set_unless_gone, receipt)
                watches.append(self._intake.when_closed(given[0].id, on_receipt))
            _set_unless_gone(answers, given)

        self._intake.submit([submission], on_answers)
        try:
            (settled,) = await _settled(answers)
            if watches:
                left_s = max(0.0, deadline - loop.time())
                async with self._patience.at_most(left_s, session=submission.session):
                    await asyncio.wait([receipt])
        finally:
            for forget in watches:
                forget()
        if receipt.done():
            return answer.closed(settled, receipt.result())
        return self._as_it_stands(settled)

    def _as_it_stands(self, settled: Answer) -> Answer:
        live = self._desk.show(settled.id)
        return (
            settled if live is None else msgspec.structs.replace(settled, state=str(live["state"]))
        )


async def _decode(caller: Caller, encoded: Sequence[bytes]) -> list[Submission]:
    submissions: list[Submission] = []
    for piece in decode.slices(caller.source, encoded, session=caller.session):
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


def _set_unless_gone(future: asyncio.Future[T], value: T) -> None:
    """The client may have gone, and its request with it."""
    if not future.done():
        future.set_result(value)


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
