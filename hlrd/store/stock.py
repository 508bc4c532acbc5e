"""SIM lots: import, and what is where."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from hlrd.domain.errors import Conflict
from hlrd.domain.identity import Card
from hlrd.domain.lifecycle import CardState
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import KeyTaken, translated
from hlrd.store.queries import query
from hlrd.store.record import Delivery, LotRow

_LOTS: Final = query("lots")
_LOT_BY_FILE: Final = query("lot_by_file")
_ADD_LOT: Final = query("lot_add")
_CARDS_IN_STOCK: Final = query("cards_in_stock")

_SLICE: Final = 5_000  # cards worked on between two turns of the event loop
_NAMED_MAX: Final = 100  # cards named in one refusal
_CARD_COLUMNS: Final = ("lot_id", "row_no", "iccid", "imsi", "key_id", "sealed_key")


async def _nobody() -> None:
    """Nobody to tell of an import: a process of its own, whose daemon sees it at its next look."""


class SIMStock:
    def __init__(self, pool: Pool, on_imported: Callable[[], Awaitable[None]] = _nobody) -> None:
        """`on_imported`: `LeaseKeeper.refresh` in a daemon, so that orders may draw at once."""
        self._pool = pool
        self._on_imported = on_imported

    async def import_lot(self, delivery: Delivery) -> None:
        """All cards or none. The same file again changes nothing.

        Conflict if the name is another file's, the file came for another home, or a card is in
        stock already.
        """
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                known = await connection.fetchrow(_LOT_BY_FILE, delivery.file_hash)
                if known is not None:
                    _refuse_other_home(known, delivery)
                    return
                await _refuse_known(connection, delivery.cards)
                await _load(connection, delivery)
        await self._on_imported()

    async def lots(self) -> Sequence[LotRow]:
        return await self._lots(None)

    async def lot(self, name: str) -> LotRow | None:
        return next(iter(await self._lots(name)), None)

    async def _lots(self, name: str | None) -> list[LotRow]:
        with translated():
            return [_lot_of(row) for row in await self._pool.fetch(_LOTS, name)]


def _lot_of(row: Record) -> LotRow:
    elsewhere = row["in_use"] + row["scrapped"] + row["leased"]
    counts = {
        CardState.IN_STOCK: row["quantity"] - elsewhere,
        CardState.LEASED: row["leased"],
        CardState.RESERVED: 0,
        CardState.IN_USE: row["in_use"],
        CardState.SCRAPPED: row["scrapped"],
    }
    return LotRow(
        name=row["name"],
        vendor=row["vendor"],
        province=row["province"],
        hlr=row["hlr"],
        quantity=row["quantity"],
        cards={str(state): count for state, count in counts.items()},
    )


def _refuse_other_home(known: Record, delivery: Delivery) -> None:
    if (known["province"], known["hlr"]) != (delivery.province, delivery.hlr):
        raise Conflict(
            "LOT_EXISTS",
            f"this file was imported before, for province {known['province']} and {known['hlr']}",
            "province" if known["province"] != delivery.province else "hlr",
        )


async def _load(connection: Connection, delivery: Delivery) -> None:
    lot_id = await connection.fetchval(
        _ADD_LOT,
        delivery.name,
        delivery.vendor,
        delivery.province,
        delivery.hlr,
        len(delivery.cards),
        delivery.file_hash,
    )
    if lot_id is None:
        raise Conflict("LOT_EXISTS", f"lot {delivery.name} came with another file before", "name")
    try:
        with translated():
            for start in range(0, len(delivery.cards), _SLICE):
                await _copy_cards(connection, lot_id, start, delivery.cards[start : start + _SLICE])
    except KeyTaken as error:
        raise Conflict(
            "CARD_IN_STOCK", "another import has just added one of these cards; import again"
        ) from error


async def _copy_cards(
    connection: Connection, lot_id: int, first_row: int, cards: Sequence[Card]
) -> None:
    rows = [
        (lot_id, row_no, card.iccid, int(card.imsi), card.key.key_id, card.key.ciphertext)
        for row_no, card in enumerate(cards, first_row)
    ]
    await connection.copy_records_to_table("sim_card", records=rows, columns=_CARD_COLUMNS)


async def _refuse_known(connection: Connection, cards: Sequence[Card]) -> None:
    """Duplicates against the stock, by their place in the file (from 1)."""
    places: list[int] = []
    for start in range(0, len(cards), _SLICE):
        part = cards[start : start + _SLICE]
        rows = await connection.fetch(
            _CARDS_IN_STOCK, [card.iccid for card in part], [int(card.imsi) for card in part]
        )
        places += [start + row["n"] for row in rows]
    if places:
        named = ", ".join(f"{n} ({cards[n - 1].iccid})" for n in places[:_NAMED_MAX])
        more = f" and {len(places) - _NAMED_MAX} more" if len(places) > _NAMED_MAX else ""
        raise Conflict(
            "CARD_IN_STOCK",
            f"nothing was imported: {len(places)} cards are in stock or in use already,"
            f" by place in the file: {named}{more}",
        )
