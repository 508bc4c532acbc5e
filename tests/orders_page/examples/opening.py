"""Opening a user."""

from typing import Final

from hlrd.domain.orders import Source
from tests.engine.stage import KI
from tests.orders_page.bench import card, number
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import ACTIVATE, EC_READY, MEMBER_OPEN, OPENED, USER_OPEN

EXAMPLES: Final = (
    Example(
        "MEMBER_ACTIVATE",
        "Opens a member of an enterprise (成员): hlrd draws a number from the shared pool and a "
        "card from the stock of the province, binds both, reports them to headquarters by the "
        "relay of `route`, and opens them at the home HLR. The number is in the answer of the "
        "POST.",
        "number and card in use, user active, listed with its enterprise",
        Source.ESOP,
        ACTIVATE,
        EC_READY,
        "The enterprise has the product TRACK of class 1.",
        (
            Case("the enterprise has no active product of `product_class`, for `groups.wait_s`",
                 {"product_class": 2}),
            Case("headquarters does not know the enterprise, nor was hlrd told of it",
                 {"ec_code": "EC9"}),
            Case("the home HLR has no template for the `services`", {"services": ["VOICE"]}),
            Case("the `iccid` is of no card in stock", {"iccid": card(99).iccid}),
            Case("the card of `iccid` is in use", {"iccid": card(1).iccid}, (OPENED,)),
            Case("the `msisdn` is in use", {"msisdn": number(1)}, (OPENED,)),
            Case("it is born stopped for a reason that its source may not set",
                 {"reasons": [{"reason": "FRAUD", "level": 2}]}),
        ),
    ),
    Example(
        "MEMBER_OPEN",
        "Opens a member at the home HLR that a province reported: PBOSS posts it to "
        "the hlrd of headquarters, with the number and the card that the province bound and the "
        "card's key. The number must be in a range of headquarters', so that its home is known. "
        "Nothing is reported: the receipt goes back the way that the report came.",
        "user active at the HLR, listed with its enterprise",
        Source.PBOSS,
        MEMBER_OPEN,
        EC_READY,
        "The enterprise has the product TRACK of class 1.",
        (
            Case("the enterprise has no active product of `product_class`, for `groups.wait_s`",
                 {"product_class": 2}),
            Case("the number is in use", {"user_id": "9003", "iccid": card(2).iccid,
                                          "imsi": card(2).imsi}, (OPENED,)),
            Case("the card is not in stock, and no `ki` is given",
                 {"ki": None, "keyid": None}),
            Case("the key is half of one", {"keyid": None}),
            Case("the home HLR has no template for the `services`", {"services": ["VOICE"]}),
        ),
    ),
    Example(
        "USER_OPEN",
        "Opens a user with the number and the card that CRM chose: idle ones of the pool and the "
        "stock, those of a reservation, or a card that brings its key in the order (`ki`, "
        "encrypted under transport key `keyid`). With `reasons` it is stopped from its first "
        "moment.",
        "number and card in use, user active",
        Source.CRM,
        USER_OPEN,
        cases=(
            Case("it is to be born stopped", {"reasons": [{"reason": "VOLUNTARY", "level": 1}]},
                 is_shown=True),
            Case("the number is in use", {"user_id": "9003", "iccid": card(2).iccid,
                                          "imsi": card(2).imsi}, (OPENED,)),
            Case("the card is in use", {"user_id": "9003", "msisdn": number(2)}, (OPENED,)),
            Case("the card in stock has another IMSI", {"imsi": card(2).imsi}),
            Case("the card is not in stock, and no `ki` is given",
                 {"iccid": card(99).iccid}),
            Case("the card is not in stock, and brings its key",
                 {"imsi": card(99).imsi, "iccid": card(99).iccid, "ki": KI, "keyid": 3}),
            Case("the key is half of one", {"imsi": card(99).imsi, "iccid": card(99).iccid,
                                            "ki": KI}),
            Case("the home HLR has no template for the `services`", {"services": ["VOICE"]}),
        ),
    ),
)  # fmt: skip
