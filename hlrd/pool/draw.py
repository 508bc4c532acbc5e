"""What a draw gives, or why it gives nothing."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

from hlrd.domain.identity import ICCID, MSISDN, Card


class Drawn(NamedTuple):
    """A number and a card of one HLR and province, in hand until bound, put back or dropped."""

    msisdn: MSISDN
    card: Card


class Pending(Enum):
    """Memory is empty but a lease is wished for: draw again after the next `on_leased` or
    `on_nothing_left`. Nothing is held meanwhile.
    """

    PENDING = "pending"


class Lack(StrEnum):
    POOL = "pool"  #: no pool of that name
    LOT = "lot"  #: no lot of that name in the province
    NUMBERS = "numbers"  #: no idle number in the pool for that province, length (and HLR)
    CARDS = "cards"  #: no card in stock with the home HLR of an idle number
    CARD_TAKEN = "cardTaken"  #: the named card is in the hands of another order
    NUMBER_TAKEN = "numberTaken"  #: the named number is in the hands of another order
    RESERVATION = "reservation"  #: orders have confirmed all that was reserved


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing to draw and nothing to wait for. Nothing is held."""

    what: Lack


class Picked(NamedTuple):
    """For a reservation: in hand until its hold is durable (`held`), put back or dropped."""

    number: int
    range_id: int
    iccid: ICCID | None


class Flow(NamedTuple):
    """Idle numbers, in memory or leasable, and what was drawn and put back since the start."""

    pool: str
    province: str
    hlr: str
    idle: int = 0
    drawn: int = 0
    returned: int = 0

    def plus(self, idle: int, drawn: int, returned: int) -> "Flow":
        counts = (self.idle + idle, self.drawn + drawn, self.returned + returned)
        return Flow(self.pool, self.province, self.hlr, *counts)
