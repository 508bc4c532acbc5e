"""The holds and drains of network elements, which outlive the daemon."""

from collections.abc import Mapping
from typing import Final

from hlrd.ne.halts import Halt, HaltKind
from hlrd.store.connection import Pool
from hlrd.store.errors import translated
from hlrd.store.queries import query

_KEEP: Final = query("halt_keep")
_DROP: Final = query("halt_drop")
_LIST: Final = query("halt_list")


class HaltStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, ne: str, halt: Halt) -> None:
        """In the place of what was said of `ne` before."""
        with translated():
            await self._pool.execute(_KEEP, ne, halt.kind, halt.cause, halt.since, halt.until)

    async def drop(self, ne: str) -> None:
        with translated():
            await self._pool.execute(_DROP, ne)

    async def standing(self) -> Mapping[str, Halt]:
        """Those that have not ended, by NE."""
        with translated():
            rows = await self._pool.fetch(_LIST)
        return {
            row["ne"]: Halt(HaltKind(row["kind"]), row["cause"], row["since"], row["until"])
            for row in rows
        }
