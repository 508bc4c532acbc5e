"""Imports of SIM lots: the file in, how far it is, what was wrong with it. Never a key, nor a value
of a bad line."""

from typing import Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from hlrd import limits, metrics
from hlrd.api import body, wait
from hlrd.api.acting import acting, somebody
from hlrd.api.auth import CALLER, demand
from hlrd.api.elements import Elements, ElementText
from hlrd.api.patience import Patience
from hlrd.api.problem import BadContent, Fault
from hlrd.api.seam import Imports, SIMStock
from hlrd.api.shown import demand_reader
from hlrd.api.typed import as_json, parse
from hlrd.domain.audit import Action
from hlrd.domain.errors import BadRequest, Conflict, NotFound, Refusal
from hlrd.domain.imports import SIM_LOT
from hlrd.domain.lifecycle import ImportState
from hlrd.domain.orders import PROVINCES, OperatorText, ProvinceText, Source
from hlrd.pool.simfaults import COLUMNS
from hlrd.pool.simheader import BadLine
from hlrd.store.record import ImportRow

_LOTS: Final = "/v1/sim-lots"
_IMPORTS: Final = "/v1/sim-imports"
_ID_DIGITS_MAX: Final = 18


class Home(Struct, forbid_unknown_fields=True):
    """Query of POST /v1/sim-lots: what a vendor's file does not say."""

    province: ProvinceText
    hlr: ElementText | None = None  #: absent: as the routes say of its cards
    operator_id: OperatorText | None = None  #: who imports it; absent: of the token, or OPS


class Cancel(Struct, forbid_unknown_fields=True):
    """Query of DELETE /v1/sim-imports/{id}."""

    operator_id: OperatorText | None = None


class ImportRoutes:
    def __init__(
        self, *, imports: Imports, stock: SIMStock, elements: Elements, patience: Patience
    ) -> None:
        self._imports = imports
        self._stock = stock
        self._elements = elements
        self._patience = patience

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(_LOTS, self.post),
            web.get(_IMPORTS, self.list, allow_head=False),
            web.get(_IMPORTS + "/{id}", self.get, allow_head=False),
            web.get(_IMPORTS + "/{id}/errors", self.errors, allow_head=False),
            web.delete(_IMPORTS + "/{id}", self.cancel),
        ]

    async def post(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        home = parse(request, Home)
        if home.province not in PROVINCES:
            raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
        if home.hlr is not None:
            self._elements.refuse_unknown_hlr(home.hlr)
        body.media_type(request, body.CSV, charsets=body.CHINESE)
        metrics.ORDERS_RECEIVED.labels(SIM_LOT.name, Source.OPS).inc()
        bytes_expected = body.expected_bytes(request, limits.SIM_FILE_BYTES_MAX)
        who = home.operator_id or somebody(request)
        async with acting(
            request,
            Action.IMPORT_START,
            f"stock:{home.province}",
            actor=who,
            after={"hlr": home.hlr, "bytes": request.content_length},
        ):
            row = await self._imports.receive(
                body.stream(request, limits.SIM_FILE_BYTES_MAX),
                bytes_expected=bytes_expected,
                province=home.province,
                hlr=home.hlr or "",
                operator_id=who,
            )
        async with self._patience.at_most(
            wait.asked_s(request, usual_s=limits.SIM_IMPORT_WAIT_S), session=request[CALLER].session
        ):
            row = await self._imports.until_over(row)
        if row.state is ImportState.REFUSED:
            raise await self._refusal(row)
        if row.state is ImportState.DONE:
            return await self._lot(row)
        return _shown(await self._imports.get(row.id) or row, status=202)

    async def list(self, request: web.Request) -> web.Response:
        demand_reader(request)
        views = [_view(row) for row in await self._imports.newest()]
        return as_json(msgspec.json.encode({"imports": views}))

    async def get(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return _shown(await self._import(request), status=200)

    async def errors(self, request: web.Request) -> web.StreamResponse:
        demand_reader(request)
        found = self._imports.error_file(await self._import(request))
        headers = {hdrs.CONTENT_TYPE: body.CSV}
        if found is None:
            return web.Response(text=",".join(COLUMNS) + "\n", headers=headers)
        return web.FileResponse(found, headers=headers)

    async def cancel(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        who = parse(request, Cancel).operator_id or somebody(request)
        old = await self._import(request)
        async with acting(
            request,
            Action.IMPORT_CANCEL,
            f"import:{old.id}",
            actor=who,
            before={"state": old.state, "lot": old.lot},
        ):
            row = await self._imports.cancel(old.id, who)
        return _shown(row, status=202)

    async def _import(self, request: web.Request) -> ImportRow:
        row = await self._imports.get(_id_of(request))
        if row is None:
            raise _unknown()
        return row

    async def _lot(self, row: ImportRow) -> web.Response:
        assert row.lot is not None
        lot = await self._stock.lot(row.lot)
        location = f"{_LOTS}/{row.lot}"
        return as_json(msgspec.json.encode(lot), status=201, headers={hdrs.LOCATION: location})

    async def _refusal(self, row: ImportRow) -> Refusal:
        cause = row.cause or ""
        if row.code == "LOT_EXISTS":
            return Conflict("LOT_EXISTS", cause, "name")
        if row.code == "CARD_IN_STOCK":
            return Conflict("CARD_IN_STOCK", cause)
        if row.code == "LOT_INVALID":
            found = await self._imports.faults(row, limits.SIM_FILE_FAULTS_MAX)
            faults = [Fault(_place(bad), bad.reason) for bad in found]
            return BadContent("LOT_INVALID", cause, faults)
        return Conflict("IMPORT_ENDED", f"nothing was imported: {cause}")


def _id_of(request: web.Request) -> int:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX):
        raise _unknown()
    return int(text)


def _unknown() -> NotFound:
    return NotFound("IMPORT_UNKNOWN", "no import has this id")


def _view(row: ImportRow) -> dict[str, object]:
    return {
        "id": str(row.id),
        "state": row.state,
        "lot": row.lot,
        "province": row.province,
        "hlr": row.hlr,
        "operator_id": row.operator_id,
        "sha256": row.file_hash.hex(),
        "bytes": row.file_bytes,
        "rows": row.rows,
        "checked": row.checked,
        "loaded": row.loaded,
        "faults": row.faults,
        "left_s": row.left_s,
        "code": row.code,
        "cause": row.cause,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }


def _shown(row: ImportRow, *, status: int) -> web.Response:
    headers: dict[str, str] = {}
    if status == 202:
        headers[hdrs.LOCATION] = f"{_IMPORTS}/{row.id}"
    return as_json(msgspec.json.encode(_view(row)), status=status, headers=headers)


def _place(bad: BadLine) -> str:
    return f"[{bad.line}].{bad.column}" if bad.column else f"[{bad.line}]"
