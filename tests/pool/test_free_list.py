"""What was released comes back in no order that anybody could know, and each of it once."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from hlrd.pool.lease import Settled, What, Wish
from hlrd.store import leasing
from hlrd.store.connection import BY_KEY, Connection, connect
from hlrd.store.queries import query
from tests.pool.evenness import chi_square

pytestmark = pytest.mark.postgres

FIRST: Final = 1440000000000
SIZE: Final = 20_000
LEASE: Final = 2_000


@pytest.fixture
async def free_list(dsn: str) -> AsyncIterator[Connection]:
    """A range of which every number was used, released and recycled, in ascending order."""
    connection = await connect(dsn, "test", **BY_KEY, **{"hlrd.node": "n", "hlrd.epoch": "1"})
    await connection.execute(
        f"""
        SELECT setseed(0.25);
        INSERT INTO node (name, epoch) VALUES ('n', 1);
        INSERT INTO pool (name, secret) VALUES ('iot', '');
        INSERT INTO number_range (pool, first, last, digits, province, hlr, counter)
            VALUES ('iot', {FIRST}, {FIRST + SIZE - 1}, 13, '200', 'hlr1', {SIZE});
        INSERT INTO number_hold (msisdn, range_id, state, cause)
            SELECT {FIRST} + n, 1, 'free', '' FROM generate_series(0, {SIZE - 1}) AS n;
        ANALYZE
        """
    )
    yield connection
    connection.terminate()


async def lease(connection: Connection, count: int) -> list[int]:
    """The places in the range of what is leased."""
    row = await leasing.take(connection, Wish(What.NUMBERS, 1, fresh=0, recycled=count), 1)
    assert row is not None
    return [held["msisdn"] - FIRST for held in await _held(connection, row.id)]


async def _held(connection: Connection, lease_id: int) -> list[dict[str, int]]:
    held = await connection.fetch(query("lease_held_numbers"), lease_id)
    return [dict(row) for row in held]


async def test_the_numbers_that_came_first_are_not_leased_first(free_list: Connection) -> None:
    places = await lease(free_list, LEASE)

    assert len(set(places)) == LEASE
    found = chi_square("range", (place * 40 // SIZE for place in places), cells_count=40)
    assert not found.is_suspicious, found


async def test_two_lists_of_the_same_numbers_are_leased_in_different_orders(
    free_list: Connection,
) -> None:
    first = await lease(free_list, 100)
    await free_list.execute("UPDATE number_hold SET lease_id = NULL")

    again = await lease(free_list, 100)

    assert set(first) != set(again)


async def test_every_number_is_leased_once_wherever_each_lease_begins(
    free_list: Connection,
) -> None:
    places = [place for _ in range(8) for place in await lease(free_list, 2_600)]

    assert sorted(places) == list(range(SIZE))


async def test_a_lease_costs_the_same_however_long_the_list_is(free_list: Connection) -> None:
    """By the index, in its order: nothing is sorted and nothing beyond the lease is read."""
    plan = await free_list.fetchval(
        "EXPLAIN (ANALYZE, FORMAT JSON) " + _without_comment("lease_pick_numbers"), 1, 50, 7
    )

    assert '"Sort"' not in plan
    assert "Seq Scan" not in plan
    assert plan.count("number_hold_free") >= 2


async def test_a_number_bound_by_name_leaves_the_list_by_the_next_lease(
    free_list: Connection,
) -> None:
    """Otherwise it would be counted as idle, and wished for, again and again."""
    await free_list.execute(
        f"""
        DELETE FROM number_hold WHERE msisdn > {FIRST};
        INSERT INTO binding VALUES ({FIRST}, 1, 'card', 'user', 0, 'hlr1', '200', 'k', '', now())
        """
    )

    assert await lease(free_list, 10) == []
    (lease_id,) = await free_list.fetchrow("SELECT id FROM lease")
    await leasing.end(free_list, Settled(lease_id, What.NUMBERS))

    assert await free_list.fetchval("SELECT count(*) FROM number_hold") == 0
    assert await leasing.take(free_list, Wish(What.NUMBERS, 1, fresh=0, recycled=10), 1) is None


def _without_comment(name: str) -> str:
    return "\n".join(line for line in query(name).splitlines() if not line.startswith("--"))
