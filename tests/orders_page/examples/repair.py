"""Bringing the HLR back to what is meant."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.bench import card, number
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import IN_ARREARS, OPENED, USER, leave_a_record

EXAMPLES: Final = (
    Example(
        "NE_REPAIR",
        "Brings a user's record at the HLR back to what hlrd intends ([repair.md](repair.md)): it "
        "is read, and only what it lacks is sent. A record that nobody is meant to have is "
        "removed, with a second person's approval.",
        "the HLR equals what hlrd intends",
        Source.OPS,
        {"type": "NE_REPAIR", **USER, "check": ["existence", "barring"], "difference": "D-17"},
        (
            OPENED,
            IN_ARREARS,
            lambda bench: bench.by_hand(
                f'MOD LCK:HLRSN=1,IMSI="{card(1).imsi}",IC=FALSE,OC=FALSE,GPRSLOCK=FALSE,'
                "EPSLOCK=FALSE;"
            ),
        ),
        "The user is in arrears; somebody unlocked the line at the HLR by hand.",
        (
            Case("the HLR has it all", is_bare=True, then=(OPENED,)),
            Case("`reasons` come without `state_version`", {"reasons": []}),
            Case("of a user with a number, `imsi` and `hlr` are named",
                 {"imsi": card(2).imsi, "hlr": "hlr1"}),
            Case("a record is to be removed, and nobody approved it",
                 {"user_id": "9005", "imsi": card(2).imsi, "hlr": "hlr1", "msisdn": number(5)}),
            Case("a record is to be removed that nobody is meant to have, and `li4` approved it",
                 {"user_id": "9005", "imsi": card(2).imsi, "hlr": "hlr1", "msisdn": number(5),
                  "approved_by": "li4"}, (leave_a_record,), is_shown=True),
        ),
    ),
)  # fmt: skip
