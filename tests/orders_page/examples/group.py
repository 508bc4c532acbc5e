"""Enterprises, their members, and partner provinces."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import (
    ACTIVATE,
    EC_READY,
    HEADER,
    MEMBER,
    MEMBER_READY,
    OF_EC,
    OPENED,
    PUBLISH_TRACK,
    SUBSCRIBE_EC,
    SUBSCRIBE_MEMBER,
    posted,
)

RECORD: Final = "it asks nothing of a network element"

EXAMPLES: Final = (
    Example(
        "EC_PRODUCT_SUBSCRIBE",
        "Gives an enterprise a product ([groups.md](groups.md)): headquarters by the relay of "
        "`route`, then the platforms of its class, the gateway last. A system that is away is "
        "tried for ever.",
        "product of the enterprise active: members may be opened",
        Source.ESOP,
        SUBSCRIBE_EC,
        (posted(PUBLISH_TRACK),),
        "The product TRACK is published.",
        (
            Case("it is of class 2 (or 3)",
                 {"product_class": 2}, (posted(PUBLISH_TRACK, product_version=2,
                                               platforms=["platform", "management"]),),
                 is_shown=True),
            Case("it is of class 1 across provinces",
                 {"scope": "crossProvince", "route": "BBOSS", "partner_provinces": ["280"]},
                 is_shown=True),
            Case("the product was not published", {"product": "NONE"}),
            Case("the enterprise has it otherwise", {"product_class": 1, "ec_name": "其他"},
                 (posted(SUBSCRIBE_EC),)),
            Case("it goes across provinces, and not by the BBOSS", {"scope": "crossProvince"}),
        ),
    ),
    Example(
        "EC_PRODUCT_CANCEL",
        "Takes a product off an enterprise, the gateway first.",
        "product of the enterprise gone",
        Source.ESOP,
        {"type": "EC_PRODUCT_CANCEL", **OF_EC},
        EC_READY,
        "The enterprise has the product.",
        (
            Case("a member has the product, or was reported with it", then=(posted(ACTIVATE),)),
            Case("the enterprise does not have it", {"product": "OTHER"}),
        ),
    ),
    Example(
        "MEMBER_PRODUCT_SUBSCRIBE",
        "Gives a member a product of its enterprise. May come before the member's opening, and "
        "before the enterprise's product: it waits for both.",
        "product held, as a member of the enterprise",
        Source.ESOP,
        SUBSCRIBE_MEMBER,
        MEMBER_READY,
        "The member is open, its enterprise has the product.",
        (
            Case("no such product was published", {"product": "NONE"}),
            Case("the user is no member of the enterprise", {"user_id": "9001"}, (OPENED,)),
        ),
    ),
    Example(
        "MEMBER_PRODUCT_UNSUBSCRIBE",
        "Takes a product of the enterprise off a member.",
        "product ended",
        Source.ESOP,
        {"type": "MEMBER_PRODUCT_UNSUBSCRIBE", **MEMBER, "product": "TRACK"},
        (*MEMBER_READY, posted(SUBSCRIBE_MEMBER)),
        "The member has the product.",
        (Case("the user is no member of the enterprise", {"user_id": "9001"}, (OPENED,)),),
    ),
    Example(
        "MEMBER_REMOVE",
        "The user leaves the enterprise with all it had of it; with `terminate` the user is closed "
        "by the same order.",
        "no member any more; the user goes on, or is terminated",
        Source.ESOP,
        {"type": "MEMBER_REMOVE", **MEMBER},
        (*MEMBER_READY, posted(SUBSCRIBE_MEMBER)),
        "The member has the product TRACK.",
        (
            Case("the user is to be closed as well", {"terminate": True}, is_shown=True),
            Case("the user is a member of another enterprise", {"ec_code": "EC9"}),
        ),
    ),
    Example(
        "PARTNER_PRODUCT_PUBLISH",
        "Another province, the lead, sold the product to the enterprise; members may be opened "
        "here. A record.",
        "product of the enterprise active here",
        Source.BBOSS,
        {"type": "PARTNER_PRODUCT_PUBLISH", **OF_EC, "ec_name": "示例集团", "lead_province": "280"},
        (posted(PUBLISH_TRACK),),
        "The product TRACK is published.",
        (
            Case("the product was not published", {"product": "NONE"}),
            Case("the enterprise has it otherwise", {"ec_name": "其他"},
                 (posted({"type": "PARTNER_PRODUCT_PUBLISH", **OF_EC, "ec_name": "示例集团",
                          "lead_province": "280"}),)),
        ),
        if_refused=RECORD,
    ),
    Example(
        "PARTNER_MEMBER_IMPORT",
        "A member that a partner province opened, for the list of the enterprise. A record.",
        "listed with the enterprise, as the partner's",
        Source.BBOSS,
        {"type": "PARTNER_MEMBER_IMPORT", **HEADER, "ec_code": "EC1001",
         "msisdn": "1064900000001", "partner_province": "280"},
        EC_READY,
        "The enterprise has a product.",
        (
            Case("hlrd was told of no such enterprise", {"ec_code": "EC9"}),
            Case("the province has no such code", {"partner_province": "999"}),
        ),
        if_refused=RECORD,
    ),
)  # fmt: skip
