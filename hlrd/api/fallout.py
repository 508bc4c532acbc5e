"""The fallout desk (异常工单): orders that need a person, and what one, or two together, do."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.elements import CauseText, ElementText
from hlrd.api.seam import BulkActs, FalloutDesk
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain.audit import Action, Facts
from hlrd.domain.errors import NotFound
from hlrd.domain.fallout import AUDITED, Act, Chosen
from hlrd.domain.orders import BEIJING, NameText, OperatorText, ProvinceText, Source, user_of
from hlrd.store.bulk import BulkRow
from hlrd.store.fallout import AmendmentRow, CountRow, FalloutRow, FalloutShown, SheetRow

_PATH: Final = "/v1/fallout"
_ACTS: Final = "/v1/fallout/acts"
_ID: Final = re.compile(r"\A[0-9]{1,18}\Z")
_PAGE: Final = 100

T = TypeVar("T")
CodeText = Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00-\x1f]*\Z")]
Age = Annotated[float, Meta(ge=0, le=10**9)]
Cursor = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Which(Struct, forbid_unknown_fields=True, kw_only=True):
    """Absent: any."""

    ne: ElementText | None = None
    code: CodeText | None = None  #: the NE's own
    province: ProvinceText | None = None
    type: NameText | None = None
    older_than_s: Age | None = None  #: since it fell out the first time

    def chosen(self) -> Chosen:
        return Chosen(self.ne, self.code, self.province, self.type, self.older_than_s)


class ListQuery(Which, forbid_unknown_fields=True, kw_only=True):
    after: Cursor = 0  #: `next` of the page before
    limit: Annotated[int, Meta(ge=1, le=limits.FALLOUT_PAGE_MAX)] = _PAGE


class Ordered(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText
    reason: CauseText


class Changed(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText
    reason: CauseText
    set: Annotated[dict[str, Any], Meta(min_length=1, max_length=16)]  #: null takes a field out


class NewBulk(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText
    reason: CauseText
    act: Act
    filter: Which


class Agreed(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class FalloutRoutes:
    def __init__(self, desk: FalloutDesk, bulks: BulkActs, *, bodies: Bodies) -> None:
        self._desk = desk
        self._bulks = bulks
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.get(_PATH + "/counts", self.counts, allow_head=False),
            web.get(_ACTS, self.bulks, allow_head=False),
            web.post(_ACTS, self.propose),
            web.get(_ACTS + "/{id}", self.bulk, allow_head=False),
            web.post(_ACTS + "/{id}/confirm", self.confirm),
            web.post(_ACTS + "/{id}/stop", self.stop),
            web.get(_PATH + "/{id}", self.get, allow_head=False),
            web.post(_PATH + "/{id}/resend", self.resend),
            web.post(_PATH + "/{id}/change", self.change),
            web.post(_PATH + "/{id}/skip", self.skip),
            web.post(_PATH + "/{id}/finish", self.finish),
            web.post(_PATH + "/{id}/cancel", self.cancel),
            web.post(_PATH + "/{id}/to-eoms", self.to_eoms),
        ]

    # Looking.

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        query = parse(request, ListQuery)
        rows = await self._desk.page(query.chosen(), query.after, query.limit)
        is_full = len(rows) == query.limit
        shown = {
            "orders": [_row(row) for row in rows],
            "next": str(rows[-1].order_id) if is_full else None,
        }
        return as_json(msgspec.json.encode(shown))

    async def counts(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        counts = [_count(row) for row in await self._desk.counts()]
        return as_json(msgspec.json.encode({"counts": counts}))

    async def get(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return await self._shown(_id_of(request, _UNKNOWN))

    async def _shown(self, order_id: int, *, status: int = 200) -> web.Response:
        shown = _shown(await self._desk.show(order_id))
        return as_json(msgspec.json.encode(shown), status=status)

    # One order.

    async def resend(self, request: web.Request) -> web.Response:
        return await self._act(request, Act.RESEND)

    async def skip(self, request: web.Request) -> web.Response:
        return await self._act(request, Act.SKIP)

    async def finish(self, request: web.Request) -> web.Response:
        return await self._act(request, Act.FINISH)

    async def cancel(self, request: web.Request) -> web.Response:
        return await self._act(request, Act.CANCEL)

    async def to_eoms(self, request: web.Request) -> web.Response:
        return await self._act(request, Act.TO_EOMS)

    async def _act(self, request: web.Request, act: Act) -> web.Response:
        wanted = await self._read(request, Ordered)
        row = await self._desk.get(_id_of(request, _UNKNOWN))
        who = wanted.operator_id
        after = {"reason": wanted.reason}
        async with acting(request, AUDITED[act], **_subject(row), actor=who, after=after):
            await self._desk.act(act, row, reason=wanted.reason, operator_id=who)
        return _told(row, act)

    async def change(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Changed)
        row = await self._desk.get(_id_of(request, _UNKNOWN))
        who = wanted.operator_id
        after = {"reason": wanted.reason, "set": wanted.set}
        async with acting(request, Action.FALLOUT_CHANGE, **_subject(row), actor=who, after=after):
            await self._desk.change(row, wanted.set, reason=wanted.reason, operator_id=who)
        return _told(row, Act.CHANGE)

    # Many at once.

    async def bulks(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        shown = [_bulk(row) for row in await self._bulks.newest()]
        return as_json(msgspec.json.encode({"acts": shown}))

    async def bulk(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return _of_bulk(await self._bulks.get(_id_of(request, _NO_BULK)))

    async def propose(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, NewBulk)
        chosen, who = wanted.filter.chosen(), wanted.operator_id
        after = {"act": wanted.act, "filter": msgspec.to_builtins(chosen), "reason": wanted.reason}
        async with acting(request, Action.FALLOUT_PROPOSE, "fallout:many", actor=who, after=after):
            bulk = await self._bulks.propose(
                wanted.act, chosen, reason=wanted.reason, operator_id=who
            )
        response = _of_bulk(bulk, status=201)
        response.headers[hdrs.LOCATION] = f"{_ACTS}/{bulk.id}"
        return response

    async def confirm(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Agreed)
        bulk = await self._bulks.get(_id_of(request, _NO_BULK))
        who, before = wanted.operator_id, _proposal(bulk)
        subject = f"fallout-act:{bulk.id}"
        async with acting(request, Action.FALLOUT_CONFIRM, subject, actor=who, before=before):
            bulk = await self._bulks.confirm(bulk, who)
        return _of_bulk(bulk, status=202)

    async def stop(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Agreed)
        bulk = await self._bulks.get(_id_of(request, _NO_BULK))
        who, before = wanted.operator_id, _proposal(bulk)
        subject = f"fallout-act:{bulk.id}"
        async with acting(request, Action.FALLOUT_STOP, subject, actor=who, before=before):
            bulk = await self._bulks.stop(bulk, who)
        return _of_bulk(bulk)

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)


_UNKNOWN: Final = NotFound("NOT_IN_FALLOUT", "no order of that id waits for a person", "id")
_NO_BULK: Final = NotFound("BULK_UNKNOWN", "no bulk act has this id")


def _id_of(request: web.Request, unknown: NotFound) -> int:
    text = request.match_info["id"]
    if not _ID.match(text):
        raise unknown
    return int(text)


def _subject(row: FalloutRow) -> dict[str, Any]:
    before: Facts = {
        "ne": row.ne, "operation": row.operation, "code": row.code, "step": row.step,
        "falls": row.falls,
    }  # fmt: skip
    return {"subject": f"order:{row.order_id}", "order": row.order_id, "before": before}


def _told(row: FalloutRow, act: Act) -> web.Response:
    return as_json(
        msgspec.json.encode({"id": str(row.order_id), "act": act, "waiting": row.waiting}),
        status=202,
    )


def _row(row: FalloutRow) -> Mapping[str, object]:
    return {
        "id": str(row.order_id),
        "source": row.source,
        "order_id": row.upstream_id,
        "type": row.kind,
        "user_id": user_of(row.user_id),
        "province": row.province,
        "priority": row.priority,
        "accepted_at": row.accepted_at.astimezone(BEIJING),
        "ne": row.ne,
        "operation": row.operation,
        "ne_class": row.verdict,
        "ne_code": row.code,
        "ne_text": row.text,
        "step": row.step,
        "is_undo": row.is_undo,
        "since": row.since.astimezone(BEIJING),
        "fell_at": row.fell_at.astimezone(BEIJING),
        "falls": row.falls,
        "released_as": row.way,
        "released_by": row.operator_id if row.way else None,
        "act": None if row.bulk_id is None else str(row.bulk_id),
        "skipped": list(row.skipped),
        "waiting": row.waiting,
        "sheet": row.sheet,
    }


def _shown(shown: FalloutShown) -> Mapping[str, object]:
    return {
        **_row(shown.row),
        "acts": list(shown.acts),
        "changeable": list(shown.changeable),
        "amendments": [_amendment(one) for one in shown.amendments],
        "sheets": [_sheet(one) for one in shown.sheets],
    }


def _amendment(row: AmendmentRow) -> Mapping[str, object]:
    return {
        "order": msgspec.Raw(row.payload),
        "operator_id": row.operator_id,
        "reason": row.reason,
        "at": row.at.astimezone(BEIJING),
    }


def _sheet(row: SheetRow) -> Mapping[str, object]:
    return {
        "number": f"F{row.transaction}",
        "state": row.state,
        "asked_by": row.asked_by,
        "answer": row.answer,
        "text": row.text,
        "opened_at": row.opened_at.astimezone(BEIJING),
        "changed_at": row.changed_at.astimezone(BEIJING),
    }


def _count(row: CountRow) -> Mapping[str, object]:
    return {
        "ne": row.ne,
        "ne_class": row.verdict,
        "ne_code": row.code,
        "orders": row.orders,
        "idle": row.idle,
        "waiting": row.waiting,
        "oldest": row.oldest.astimezone(BEIJING),
    }


def _proposal(row: BulkRow) -> Facts:
    return {
        "act": row.act,
        "filter": _filter(row),
        "count": row.count,
        "state": row.state,
        "proposed_by": row.proposed_by,
    }


def _filter(row: BulkRow) -> Mapping[str, object]:
    chosen = row.chosen
    named = {
        "ne": chosen.ne, "code": chosen.code, "province": chosen.province, "type": chosen.kind,
        "older_than_s": chosen.older_than_s,
    }  # fmt: skip
    return {name: value for name, value in named.items() if value is not None}


def _of_bulk(row: BulkRow, *, status: int = 200) -> web.Response:
    return as_json(msgspec.json.encode(_bulk(row)), status=status)


def _bulk(row: BulkRow) -> Mapping[str, object]:
    moments = {
        "proposed_at": row.proposed_at,
        "expires_at": row.expires_at,
        "confirmed_at": row.confirmed_at,
        "ended_at": row.ended_at,
    }
    return {
        "id": str(row.id),
        "act": row.act,
        "filter": _filter(row),
        "reason": row.reason,
        "state": row.state,
        "proposed_by": row.proposed_by,
        "confirmed_by": row.confirmed_by,
        "ended_by": row.ended_by,
        "count": row.count,
        "sample": list(row.sample),
        "released": row.released,
        "refused": row.refused,
        "under_way": row.under_way,
        "again": row.again,
        **{name: at and at.astimezone(BEIJING) for name, at in moments.items()},
    }
