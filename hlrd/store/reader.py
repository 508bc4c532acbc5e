"""Orders and their receipts as the API shows them."""

from typing import Final

from hlrd.domain.lifecycle import OrderState
from hlrd.store.connection import Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.record import OrderRecord
from hlrd.store.rows import binding_of

_BY_ID: Final = query("order_by_id")
_BY_KEY: Final = query("order_by_key")
_RECEIPTS: Final = query("order_receipts")


class OrderReader:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_id(self, order: int, /) -> OrderRecord | None:
        return await self._read(_BY_ID, order)

    async def by_order_id(self, source: str, order_id: str, /) -> OrderRecord | None:
        return await self._read(_BY_KEY, source, order_id)

    async def _read(self, statement: str, *key: object) -> OrderRecord | None:
        with translated():
            row = await self._pool.fetchrow(statement, *key)
            if row is None:
                return None
            return _order_of(row, await self._pool.fetch(_RECEIPTS, row["id"]))


def _order_of(row: Record, receipts: list[Record]) -> OrderRecord:
    last = receipts[-1] if receipts else None
    return OrderRecord(
        id=row["id"],
        source=row["source"],
        order_id=row["order_id"],
        kind=row["kind"],
        state=last["state"] if last else _state_before(row),
        user_id=row["asked"],
        operator_id=row["operator_id"],
        province=row["sent_from"],
        priority=row["priority"],
        accepted_at=row["accepted_at"],
        closed_at=last["at"] if last and last["is_final"] else None,
        payload=row["payload"],
        binding=binding_of(row),
        receipts=[receipt["body"] for receipt in receipts],
        trail=last["trail"] if last else None,
        amended=row["amended"],
        session=row["session"],
        scheduled_for=row["scheduled_for"],
    )


def _state_before(row: Record) -> OrderState:
    """Of an order without a receipt."""
    return OrderState.QUEUED if row["scheduled_for"] is None else OrderState.SCHEDULED
