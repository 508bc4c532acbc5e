"""SIM lots in memory: which lot serves the next card."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lot:
    """Cards of one delivery; row numbers 0 … quantity-1 are leased in intervals."""

    id: int
    name: str
    province: str
    hlr: str
    quantity: int
    counter: int  #: row numbers ever leased
