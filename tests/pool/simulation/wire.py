"""The connection of a run: real statements on a real server, cut or killed between any two of them.

All runs share one connection, one transaction at a time: flows take turns at the beginning of a
transaction, and at each statement that stands alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, Protocol

import asyncpg

from hlrd.store.connection import Connection
from hlrd.store.errors import StoreUnavailable
from hlrd.store.link import Link
from hlrd.store.queries import query
from tests.pool.simulation.turns import Turns

NODE: Final = "node1"


_AT_COMMITS: Final = 8
_BEGIN_FENCED: Final = query("begin_fenced")


class Crashed(Exception):
    """The process is gone in the middle of what it did."""


class Owner(Protocol):
    """Whose connection it is."""

    is_over: bool


class Faults:
    """How often, per statement. Commits are struck more often: there it matters on which side."""

    def __init__(self, rng: Random, *, cuts: float, crashes: float) -> None:
        self._rng = rng
        self.cuts = cuts
        self.crashes = crashes

    def strike(self, statement: str) -> tuple[type[Exception] | None, type[Exception] | None]:
        """What happens before the statement, and what after it."""
        point = self._rng.random() / (_AT_COMMITS if statement == "COMMIT" else 1)
        if point >= self.crashes + self.cuts:
            return None, None
        fault = Crashed if point < self.crashes else StoreUnavailable
        return (fault, None) if self._rng.random() < 0.5 else (None, fault)


class Session:
    """What asyncpg's connection is to the code under test."""

    def __init__(
        self,
        server: Connection,
        *,
        turns: Turns,
        owner: Owner,
        faults: Faults,
        epoch: int,
        on_commit: Callable[[int], None],
    ) -> None:
        """`on_commit` gets the epoch of each writing transaction that was committed."""
        self._server = server
        self._turns = turns
        self._owner = owner
        self._faults = faults
        self._epoch = epoch
        self._on_commit = on_commit
        self._is_open = False
        self._is_writing = False

    # As asyncpg has them.

    async def execute(self, statement: str, *args: object) -> Any:
        as_run = statement
        if _begins(statement):
            as_run = f"SET hlrd.node = '{NODE}'; SET hlrd.epoch = '{self._epoch}'; {statement}"
        return await self._do(statement, lambda: self._server.execute(as_run, *args))

    async def fetch(self, statement: str, *args: object) -> Any:
        return await self._do(statement, lambda: self._server.fetch(statement, *args))

    async def fetchrow(self, statement: str, *args: object) -> Any:
        return await self._do(statement, lambda: self._server.fetchrow(statement, *args))

    async def fetchval(self, statement: str, *args: object) -> Any:
        return await self._do(statement, lambda: self._server.fetchval(statement, *args))

    async def copy_records_to_table(self, table: str, **rest: Any) -> Any:
        return await self._do("COPY", lambda: self._server.copy_records_to_table(table, **rest))

    async def cursor(self, statement: str, *args: object) -> "_Cursor":
        found = await self._do(statement, lambda: self._server.cursor(statement, *args))
        return _Cursor(lambda count: self._do("FETCH", lambda: found.fetch(count)))

    @asynccontextmanager
    async def transaction(self, *, readonly: bool = False) -> AsyncIterator[None]:
        await self.execute("BEGIN READ ONLY" if readonly else "BEGIN")
        yield
        await self.execute("COMMIT")

    def is_in_transaction(self) -> bool:
        return self._is_open

    def terminate(self) -> None:
        """The server's side of it went with the fault."""

    # What may happen on the way.

    async def _do(self, statement: str, work: Callable[[], Awaitable[Any]]) -> Any:
        if not self._is_open:
            await self._turns.stop(self._owner)
        if self._owner.is_over:
            raise asyncio.CancelledError
        with self._turns.served():
            return await self._serve(statement, work)

    async def _serve(self, statement: str, work: Callable[[], Awaitable[Any]]) -> Any:
        before, after = self._faults.strike(statement)
        if before is not None:
            await self._break(before)
        begins = _begins(statement)
        self._is_open = self._is_open or begins
        try:
            answer = await work()
        except asyncpg.UniqueViolationError:
            raise
        except asyncpg.PostgresError:
            await self._roll_back()
            raise
        if begins:
            self._is_writing = self._epoch > 0 and "READ ONLY" not in statement
        if statement in ("COMMIT", "ROLLBACK"):
            self._end(statement)
        if after is not None:
            await self._break(after)
        return answer

    def _end(self, statement: str) -> None:
        self._is_open = False
        if statement == "COMMIT" and self._is_writing:
            self._on_commit(self._epoch)
        self._is_writing = False

    async def _break(self, fault: type[Exception]) -> None:
        await self._roll_back()
        raise fault("cut by the schedule")

    async def _roll_back(self) -> None:
        if self._is_open:
            await self._server.execute("ROLLBACK")
        self._is_open = self._is_writing = False


class _Cursor:
    def __init__(self, fetch: Callable[[int], Awaitable[Any]]) -> None:
        self.fetch = fetch


def _begins(statement: str) -> bool:
    return statement == _BEGIN_FENCED or statement.startswith("BEGIN")


class Wire(Link):
    """The real link, with its stubbornness, over a session of the schedule's."""

    def __init__(self, session: Session) -> None:
        super().__init__("", "simulated")
        self._session_of_schedule: Any = session

    async def connected(self) -> Connection:
        return self._session_of_schedule  # type: ignore[no-any-return]

    def drop(self) -> None:
        """There is only this one."""
