"""What is drawn is noted by day, and nothing twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.lease import NumberGrant
from hlrd.pool.ranges import NumberRange, Span
from hlrd.runtime.daybook import Daybook
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools

pytestmark = pytest.mark.postgres

FIRST = 1064800000000
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)  # in Beijing


class Book:
    def __init__(self, pools: NumberPools) -> None:
        self.now = NOON
        self.allocator = Allocator(Random(1).random)
        self.daybook = Daybook(self.allocator, pools, lambda: self.now)
        span = NumberRange("iot", FIRST, FIRST + 99, 13, "200", "hlr1", id=1, counter=0)
        self.allocator.add_range(span)
        self.allocator.on_recovered(NumberGrant(1, 1, 0, 0, range(FIRST, FIRST + 100)))

    def use(self, *numbers: int) -> None:
        for number in numbers:
            assert self.allocator.take(msisdn=MSISDN(str(FIRST + number)))

    def put_back(self, number: int) -> None:
        self.allocator.put_back(msisdn=MSISDN(str(FIRST + number)))


@pytest.fixture
async def book(dsn: str) -> AsyncIterator[Book]:
    pool = await open_pool(dsn, "test", 1)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(Span("iot", FIRST, FIRST + 99, 13, "200", "hlr1"))
    await pools.set_low_water("iot", 98)
    yield Book(pools)
    await pool.close()


async def noted(database: Connection) -> list[tuple[str, int, int]]:
    rows = await database.fetch("SELECT day, drawn, returned FROM pool_day ORDER BY day")
    return [(str(row["day"]), row["drawn"], row["returned"]) for row in rows]


async def test_draws_and_returns_are_added_up_by_day(book: Book, database: Connection) -> None:
    book.use(1, 2, 3)
    await book.daybook.write()
    book.put_back(1)
    await book.daybook.write()
    await book.daybook.write()
    book.now += timedelta(days=1)
    book.use(4)
    await book.daybook.write()

    assert await noted(database) == [("2026-11-21", 3, 1), ("2026-11-22", 1, 0)]


async def test_a_new_run_goes_on_with_the_count_of_the_day(
    book: Book, database: Connection
) -> None:
    book.use(1, 2)
    await book.daybook.write()
    again = Book(book.daybook._pools)
    again.use(3)
    await again.daybook.write()

    assert await noted(database) == [("2026-11-21", 3, 0)]


async def test_the_forecast_counts_what_was_drawn_just_now(book: Book) -> None:
    book.use(1, 2, 3, 4)

    (row,) = await book.daybook.forecast()

    assert (row.idle, row.drawn_today, row.days_left) == (96, 4, 12.0)
    assert (row.low_water, row.is_low) == (98, True)
