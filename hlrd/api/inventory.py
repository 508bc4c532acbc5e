"""Number pools and SIM lots: import, show, counts by state. Never a key in an answer."""

import asyncio
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.api import body, lots
from hlrd.api.auth import demand
from hlrd.api.body import CSV, JSON, Bodies
from hlrd.api.elements import Elements
from hlrd.api.problem import BadContent, Fault
from hlrd.api.seam import Inventory, NewCard
from hlrd.api.typed import as_json, parse, parse_json
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.order import PROVINCES, NameText, ProvinceText, Source

_POOLS: Final = "/v1/pools"
_LOTS: Final = "/v1/sim-lots"

ElementText = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]


class NewPool(Struct, forbid_unknown_fields=True):
    name: NameText


class NewRange(Struct, forbid_unknown_fields=True):
    """Both ends belong to it."""

    first: identity.MSISDNText
    last: identity.MSISDNText
    province: ProvinceText
    hlr: ElementText


class NewLot(Struct, forbid_unknown_fields=True):
    """Query of POST /v1/sim-lots."""

    name: NameText
    province: ProvinceText
    hlr: ElementText


class InventoryRoutes:
    def __init__(self, *, inventory: Inventory, elements: Elements, bodies: Bodies) -> None:
        self._inventory = inventory
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
        first = identity.parse_msisdn(wanted.first, "first")
        last = identity.parse_msisdn(wanted.last, "last")
        if len(first) != len(last) or first > last:
            raise BadRequest("RANGE_INVALID", "as long as first, and not below it", "last")
        self._refuse_bad_home(wanted.province, wanted.hlr)
        pool = request.match_info["name"]
        await self._inventory.add_range(
            pool, first=first, last=last, province=wanted.province, hlr=wanted.hlr
        )
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
        return await self._lot(request.match_info["name"])

    async def import_lot(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        wanted = parse(request, NewLot)
        self._refuse_bad_home(wanted.province, wanted.hlr)
        body.media_type(request, CSV)
        async with self._bodies.read(request) as document:
            cards = await _cards(document)
            await self._inventory.import_lot(
                wanted.name, province=wanted.province, hlr=wanted.hlr, cards=cards
            )
        return await self._lot(wanted.name, created=True)

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

    def _refuse_bad_home(self, province: str, hlr: str) -> None:
        if province not in PROVINCES:
            raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
        if hlr not in self._elements:
            raise BadRequest("HLR_UNKNOWN", "no network element has this name", "hlr")


async def _cards(document: bytes) -> list[NewCard]:
    """All of them, or a refusal that names the bad lines."""
    cards: list[NewCard] = []
    faults: list[Fault] = []
    for count, parsed in enumerate(lots.parse(document), 1):
        if isinstance(parsed, NewCard):
            cards.append(parsed)
        elif len(faults) < limits.LOT_PROBLEMS_MAX:
            faults.append(parsed)
        if count % limits.DECODE_SLICE_ORDERS == 0:
            await asyncio.sleep(0)
    if faults:
        raise BadContent("LOT_INVALID", "nothing was imported: some lines are not usable", faults)
    if not cards:
        raise BadRequest("LOT_EMPTY", "the lot has no card")
    return cards


def _demand_reader(request: web.Request) -> None:
    demand(request, Source.OPS, Source.ESOP)


def _shown(found: object, *, location: str | None = None) -> web.Response:
    response = as_json(msgspec.json.encode(found), status=201 if location else 200)
    if location is not None:
        response.headers[hdrs.LOCATION] = location
    return response
