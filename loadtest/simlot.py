"""Invented numbers and cards: ranges of a fictitious 10649 block, cards of PLMN 460 99, keys from a
seed. None of them is anybody's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from hlrd.domain.identity import luhn_digit
from loadtest.settings import K4SNO, PROVINCE

NUMBERS_PER_HLR_MAX: Final = 1_000_000
LOT_CARDS_MAX: Final = 50_000
"""One delivery: about 4 MB of CSV."""

VENDOR: Final = "Invented Cards"


@dataclass(frozen=True, slots=True)
class NumberRange:
    first: str
    last: str
    hlr: str
    province: str = PROVINCE

    def __contains__(self, msisdn: str) -> bool:
        return len(msisdn) == len(self.first) and self.first <= msisdn <= self.last

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True, slots=True)
class Lot:
    """A vendor's delivery of cards for one HLR."""

    name: str
    hlr: str
    prefix: str  #: two digits of every IMSI and ICCID, of its own for each HLR
    first: int  #: running number of the first card within its HLR
    quantity: int
    seed: int
    province: str = PROVINCE

    def csv(self) -> bytes:
        """The vendor's file."""
        random = Random(f"{self.seed} {self.name}")
        lines = [
            f"VENDOR,{VENDOR}",
            f"LOT,{self.name}",
            f"QUANTITY,{self.quantity}",
            f"K4SNO,{K4SNO}",
            "ALGORITHM,MILENAGE",
            "CARD_TYPE,USIM",
            "ICCID,IMSI,KI",
        ]
        lines += (
            f"{self.iccid(card)},{self.imsi(card)},{random.getrandbits(128):032X}"
            for card in range(self.first, self.first + self.quantity)
        )
        return "\n".join(lines).encode()

    def iccids(self) -> Iterator[str]:
        return (self.iccid(card) for card in range(self.first, self.first + self.quantity))

    def imsi(self, card: int) -> str:
        return f"46099{self.prefix}{card:08d}"

    def iccid(self, card: int) -> str:
        body = f"898699{self.prefix}{card:011d}"
        return f"{body}{luhn_digit(body)}"


@dataclass(frozen=True, slots=True)
class Stock:
    """Everything that a run imports."""

    ranges: Sequence[NumberRange]
    lots: Sequence[Lot]

    @property
    def numbers(self) -> int:
        return sum(len(each) for each in self.ranges)

    @property
    def cards(self) -> int:
        return sum(lot.quantity for lot in self.lots)

    def home_of_number(self, msisdn: str) -> str | None:
        return next((each.hlr for each in self.ranges if msisdn in each), None)

    def homes_of_cards(self) -> dict[str, str]:
        """HLR by ICCID, of every card."""
        return {iccid: lot.hlr for lot in self.lots for iccid in lot.iccids()}


def stock(hlrs: Sequence[str], *, orders: int, seed: int) -> Stock:
    """Cards for `orders` activations, whichever HLRs they fall on, and twice as many numbers."""
    cards = orders // len(hlrs) * 3 // 2 + 1_000
    assert 2 * cards <= NUMBERS_PER_HLR_MAX, "more orders than the invented ranges have numbers"
    ranges, lots = [], []
    for number, hlr in enumerate(hlrs, 1):
        block = f"10649{number:02d}"
        ranges.append(NumberRange(f"{block}000000", f"{block}{2 * cards - 1:06d}", hlr))
        for first in range(0, cards, LOT_CARDS_MAX):
            quantity = min(LOT_CARDS_MAX, cards - first)
            name = f"lot-{hlr}-{first // LOT_CARDS_MAX + 1}"
            lots.append(Lot(name, hlr, f"{number:02d}", first, quantity, seed))
    return Stock(ranges, lots)
