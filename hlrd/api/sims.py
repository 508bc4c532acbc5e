"""SIM lots: import, show, counts by state. Never a key in an answer."""

import asyncio
import hashlib
from io import BytesIO
from typing import Final

from aiohttp import web
from msgspec import Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.auth import demand
from hlrd.api.body import CSV, Bodies
from hlrd.api.elements import Elements, ElementText
from hlrd.api.problem import BadContent, Fault
from hlrd.api.seam import SIMStock
from hlrd.api.shown import demand_reader, shown
from hlrd.api.typed import parse
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.order import PROVINCES, ProvinceText, Source
from hlrd.pool.simfile import SIMFile, gather
from hlrd.pool.simheader import BadLine, SIMFileRefused
from hlrd.ports import Vault
from hlrd.store.record import Delivery

_LOTS: Final = "/v1/sim-lots"


class Home(Struct, forbid_unknown_fields=True):
    """Query of POST /v1/sim-lots: what a vendor's file does not say."""

    province: ProvinceText
    hlr: ElementText


class SIMRoutes:
    def __init__(
        self, *, stock: SIMStock, elements: Elements, vault: Vault, bodies: Bodies
    ) -> None:
        self._stock = stock
        self._vault = vault
        self._elements = elements
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_LOTS, self.lots, allow_head=False),
            web.post(_LOTS, self.import_lot),
            web.get(_LOTS + "/{name}", self.lot, allow_head=False),
        ]

    async def lots(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return shown({"lots": await self._stock.lots()})

    async def lot(self, request: web.Request) -> web.Response:
        demand_reader(request)
        name = request.match_info["name"]
        if "\0" in name:  # which PostgreSQL takes for no text at all
            raise NotFound("LOT_UNKNOWN", "no SIM lot has this name")
        return await self._lot(name)

    async def import_lot(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        home = parse(request, Home)
        if home.province not in PROVINCES:
            raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
        self._elements.refuse_unknown_hlr(home.hlr)
        body.media_type(request, CSV)
        async with self._bodies.read(request) as document:
            delivery = await self._delivery(document, home)
            await self._stock.import_lot(delivery)
        return await self._lot(delivery.name, created=True)

    async def _delivery(self, document: bytes, home: Home) -> Delivery:
        """Sealing a large lot takes a second, so other requests get their turn in between."""
        try:
            file = SIMFile(BytesIO(document))
            parsed = []
            for card in file.cards(self._vault, hlr=home.hlr, province=home.province):
                parsed.append(card)
                if len(parsed) % limits.DECODE_SLICE_ORDERS == 0:
                    await asyncio.sleep(0)
            cards = gather(parsed)
        except SIMFileRefused as refused:
            faults = [Fault(_place(bad), bad.reason) for bad in refused.bad_lines]
            raise BadContent("LOT_INVALID", str(refused), faults) from None
        return Delivery(
            name=file.header.lot,
            vendor=file.header.vendor,
            province=home.province,
            hlr=home.hlr,
            file_hash=hashlib.sha256(document).digest(),
            cards=cards,
        )

    async def _lot(self, name: str, *, created: bool = False) -> web.Response:
        found = await self._stock.lot(name)
        if found is None:
            raise NotFound("LOT_UNKNOWN", "no SIM lot has this name")
        return shown(found, location=f"{_LOTS}/{name}" if created else None)


def _place(bad: BadLine) -> str:
    return f"[{bad.line}].{bad.column}" if bad.column else f"[{bad.line}]"
