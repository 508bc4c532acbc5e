"""What a storm is made on: a stack of four HLRs, numbers and cards for all its users, and more of a
second province from which CRM chooses by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from loadtest.settings import Shape
from loadtest.simlot import Lot, NumberRange, Stock, stock
from loadtest.storm.orders import Plan, User
from loadtest.storm.sickness import HLRS

CHOSEN_PROVINCE: Final = "210"
"""Whose numbers and cards are never drawn, as only openings that name them are of it."""

FIRST_NEW_USER: Final = 5_000_000_000
_SESSIONS: Final = 32
_REPLY_TIMEOUT_S: Final = 3.0
_SETTLE_S: Final = 0.5


def shape(seed: int, *, platforms: Sequence[str] = ()) -> Shape:
    return Shape(
        hlrs=HLRS,
        hlr_sessions=_SESSIONS,
        dsmp_connections=_SESSIONS,
        platforms=platforms,
        remembers=True,
        reply_timeout_s=_REPLY_TIMEOUT_S,
        settle_s=_SETTLE_S,
        seed=seed,
    )


def unanswered_s(shape: Shape) -> float:
    """What one command that is not answered costs its order: the wait, the rest, the read-back."""
    return shape.reply_timeout_s + shape.settle_s + 0.5


def stocked(shape: Shape, *, drawn: int, chosen: int, seed: int) -> Stock:
    """For `drawn` openings and replacements, and `chosen` users of CRM."""
    common = stock(shape.hlr_names, orders=drawn, seed=seed)
    each = chosen // shape.hlrs + 1
    ranges = [
        NumberRange(
            f"10648{place:02d}000000", f"10648{place:02d}{each - 1:06d}", hlr, CHOSEN_PROVINCE
        )
        for place, hlr in enumerate(shape.hlr_names, 1)
    ]
    lots = [
        Lot(f"chosen-{hlr}", hlr, f"{50 + place}", 0, each, seed, CHOSEN_PROVINCE)
        for place, hlr in enumerate(shape.hlr_names, 1)
    ]
    return Stock([*common.ranges, *ranges], [*common.lots, *lots])


def newcomers(imported: Stock) -> Iterator[tuple[User, Plan]]:
    """New users of CRM, at one HLR after the other, each with number and card of its own."""
    chosen = [lot for lot in imported.lots if lot.province == CHOSEN_PROVINCE]
    numbers = {each.hlr: each for each in imported.ranges if each.province == CHOSEN_PROVINCE}
    for card in range(chosen[0].quantity):
        for place, lot in enumerate(chosen):
            msisdn = str(int(numbers[lot.hlr].first) + card)
            plan = Plan(msisdn, lot.imsi(card), lot.iccid(card), CHOSEN_PROVINCE)
            yield User(str(FIRST_NEW_USER + card * len(chosen) + place)), plan
