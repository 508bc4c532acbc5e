"""Another card, another number."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.bench import card, number
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import IN_ARREARS, MEMBER_NUMBER, MEMBER_READY, OPENED, USER, of_user

EXAMPLES: Final = (
    Example(
        "SIM_REPLACE",
        "Another card for the same user and number ([changes.md](changes.md)): the named one, or "
        "one drawn from the stock of the number's home. Undone up to the switch at the HLR; "
        "behind that it only goes forward.",
        "same user, number and stops, new card; the old one scrapped; LOST cleared",
        Source.CRM,
        {"type": "SIM_REPLACE", **USER, "cause": "damaged"},
        (OPENED,),
        cases=(
            Case("the HLR refuses the switch", refused_at=1, is_shown=True),
            Case("the user is stopped for LOST", then=(of_user("OPERATOR_SUSPEND", reason="LOST"),),
                 is_shown=True),
            Case("the user is in arrears", then=(IN_ARREARS,)),
            Case("the user has the card already", {"iccid": card(1).iccid}),
            Case("the card is in use", {"iccid": card(11).iccid}, MEMBER_READY),
            Case("the `iccid` is of no card in stock", {"iccid": card(99).iccid}),
            Case("a key comes without its card's IMSI",
                 {"iccid": card(2).iccid, "ki": "0123456789ABCDEF" * 2, "keyid": 1}),
        ),
    ),
    Example(
        "NUMBER_CHANGE",
        "Another number for the same user and card ([changes.md](changes.md)), at the same home "
        "HLR: the named one, or one drawn. What data services know of the old number ends before "
        "it begins anew.",
        "same user and card, new number; the old one in quarantine",
        Source.CRM,
        {"type": "NUMBER_CHANGE", **USER, "new_msisdn": number(2)},
        (OPENED,),
        cases=(
            Case("the user is stopped", then=(IN_ARREARS,), is_shown=True),
            Case("the new number is in use", {"new_msisdn": MEMBER_NUMBER}, MEMBER_READY),
            Case("the new number is the old one", {"new_msisdn": number(1)}),
        ),
    ),
)  # fmt: skip
