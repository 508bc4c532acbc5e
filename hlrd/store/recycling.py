"""Numbers out of quarantine in the database: those that are due, freed, or locked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from hlrd.domain.identity import MSISDN
from hlrd.store.connection import Connection
from hlrd.store.queries import query
from hlrd.store.rows import msisdn_of

_BEGIN: Final = query("begin_fenced")
_DUE: Final = query("recycle_due")
_BLOCKED: Final = query("recycle_blocked")
_FREE: Final = query("recycle_free")
_LOCK: Final = query("recycle_lock")


@dataclass(frozen=True, slots=True)
class Due:
    """A number that its HLR must be asked about."""

    msisdn: MSISDN
    hlr: str
    province: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What its HLR says of numbers that are due."""

    clean: Collection[MSISDN]
    found: Mapping[MSISDN, str]  #: those with a record, and which

    def __len__(self) -> int:
        return len(self.clean) + len(self.found)


async def due(
    connection: Connection, *, hlr: str, besides: Collection[MSISDN], limit: int
) -> list[Due]:
    rows = await connection.fetch(_DUE, hlr, list(map(int, besides)), limit)
    return [Due(msisdn_of(row["msisdn"]), row["hlr"], row["province"]) for row in rows]


async def blocked(connection: Connection, limit: int) -> list[tuple[MSISDN, bool]]:
    """Numbers that are due but for their last user: with True for its arrears, False for an open
    order of its."""
    rows = await connection.fetch(_BLOCKED, limit)
    return [(msisdn_of(row["msisdn"]), row["in_arrears"]) for row in rows]


async def settle(
    connection: Connection,
    ruling: Ruling,
    *,
    operator_id: str | None = None,
    cause: str | None = None,
    waives: bool = False,
) -> Ruling:
    """Free the clean and lock the others; what of it was still quarantined. Once or twice is the
    same, but that the second finds nothing."""
    await connection.execute(_BEGIN)
    clean = list(map(int, ruling.clean))
    freed = await connection.fetch(_FREE, clean, operator_id, cause, waives)
    found = list(map(int, ruling.found))
    locked = await connection.fetch(_LOCK, found, list(ruling.found.values()), operator_id)
    await connection.execute("COMMIT")
    numbers = [msisdn_of(row["msisdn"]) for row in locked]
    return Ruling(
        [msisdn_of(row["msisdn"]) for row in freed],
        {number: ruling.found[number] for number in numbers},
    )
