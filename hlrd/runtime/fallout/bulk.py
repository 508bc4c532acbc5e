"""Acts on many orders at once (批量处理): proposed by one person, confirmed by another, carried out
at a bounded rate behind the orders that upstream waits for. A restart goes on at the cursor.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.audit import DAEMON, Facts, Trail, is_same_person, refused
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.errors import BadRequest, Conflict, NotFound, Refusal, Unavailable
from hlrd.domain.fallout import AUDITED, BULK, Act, Chosen
from hlrd.domain.lifecycle import BULK as STATES
from hlrd.domain.lifecycle import BulkEvent, BulkState, advance
from hlrd.domain.orders import Source
from hlrd.runtime.fallout.acts import decision, refuse_unfit
from hlrd.runtime.fallout.seam import Engine
from hlrd.runtime.fallout.turn import Turn
from hlrd.store import bulk as store
from hlrd.store import fallout
from hlrd.store.bulk import BulkRow, Bulks, Meant, Proposal, Slice
from hlrd.store.errors import StoreUnavailable
from hlrd.store.fallout import FalloutBook

_log: Final = structlog.get_logger(__name__)


class BulkActs:
    """Keep `run` running; the rest is for the API."""

    def __init__(
        self,
        turn: Turn,
        *,
        bulks: Bulks,
        book: FalloutBook,
        engine: Engine,
        trail: Trail,
        rate_per_s: float,
        has_eoms: bool,
    ) -> None:
        """`rate_per_s`: orders let go a second, of all bulk acts together."""
        self._turn = turn
        self._bulks = bulks
        self._book = book
        self._engine = engine
        self._trail = trail
        self._slice = max(1, min(limits.FALLOUT_BULK_SLICE, round(rate_per_s / 4)))
        self._rate_per_s = rate_per_s
        self._has_eoms = has_eoms
        self._confirmed = asyncio.Event()

    # Asked by staff.

    async def propose(self, act: Act, chosen: Chosen, *, reason: str, operator_id: str) -> BulkRow:
        """BadRequest for what cannot be done to many; Conflict if no order is meant."""
        self._refuse(act, chosen)
        count = await self._book.chosen(chosen)
        if not count:
            raise Conflict("NOTHING_CHOSEN", "no order that waits for a person is meant", "filter")
        rows = await self._book.page(chosen, 0, limits.FALLOUT_BULK_SAMPLE)
        sample = [{"id": str(row.order_id), "ne": row.ne, "code": row.code} for row in rows]
        proposal = Proposal(act, chosen, reason, operator_id, count, sample)
        bulk = await self.get(await self._bulks.propose(proposal))
        _log.info("bulk_proposed", id=bulk.id, act=act, count=count, operator=operator_id)
        return bulk

    def _refuse(self, act: Act, chosen: Chosen) -> None:
        if act not in BULK:
            text = f"many at once: {', '.join(BULK)}"
            raise BadRequest("ACT_NOT_FOR_MANY", text, "act")
        if chosen.code is None and chosen.ne is None:
            text = "name an NE or a code at least: what failed otherwise wants another look"
            raise BadRequest("FILTER_TOO_WIDE", text, "filter")
        if chosen.kind is not None and chosen.kind not in BY_NAME:
            raise BadRequest("KIND_UNKNOWN", "no such kind of order (docs/api.md)", "filter.kind")
        if act is Act.TO_EOMS and not self._has_eoms:
            raise Conflict("NO_EOMS", "no network element is configured that takes work sheets")

    async def confirm(self, bulk: BulkRow, operator_id: str) -> BulkRow:
        """Conflict for who proposed it, or when it does not wait any more."""
        refuse_same_person(bulk, operator_id)
        _next(bulk, BulkEvent.CONFIRMED)
        if not await self._bulks.confirm(bulk.id, operator_id):
            raise _not_so(await self.get(bulk.id))
        _log.info("bulk_confirmed", id=bulk.id, operator=operator_id)
        self._confirmed.set()
        return await self.get(bulk.id)

    async def stop(self, bulk: BulkRow, operator_id: str) -> BulkRow:
        """What was let go by it goes on. Conflict if it has ended."""
        after = _next(bulk, BulkEvent.STOPPED)
        before = (BulkState.PROPOSED, BulkState.RUNNING)
        if not await self._bulks.end(bulk.id, before, after, operator_id):
            raise _not_so(await self.get(bulk.id))
        _log.info("bulk_stopped", id=bulk.id, operator=operator_id)
        return await self.get(bulk.id)

    async def get(self, id: int) -> BulkRow:
        """NotFound."""
        bulk = await self._bulks.get(id)
        if bulk is None:
            raise NotFound("BULK_UNKNOWN", "no bulk act has this id")
        return bulk

    async def newest(self) -> Sequence[BulkRow]:
        return await self._bulks.newest()

    # The work.

    async def run(self) -> None:
        """For ever. Ends by Fenced, or by being cancelled."""
        while True:
            self._confirmed.clear()
            try:
                worked = await self._round()
            except (StoreUnavailable, Unavailable) as error:
                _log.warning("bulk_waits", error=str(error))
                await asyncio.sleep(limits.STORE_RETRY_DELAY_S_MAX)
                continue
            if not worked:
                await self._confirmed.wait()

    async def _round(self) -> bool:
        """A slice of each bulk act that runs; False if none does."""
        running = await self._bulks.running()
        for bulk in running:
            started = asyncio.get_running_loop().time()
            done = await self._step(bulk)
            took = asyncio.get_running_loop().time() - started
            rest_s = limits.FALLOUT_LOOK_S if done is None else done / self._rate_per_s - took
            await asyncio.sleep(max(0.0, rest_s))
        return bool(running)

    async def _step(self, bulk: BulkRow) -> int | None:
        """How many orders were let go; None while enough of them are under way."""
        room = limits.FALLOUT_BULK_UNDER_WAY_MAX - bulk.under_way
        if room <= 0:
            return None
        most = min(self._slice, room)
        meant = await self._turn.stubbornly(lambda connection: store.page(connection, bulk, most))
        if not meant:
            await self._bulks.end(
                bulk.id, [BulkState.RUNNING], advance(STATES, bulk.state, BulkEvent.ENDED), None
            )
            _log.info("bulk_done", id=bulk.id, released=bulk.released, refused=bulk.refused)
            return 0
        return await self._do(bulk, meant)

    async def _do(self, bulk: BulkRow, meant: Sequence[Meant]) -> int:
        fit = [one for one in meant if _is_fit(bulk.act, one)]
        rows = await asyncio.gather(*(self._record(bulk, one) for one in fit))
        slice = _slice_of(bulk, meant, fit)
        held = await self._turn.stubbornly(
            lambda connection: store.carry_out(connection, bulk, slice)
        )
        metrics.FALLOUT_ACTS.labels(bulk.act).inc(len(fit))
        if bulk.act is not Act.TO_EOMS:
            written = dict(zip([one.order_id for one in fit], rows, strict=True))
            await self._let_go(bulk, held, written)
        return len(fit)

    async def _let_go(
        self, bulk: BulkRow, held: Sequence[int] | None, written: Mapping[int, int]
    ) -> None:
        """`held`: by this act; None where only the database can tell. `written`: rows of the audit
        trail by order; one that somebody else let go first gets a second row."""
        ids = list(written)
        gone = await self._turn.stubbornly(lambda connection: fallout.released(connection, ids))
        self._engine.release(*gone)
        for order_id in sorted(written.keys() - set(gone if held is None else held)):
            await self._write(bulk, order_id, after=refused("FALLOUT_RELEASED", written[order_id]))

    async def _record(self, bulk: BulkRow, one: Meant) -> int:
        return await self._write(
            bulk,
            one.order_id,
            before={"ne": one.ne, "code": one.code, "step": one.step, "falls": one.falls},
            after={"act": bulk.act, "reason": bulk.reason, "bulk": bulk.id},
        )

    async def _write(
        self, bulk: BulkRow, order_id: int, *, after: Facts, before: Facts | None = None
    ) -> int:
        return await self._trail.record(
            actor=bulk.confirmed_by or DAEMON,
            source=Source.OPS,
            action=AUDITED[bulk.act],
            subject=f"order:{order_id}",
            order=order_id,
            before=before,
            after=after,
        )


def refuse_same_person(bulk: BulkRow, operator_id: str) -> None:
    if is_same_person(bulk.proposed_by, operator_id):
        text = "who proposed it cannot confirm it; another person must look at it"
        raise Conflict("SECOND_PERSON_NEEDED", text, "operator_id")


def _slice_of(bulk: BulkRow, meant: Sequence[Meant], fit: Sequence[Meant]) -> Slice:
    next_id, refused = meant[-1].order_id + 1, len(meant) - len(fit)
    if bulk.act is Act.TO_EOMS:
        return Slice(next_id, sheets=[one.order_id for one in fit], refused=refused)
    decisions = [
        decision(
            bulk.act,
            one,
            reason=bulk.reason,
            operator_id=bulk.confirmed_by or "",
            bulk_id=bulk.id,
        )
        for one in fit
    ]
    return Slice(next_id, decisions=decisions, refused=refused)


def _is_fit(act: Act, one: Meant) -> bool:
    try:
        refuse_unfit(act, one)
    except Refusal:
        return False
    return True


def _next(bulk: BulkRow, event: BulkEvent) -> BulkState:
    if (bulk.state, event) not in STATES:
        raise _not_so(bulk)
    return advance(STATES, bulk.state, event)


def _not_so(bulk: BulkRow) -> Conflict:
    return Conflict("BULK_NOT_READY", f"the bulk act is {bulk.state}")
