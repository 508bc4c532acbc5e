"""Where the errors of PostgreSQL and of its connection become ours, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from hlrd.domain.errors import Fenced, HlrdError


class StoreUnavailable(HlrdError):
    """PostgreSQL is out of reach or cannot serve now; the same call may succeed later.

    After a commit it means in doubt: the transaction may stand all the same.
    """


class StoreTimeout(StoreUnavailable):
    """PostgreSQL did not answer in time."""


class KeyTaken(HlrdError):
    """A unique key refused the write; nothing of the transaction stands."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"the unique key {constraint} refused the write")
        self.constraint = constraint


class StoreRefused(HlrdError):
    """PostgreSQL refused a statement for good: a schema of another release, or a bug of ours."""


_FENCED: Final = "HLR01"
_PASSING: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.InternalClientError,
    OSError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailable, KeyTaken, Fenced or StoreRefused for what asyncpg and the socket do.

    The text of PostgreSQL's message stays, its detail does not: that quotes rows.
    """
    try:
        yield
    except (TimeoutError, asyncpg.QueryCanceledError) as error:
        raise StoreTimeout("PostgreSQL did not answer in time") from error
    except _PASSING as error:
        raise StoreUnavailable(f"PostgreSQL: {error}") from error
    except (asyncpg.UniqueViolationError, asyncpg.ExclusionViolationError) as error:
        raise KeyTaken(error.constraint_name or "(unnamed)") from error
    except asyncpg.InterfaceError as error:
        if "clos" in str(error):  # the one thing that tells a lost connection from a wrong call
            raise StoreUnavailable(f"PostgreSQL: {error}") from error
        raise StoreRefused(f"PostgreSQL: {error}") from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == _FENCED:
            raise Fenced(f"{error.args[0]}; this one must stop") from error
        raise StoreRefused(f"PostgreSQL: {error.args[0]} ({error.sqlstate})") from error
