"""What upstream sends, made before the clock starts, and the rows it becomes.

Every cell that writes an order writes the same columns of the same size. The card is named by the
order: the peers allocate numbers alone, so drawing cards is no part of the comparison.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, Card, SealedKey, UserId, luhn_digit
from hlrd.ports import Acceptance
from loadtest.settings import PROVINCE

POOL: Final = "bench"
HLR: Final = "hlr1"
DIGITS: Final = 13
FIRST: Final = 1_064_000_000_000
"""The first number of the pool that is measured; the 10^9 from here on are all that begin so."""

PAYLOAD_BYTES: Final = 325
_HASH_BYTES: Final = 32
_SEALED_BYTES: Final = 47
"""As `pool.vault` makes it: nonce, 19 bytes, tag."""


class Order(Struct, frozen=True, gc=False):
    """One activation with a card of its own."""

    id: int
    order_id: str
    user_id: UserId
    content_hash: bytes
    payload: bytes
    card: Card


def make(first_id: int, count: int) -> Iterator[Order]:
    """Order ids of upstream and users count from 0: the tables are empty before each cell."""
    noise = os.urandom(_HASH_BYTES + count)
    sealed = os.urandom(_SEALED_BYTES + count)
    for number in range(count):
        order_id = f"BENCH-{number:010d}"
        key = SealedKey("k1", sealed[number : number + _SEALED_BYTES])
        body = f"898699{number:013d}"
        iccid = ICCID(f"{body}{luhn_digit(body)}")
        card = Card(iccid, IMSI(f"46099{number:010d}"), HLR, PROVINCE, key)
        yield Order(
            first_id + number,
            order_id,
            UserId(str(1_000_000_000 + number)),
            noise[number : number + _HASH_BYTES],
            _payload(order_id),
            card,
        )


def acceptance(order: Order, msisdn: MSISDN, at: datetime) -> Acceptance:
    """As `engine.intake` makes it."""
    card = order.card
    return Acceptance(
        id=order.id,
        source="ESOP",
        order_id=order.order_id,
        kind="MEMBER_ACTIVATE",
        user_id=order.user_id,
        operator_id="loadtest",
        province=PROVINCE,
        priority=4,
        content_hash=order.content_hash,
        payload=order.payload,
        accepted_at=at,
        session=None,
        binding=Binding(
            order.user_id, msisdn, card.imsi, card.iccid, card.hlr, card.province, card.key
        ),
    )


def now() -> datetime:
    return datetime.now(UTC)


def _payload(order_id: str) -> bytes:
    head = f'{{"type":"MEMBER_ACTIVATE","order_id":"{order_id}","ec_code":"EC0000000001","remark":"'
    return f'{head:x<{PAYLOAD_BYTES - 2}}"}}'.encode()
