"""What a new order may do while an earlier one of its user is in flight, cell by cell."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Nature(StrEnum):
    """Kinds of order that behave alike towards others of the same user."""

    OPEN = "open"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    PRODUCT = "product"  #: of a user's products, or of a product itself


class Ruling(StrEnum):
    WAIT = "wait"  #: taken; runs after the earlier one
    REFUSE = "refuse"


_WAIT, _REFUSE = Ruling.WAIT, Ruling.REFUSE

RULINGS: Final[Mapping[Nature, Mapping[Nature, Ruling]]] = {
    # in flight: what becomes of a new …
    Nature.OPEN: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT,
    },
    Nature.SUSPEND: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT,
    },
    Nature.RESUME: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT,
    },
    # A suspension or a second termination behind a termination waits, and then changes nothing.
    Nature.TERMINATE: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _REFUSE,
        Nature.TERMINATE: _WAIT, Nature.PRODUCT: _REFUSE,
    },
    Nature.PRODUCT: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT,
    },
}  # fmt: skip
