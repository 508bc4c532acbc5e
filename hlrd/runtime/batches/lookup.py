"""What the check of a batch file asks of the database, by the rules that intake has."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from hlrd import limits
from hlrd.domain.catalogue import BY_SHAPE
from hlrd.domain.errors import Busy, Conflict, Refusal
from hlrd.domain.identity import ICCID, IMSI, MSISDN, UserId
from hlrd.domain.master import Masters
from hlrd.domain.orders import Opening, WorkOrder
from hlrd.domain.orders.group import MemberProductSubscribe
from hlrd.domain.plans.plan import Routes
from hlrd.domain.routing import RouteTable
from hlrd.engine import eligibility
from hlrd.ports import Facts, Wanted
from hlrd.store import batches, facts
from hlrd.store.batches import BatchBook
from hlrd.store.connection import Pool
from hlrd.store.errors import StoreUnavailable, translated

T = TypeVar("T")


class BatchLookup:
    """Implements `check.Book`. What it finds may have changed when an order is handed in; then the
    order is refused by itself, and its row says so."""

    def __init__(
        self, pool: Pool, book: BatchBook, *, routes: Routes, homes: RouteTable, masters: Masters
    ) -> None:
        self._pool = pool
        self._book = book
        self._routes = routes
        self._homes = homes
        self._masters = masters

    async def checked(self, id: int, rows: int, *, faults: int) -> bool:
        return await self._book.checked(id, rows, faults=faults)

    async def cards(
        self, first: ICCID, last: ICCID, *, after: str, skip: int, limit: int
    ) -> Sequence[ICCID]:
        return await _patiently(
            lambda: self._book.cards(first, last, after=after, skip=skip, limit=limit)
        )

    async def homes(self, iccids: Sequence[str]) -> Mapping[str, str]:
        return await _patiently(lambda: batches.homes(self._pool, iccids))

    async def pools(self, numbers: Sequence[str]) -> Mapping[str, str]:
        return await _patiently(lambda: batches.pools(self._pool, numbers))

    async def faults_of(self, source: str, orders: Sequence[WorkOrder]) -> Sequence[Refusal | None]:
        wanted = [_wanted(token, source, order) for token, order in enumerate(orders)]
        users = list({one.user_id for one in wanted})
        with translated():
            async with self._pool.acquire() as connection:
                found = await facts.resolve(connection, wanted)
                open_ = await batches.open_orders(connection, users)
        return [
            self._fault(source, order, fact, open_)
            for order, fact in zip(orders, found, strict=True)
        ]

    def _fault(
        self, source: str, order: WorkOrder, fact: Facts, open_: Mapping[tuple[str, str], int]
    ) -> Refusal | None:
        try:
            self._refuse(source, order, fact)
            _refuse_double(order, open_)
        except Busy:
            return None  # it passes, and the order is handed in until it has
        except Refusal as refusal:
            return refusal
        return None

    def _refuse(self, source: str, order: WorkOrder, fact: Facts) -> None:
        kind = BY_SHAPE[type(order)]
        eligibility.check_source(kind, source, order.province, self._masters)
        eligibility.check_role(kind, order, self._routes)
        eligibility.check_reasons(order, source)
        if isinstance(order, Opening):
            eligibility.check_opening(order, fact.user, fact, self._routes, source)
            eligibility.check_home_of_card(order, fact, self._homes.routing)
        elif type(order) is MemberProductSubscribe and fact.user is None:
            return  # its opening may come behind it, and it waits for that
        elif kind.is_of_user:
            eligibility.check_user(order, fact.user)  # type: ignore[arg-type]


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """A walk cannot do without: what it has read of its file is not read again."""
    while True:
        try:
            with translated():
                return await read()
        except StoreUnavailable:
            await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)


def _refuse_double(order: WorkOrder, open_: Mapping[tuple[str, str], int]) -> None:
    user_id, kind = getattr(order, "user_id", ""), BY_SHAPE[type(order)].name
    earlier = open_.get((user_id, kind))
    if earlier is not None:
        text = f"order {earlier} of this user, of the same kind, is open"
        raise Conflict(_OPEN, text, "user_id")


def _wanted(token: int, source: str, order: WorkOrder) -> Wanted:
    named = order if isinstance(order, Opening) else None
    imsi = getattr(named, "imsi", None)
    reservation = getattr(named, "reservation", None)
    return Wanted(
        token,
        source,
        order.order_id,
        UserId(getattr(order, "user_id", "")),
        msisdn=MSISDN(named.msisdn) if named and named.msisdn else None,
        imsi=IMSI(imsi) if imsi else None,
        iccid=ICCID(named.iccid) if named and named.iccid else None,
        reservation=int(reservation) if reservation else None,
    )


_OPEN: Final = "CONFLICT_IN_FLIGHT"
