"""Who is master of user state in the database, and what hlrd holds of users' state."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hlrd import limits
from hlrd.domain.identity import UserId
from hlrd.domain.master import Master, Mastery
from hlrd.domain.reconciliation import Held, Stopped, named
from hlrd.domain.turn import STATE
from hlrd.store.connection import Pool, Record
from hlrd.store.errors import translated
from hlrd.store.queries import query
from hlrd.store.rows import msisdn_of, reasons_of

_ROWS: Final = query("state_masters")
_PUT: Final = query("state_master_put")
_SWITCH: Final = query("state_master_switch")
_FORGET: Final = query("state_versions_forget")
_OPEN: Final = query("state_orders_open")
_STOPPED: Final = query("state_stopped")
_HELD: Final = query("state_held")


@dataclass(frozen=True, slots=True)
class MasterRow:
    """What was said of a province while running."""

    province: str
    mastery: Mastery
    operator_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class OpenStateOrders:
    waiting: int  #: under way, parked or behind others
    fallout: int  #: that wait for a person


@dataclass(frozen=True, slots=True)
class MasterView:
    """One province, for people."""

    province: str
    name: str
    master: Master
    next: Master | None
    configured: Master  #: as the settings have it; what was switched while running counts
    open: int | None  #: orders that the switch waits for; None while none goes on
    fallout: int | None  #: of them, those that wait for a person
    operator_id: str | None
    since: datetime | None


class MasterBook:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self) -> Sequence[MasterRow]:
        with translated():
            return [_row_of(row) for row in await self._pool.fetch(_ROWS)]

    async def put(self, province: str, mastery: Mastery, operator_id: str) -> MasterRow:
        with translated():
            row = await self._pool.fetchrow(
                _PUT, province, mastery.master, mastery.next, operator_id
            )
        assert row is not None
        return _row_of(row)

    async def switch(self, province: str) -> None:
        """The next master is the master, and the versions of the one before are forgotten. Once or
        twice is the same."""
        with translated():
            async with self._pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(_SWITCH, province):
                    await connection.execute(_FORGET, province, STATE)

    async def open_orders(self, province: str, kinds: Sequence[str]) -> OpenStateOrders:
        """Durable and not closed, but for those dated ahead."""
        with translated():
            row = await self._pool.fetchrow(_OPEN, province, kinds)
        assert row is not None
        return OpenStateOrders(row["waiting"], row["fallout"])

    async def stopped(self, province: str) -> AsyncIterator[Sequence[Stopped]]:
        """Every user of the province that hlrd has reasons for, page by page."""
        last = ""
        while True:
            with translated():
                rows = await self._pool.fetch(
                    _STOPPED, province, last, limits.RECONCILE_USERS, STATE
                )
            if not rows:
                return
            yield [_stopped_of(row) for row in rows]
            last = rows[-1]["user_id"]

    async def held(self, users: Sequence[UserId]) -> Mapping[UserId, Held]:
        """Nothing of users without a number."""
        with translated():
            rows = await self._pool.fetch(_HELD, users, STATE)
        return {UserId(row["user_id"]): _held_of(row) for row in rows}


def _row_of(row: Record) -> MasterRow:
    following = None if row["next"] is None else Master(row["next"])
    mastery = Mastery(Master(row["master"]), following)
    return MasterRow(row["province"], mastery, row["operator_id"], row["since"])


def _stopped_of(row: Record) -> Stopped:
    reasons = named(reasons_of(row["reasons"]))
    return Stopped(row["user_id"], reasons, row["version"])


def _held_of(row: Record) -> Held:
    return Held(
        msisdn=msisdn_of(row["msisdn"]),
        province=row["province"],
        reasons=reasons_of(row["reasons"]),
        version=row["version"],
        is_busy=row["is_busy"],
    )
