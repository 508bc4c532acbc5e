"""Number pools: ranges added, numbers shown, counts by state."""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from hlrd.api import body
from hlrd.api.auth import demand
from hlrd.api.body import JSON, Bodies
from hlrd.api.elements import Elements, ElementText
from hlrd.api.seam import NumberPools
from hlrd.api.shown import demand_reader, shown
from hlrd.api.typed import parse_json
from hlrd.domain import identity
from hlrd.domain.errors import NotFound
from hlrd.domain.order import NameText, ProvinceText, Source
from hlrd.pool.ranges import parse_range

_POOLS: Final = "/v1/pools"

NumberText = Annotated[str, Meta(max_length=20)]


class NewPool(Struct, forbid_unknown_fields=True):
    name: NameText


class NewRange(Struct, forbid_unknown_fields=True):
    """Both ends belong to it."""

    first: NumberText
    last: NumberText
    province: ProvinceText
    hlr: ElementText


class PoolRoutes:
    def __init__(self, *, pools: NumberPools, elements: Elements, bodies: Bodies) -> None:
        self._pools = pools
        self._elements = elements
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_POOLS, self.pools, allow_head=False),
            web.post(_POOLS, self.create_pool),
            web.get(_POOLS + "/{name}", self.pool, allow_head=False),
            web.post(_POOLS + "/{name}/ranges", self.add_range),
            web.get("/v1/numbers/{msisdn}", self.number, allow_head=False),
        ]

    async def pools(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return shown({"pools": await self._pools.pools()})

    async def create_pool(self, request: web.Request) -> web.Response:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            wanted = parse_json(document, NewPool)
        await self._pools.create_pool(wanted.name)
        return await self._pool(wanted.name, created=True)

    async def pool(self, request: web.Request) -> web.Response:
        demand_reader(request)
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
        self._elements.refuse_unknown_hlr(wanted.hlr)
        await self._pools.add_range(span)
        return await self._pool(pool, created=True)

    async def number(self, request: web.Request) -> web.Response:
        demand_reader(request)
        found = await self._pools.number(identity.parse_msisdn(request.match_info["msisdn"]))
        if found is None:
            raise NotFound("NUMBER_UNKNOWN", "this number is in no range of any pool")
        return shown(found)

    async def _pool(self, name: str, *, created: bool = False) -> web.Response:
        found = await self._pools.pool(name)
        if found is None:
            raise NotFound("POOL_UNKNOWN", "no pool has this name")
        return shown(found, location=f"{_POOLS}/{name}" if created else None)
