"""Number pools and SIM lots: import, show, counts by state. Never a key in an answer."""

import asyncio
import hashlib
from io import BytesIO
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body
from hlrd.api.auth import demand
from hlrd.api.body import CSV, JSON, Bodies
from hlrd.api.elements import Elements
from hlrd.api.problem import BadContent, Fault
from hlrd.api.seam import Inventory
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.order import PROVINCES, NameText, ProvinceText, Source
from hlrd.pool.ranges import parse_range
from hlrd.pool.simfile import SIMFile, gather
from hlrd.pool.simheader import BadLine, SIMFileRefused
from hlrd.ports import Vault
from hlrd.store.record import Delivery

_POOLS: Final = "/v1/pools"
_LOTS: Final = "/v1/sim-lots"

NumberText = Annotated[str, Meta(max_length=20)]
ElementText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]


class NewPool(Struct, forbid_unknown_fields=True):
    name: NameText


class NewRange(Struct, forbid_unknown_fields=True):
    """Both ends belong to it."""

    first: NumberText
    last: NumberText
    province: ProvinceText
    hlr: ElementText


class Home(Struct, forbid_unknown_fields=True):
    """Query of POST /v1/sim-lots: what a vendor's file does not say."""

    province: ProvinceText
    hlr: ElementText


class InventoryRoutes:
    def __init__(
        self, *, inventory: Inventory, elements: Elements, vault: Vault, bodies: Bodies
    ) -> None:
        self._inventory = inventory
        self._vault = vault
        self._elements = elements
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_POOLS, self.pools, allow_head=False),
            web.post(_POOLS, self.create_pool),
            web.get(_POOLS + "/{name}", self.pool, allow_head=False),
            web.post(_POOLS + "/{name}/ranges", self.add_range),
            web.get("/v1/numbers/{msisdn}", self.number, allow_head=False),
            web.get(_LOTS, self.lots, allow_head=False),
            web.post(_LOTS, self.import_lot),
            web.get(_LOTS + "/{name}", self.lot, allow_head=False),
        ]

    async def pools(self, request: web.Request) -> web.Response:
        _demand_reader(request)
        return _shown({"pools": await self._inventory.pools()})

    async def create_pool(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, NewPool)
        await self._inventory.create_pool(wanted.name)
        return await self._pool(wanted.name, created=True)

    async def pool(self, request: web.Request) -> web.Response:
        _demand_reader(request)
        return await self._pool(request.match_info["name"])

    async def add_range(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, NewRange)
        pool = request.match_info["name"]
        span = parse_range(
            pool=pool,
            first=wanted.first,
            last=wanted.last,
            province=wanted.province,
            hlr=wanted.hlr,
        )
        self._refuse_unknown_hlr(wanted.hlr)
        await self._inventory.add_range(span)
        return await self._pool(pool, created=True)

    async def number(self, request: web.Request) -> web.Response:
        _demand_reader(request)
        found = await self._inventory.number(identity.parse_msisdn(request.match_info["msisdn"]))
        if found is None:
            raise NotFound("NUMBER_UNKNOWN", "this number is in no range of any pool")
        return _shown(found)

    async def lots(self, request: web.Request) -> web.Response:
        _demand_reader(request)
        return _shown({"lots": await self._inventory.lots()})

    async def lot(self, request: web.Request) -> web.Response:
        _demand_reader(request)
        name = request.match_info["name"]
        if "\0" in name:  # which PostgreSQL takes for no text at all
            raise NotFound("LOT_UNKNOWN", "no SIM lot has this name")
        return await self._lot(name)

    async def import_lot(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        home = parse(request, Home)
        if home.province not in PROVINCES:
            raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
        self._refuse_unknown_hlr(home.hlr)
        body.media_type(request, CSV)
        async with self._bodies.read(request) as document:
            delivery = await self._delivery(document, home)
            await self._inventory.import_lot(delivery)
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

    async def _pool(self, name: str, *, created: bool = False) -> web.Response:
        found = await self._inventory.pool(name)
        if found is None:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")
        return _shown(found, location=f"{_POOLS}/{name}" if created else None)

    async def _lot(self, name: str, *, created: bool = False) -> web.Response:
        found = await self._inventory.lot(name)
        if found is None:
            raise NotFound("LOT_UNKNOWN", "no SIM lot has this name")
        return _shown(found, location=f"{_LOTS}/{name}" if created else None)

    def _refuse_unknown_hlr(self, hlr: str) -> None:
        if hlr not in self._elements:
            raise BadRequest("HLR_UNKNOWN", "no network element has this name", "hlr")


def _place(bad: BadLine) -> str:
    return f"[{bad.line}].{bad.column}" if bad.column else f"[{bad.line}]"


def _demand_reader(request: web.Request) -> None:
    demand(request, Source.OPS, Source.ESOP)


def _shown(found: object, *, location: str | None = None) -> web.Response:
    response = as_json(msgspec.json.encode(found), status=201 if location else 200)
    if location is not None:
        response.headers[hdrs.LOCATION] = location
    return response
