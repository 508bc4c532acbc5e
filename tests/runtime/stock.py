"""Ranges and lots with defaults."""

from hashlib import sha256

from hlrd.domain.identity import ICCID, IMSI, Card, SealedKey, luhn_digit
from hlrd.pool.ranges import Span
from hlrd.store.connection import Connection


def a_span(size: int, *, pool: str = "iot", first: int = 1064800000000) -> Span:
    return Span(pool, first, first + size - 1, 13, "200", "hlr1")


def a_card(n: int) -> Card:
    body = f"8986042020{n:09}"
    return Card(
        iccid=ICCID(f"{body}{luhn_digit(body)}"),
        imsi=IMSI(f"{460040000000000 + n}"),
        hlr="hlr1",
        province="200",
        key=SealedKey("k1", b"sealed"),
    )


async def stock_up(
    database: Connection, size: int, *, name: str = "lot1", first: int = 0, is_ready: bool = True
) -> int:
    """A lot of cards, as an import leaves it; its id."""
    cards = [a_card(first + n) for n in range(size)]
    lot_id: int = await database.fetchval(
        "INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash, is_ready)"
        " VALUES ($1, 'vendor', '200', 'hlr1', $2, $3, $4) RETURNING id",
        name,
        size,
        sha256(name.encode()).digest(),
        is_ready,
    )
    rows = [
        (lot_id, n, card.iccid, int(card.imsi), card.key.key_id, card.key.ciphertext)
        for n, card in enumerate(cards)
    ]
    await database.copy_records_to_table(
        "sim_card",
        records=rows,
        columns=("lot_id", "row_no", "iccid", "imsi", "key_id", "sealed_key"),
    )
    return lot_id
