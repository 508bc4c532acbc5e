import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from hlrd import metrics
from hlrd.runtime.receipts import ReceiptReader
from hlrd.store.connection import Connection, Pool, open_pool
from tests.runtime.records import until

pytestmark = pytest.mark.postgres

INSERT = (
    "INSERT INTO receipt SELECT n, n, $1, 'u', true, 'succeeded', n::text::bytea, '', now()"
    " FROM generate_series($2::int, $3::int) AS n"
)


class Mark:
    """The journal's watermark."""

    def __init__(self) -> None:
        self.seq = 0

    def __call__(self) -> int:
        return self.seq


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, "test", 2)
    yield pool
    await pool.close()


async def test_a_page_ends_at_the_watermark_and_goes_on_past_the_cursor(
    database: Connection, pool: Pool
) -> None:
    mark = Mark()
    reader = ReceiptReader(pool, mark)
    await database.execute(INSERT, "CRM", 1, 5)
    await database.execute(INSERT, "BOSS", 6, 6)
    mark.seq = 4

    first = await reader.after("CRM", 0, 3, 0)
    second = await reader.after("CRM", first[-1][0], 3, 0)
    mark.seq = 6
    third = await reader.after("CRM", second[-1][0], 3, 0)

    assert first == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert second == [(4, b"4")]
    assert third == [(5, b"5")]


async def test_a_poll_that_waits_is_woken_by_a_receipt_of_its_source(
    database: Connection, pool: Pool
) -> None:
    mark = Mark()
    reader = ReceiptReader(pool, mark)
    polling = asyncio.create_task(reader.after("CRM", 0, 10, 30))
    others = asyncio.create_task(reader.after("BOSS", 0, 10, 30))
    await asyncio.sleep(0)

    await database.execute(INSERT, "CRM", 1, 1)
    mark.seq = 1
    reader.arrived({"CRM"})

    async with asyncio.timeout(30):
        assert await polling == [(1, b"1")]
    assert not others.done()
    others.cancel()


async def test_a_poll_that_waits_in_vain_ends_empty_after_its_time(pool: Pool) -> None:
    started = monotonic()

    found = await ReceiptReader(pool, Mark()).after("CRM", 0, 10, 0.05)

    assert found == []
    assert monotonic() - started >= 0.05


async def test_what_waits_for_a_source_is_counted_from_where_it_has_fetched(
    database: Connection, pool: Pool
) -> None:
    mark = Mark()
    await database.execute(INSERT, "CRM", 1, 5)
    mark.seq = 5
    reader = ReceiptReader(pool, mark)
    await reader.after("CRM", 2, 10, 0)

    counting = asyncio.create_task(reader.run())
    gauge = metrics.RECEIPTS_PENDING.labels("CRM")
    await until(lambda: gauge._value.get() == 3)
    counting.cancel()

    assert await database.fetchval("SELECT seq FROM receipt_cursor WHERE source = 'CRM'") == 2


async def test_a_cursor_that_never_was_makes_no_receipt_count_as_fetched(
    database: Connection, pool: Pool
) -> None:
    mark = Mark()
    await database.execute(INSERT, "CRM", 1, 5)
    mark.seq = 3
    reader = ReceiptReader(pool, mark)
    await reader.after("CRM", 2**63 - 1, 10, 0)

    counting = asyncio.create_task(reader.run())
    gauge = metrics.RECEIPTS_PENDING.labels("CRM")
    await until(lambda: gauge._value.get() == 2)
    counting.cancel()

    assert await database.fetchval("SELECT seq FROM receipt_cursor WHERE source = 'CRM'") == 3
