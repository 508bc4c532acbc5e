"""Segments that move from one HLR to another: started, switched, verified, turned back by staff."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.elements import ElementText
from hlrd.api.seam import Moves
from hlrd.api.typed import as_json, parse_json
from hlrd.domain.audit import Action
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.lifecycle import MoveEvent
from hlrd.domain.orders import BEIJING, OperatorText, Source
from hlrd.domain.routing import PREFIX_PATTERN, Identity, Rehoming, Segment
from hlrd.store.record import MoveRow

_PATH: Final = "/v1/segment-moves"
_ID: Final = re.compile(r"\A[0-9]{1,18}\Z")

_ACTIONS: Final = {
    MoveEvent.SWITCH_ORDERED: Action.MOVE_SWITCH,
    MoveEvent.VERIFY_ORDERED: Action.MOVE_VERIFY,
    MoveEvent.RETURN_ORDERED: Action.MOVE_RETURN,
}

PrefixText = Annotated[str, Meta(pattern=PREFIX_PATTERN)]
Sample = Annotated[int, Meta(ge=1, le=limits.MOVE_VERIFIED_MAX)]


class NewMove(Struct, forbid_unknown_fields=True, rename={"old": "from", "new": "to"}):
    prefix: PrefixText
    old: ElementText
    new: ElementText
    operator_id: OperatorText
    kind: Literal["msisdn", "imsi"] = "msisdn"
    sample: Sample | None = None  #: subscribers to be asked for; absent: all


class Ordered(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class MoveRoutes:
    def __init__(self, moves: Moves, *, bodies: Bodies) -> None:
        self._moves = moves
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.post(_PATH, self.start),
            web.get(_PATH + "/{id}", self.get, allow_head=False),
            web.post(_PATH + "/{id}/switch", self.switch),
            web.post(_PATH + "/{id}/verify", self.verify),
            web.post(_PATH + "/{id}/return", self.turn_back),
        ]

    async def list(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        shown = [self._view(row) for row in await self._moves.newest()]
        return as_json(msgspec.json.encode({"moves": shown}))

    async def get(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        return self._shown(await self._moves.get(_id_of(request)))

    async def start(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, NewMove)
        segment = Segment(Identity(wanted.kind), wanted.prefix)
        rehoming = Rehoming(segment, wanted.old, wanted.new)
        if not segment.spans():
            raise BadRequest("PREFIX_INVALID", f"longer than any {wanted.kind}", "prefix")
        async with acting(
            request,
            Action.MOVE_START,
            f"segment:{wanted.kind} {wanted.prefix}",
            actor=wanted.operator_id,
            before={"hlr": wanted.old},
            after={"hlr": wanted.new},
        ):
            row = await self._moves.start(rehoming, wanted.operator_id, wanted.sample)
        response = self._shown(row, status=201)
        response.headers[hdrs.LOCATION] = f"{_PATH}/{row.id}"
        return response

    async def switch(self, request: web.Request) -> web.Response:
        return await self._order(request, MoveEvent.SWITCH_ORDERED)

    async def verify(self, request: web.Request) -> web.Response:
        return await self._order(request, MoveEvent.VERIFY_ORDERED)

    async def turn_back(self, request: web.Request) -> web.Response:
        return await self._order(request, MoveEvent.RETURN_ORDERED)

    async def _order(self, request: web.Request, event: MoveEvent) -> web.Response:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, Ordered)
        id = _id_of(request)
        async with acting(
            request,
            _ACTIONS[event],
            f"move:{id}",
            actor=wanted.operator_id,
            before={"state": (await self._moves.get(id)).state},
        ):
            row = await self._moves.order(id, event, wanted.operator_id)
        return self._shown(row, status=202)

    def _shown(self, row: MoveRow, *, status: int = 200) -> web.Response:
        return as_json(msgspec.json.encode(self._view(row)), status=status)

    def _view(self, row: MoveRow) -> Mapping[str, object]:
        segment = row.rehoming.segment
        live = None if row.is_over else self._moves.progress()
        return {
            "id": str(row.id),
            "kind": segment.of,
            "prefix": segment.prefix,
            "from": row.rehoming.old,
            "to": row.rehoming.new,
            "state": row.state,
            "operator_id": row.operator_id,
            "running": live.running if live else 0,
            "waiting": live.waiting if live else 0,
            "switched": row.switched,
            "sample": row.sample,
            "verified": {
                "asked": row.asked,
                "missing": row.missing,
                "silent": row.silent,
                "examples": row.examples,
            },
            "started_at": row.started_at.astimezone(BEIJING),
            "changed_at": row.changed_at.astimezone(BEIJING),
        }


def _id_of(request: web.Request) -> int:
    text = request.match_info["id"]
    if not _ID.match(text):
        raise NotFound("MOVE_UNKNOWN", "no move has this id")
    return int(text)
