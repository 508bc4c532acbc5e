"""Acts on many orders of the fallout desk at once: proposals, and how far each is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec import json

from hlrd import limits
from hlrd.domain.errors import Busy
from hlrd.domain.fallout import Act, Chosen
from hlrd.domain.lifecycle import BulkState
from hlrd.store import fallout
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.fallout import Decision
from hlrd.store.queries import query

_BEGIN: Final = query("begin_fenced")
_PROPOSE: Final = query("bulk_propose")
_EXPIRE: Final = query("bulk_expire")
_OPEN: Final = query("bulk_open_count")
_GET: Final = query("bulk_get")
_NEWEST: Final = query("bulk_newest")
_RUNNING: Final = query("bulk_running")
_CONFIRM: Final = query("bulk_confirm")
_END: Final = query("bulk_end")
_PAGE: Final = query("bulk_page")
_ADVANCE: Final = query("bulk_advance")
_WANT_SHEET: Final = query("sheet_want")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one person would do to many orders."""

    act: Act
    chosen: Chosen
    reason: str
    operator_id: str
    count: int
    sample: Sequence[Mapping[str, str]]  #: some of the orders, as a person reads them


@dataclass(frozen=True, slots=True)
class BulkRow:
    id: int
    act: Act
    chosen: Chosen
    reason: str
    state: BulkState
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    count: int
    sample: Sequence[Mapping[str, str]]
    confirmed_by: str | None
    confirmed_at: datetime | None
    next_id: int
    released: int
    refused: int
    ended_by: str | None
    ended_at: datetime | None
    under_way: int  #: let go, and neither closed nor fallen out again
    again: int  #: fallen out again


class Meant(NamedTuple):
    """An order that a bulk act comes to."""

    order_id: int
    kind: str
    user_id: str
    step: str
    is_undo: bool
    ne: str
    code: str
    falls: int


class Bulks:
    """Reads and changes of single rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def propose(self, proposal: Proposal) -> int:
        """Busy while too many are open."""
        shown = json.encode(proposal.sample).decode()
        chosen = json.encode(proposal.chosen).decode()
        what = proposal.act, chosen, proposal.reason, proposal.operator_id
        with translated():
            await self._pool.execute(_EXPIRE)
            if await self._pool.fetchval(_OPEN) >= limits.FALLOUT_PROPOSALS_MAX:
                raise Busy("TOO_MANY_PROPOSALS", "stop some, or wait for them to end", 60.0)
            id: int = await self._pool.fetchval(
                _PROPOSE, *what, limits.FALLOUT_PROPOSAL_S, proposal.count, shown
            )
        return id

    async def get(self, id: int) -> BulkRow | None:
        with translated():
            await self._pool.execute(_EXPIRE)
            row = await self._pool.fetchrow(_GET, id)
        return None if row is None else _bulk_of(row)

    async def newest(self) -> list[BulkRow]:
        with translated():
            await self._pool.execute(_EXPIRE)
            rows = await self._pool.fetch(_NEWEST, limits.FALLOUT_BULKS_SHOWN_MAX)
        return [_bulk_of(row) for row in rows]

    async def running(self) -> list[BulkRow]:
        """The oldest first."""
        with translated():
            return [_bulk_of(row) for row in await self._pool.fetch(_RUNNING)]

    async def confirm(self, id: int, operator_id: str) -> bool:
        """False: it waits no longer."""
        with translated():
            return await self._pool.fetchval(_CONFIRM, id, operator_id) is not None

    async def end(
        self, id: int, before: Sequence[BulkState], after: BulkState, operator_id: str | None
    ) -> bool:
        """False: it is in none of the states `before`."""
        with translated():
            return await self._pool.fetchval(_END, id, before, after, operator_id) is not None


async def page(connection: Connection, bulk: BulkRow, most: int) -> list[Meant]:
    """The next orders that are meant."""
    rows = await connection.fetch(
        _PAGE, *fallout.named(bulk.chosen), bulk.next_id, most, bulk.confirmed_at
    )
    return [Meant(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Slice:
    """What is done to the next orders of a bulk act."""

    next_id: int
    decisions: Sequence[Decision] = ()
    sheets: Sequence[int] = ()  #: orders that the EOMS is to be asked about
    refused: int = 0


async def carry_out(connection: Connection, bulk: BulkRow, slice: Slice) -> list[int] | None:
    """The orders that were let go; None if nothing was done: the act was stopped meanwhile, or an
    earlier try was committed and its answer lost.

    The cursor moves in the same transaction, so no order is come to twice.
    """
    await connection.execute(_BEGIN)
    held = await fallout.decide_within(connection, slice.decisions)
    handed = 0
    if slice.sheets:
        rows = await connection.fetch(_WANT_SHEET, slice.sheets, bulk.confirmed_by)
        handed = len(rows)
    counts = len(held) + handed, slice.refused
    goes_on = await connection.fetchval(_ADVANCE, bulk.id, bulk.next_id, slice.next_id, *counts)
    await connection.execute("ROLLBACK" if goes_on is None else "COMMIT")
    return None if goes_on is None else held


def _bulk_of(row: Record) -> BulkRow:
    values: dict[str, Any] = dict(row)
    values["act"], values["state"] = Act(row["act"]), BulkState(row["state"])
    values["chosen"] = json.decode(row["chosen"], type=Chosen)
    values["sample"] = json.decode(row["sample"])
    return BulkRow(**values)
