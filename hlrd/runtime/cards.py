"""Staff's work on single cards: out of memory first, so that no order draws it meanwhile."""

import asyncio
from typing import Final

import structlog

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import ICCID
from hlrd.domain.lifecycle import CardState
from hlrd.pool.allocator import Allocator
from hlrd.store import stock
from hlrd.store.connection import Connection, writing_as
from hlrd.store.link import Link

_log: Final = structlog.get_logger(__name__)


class CardDesk:
    def __init__(self, dsn: str, *, node: str, epoch: int, allocator: Allocator) -> None:
        self._link = Link(dsn, "cards", **writing_as(node, epoch))
        self._turn = asyncio.Lock()  #: of the link
        self._allocator = allocator

    async def scrap(self, iccid: ICCID, *, cause: str, operator_id: str) -> None:
        """For good; once more changes nothing. NotFound if the card is not of the stock; Conflict
        if it is in use, or an order has it in hand.

        Goes on when the caller is cancelled: until the database has answered, nobody may have the
        card.
        """
        if not self._allocator.take(iccid=iccid):
            raise Conflict("NUMBER_OR_CARD_TAKEN", "an order is just taking it; try again", "iccid")
        await asyncio.shield(asyncio.ensure_future(self._scrap(iccid, cause, operator_id)))

    async def _scrap(self, iccid: ICCID, cause: str, operator_id: str) -> None:
        state: CardState | None = None
        try:
            state = await self._write(iccid, f"{cause} ({operator_id})")
        finally:
            if state is CardState.SCRAPPED:
                self._allocator.held(iccid=iccid)
            else:
                self._allocator.put_back(iccid=iccid)
        if state is None:
            raise NotFound("CARD_UNKNOWN", "this card is not of the stock", "iccid")
        if state is not CardState.SCRAPPED:
            raise Conflict("CARD_NOT_IN_STOCK", f"it is not in stock but {state}", "iccid")
        _log.warning("card_scrapped", iccid=iccid, operator=operator_id, cause=cause)

    async def _write(self, iccid: ICCID, cause: str) -> CardState | None:
        """Once or twice is the same."""

        async def attempt(connection: Connection) -> CardState | None:
            return await stock.scrap(connection, iccid, cause)

        async with self._turn:
            return await self._link.stubbornly(attempt)

    def close(self) -> None:
        self._link.drop()
