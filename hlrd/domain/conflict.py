"""What a new order may do while an earlier one of its user is in flight, cell by cell."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Nature(StrEnum):
    """Kinds of order that behave alike towards others of the same user."""

    OPEN = "open"
    SUSPEND = "suspend"
    RESUME = "resume"
    CHANGE = "change"  #: of card or number
    TERMINATE = "terminate"
    PRODUCT = "product"  #: of a user's products, or of a product itself
    MEMBER = "member"  #: of what a member has of its enterprise; may come before the opening
    REPAIR = "repair"  #: of a network element, to what is meant anyway
    BATCH = "batch"  #: of no user: it has a lane of its own, and its children each their user's


class Ruling(StrEnum):
    WAIT = "wait"  #: taken; runs after the earlier one
    COALESCE = "coalesce"  #: … or takes it back, while no command of it was sent (`domain.turn`)
    NO_OP = "noOp"  #: taken; once the earlier one is done it succeeds without a command
    ALARM = "alarm"  #: taken; runs after the earlier one, and somebody should know
    REFUSE = "refuse"


_WAIT, _REFUSE, _NO_OP = Ruling.WAIT, Ruling.REFUSE, Ruling.NO_OP
_COALESCE = Ruling.COALESCE

RULINGS: Final[Mapping[Nature, Mapping[Nature, Ruling]]] = {
    # in flight: what becomes of a new …
    Nature.OPEN: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    Nature.SUSPEND: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _COALESCE,
        Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    Nature.RESUME: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    # One card and one number are on their way to a user at a time.
    Nature.CHANGE: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _REFUSE, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    # A suspension or a second termination behind a termination waits, and then changes nothing.
    Nature.TERMINATE: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _NO_OP, Nature.RESUME: _REFUSE,
        Nature.TERMINATE: _NO_OP, Nature.PRODUCT: _REFUSE, Nature.CHANGE: _REFUSE,
        Nature.BATCH: _WAIT,
        Nature.MEMBER: _REFUSE, Nature.REPAIR: _WAIT,
    },
    Nature.PRODUCT: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    # The opening of the member that it is about: it goes first, whichever came first.
    Nature.MEMBER: {
        Nature.OPEN: _WAIT, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
    Nature.REPAIR: dict.fromkeys(Nature, _WAIT),
    Nature.BATCH: {
        Nature.OPEN: _REFUSE, Nature.SUSPEND: _WAIT, Nature.RESUME: _WAIT, Nature.TERMINATE: _WAIT,
        Nature.PRODUCT: _WAIT, Nature.CHANGE: _WAIT, Nature.BATCH: _WAIT,
        Nature.MEMBER: _WAIT, Nature.REPAIR: _WAIT,
    },
}  # fmt: skip

BLOCKED: Final[Mapping[Nature, Ruling]] = {
    nature: Ruling.ALARM if nature in (Nature.SUSPEND, Nature.RESUME) else Ruling.WAIT
    for nature in Nature
} | {Nature.OPEN: _REFUSE}
"""What becomes of a new one while any of the user's orders waits for a person."""

STERN: Final = frozenset(
    nature
    for nature, rulings in RULINGS.items()
    if any(ruling is _REFUSE for new, ruling in rulings.items() if new is not Nature.OPEN)
)
"""In flight they refuse more than an opening."""
