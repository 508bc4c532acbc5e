"""SIM lots and cards: shown, exported, scrapped. Never a key in an answer."""

from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import CSV, JSON, Bodies
from hlrd.api.seam import CardDesk, SIMStock
from hlrd.api.shown import demand_reader, shown
from hlrd.api.typed import parse_json
from hlrd.domain.audit import Action
from hlrd.domain.errors import NotFound
from hlrd.domain.identity import ICCID, parse_iccid
from hlrd.domain.orders import NoteText, OperatorText, Source
from hlrd.store.record import CardRow

_LOTS: Final = "/v1/sim-lots"
_CARDS: Final = "/v1/sim-cards"
_EXPORTED: Final = ("iccid", "imsi", "state", "msisdn")


class Scrap(Struct, forbid_unknown_fields=True):
    cause: NoteText
    operator_id: OperatorText


class SIMRoutes:
    def __init__(self, *, stock: SIMStock, cards: CardDesk, bodies: Bodies) -> None:
        self._stock = stock
        self._cards = cards
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_LOTS, self.lots, allow_head=False),
            web.get(_LOTS + "/{name}", self.lot, allow_head=False),
            web.get(_LOTS + "/{name}/cards.csv", self.export, allow_head=False),
            web.get(_CARDS + "/{iccid}", self.card, allow_head=False),
            web.post(_CARDS + "/{iccid}/scrap", self.scrap),
        ]

    async def lots(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return shown({"lots": await self._stock.lots()})

    async def lot(self, request: web.Request) -> web.Response:
        demand_reader(request)
        found = await self._stock.lot(_name_of(request))
        if found is None:
            raise _unknown_lot()
        return shown(found)

    async def export(self, request: web.Request) -> web.StreamResponse:
        demand_reader(request)
        pages = await self._stock.cards(_name_of(request))
        if pages is None:
            raise _unknown_lot()
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: CSV})
        await response.prepare(request)
        await response.write(_line(_EXPORTED))
        async for page in pages:
            await response.write(b"".join(map(_exported, page)))
        await response.write_eof()
        return response

    async def card(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return await self._card(parse_iccid(request.match_info["iccid"]))

    async def scrap(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        iccid = parse_iccid(request.match_info["iccid"])
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, Scrap)
        card = await self._stock.card(iccid)
        async with acting(
            request,
            Action.CARD_SCRAP,
            f"card:{iccid}",
            actor=wanted.operator_id,
            before=None if card is None else {"state": card.state},
            after={"cause": wanted.cause},
        ):
            await self._cards.scrap(iccid, cause=wanted.cause, operator_id=wanted.operator_id)
        return await self._card(iccid)

    async def _card(self, iccid: ICCID) -> web.Response:
        found = await self._stock.card(iccid)
        if found is None:
            raise NotFound("CARD_UNKNOWN", "this card is not of the stock", "iccid")
        return shown(found)


def _name_of(request: web.Request) -> str:
    name = request.match_info["name"]
    if "\0" in name:  # which PostgreSQL takes for no text at all
        raise _unknown_lot()
    return name


def _unknown_lot() -> NotFound:
    return NotFound("LOT_UNKNOWN", "no SIM lot has this name")


def _exported(card: CardRow) -> bytes:
    return _line((card.iccid, card.imsi, card.state, card.msisdn or ""))


def _line(values: Sequence[str]) -> bytes:
    """None of them needs quotes."""
    return f"{','.join(values)}\n".encode("ascii")
