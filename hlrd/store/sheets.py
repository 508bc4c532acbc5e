"""The sheets at the EOMS about orders that fell out, as the daemon keeps their book."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hlrd.domain.lifecycle import SheetState
from hlrd.store import fallout
from hlrd.store.connection import Connection, Pool, Record
from hlrd.store.errors import translated
from hlrd.store.fallout import Decision
from hlrd.store.queries import query
from hlrd.store.rows import plain

_BEGIN: Final = query("begin_fenced")
_DUE: Final = query("sheets_due")
_REST: Final = query("sheets_rest")
_MOVE: Final = query("sheet_move")


@dataclass(frozen=True, slots=True)
class OpenSheet:
    """A sheet that is not closed. What is said of its order is None once that is closed."""

    transaction: str
    order_id: int
    state: SheetState
    asked_by: str
    kind: str | None
    user_id: str | None
    ne: str | None
    operation: str | None
    code: str | None
    text: str | None
    step: str | None
    is_undo: bool | None
    is_needed: bool  #: the order still waits, as it did when the sheet was wanted


class SheetBook:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, most: int) -> list[OpenSheet]:
        """What is to be looked after now, the longest waiting first."""
        with translated():
            return [_sheet_of(row) for row in await self._pool.fetch(_DUE, most)]

    async def rest(self, transactions: Sequence[str], seconds: float) -> None:
        """Look at them again only then."""
        with translated():
            await self._pool.execute(_REST, transactions, seconds)


async def move(
    connection: Connection,
    sheet: OpenSheet,
    after: SheetState,
    *,
    answer: str = "",
    text: str = "",
    decisions: Sequence[Decision] = (),
) -> list[int] | None:
    """To another state, together with what its answer decided; the orders that were let go. None:
    nothing was done, as it has left its state meanwhile, perhaps by an earlier try.
    """
    await connection.execute(_BEGIN)
    moved = await connection.fetchval(
        _MOVE, sheet.transaction, sheet.state, after, plain(answer), plain(text)
    )
    if moved is None:
        await connection.execute("ROLLBACK")
        return None
    held = await fallout.decide_within(connection, decisions)
    await connection.execute("COMMIT")
    return held


def _sheet_of(row: Record) -> OpenSheet:
    return OpenSheet(**{**row, "state": SheetState(row["state"])})
