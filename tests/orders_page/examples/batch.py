"""Orders that others carry out."""

from typing import Final

from hlrd.domain.orders import Source
from tests.orders_page.bench import number
from tests.orders_page.case import Case, Example
from tests.orders_page.ground import ACTIVATE, HEADER, MEMBER_READY, OPENED, posted

IF_REFUSED: Final = (
    "of a child as of its kind: one that fell out waits for a person, and this order with it; what "
    "the others did stands"
)

EXAMPLES: Final = (
    Example(
        "EC_SUSPEND_ALL",
        "Stops every member of an enterprise for one reason ([batches.md](batches.md)): each gets "
        "an order of its own. Members who are opened meanwhile are born stopped.",
        "that reason at `level`, with every member",
        Source.BOSS,
        {"type": "EC_SUSPEND_ALL", **HEADER, "ec_code": "EC1001", "bill_month": "202512"},
        (*MEMBER_READY, posted(ACTIVATE, user_id="9003")),
        "The enterprise has two members.",
        (
            Case("hlrd knows nothing of the enterprise and its members", {"ec_code": "EC9"}),
            Case("the source may not set the reason", {"reason": "FRAUD"}),
            Case("it is not of the state master", source=Source.CRM),
        ),
        if_refused=IF_REFUSED,
    ),
    Example(
        "EC_RESUME_ALL",
        "Takes one reason, and no other, off every member. It overtakes an `EC_SUSPEND_ALL` that "
        "is still under way.",
        "that reason cleared with every member",
        Source.BOSS,
        {"type": "EC_RESUME_ALL", **HEADER, "ec_code": "EC1001", "payment_id": "PAY-78"},
        (*MEMBER_READY, posted({"type": "EC_SUSPEND_ALL", **HEADER, "ec_code": "EC1001"})),
        "All members of the enterprise are stopped for ARREARS.",
        (Case("hlrd knows nothing of the enterprise and its members", {"ec_code": "EC9"}),),
        if_refused=IF_REFUSED,
    ),
    Example(
        "BATCH",
        "The rows of a file that came by `POST /v1/batches` and was checked "
        "([batches.md](batches.md)). hlrd posts it itself, for the file's sender; it can be "
        "paused, and its rest cancelled.",
        "of each row as of its kind; the result file has them all",
        Source.ESOP,
        {"type": "BATCH", **HEADER, "batch": "7", "child": "PRE_TERMINATE", "rows": 2},
        (
            OPENED,
            *MEMBER_READY,
            lambda bench: bench.put_file(
                "7", "PRE_TERMINATE",
                {"user_id": "9001", "msisdn": number(1)},
                {"user_id": "9004", "msisdn": number(4)},
            ),
        ),
        "The file has a row about a user, and one about a user who was never opened.",
        if_refused=IF_REFUSED,
    ),
)  # fmt: skip
