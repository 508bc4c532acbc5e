"""Batches (批量工单): a file of orders in, how far it is, and what became of every row. The orders
for all members of an EC are shown beside, and are paused and cancelled alike.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body, wait
from hlrd.api.acting import acting, somebody
from hlrd.api.auth import CALLER, SOURCE, demand
from hlrd.api.body import CSV, NDJSON
from hlrd.api.patience import Patience
from hlrd.api.problem import BadContent, Fault
from hlrd.api.seam import Batches
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain.audit import Action
from hlrd.domain.batch import NOT_OF_ROWS, Format, Posting
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.errors import BadRequest, Conflict, NotAllowed, NotFound, Refusal
from hlrd.domain.identity import ICCID, ICCIDText, parse_iccid
from hlrd.domain.lifecycle import BatchEvent, BatchState
from hlrd.domain.orders import PROVINCES, NameText, OperatorText, OrderIdText, ProvinceText, Source
from hlrd.pool.simfaults import COLUMNS
from hlrd.store.batches import BatchRow, Result

_PATH: Final = "/v1/batches"
_ID: Final = re.compile(r"\A[1-9][0-9]{0,17}\Z")
_FORMATS: Final = {CSV: Format.CSV, NDJSON: Format.NDJSON}
_SECRET: Final = "ki"
_RESULTS: Final = ("row", "user_id", "msisdn", "iccid", "result", "code", "order")
_SOURCES: Final = BY_NAME["BATCH"].sources


class Posted(Struct, kw_only=True, forbid_unknown_fields=True):
    """Query of POST /v1/batches."""

    order_id: OrderIdText
    operator_id: OperatorText
    province: ProvinceText
    child: NameText  #: the kind of every row
    priority: Annotated[int, Meta(ge=0, le=limits.PRIORITIES - 1)] = BY_NAME["BATCH"].priority
    partial: bool = False  #: rows that are good go on without those that are not
    common: str = "{}"  #: JSON object: fields that hold for every row
    iccid_first: ICCIDText | None = None  #: with `iccid_last`: the rows get the cards of this range
    iccid_last: ICCIDText | None = None


class ListQuery(Struct, forbid_unknown_fields=True):
    before: Annotated[int, Meta(ge=0, le=2**62)] = 2**62
    limit: Annotated[int, Meta(ge=1, le=limits.BATCHES_SHOWN_MAX)] = limits.BATCHES_SHOWN_MAX


class ResultsQuery(Struct, forbid_unknown_fields=True):
    format: Literal["csv", "ndjson"] = "csv"


class Ordered(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText | None = None  #: absent: the operator of the token, or OPS


class BatchRoutes:
    def __init__(self, batches: Batches, patience: Patience) -> None:
        self._batches = batches
        self._patience = patience

    def routes(self) -> list[web.RouteDef]:
        one = _PATH + "/{id}"
        return [
            web.post(_PATH, self.post),
            web.get(_PATH, self.list, allow_head=False),
            web.get(one, self.get, allow_head=False),
            web.get(one + "/errors", self.errors, allow_head=False),
            web.get(one + "/results", self.results, allow_head=False),
            web.post(one + "/pause", self.pause),
            web.post(one + "/resume", self.resume),
            web.post(one + "/cancel", self.cancel),
        ]

    async def post(self, request: web.Request) -> web.Response:
        posting = _posting(request)
        bytes_expected = body.expected_bytes(request, limits.BATCH_FILE_BYTES_MAX)
        async with acting(
            request,
            Action.BATCH_POST,
            f"batch:{posting.order_id}",
            actor=posting.operator_id,
            after={
                "child": posting.child,
                "bytes": request.content_length,
                "session": request[CALLER].session,
            },
        ):
            batch = await self._batches.receive(
                body.stream(request, limits.BATCH_FILE_BYTES_MAX),
                bytes_expected=bytes_expected,
                posting=posting,
            )
        async with self._patience.at_most(
            wait.asked_s(request, usual_s=limits.BATCH_WAIT_S), session=request[CALLER].session
        ):
            batch = await self._batches.until_checked(batch)
        if batch.state is BatchState.REFUSED:
            raise await self._refusal(batch)
        return _shown(batch, status=202)

    async def list(self, request: web.Request) -> web.Response:
        demand(request, *_SOURCES)
        query = parse(request, ListQuery)
        found = await self._batches.page(_whose(request), query.before, query.limit)
        shown: dict[str, object] = {"batches": [_view(batch) for batch in found]}
        if len(found) == query.limit:
            shown["next"] = found[-1].id
        return as_json(msgspec.json.encode(shown))

    async def get(self, request: web.Request) -> web.Response:
        return _shown(await self._batch(request))

    async def errors(self, request: web.Request) -> web.StreamResponse:
        found = self._batches.error_file(await self._batch(request))
        headers = {hdrs.CONTENT_TYPE: CSV}
        if found is None:
            return web.Response(text=",".join(COLUMNS) + "\n", headers=headers)
        return web.FileResponse(found, headers=headers)

    async def results(self, request: web.Request) -> web.StreamResponse:
        batch, query = await self._batch(request), parse(request, ResultsQuery)
        is_csv = query.format == "csv"
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: CSV if is_csv else NDJSON})
        await response.prepare(request)
        if is_csv:
            await response.write(_lines([_RESULTS]))
        async for page in self._batches.results(batch):
            rows = [_result(row) for row in page]
            await response.write(
                _lines([list(row.values()) for row in rows]) if is_csv else _objects(rows)
            )
        await response.write_eof()
        return response

    async def pause(self, request: web.Request) -> web.Response:
        return await self._order(request, BatchEvent.PAUSED, Action.BATCH_PAUSE)

    async def resume(self, request: web.Request) -> web.Response:
        return await self._order(request, BatchEvent.RESUMED, Action.BATCH_RESUME)

    async def cancel(self, request: web.Request) -> web.Response:
        return await self._order(request, BatchEvent.CANCELLED, Action.BATCH_CANCEL)

    async def _order(self, request: web.Request, event: BatchEvent, action: Action) -> web.Response:
        batch, wish = await self._batch(request), parse(request, Ordered)
        async with acting(
            request,
            action,
            f"batch:{batch.id}",
            actor=wish.operator_id or somebody(request),
            order=batch.work_order,
            before={"state": str(batch.state)},
        ):
            moved = await self._batches.order(batch, event)
        return _shown(moved, status=202)

    async def _batch(self, request: web.Request) -> BatchRow:
        demand(request, *_SOURCES)
        text = request.match_info["id"]
        if not _ID.match(text):
            raise NotFound("BATCH_UNKNOWN", "no batch of yours has this id")
        return await self._batches.get(int(text), _whose(request))

    async def _refusal(self, batch: BatchRow) -> Refusal:
        code, cause = batch.code or "BATCH_INVALID", batch.cause or ""
        if code != "BATCH_INVALID":
            return Conflict(code, cause)
        found = await self._batches.faults(batch, limits.SIM_FILE_FAULTS_MAX)
        faults = [
            Fault(f"[{bad.line}].{bad.column}" if bad.column else f"[{bad.line}]", bad.reason)
            for bad in found
        ]
        return BadContent(code, cause, faults)


def _posting(request: web.Request) -> Posting:
    demand(request, *_SOURCES)
    source: Source = request[SOURCE]
    said = parse(request, Posted)
    if said.province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
    _refuse_child(said.child, source)
    media = body.media_type(request, CSV, NDJSON, charsets=body.CHINESE)
    return Posting(
        source=source,
        order_id=said.order_id,
        operator_id=said.operator_id,
        province=said.province,
        child=said.child,
        priority=said.priority,
        format=_FORMATS[media],
        charset=(request.charset or body.UTF_8).lower(),
        common=_common(said),
        cards=_cards(said),
        is_partial=said.partial,
    )


def _refuse_child(child: str, source: Source) -> None:
    kind = BY_NAME.get(child)
    if kind is None or not kind.is_of_user:
        raise BadRequest("KIND_UNKNOWN", "no kind of order about a user (docs/api.md)", "child")
    if source not in kind.sources:
        raise NotAllowed("SOURCE_NOT_ALLOWED", f"{source} may not send {child}", "child")


def _common(said: Posted) -> Mapping[str, Any]:
    try:
        common = parse_json(said.common.encode(), dict[str, Any])
    except Refusal as refusal:
        raise refusal.at("common") from None
    known = frozenset(BY_NAME[said.child].shape.__struct_fields__) - NOT_OF_ROWS - {_SECRET}
    for name in common:
        if name not in known:
            text = "no field of this kind that rows may have in common"
            raise BadRequest("FIELD_UNKNOWN", text, "common")
    return common


def _cards(said: Posted) -> tuple[ICCID, ICCID] | None:
    if said.iccid_first is None or said.iccid_last is None:
        if said.iccid_first or said.iccid_last:
            raise BadRequest("FIELD_MISSING", "a range has two ends", "iccid_last")
        return None
    if said.child != "MEMBER_ACTIVATE":
        text = "only rows of MEMBER_ACTIVATE get cards of a range"
        raise BadRequest("FIELD_INVALID", text, "iccid_first")
    first = parse_iccid(said.iccid_first, "iccid_first")
    last = parse_iccid(said.iccid_last, "iccid_last")
    if last < first:
        raise BadRequest("FIELD_INVALID", "the range ends before it begins", "iccid_last")
    return first, last


def _whose(request: web.Request) -> str | None:
    """Another source's batch is as unknown as one that never was; staff sees all."""
    source = request[SOURCE]
    return None if source is Source.OPS else str(source)


def _view(batch: BatchRow) -> dict[str, object]:
    return {
        "id": str(batch.id),
        "type": batch.kind,
        "order_id": batch.order_id,
        "order": None if batch.work_order is None else str(batch.work_order),
        "source": batch.source,
        "operator_id": batch.operator_id,
        "province": batch.province,
        "child": batch.child,
        "priority": batch.priority,
        "state": batch.state,
        "partial": batch.is_partial,
        "sha256": None if batch.file_hash is None else batch.file_hash.hex(),
        "bytes": batch.file_bytes,
        "ec_code": batch.ec_code,
        "reason": batch.reason,
        "rows": batch.rows,
        "checked": batch.checked,
        "faults": batch.faults,
        "sent": batch.sent,
        "ok": batch.ok,
        "failed": batch.failed,
        "left": batch.left,
        "mark": batch.mark or None,
        "code": batch.code,
        "cause": batch.cause,
        "started_at": batch.started_at,
        "ended_at": batch.ended_at,
    }


def _shown(batch: BatchRow, *, status: int = 200) -> web.Response:
    headers: dict[str, str] = {}
    if status == 202:
        headers[hdrs.LOCATION] = f"{_PATH}/{batch.id}"
    return as_json(msgspec.json.encode(_view(batch)), status=status, headers=headers)


def _result(row: Result) -> dict[str, object]:
    order = None if row.order is None else str(row.order)
    values = (row.row, row.user_id, row.msisdn, row.iccid, row.state, row.code, order)
    return dict(zip(_RESULTS, values, strict=True))


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [["" if value is None else value for value in row] for row in rows]
    )
    return text.getvalue().encode()


def _objects(rows: Sequence[Mapping[str, object]]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
