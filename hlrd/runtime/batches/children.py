"""From the lines of a batch file to orders, and what they need kept for them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from hlrd import limits
from hlrd.domain.batch import Child, Template
from hlrd.domain.errors import Refusal
from hlrd.domain.identity import ICCID
from hlrd.domain.orders import MemberActivate, Opening, OpeningNamed, WorkOrder
from hlrd.pool.simheader import BadLine
from hlrd.runtime.batches.rowfile import Row
from hlrd.store.batches import BatchRow


class Stock(Protocol):
    """What the children of a file must know of cards and numbers."""

    async def cards(
        self, first: ICCID, last: ICCID, *, after: str, skip: int, limit: int
    ) -> Sequence[ICCID]:
        """Of a range, in order."""
        ...

    async def homes(self, iccids: Sequence[str]) -> Mapping[str, str]:
        """HLRs of these cards of the stock."""
        ...

    async def pools(self, numbers: Sequence[str]) -> Mapping[str, str]:
        """That these numbers are of."""
        ...


class Maker:
    """Makes the same orders of the same lines each time; every line, good or bad, has its place in
    the range of cards."""

    def __init__(self, batch: BatchRow, stock: Stock) -> None:
        self._template = Template(
            batch=batch.id,
            kind=batch.child,
            order_id=batch.order_id,
            province=batch.province,
            operator_id=batch.operator_id,
            priority=batch.priority,
            common=batch.common,
        )
        self._range = batch.cards
        self._stock = stock
        self._last_card = ""

    async def make(self, rows: Sequence[Row | BadLine], *, is_text: bool) -> list[Child | BadLine]:
        cards = await self._next_cards(len(rows))
        return [self._child(row, card, is_text) for row, card in zip(rows, cards, strict=True)]

    async def skip(self, rows: int) -> None:
        """These lines were gone past."""
        if self._range is not None and rows:
            found = await self._stock.cards(
                *self._range, after=self._last_card, skip=rows - 1, limit=1
            )
            self._last_card = found[0] if found else self._range[1]

    async def _next_cards(self, count: int) -> Sequence[ICCID | None]:
        if self._range is None:
            return [None] * count
        found = await self._stock.cards(*self._range, after=self._last_card, skip=0, limit=count)
        self._last_card = found[-1] if found else self._range[1]
        return [*found, *[None] * (count - len(found))]

    def _child(self, row: Row | BadLine, card: ICCID | None, is_text: bool) -> Child | BadLine:
        if isinstance(row, BadLine):
            return row
        fields = row.fields
        if self._range is not None:
            if "iccid" in fields:
                return BadLine(row.line, "iccid", "the card comes from the range of the batch")
            if card is None:
                return BadLine(row.line, "iccid", "the range has no card for this row")
            fields = {**fields, "iccid": card}
        try:
            order = self._template.child(row.line, fields, is_text=is_text)
        except Refusal as refusal:
            return BadLine(row.line, refusal.field, refusal.detail)
        return Child(row.line, order)


class Need(NamedTuple):
    """What alike openings want kept; one reservation has it, or several where it is large."""

    pool: str
    province: str
    digits: int
    hlr: str | None  #: of the cards that the rows name
    lot: str | None
    with_cards: bool
    is_named: bool  #: the rows name their numbers

    @property
    def key(self) -> str:
        """As the batch keeps the reservations by it."""
        return "|".join("" if value is None else str(value) for value in self)


async def needs_of(orders: Sequence[WorkOrder], stock: Stock) -> list[Need | None]:
    """Of each; None for one that opens nobody, or has a reservation of its own."""
    openings = [
        order for order in orders if isinstance(order, Opening) and order.reservation is None
    ]
    if not openings:
        return [None] * len(orders)
    iccids = [order.iccid for order in openings if order.iccid is not None]
    homes = await stock.homes(iccids) if iccids else {}
    numbers = [order.msisdn for order in openings if isinstance(order, OpeningNamed)]
    pools = await stock.pools(numbers) if numbers else {}
    return [_need_of(order, homes, pools) for order in orders]


def _need_of(order: WorkOrder, homes: Mapping[str, str], pools: Mapping[str, str]) -> Need | None:
    if isinstance(order, OpeningNamed) and order.reservation is None:
        pool, digits = pools.get(order.msisdn, ""), len(order.msisdn)
        return Need(pool, order.province, digits, None, None, False, True)
    if not isinstance(order, MemberActivate) or order.reservation is not None:
        return None
    is_named, with_cards = order.msisdn is not None, order.iccid is None
    hlr = None if is_named or order.iccid is None else homes.get(order.iccid)
    digits = len(order.msisdn) if order.msisdn is not None else order.digits
    return Need(order.pool, order.province, digits, hlr, order.lot, with_cards, is_named)


class Assigner:
    """Gives each opening its reservation: the same one each time, since it counts from the start
    of the file."""

    def __init__(self, reservations: Mapping[str, Sequence[int]]) -> None:
        self._reservations = reservations
        self._counts: dict[str, int] = {}

    def assign(self, order: WorkOrder, need: Need | None) -> None:
        if need is None:
            return
        place = self._counts.get(need.key, 0)
        self._counts[need.key] = place + 1
        ids = self._reservations.get(need.key, ())
        part = place // PART_NUMBERS
        if part < len(ids) and ids[part] and isinstance(order, Opening):
            order.reservation = str(ids[part])
            if isinstance(order, MemberActivate):
                order.lot = None  # the reservation's cards are of it


PART_NUMBERS: Final = limits.RESERVATION_NUMBERS_MAX
"""Of one reservation."""
