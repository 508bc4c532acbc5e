"""What docs/orders.md shows of each kind: in words what the catalogue does not say, an order that
is carried out, and what becomes of it in other circumstances.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.orders_page.case import Example
from tests.orders_page.examples import batch, change, group, opening, product, repair, standing

FAMILIES: Final[Mapping[str, Sequence[Example]]] = {
    "Opening": opening.EXAMPLES,
    "Stopping, resuming, closing": standing.EXAMPLES,
    "Card and number": change.EXAMPLES,
    "Products": product.EXAMPLES,
    "Group business": group.EXAMPLES,
    "Many at once": batch.EXAMPLES,
    "Upkeep": repair.EXAMPLES,
}
"""In the order of the page."""
