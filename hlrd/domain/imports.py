"""What staff brings into the stock: kinds of work as orders are, and no orders of the engine.

They ask nothing of a network element and change no user. They have routes of their own, since a
file of a million cards is no JSON document.
"""

from dataclasses import dataclass
from typing import Final

from hlrd.domain.orders.header import Source


@dataclass(frozen=True, slots=True)
class ImportKind:
    name: str
    chinese: str
    route: str  #: method and path
    command: str  #: of the command line
    is_repeated_by: str  #: what makes the same again change nothing
    leads_to: str  #: the state of each number or card
    priority: int = 4  #: they run beside the orders and yield to them
    sources: frozenset[Source] = frozenset({Source.OPS})


NUMBER_SEGMENT: Final = ImportKind(
    "NUMBER_SEGMENT_IMPORT", "号段入库", "POST /v1/pools/{name}/ranges", "hlrd pool import",
    "the same range", "idle",
)  # fmt: skip
SIM_LOT: Final = ImportKind(
    "SIM_LOT_IMPORT", "卡批量入库", "POST /v1/sim-lots", "hlrd sim import",
    "the same file, by its hash", "inStock",
)  # fmt: skip
IMPORTS: Final = (NUMBER_SEGMENT, SIM_LOT)
