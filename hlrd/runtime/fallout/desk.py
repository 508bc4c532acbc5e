"""What one person does with one order that fell out: durable before the engine hears of it."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from hlrd import metrics
from hlrd.domain import orders
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.fallout import Act, Chosen
from hlrd.ports import StoredOrder
from hlrd.runtime.fallout.acts import NOT_THERE, acts_for, decision, refuse_unfit, released
from hlrd.runtime.fallout.seam import Engine
from hlrd.runtime.fallout.turn import Turn
from hlrd.store import facts, fallout
from hlrd.store.fallout import CountRow, FalloutBook, FalloutRow, FalloutShown

_log: Final = structlog.get_logger(__name__)


class FalloutDesk:
    def __init__(self, turn: Turn, *, book: FalloutBook, engine: Engine, has_eoms: bool) -> None:
        self._turn = turn
        self._book = book
        self._engine = engine
        self._has_eoms = has_eoms

    # Looking.

    async def page(self, chosen: Chosen, after: int, most: int) -> Sequence[FalloutRow]:
        return await self._book.page(chosen, after, most)

    async def counts(self) -> Sequence[CountRow]:
        return await self._book.counts()

    async def get(self, order_id: int) -> FalloutRow:
        """NotFound."""
        row = await self._book.get(order_id)
        if row is None:
            raise NOT_THERE
        return row

    async def show(self, order_id: int) -> FalloutShown:
        """NotFound."""
        row = await self.get(order_id)
        kind = BY_NAME.get(row.kind)
        return FalloutShown(
            row,
            [act for act in acts_for(row) if self._has_eoms or act is not Act.TO_EOMS],
            sorted(kind.changeable) if kind is not None else (),
            await self._book.amendments(order_id),
            await self._book.sheets(order_id),
        )

    # Acting.

    async def act(self, act: Act, row: FalloutRow, *, reason: str, operator_id: str) -> None:
        """`row`: as the person saw it. Conflict if it has gone on meanwhile."""
        refuse_gone(row)
        refuse_unfit(act, row)
        if act is Act.TO_EOMS:
            await self._hand_over(row, operator_id)
        else:
            await self._let_go(act, row, reason=reason, operator_id=operator_id)

    async def change(
        self, row: FalloutRow, fields: Mapping[str, object], *, reason: str, operator_id: str
    ) -> None:
        """Other values in some fields, then a resend. Both forms stay in the journal."""
        refuse_gone(row)
        payload = await self._changed(row, fields)
        await self._let_go(Act.CHANGE, row, reason=reason, operator_id=operator_id, payload=payload)

    async def _let_go(
        self,
        act: Act,
        row: FalloutRow,
        *,
        reason: str,
        operator_id: str,
        payload: bytes | None = None,
    ) -> None:
        decided = decision(act, row, reason=reason, operator_id=operator_id, payload=payload)
        held = await self._turn.stubbornly(lambda connection: fallout.decide(connection, [decided]))
        if not held:
            raise released()
        metrics.FALLOUT_ACTS.labels(act).inc()
        _log.info("fallout_act", order=row.order_id, act=act, operator=operator_id)
        self._engine.release(row.order_id)

    async def _changed(self, row: FalloutRow, fields: Mapping[str, object]) -> bytes:
        kind = BY_NAME.get(row.kind)
        for name in fields:
            if kind is None or name not in kind.changeable:
                known = ", ".join(sorted(kind.changeable)) if kind is not None else ""
                text = f"of a {row.kind} a person may change: {known or 'nothing'}"
                raise BadRequest("FIELD_NOT_CHANGEABLE", text, f"set.{name}")
        stored = await self._stored(row.order_id)
        try:
            order = orders.with_fields(stored.payload, fields)
            self._engine.rejudge(stored, order)
        except (BadRequest, Conflict) as refusal:
            raise refusal.at("set") from None
        return orders.encode(order)

    async def _stored(self, order_id: int) -> StoredOrder:
        """With what was changed before."""
        stored = await self._turn.stubbornly(
            lambda connection: facts.read_stored(connection, [order_id], [])
        )
        amended = await self._book.amendments(order_id)
        for one in stored:
            if one.id == order_id:
                return facts.amended(one, amended[-1].payload if amended else None)
        raise NOT_THERE

    async def _hand_over(self, row: FalloutRow, operator_id: str) -> None:
        if not self._has_eoms:
            text = "no network element is configured that takes work sheets"
            raise Conflict("NO_EOMS", text)
        wanted = await self._turn.stubbornly(
            lambda connection: fallout.want_sheet(connection, [row.order_id], operator_id)
        )
        if not wanted and row.sheet in (None, "closed", "refused"):
            text = "the EOMS was asked about this fall already"
            raise Conflict("SHEET_EXISTS", text, "id")
        metrics.FALLOUT_ACTS.labels(Act.TO_EOMS).inc()


def refuse_gone(row: FalloutRow) -> None:
    if row.way is not None:
        raise released()
