"""Stopping, resuming and closing a user."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import (
    IN_ARREARS,
    OPENED,
    PUBLISHED,
    STOPPED,
    SUBSCRIBE,
    USER,
    of_user,
    posted,
)

EXAMPLES: Final = (
    Example(
        "ARREARS_SUSPEND",
        "Credit control stops a user who owes. A reason stands beside the others that the user "
        "may have ([suspension.md](suspension.md)); only a change of the highest level is a "
        "command.",
        "reason ARREARS at `level`",
        Source.BOSS,
        {"type": "ARREARS_SUSPEND", **USER, "level": 2, "bill_month": "202512"},
        (OPENED,),
        cases=(
            Case("the user is stopped as far for another reason", then=(STOPPED,)),
            Case("it asks for less than stands already", {"level": 1}, (IN_ARREARS,)),
            Case("it is not of the state master", source=Source.CRM),
            Case("it says the master's `reasons` without `state_version`", {"reasons": []}),
        ),
    ),
    Example(
        "PAYMENT_RESUME",
        "The customer has paid: takes ARREARS off, and no other reason. Measured against the "
        "promise of five minutes.",
        "reason ARREARS cleared; the line is free if no other reason is left",
        Source.BOSS,
        {"type": "PAYMENT_RESUME", **USER, "payment_id": "PAY-77"},
        (OPENED, IN_ARREARS),
        "The user is stopped for ARREARS at level 2.",
        (
            Case("the user is not in arrears", is_bare=True, then=(OPENED,)),
            Case("another reason holds the line as far", then=(STOPPED,)),
            Case("another reason holds it at level 1",
                 then=(of_user("VOLUNTARY_SUSPEND", level=1),), is_shown=True),
            Case("it is not of the state master", source=Source.CRM),
        ),
    ),
    Example(
        "VOLUNTARY_SUSPEND",
        "The customer, or the enterprise, wants the line stopped (报停).",
        "reason VOLUNTARY at `level`",
        Source.BOSS,
        {"type": "VOLUNTARY_SUSPEND", **USER, "cause": "customer away"},
        (OPENED,),
        cases=(
            Case("only outgoing traffic is to be stopped", {"level": 1}, is_shown=True),
            Case("the user is in arrears (`policy.voluntary_stop_in_arrears` may refuse it)",
                 then=(IN_ARREARS,)),
            Case("it is not of the state master", source=Source.CRM),
        ),
    ),
    Example(
        "VOLUNTARY_RESUME",
        "The customer wants the line back: takes VOLUNTARY off, and no other reason.",
        "reason VOLUNTARY cleared; the line is free if no other reason is left",
        Source.BOSS,
        {"type": "VOLUNTARY_RESUME", **USER},
        (OPENED, STOPPED),
        "The user is stopped for VOLUNTARY at level 2.",
        (
            Case("the user is in arrears as well", then=(IN_ARREARS,)),
            Case("the user is not stopped by its own wish", is_bare=True, then=(OPENED,)),
        ),
    ),
    Example(
        "OPERATOR_SUSPEND",
        "Every stop that is neither arrears nor the customer's wish: lost card, fraud, staff's "
        "word, a management platform's. [suspension.md](suspension.md) has who may set which "
        "`reason`.",
        "that reason at `level`",
        Source.OPS,
        {"type": "OPERATOR_SUSPEND", **USER, "reason": "FRAUD", "document": "风控 2026-12"},
        (OPENED,),
        cases=(
            Case("the source may not set the reason", source=Source.BOSS),
            Case("the reason has a kind of its own", {"reason": "ARREARS"}),
            Case("the user is stopped as far for another reason", then=(IN_ARREARS,)),
        ),
    ),
    Example(
        "OPERATOR_RESUME",
        "Takes the named reason off, and no other.",
        "that reason cleared; the line is free if no other reason is left",
        Source.OPS,
        {"type": "OPERATOR_RESUME", **USER, "reason": "FRAUD"},
        (OPENED, of_user("OPERATOR_SUSPEND", reason="FRAUD")),
        "The user is stopped for FRAUD.",
        (
            Case("the source may not clear the reason", source=Source.BOSS),
            Case("the user is not stopped for it", {"reason": "LOST"}),
            Case("the user is in arrears as well", then=(IN_ARREARS,)),
        ),
    ),
    Example(
        "PRE_TERMINATE",
        "On the way to the end (预销户): stopped two-way, number and card kept. From then on only "
        "`REINSTATE`, `USER_TERMINATE`, `MEMBER_REMOVE` and `NE_REPAIR` are taken.",
        "user preTerminated, whatever its reasons",
        Source.BOSS,
        {"type": "PRE_TERMINATE", **USER, "cause": "in arrears for 90 days"},
        (OPENED,),
        cases=(Case("the user is stopped two-way already", then=(IN_ARREARS,)),),
    ),
    Example(
        "REINSTATE",
        "Back from pre-termination, to the level that the user's reasons demand.",
        "user active",
        Source.BOSS,
        {"type": "REINSTATE", **USER},
        (OPENED, of_user("PRE_TERMINATE")),
        "The user is pre-terminated.",
        (
            Case("the user is in arrears", is_bare=True,
                 then=(OPENED, IN_ARREARS, of_user("PRE_TERMINATE"))),
            Case("the user is not pre-terminated", is_bare=True, then=(OPENED,)),
        ),
    ),
    Example(
        "USER_TERMINATE",
        "The end (销户): products, relation, HLR record and key go, in this order.",
        "user terminated; number in quarantine, then idle again; card scrapped",
        Source.CRM,
        {"type": "USER_TERMINATE", **USER, "quarantine_days": 90},
        (OPENED, PUBLISHED, posted(SUBSCRIBE)),
        "The user has the product VIDEO.",
    ),
)  # fmt: skip
