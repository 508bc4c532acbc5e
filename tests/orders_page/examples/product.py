"""Products, and users who have them."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import (
    APN,
    IN_ARREARS,
    OPENED,
    PUBLISH,
    PUBLISH_MANUAL,
    PUBLISHED,
    SUBSCRIBE,
    USER,
    posted,
)

EXAMPLES: Final = (
    Example(
        "PRODUCT_PUBLISH",
        "One version of a product ([products.md](products.md)): its services, how each is "
        "switched in each HLR dialect, and the platforms that learn of it. Of no user.",
        "version active, the one before it retired; users keep the version they have",
        Source.CRM,
        PUBLISH,
        cases=(
            Case("the version was published with other content", {"name": "其他"}, (PUBLISHED,)),
            Case("a later version is active", {"name": "其他"},
                 (posted(PUBLISH, product_version=2),)),
            Case("a platform is not configured", {"platforms": ["elsewhere"]}),
            Case("a script is not one command of its dialect",
                 {"services": [{**APN, "scripts": [{**APN["scripts"][0], "add": "RMV SUB"}]}]}),
        ),
        if_refused="the order fails and takes nothing back: the version stays staged, to nobody's "
        "use, until it is published again",
    ),
    Example(
        "PRODUCT_SUBSCRIBE",
        "Gives a user a product: functions at the HLR, relations at the DSMP, then the platforms. "
        "What another product of the user has switched on already is not sent again.",
        "product held in this version, with the attributes as chosen",
        Source.CRM,
        SUBSCRIBE,
        (OPENED, PUBLISHED),
        "The product VIDEO is published, as in the example of `PRODUCT_PUBLISH`.",
        (
            Case("a service of it is done by people", {"product": "FIXED-IP"},
                 (posted(PUBLISH_MANUAL),), is_shown=True),
            Case("no such product was published", {"product": "NONE"}),
            Case("the version was never published", {"product_version": 9}),
            Case("a parameter has no such value", {"attributes": {"apn": "other.apn"}}),
            Case("the product has no such parameter", {"attributes": {"speed": "9"}}),
            Case("the product has content, and the line is stopped", then=(IN_ARREARS,)),
        ),
    ),
    Example(
        "PRODUCT_UNSUBSCRIBE",
        "Takes a product off: the platforms, the relations, then the functions that nothing else "
        "of the user needs.",
        "product ended",
        Source.CRM,
        {"type": "PRODUCT_UNSUBSCRIBE", **USER, "product": "VIDEO"},
        (OPENED, PUBLISHED, posted(SUBSCRIBE)),
        "The user has the product.",
        (Case("the user does not have the product", is_bare=True, then=(OPENED, PUBLISHED)),),
    ),
)  # fmt: skip
