"""A connection that counts moments itself means the same moments as one that does not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hlrd.store.connection import Connection, connect, count_moments

pytestmark = pytest.mark.postgres

MOMENTS = [
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 21, 22, 30, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 1, 31, 8, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=8))),
    datetime(9999, 12, 31, tzinfo=UTC),
]


@pytest.fixture
async def counting(dsn: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn, "test")
    await count_moments(connection)
    yield connection
    connection.terminate()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_moment_is_written_and_read_as_it_is(
    counting: Connection, database: Connection, moment: datetime
) -> None:
    await counting.execute("CREATE TABLE kept (at timestamptz)")

    await counting.copy_records_to_table("kept", records=[(moment,), (None,)], columns=["at"])

    for connection in (counting, database):
        assert await connection.fetchval("SELECT at FROM kept WHERE at IS NOT NULL") == moment


async def test_moments_go_in_arrays_too_and_one_may_be_missing(counting: Connection) -> None:
    sent = [*MOMENTS, None]

    assert await counting.fetchval("SELECT $1::timestamptz[]", sent) == sent
