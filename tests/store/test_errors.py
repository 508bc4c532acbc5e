import asyncpg
import pytest

from hlrd.domain.errors import Fenced, HlrdError
from hlrd.store.errors import (
    KeyTaken,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
    translated,
)


def postgres_error(sqlstate: str, message: str = "so it is") -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": message, "n": "the_key"})


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (ConnectionRefusedError("no"), StoreUnavailable),
        (asyncpg.ConnectionDoesNotExistError("gone"), StoreUnavailable),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (postgres_error("57P01"), StoreUnavailable),  # shutting down
        (postgres_error("57P03"), StoreUnavailable),  # starting up
        (postgres_error("53100"), StoreUnavailable),  # disk full
        (postgres_error("40P01"), StoreUnavailable),  # deadlock
        (postgres_error("25006"), StoreUnavailable),  # a standby now
        (TimeoutError(), StoreTimeout),
        (postgres_error("57014"), StoreTimeout),  # statement_timeout
        (postgres_error("23505"), KeyTaken),
        (postgres_error("HLR01"), Fenced),
        (postgres_error("42P01"), StoreRefused),  # no such table
        (asyncpg.InterfaceError("the server expects 2 arguments"), StoreRefused),
        (asyncpg.DataError("invalid input for query argument"), StoreRefused),
    ],
)
def test_a_foreign_error_says_whether_to_try_again(
    foreign: Exception, ours: type[Exception]
) -> None:
    with pytest.raises(HlrdError) as raised, translated():
        raise foreign

    assert type(raised.value) is ours
    assert raised.value.__cause__ is foreign


def test_a_key_that_is_taken_is_named_and_the_row_is_not_quoted() -> None:
    foreign = asyncpg.PostgresError.new(
        {"C": "23505", "M": "duplicate", "D": "Key (imsi)=(460040000000001)", "n": "binding_imsi"}
    )

    with pytest.raises(KeyTaken) as raised, translated():
        raise foreign

    assert raised.value.constraint == "binding_imsi"
    assert "460040000000001" not in str(raised.value)
