"""Number pools: ranges added and shared out, counts, report, forecast, export."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, fields, replace
from io import StringIO
from typing import Annotated, Final, Literal, TypeVar

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from hlrd import metrics
from hlrd.api import body
from hlrd.api.acting import acting
from hlrd.api.auth import demand
from hlrd.api.body import CSV, JSON, Bodies
from hlrd.api.elements import Elements, ElementText
from hlrd.api.seam import Forecasts, NumberDesk, NumberPools
from hlrd.api.shown import demand_reader, shown
from hlrd.api.typed import parse, parse_json
from hlrd.domain import identity
from hlrd.domain.audit import Action
from hlrd.domain.errors import BadRequest, NotFound
from hlrd.domain.imports import NUMBER_SEGMENT
from hlrd.domain.lifecycle import NumberState
from hlrd.domain.orders import PROVINCES, NameText, OperatorText, ProvinceText, Source
from hlrd.domain.routing import RouteTable
from hlrd.pool.ranges import home_of_range, parse_range
from hlrd.store.record import ExportRow
from hlrd.store.shares import NATIONAL, Share

_POOLS: Final = "/v1/pools"
_POOL: Final = _POOLS + "/{name}"
_EXPORTED: Final = tuple(field.name for field in fields(ExportRow))

NumberText = Annotated[str, Meta(max_length=20)]
Count = Annotated[int, Meta(ge=1, le=10**13)]
T = TypeVar("T")


class NewPool(Struct, forbid_unknown_fields=True):
    name: NameText


class NewRange(Struct, forbid_unknown_fields=True):
    """Both ends belong to it."""

    first: NumberText
    last: NumberText
    province: ProvinceText
    hlr: ElementText | None = None  #: absent: as the routes say


class LowWater(Struct, forbid_unknown_fields=True):
    numbers: Count | None  #: null lifts the mark


class NewShare(Struct, forbid_unknown_fields=True):
    province: ProvinceText
    numbers: Count
    operator_id: OperatorText
    hlr: ElementText | None = None
    digits: Literal[11, 13] | None = None


class TakeBack(Struct, forbid_unknown_fields=True):
    operator_id: OperatorText


class Filter(Struct, forbid_unknown_fields=True):
    """Query of the report and the forecast."""

    pool: str | None = None


class Export(Struct, forbid_unknown_fields=True):
    state: NumberState | None = None


class PoolRoutes:
    def __init__(
        self,
        *,
        pools: NumberPools,
        numbers: NumberDesk,
        forecasts: Forecasts,
        elements: Elements,
        homes: RouteTable,
        bodies: Bodies,
    ) -> None:
        self._pools = pools
        self._numbers = numbers
        self._forecasts = forecasts
        self._elements = elements
        self._homes = homes
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/stock/report", self.report, allow_head=False),
            web.get("/v1/stock/forecast", self.forecast, allow_head=False),
            web.get(_POOLS, self.pools, allow_head=False),
            web.post(_POOLS, self.create_pool),
            web.get(_POOL, self.pool, allow_head=False),
            web.post(_POOL + "/ranges", self.add_range),
            web.put(_POOL + "/low-water", self.set_low_water),
            web.get(_POOL + "/shares", self.shares, allow_head=False),
            web.post(_POOL + "/shares", self.share),
            web.post(_POOL + "/shares/{first}/take-back", self.unshare),
            web.get(_POOL + "/numbers.csv", self.export, allow_head=False),
        ]

    # Pools.

    async def pools(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return shown({"pools": await self._pools.pools()})

    async def create_pool(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, NewPool)
        async with acting(request, Action.POOL_CREATE, f"pool:{wanted.name}"):
            await self._pools.create_pool(wanted.name)
        return await self._pool(wanted.name, created=True)

    async def pool(self, request: web.Request) -> web.Response:
        demand_reader(request)
        return await self._pool(_name_of(request))

    async def add_range(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, NewRange)
        pool = _name_of(request)
        span = parse_range(
            pool=pool,
            first=wanted.first,
            last=wanted.last,
            province=wanted.province,
            hlr=wanted.hlr or "",
        )
        span = replace(span, hlr=home_of_range(span, self._homes.routing))
        self._elements.refuse_unknown_hlr(span.hlr)
        asked = {
            "first": span.first,
            "last": span.last,
            "province": span.province,
            "hlr": span.hlr,
        }
        metrics.ORDERS_RECEIVED.labels(NUMBER_SEGMENT.name, Source.OPS).inc()
        async with acting(request, Action.POOL_RANGE, f"pool:{pool}", after=asked):
            is_new = await self._pools.add_range(span)
        return await self._pool(pool, created=is_new)

    async def set_low_water(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, LowWater)
        name = _name_of(request)
        pool = await self._pools.pool(name)
        async with acting(
            request,
            Action.POOL_LOW_WATER,
            f"pool:{name}",
            before=None if pool is None else {"numbers": pool.low_water},
            after={"numbers": wanted.numbers},
        ):
            await self._pools.set_low_water(name, wanted.numbers)
        return await self._pool(name)

    # Shares.

    async def shares(self, request: web.Request) -> web.Response:
        demand_reader(request)
        found = await self._pools.pool(_name_of(request))
        if found is None:
            raise _unknown_pool()
        return shown({"shares": [row for row in found.ranges if row.is_share]})

    async def share(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, NewShare)
        _refuse_home(wanted.province)
        name = _name_of(request)
        if await self._pools.pool(name) is None:
            raise _unknown_pool()
        share = Share(name, wanted.province, wanted.numbers, wanted.hlr, wanted.digits)
        async with acting(
            request,
            Action.POOL_SHARE,
            f"pool:{name}",
            actor=wanted.operator_id,
            after={"province": wanted.province, "numbers": wanted.numbers, "hlr": wanted.hlr},
        ):
            return shown({"shares": await self._numbers.share(share, wanted.operator_id)})

    async def unshare(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, TakeBack)
        first = identity.parse_msisdn(request.match_info["first"])
        name = _name_of(request)
        async with acting(
            request,
            Action.POOL_TAKE_BACK,
            f"pool:{name}",
            actor=wanted.operator_id,
            before={"first": first},
        ):
            return shown(await self._numbers.unshare(name, first, wanted.operator_id))

    # What there is.

    async def report(self, request: web.Request) -> web.Response:
        demand_reader(request)
        wanted = await self._filter(request)
        report = await self._pools.report()
        rows = [row for row in report.rows if wanted.pool in (None, row.pool)]
        return shown({"counted_at": report.counted_at, "rows": rows})

    async def forecast(self, request: web.Request) -> web.Response:
        demand_reader(request)
        wanted = await self._filter(request)
        rows = await self._forecasts.forecast()
        return shown({"rows": [row for row in rows if wanted.pool in (None, row.pool)]})

    async def _filter(self, request: web.Request) -> Filter:
        wanted = parse(request, Filter)
        if wanted.pool is not None and await self._pools.pool(wanted.pool) is None:
            raise _unknown_pool()
        return wanted

    async def export(self, request: web.Request) -> web.StreamResponse:
        demand_reader(request)
        wanted, name = parse(request, Export), _name_of(request)
        if await self._pools.pool(name) is None:
            raise _unknown_pool()
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: CSV})
        await response.prepare(request)
        await response.write(_lines([_EXPORTED]))
        async for page in self._pools.export(name, wanted.state):
            await response.write(_lines([_exported(row) for row in page]))
        await response.write_eof()
        return response

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        demand(request, Source.OPS)
        body.media_type(request, JSON)
        async with self._bodies.read(request) as document:
            return parse_json(document, shape)

    async def _pool(self, name: str, *, created: bool = False) -> web.Response:
        found = await self._pools.pool(name)
        if found is None:
            raise _unknown_pool()
        return shown(found, location=f"{_POOLS}/{name}" if created else None)


def _name_of(request: web.Request) -> str:
    name = request.match_info["name"]
    if "\0" in name:  # which PostgreSQL takes for no text at all
        raise _unknown_pool()
    return name


def _unknown_pool() -> NotFound:
    return NotFound("POOL_UNKNOWN", "no pool has this name")


def _refuse_home(province: str) -> None:
    if province not in PROVINCES or province == NATIONAL:
        detail = "not the company code of a province (docs/api.md)"
        raise BadRequest("PROVINCE_UNKNOWN", detail, "province")


def _exported(row: ExportRow) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in astuple(row))


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
