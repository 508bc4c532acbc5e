"""SIM lots and cards: what is where. Never a key in what this reads."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from hlrd.domain.identity import ICCID
from hlrd.domain.lifecycle import CARD, CardEvent, CardState, advance
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.record import CardRow, LotRow
from hlrd.store.recount import Recount

_BEGIN: Final = query("begin_fenced")
_LOTS: Final = query("lots")
_COUNTS: Final = query("lot_counts")
_CARD: Final = query("card")
_LOT_CARDS: Final = query("lot_cards")
_SCRAP: Final = query("card_scrap")

_PAGE_CARDS: Final = 500  # of an export: about 3 ms of the event loop, orders wait no longer
_COUNT_TIMEOUT_S: Final = 300.0
"""A count over tens of millions of bindings; nobody but the stocktake waits for it."""


class SIMStock:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: Mapping[int, Record] = {}
        self._counted_at: datetime | None = None
        self._recount = Recount()
        self._counting = asyncio.Lock()

    async def count(self) -> Sequence[LotRow]:
        """Count the cards of all lots by state. Walks every binding: for the stocktake."""
        async with self._counting:
            await self._count()
        return await self.lots()

    async def lots(self) -> Sequence[LotRow]:
        """As counted a moment ago; a large stock as the last stocktake counted it, and a lot that
        is newer than that with all cards in stock."""
        return await self._lots(None)

    async def lot(self, name: str) -> LotRow | None:
        return next(iter(await self._lots(name)), None)

    async def card(self, iccid: ICCID) -> CardRow | None:
        """None if it is not of the stock."""
        with translated():
            row = await self._pool.fetchrow(_CARD, iccid)
        return None if row is None else _card_of(dict(row))

    async def cards(self, lot: str) -> AsyncIterator[Sequence[CardRow]] | None:
        """All cards of a lot, page by page, each as of when it is read; None: no such lot."""
        with translated():
            row = await self._pool.fetchrow(_LOTS, lot)
        return None if row is None else self._pages(row)

    async def _lots(self, name: str | None) -> list[LotRow]:
        async with self._counting:
            if self._recount.is_due:
                await self._count()
        with translated():
            rows = await self._pool.fetch(_LOTS, name)
        assert self._counted_at is not None
        return [_lot_of(row, self._counts.get(row["id"]), self._counted_at) for row in rows]

    async def _count(self) -> None:
        begun, started = datetime.now(UTC), monotonic()
        with translated():
            rows = await self._pool.fetch(_COUNTS, timeout=_COUNT_TIMEOUT_S)
        self._counts = {row["id"]: row for row in rows}
        self._counted_at = begun
        self._recount.done(started)

    async def _pages(self, lot: Record) -> AsyncIterator[Sequence[CardRow]]:
        for first in range(0, lot["quantity"], _PAGE_CARDS):
            with translated():
                rows = await self._pool.fetch(_LOT_CARDS, lot["id"], first, _PAGE_CARDS)
            yield [_card_of({**lot, "lot": lot["name"], **row}) for row in rows]


async def scrap(connection: Connection, iccid: ICCID, cause: str) -> CardState | None:
    """Take a card out of the stock for good; its state then, None if it is not of the stock. The
    allocator must not have it any more. Once or twice is the same.
    """
    await connection.execute(_BEGIN)
    row = await connection.fetchrow(_CARD, iccid)
    state = None if row is None else _state_of(dict(row))
    if state is not None and (state, CardEvent.SCRAPPED) in CARD:
        await connection.execute(_SCRAP, iccid, cause)
        state = advance(CARD, state, CardEvent.SCRAPPED)
    await connection.execute("COMMIT")
    return state


def _lot_of(row: Record, count: Record | None, counted_at: datetime) -> LotRow:
    in_use, scrapped, reserved, leased = (
        (count["in_use"], count["scrapped"], count["reserved"], count["leased"])
        if count
        else (0, 0, 0, 0)
    )
    counts = {
        CardState.IN_STOCK: row["quantity"] - in_use - scrapped - reserved - leased,
        CardState.LEASED: leased,
        CardState.RESERVED: reserved,
        CardState.IN_USE: in_use,
        CardState.SCRAPPED: scrapped,
    }
    return LotRow(
        name=row["name"],
        vendor=row["vendor"],
        province=row["province"],
        hlr=row["hlr"],
        quantity=row["quantity"],
        cards={str(state): cards for state, cards in counts.items()},
        counted_at=counted_at,
    )


def _card_of(row: Mapping[str, object]) -> CardRow:
    msisdn, state = row["msisdn"], _state_of(row)
    cause = row.get("cause")
    return CardRow(
        iccid=str(row["iccid"]),
        imsi=f"{row['imsi']:015}",
        lot=str(row["lot"]),
        province=str(row["province"]),
        hlr=str(row["hlr"]),
        state=state,
        msisdn=None if msisdn is None else str(msisdn),
        user_id=None if row.get("user_id") is None else str(row["user_id"]),
        cause=str(cause) if cause and state is CardState.SCRAPPED else None,
    )


def _state_of(row: Mapping[str, object]) -> CardState:
    if row["is_bound"]:
        return CardState.IN_USE
    if row["state"] in (CardState.SCRAPPED, CardState.RESERVED):
        return CardState(str(row["state"]))
    return CardState.LEASED if row["is_leased"] else CardState.IN_STOCK
