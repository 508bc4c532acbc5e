"""How pools, numbers, lots and cards are shown, and to whom."""

import msgspec
from aiohttp import hdrs, web

from hlrd.api.auth import demand
from hlrd.api.typed import as_json
from hlrd.domain.orders import Source


def demand_reader(request: web.Request) -> None:
    demand(request, Source.OPS, Source.ESOP)


def shown(found: object, *, location: str | None = None) -> web.Response:
    response = as_json(msgspec.json.encode(found), status=201 if location else 200)
    if location is not None:
        response.headers[hdrs.LOCATION] = location
    return response
