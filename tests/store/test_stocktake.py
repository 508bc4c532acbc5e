"""Counts by state: their sum is the size of the pool, whatever is bound and held."""

from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import pytest

from hlrd.domain.identity import MSISDN
from hlrd.pool.ranges import Span
from hlrd.store import recount
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools

pytestmark = pytest.mark.postgres

FIRST = 1064800000000
SIZE = 120


@pytest.fixture
async def pools(dsn: str) -> AsyncIterator[NumberPools]:
    pool = await open_pool(dsn, "test", 2)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(a_span(0))
    yield pools
    await pool.close()


def a_span(place: int, hlr: str = "hlr1") -> Span:
    first = FIRST + place * SIZE
    return Span("iot", first, first + SIZE - 1, 13, "200", hlr)


async def scatter(database: Connection, seed: int) -> None:
    """Bindings, holds of every kind, both beside each other, and an open lease."""
    chance = Random(seed)
    for n in range(SIZE):
        if chance.random() < 0.3:
            await database.execute(
                "INSERT INTO binding VALUES"
                " ($1::bigint, $1, $1::text, $1::text, 7, 'hlr1', '200', 'k', '', now())",
                FIRST + n,
            )
        if chance.random() < 0.5:
            state = chance.choice(["free", "reserved", "quarantined", "locked"])
            await database.execute(
                "INSERT INTO number_hold (msisdn, range_id, state, cause) VALUES ($1, 1, $2, '')",
                FIRST + n,
                state,
            )
    await database.execute("UPDATE number_range SET counter = 40 WHERE id = 1")
    await database.execute(
        "INSERT INTO lease (what, source_id, start, count, epoch) VALUES ('numbers', 1, 0, 40, 1)"
    )


@pytest.mark.parametrize("seed", range(4))
async def test_a_count_is_what_the_numbers_say_one_by_one(
    pools: NumberPools, database: Connection, seed: int
) -> None:
    await scatter(database, seed)

    found = await pools.pool("iot")

    one_by_one: Counter[str] = Counter()
    for n in range(SIZE):
        row = await pools.number(MSISDN(str(FIRST + n)))
        assert row is not None
        one_by_one[row.state] += 1
    assert found is not None
    assert {state: count for state, count in found.numbers.items() if count} == one_by_one
    assert sum(found.numbers.values()) == SIZE


async def test_a_dear_count_is_kept_and_what_is_imported_shows_at_once(
    pools: NumberPools, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recount, "_FREE_S", 0.0)
    monkeypatch.setattr(recount, "_CHEAP_S", 0.0)
    before = await pools.pool("iot")
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause) VALUES ($1, 1, 'locked', '')",
        FIRST,
    )
    await pools.add_range(a_span(1))

    kept = await pools.pool("iot")
    await pools.count()
    counted = await pools.pool("iot")

    assert before is not None
    assert kept is not None
    assert counted is not None
    assert kept.counted_at == before.counted_at != counted.counted_at
    assert (kept.numbers["locked"], counted.numbers["locked"]) == (0, 1)
    assert sum(kept.numbers.values()) == sum(counted.numbers.values()) == 2 * SIZE


async def test_a_cheap_count_is_made_for_each_who_asks(
    pools: NumberPools, database: Connection
) -> None:
    await pools.pool("iot")
    await scatter(database, 1)

    found = await pools.pool("iot")

    assert found is not None
    assert found.numbers["inUse"] > 0


async def test_the_report_has_a_line_for_each_home(
    pools: NumberPools, database: Connection
) -> None:
    await pools.add_range(a_span(1, "hlr2"))
    await pools.add_range(a_span(2, "hlr2"))
    await scatter(database, 2)

    report = await pools.report()

    assert [(row.hlr, row.digits, sum(row.numbers.values())) for row in report.rows] == [
        ("hlr1", 13, SIZE),
        ("hlr2", 13, 2 * SIZE),
    ]


async def test_an_export_lists_what_is_bound_or_held_in_order(
    pools: NumberPools, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hlrd.store.pools._PAGE_ROWS", 7)
    await scatter(database, 3)
    listed = [row async for page in pools.export("iot", None) for row in page]
    locked = [row async for page in pools.export("iot", "locked") for row in page]

    numbers = await database.fetch(
        "SELECT msisdn FROM binding UNION SELECT msisdn FROM number_hold ORDER BY msisdn"
    )
    assert [row.msisdn for row in listed] == [str(row["msisdn"]) for row in numbers]
    assert locked == [row for row in listed if row.state == "locked"] != []


async def test_numbers_used_before_their_range_was_there_are_its_own(
    pools: NumberPools, database: Connection
) -> None:
    number = FIRST + SIZE + 5
    await database.execute(
        "INSERT INTO number_hold (msisdn, state, cause) VALUES ($1, 'quarantined', '')", number
    )

    await pools.add_range(a_span(1))

    found = await pools.pool("iot")
    assert found is not None
    assert (found.numbers["quarantined"], sum(found.numbers.values())) == (1, 2 * SIZE)
