"""The published products as the journal wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from hlrd.domain.lifecycle import ProductState
from hlrd.domain.product import Product
from hlrd.domain.publication import Products
from hlrd.store.connection import Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query

_ALL: Final = query("products")
_VERSIONS: Final = query("product_versions")
_DECODER: Final = msgspec.json.Decoder(Product)


@dataclass(frozen=True, slots=True)
class ProductRow:
    product: Product
    state: ProductState
    order_id: int  #: the first that published it
    since: datetime
    users: int | None = None  #: who have it; counted for one product only


class ProductStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self) -> Products:
        """Every version, for the engine's memory."""
        found = Products()
        for row in await self.rows():
            found.load(row.product, row.state)
        return found

    async def rows(self) -> Sequence[ProductRow]:
        with translated():
            return [_row_of(row) for row in await self._pool.fetch(_ALL)]

    async def versions(self, id: str) -> Sequence[ProductRow]:
        """Of one product, the newest first, with how many users have each."""
        with translated():
            return [_row_of(row, row["users"]) for row in await self._pool.fetch(_VERSIONS, id)]


def _row_of(row: Record, users: int | None = None) -> ProductRow:
    return ProductRow(
        _DECODER.decode(row["document"]),
        ProductState(row["state"]),
        row["order_id"],
        row["since"],
        users,
    )
