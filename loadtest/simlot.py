"""Invented numbers and cards: ranges of a fictitious 10649 block, cards of PLMN 460 99, keys from a
seed. None of them is anybody's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from hlrd.domain.identity import luhn_digit
from loadtest.settings import PROVINCE

NUMBERS_PER_HLR_MAX: Final = 1_000_000
K4SNO: Final = 7
"""Index of the transport key that the invented Ki are said to be encrypted under."""


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
    """A vendor's delivery for one HLR."""

    name: str
    hlr: str
    number: int  #: of the HLR, from 1; a field of every IMSI and ICCID
    quantity: int
    seed: int
    province: str = PROVINCE

    def imsi(self, row: int) -> str:
        return f"46099{self.number:02d}{row:08d}"

    def iccid(self, row: int) -> str:
        body = f"898699{self.number:02d}{row:011d}"
        return f"{body}{luhn_digit(body)}"

    def keys(self) -> Iterator[str]:
        random = Random(f"{self.seed} {self.name}")
        return (f"{random.getrandbits(128):032X}" for _ in range(self.quantity))


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
        return {lot.iccid(row): lot.hlr for lot in self.lots for row in range(lot.quantity)}


def stock(hlrs: Sequence[str], *, cards: int, seed: int) -> Stock:
    """Enough for `cards` activations however they fall on the HLRs, and numbers to spare."""
    assert cards <= NUMBERS_PER_HLR_MAX // 2
    return Stock(
        ranges=[
            NumberRange(f"10649{number:02d}000000", f"10649{number:02d}{2 * cards - 1:06d}", hlr)
            for number, hlr in enumerate(hlrs, 1)
        ],
        lots=[Lot(f"lot-{hlr}", hlr, number, cards, seed) for number, hlr in enumerate(hlrs, 1)],
    )
