"""What must be there before an order of the ESOP is posted. Pure."""

from collections.abc import Iterable
from typing import Final

from loadtest.esop.book import Book
from loadtest.esop.kinds import OPENING
from loadtest.esop.records import Line, LineState, Standing

What = tuple[str, ...]
"""A business (code, product), a member (user id,) or a file ("", order id) that lines wait for."""

_RANKS: Final = (
    Standing.ACTIVE, Standing.PENDING, Standing.LEAVING, Standing.FAILED, Standing.GONE
)  # fmt: skip
_AFTER: Final = {
    LineState.HELD: Standing.PENDING,
    LineState.POSTED: Standing.PENDING,
    LineState.FALLOUT: Standing.PENDING,
    LineState.SUCCEEDED: Standing.ACTIVE,
    LineState.FAILED: Standing.ACTIVE,  # some of its rows may be open all the same
}
"""Of a file of openings, to the products of its members."""


def needs(book: Book, line: Line) -> Iterable[tuple[What, Standing]]:
    """What comes before it, the first of it first."""
    code = line.fields["ec_code"]
    if line.kind == OPENING:
        fit = [
            one
            for (ec, _), one in book.businesses.items()
            if ec == code and one.product_class == line.fields["product_class"]
        ]
        best = sorted(fit, key=lambda one: _RANKS.index(one.standing))[:1]
        yield from (((code, one.product), one.standing) for one in best)
        return
    if line.users:
        opening = _opening_file(book, line)
        standing = _AFTER[opening.state] if opening is not None else Standing.ACTIVE
        yield ("", opening.order_id if opening else ""), standing
    else:
        user = line.fields["user_id"]
        yield (user,), book.members[user].standing
    product = line.fields["product"]
    business = book.businesses.get((code, product))
    yield (code, product), business.standing if business else Standing.ACTIVE


def _opening_file(book: Book, line: Line) -> Line | None:
    for order_id in book.orders[line.root].lines:
        if book.lines[order_id].kind == OPENING:
            return book.lines[order_id]
    return None
