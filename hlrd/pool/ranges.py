"""Number ranges: what a pool is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Consecutive numbers of one length, province and home HLR."""

    id: int
    pool: str
    first: int
    last: int
    digits: int  #: 11 or 13
    province: str
    hlr: str
    counter: int  #: indexes of its permutation ever leased

    @property
    def size(self) -> int:
        return self.last - self.first + 1
