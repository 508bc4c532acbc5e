"""Published products, for reading. They are published by a work order (PRODUCT_PUBLISH)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from hlrd.api.auth import demand
from hlrd.api.seam import ProductShelf
from hlrd.api.typed import as_json
from hlrd.domain.errors import NotFound
from hlrd.domain.orders import BEIJING, Source
from hlrd.domain.product import ProductService
from hlrd.store.products import ProductRow

_READERS: Final = (Source.CRM, Source.ESOP, Source.OPS)
_PATH: Final = "/v1/products"


class Shown(Struct):
    product: str
    product_version: int
    name: str
    state: str
    since: datetime
    order: str
    users: int | None
    services: Sequence[ProductService]
    platforms: Sequence[str]
    on_stopped_line: str


class ProductRoutes:
    def __init__(self, products: ProductShelf) -> None:
        self._products = products

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.list, allow_head=False),
            web.get(_PATH + "/{name}", self.get, allow_head=False),
        ]

    async def list(self, request: web.Request) -> web.Response:
        demand(request, *_READERS)
        rows = await self._products.rows()
        return as_json(msgspec.json.encode({"products": [_shown(row) for row in rows]}))

    async def get(self, request: web.Request) -> web.Response:
        demand(request, *_READERS)
        rows = await self._products.versions(request.match_info["name"])
        if not rows:
            raise NotFound("PRODUCT_UNKNOWN", "no such product was published", "name")
        return as_json(msgspec.json.encode({"versions": [_shown(row) for row in rows]}))


def _shown(row: ProductRow) -> Shown:
    product = row.product
    return Shown(
        product.id,
        product.version,
        product.name,
        row.state,
        row.since.astimezone(BEIJING),
        str(row.order_id),
        row.users,
        product.services,
        product.platforms,
        product.on_stopped_line,
    )
