"""Ranges and lots with defaults."""

from hashlib import sha256

from hlrd.domain.identity import ICCID, IMSI, Card, SealedKey, luhn_digit
from hlrd.pool.ranges import Span
from hlrd.store.record import Delivery


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


def a_delivery(size: int, *, name: str = "lot1", first: int = 0) -> Delivery:
    cards = [a_card(first + n) for n in range(size)]
    digest = sha256(repr(cards).encode()).digest()
    return Delivery(name, "vendor", "200", "hlr1", digest, cards)
