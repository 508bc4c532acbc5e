"""Who is master of user state: shown, switched, and compared with, province by province."""

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting, refuse_another
from hlrd.api.auth import demand
from hlrd.api.body import JSON, NDJSON, Bodies
from hlrd.api.operators import demand_right
from hlrd.api.problem import TooLarge
from hlrd.api.seam import Reconciler, StateMasters
from hlrd.api.shown import shown
from hlrd.api.typed import parse, parse_json
from hlrd.domain.audit import Action
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.master import Master
from hlrd.domain.orders import PROVINCES, OperatorText, Source, refusal_of
from hlrd.domain.reconciliation import Comparison, Said
from hlrd.domain.rights import READ

_PATH: Final = "/v1/state-masters"
_ONE: Final = _PATH + "/{province}"
_ENCODER: Final = msgspec.json.Encoder()
_SAID: Final = msgspec.json.Decoder(Said)

T = TypeVar("T")


class Switch(Struct, forbid_unknown_fields=True):
    master: Master
    operator_id: OperatorText


class Cancel(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class Reconcile(Struct, forbid_unknown_fields=True):
    """Query of a reconciliation."""

    operator_id: OperatorText
    repair: Literal["yes", "no"] = "no"
    """Whether an order is posted for each difference."""


class MasterRoutes:
    def __init__(self, masters: StateMasters, reconciler: Reconciler, *, bodies: Bodies) -> None:
        self._masters = masters
        self._reconciler = reconciler
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.get(_ONE, self.get, allow_head=False),
            web.post(_ONE + "/switch", self.switch),
            web.post(_ONE + "/cancel", self.cancel),
            web.post(_ONE + "/reconcile", self.reconcile),
            web.get(_ONE + "/users.ndjson", self.export, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return shown({"usual": self._masters.usual, "provinces": await self._masters.views()})

    async def get(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return shown(await self._masters.view(_province(request)))

    async def switch(self, request: web.Request) -> web.Response:
        wanted, province = await self._read(request, Switch), _province(request)
        before = await self._masters.view(province)
        async with acting(
            request,
            Action.MASTER_DRAIN,
            f"province:{province}",
            actor=wanted.operator_id,
            before={"master": before.master},
            after={"master": wanted.master},
        ):
            return shown(await self._masters.switch(province, wanted.master, wanted.operator_id))

    async def cancel(self, request: web.Request) -> web.Response:
        wanted, province = await self._read(request, Cancel), _province(request)
        before = await self._masters.view(province)
        async with acting(
            request,
            Action.MASTER_CANCEL,
            f"province:{province}",
            actor=wanted.operator_id,
            before={"master": before.master, "next": before.next},
        ):
            return shown(await self._masters.cancel(province, wanted.operator_id))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Who is stopped and why, in the form of a list for `reconcile`."""
        demand(request, Source.OPS)
        pages = self._masters.stopped(_province(request))
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: NDJSON})
        await response.prepare(request)
        async for page in pages:
            await response.write(_ENCODER.encode_lines(page))
        await response.write_eof()
        return response

    async def reconcile(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        asked, province = parse(request, Reconcile), _province(request)
        body.media_type(request, NDJSON)
        async with self._bodies.read(request) as document:
            said = _said(document)
        repairs = asked.repair == "yes"
        if not repairs:
            refuse_another(request, asked.operator_id)
            await demand_right(request, READ, f"province:{province}")
            return shown(await self._compare(province, said, asked.operator_id, repairs=False))
        async with acting(
            request,
            Action.MASTER_RECONCILE,
            f"province:{province}",
            actor=asked.operator_id,
            after={"users": len(said)},
        ):
            return shown(await self._compare(province, said, asked.operator_id, repairs=True))

    async def _compare(
        self, province: str, said: Sequence[Said], operator_id: str, *, repairs: bool
    ) -> Comparison:
        return await self._reconciler.compare(
            province, said, operator_id=operator_id, repairs=repairs
        )

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)


def _province(request: web.Request) -> str:
    province = request.match_info["province"]
    if province not in PROVINCES:
        raise NotFound("PROVINCE_UNKNOWN", "not a company code (docs/api.md)")
    return province


def _said(document: bytes) -> list[Said]:
    lines = [line for line in document.split(b"\n") if line.strip()]
    if len(lines) > limits.RECONCILE_LIST_MAX:
        text = f"a list is at most {limits.RECONCILE_LIST_MAX:,} users; send several"
        raise TooLarge("BATCH_TOO_LARGE", text)
    return [_one(line, place) for place, line in enumerate(lines)]


def _one(line: bytes, place: int) -> Said:
    try:
        return _SAID.decode(line)
    except msgspec.ValidationError as error:
        raise refusal_of(error).at(f"[{place}]") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("JSON_INVALID", f"not a JSON document: {error}", f"[{place}]") from None
