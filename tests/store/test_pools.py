from collections.abc import AsyncIterator

import pytest

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from tests.runtime.records import a_binding
from tests.runtime.stock import a_span

pytestmark = pytest.mark.postgres

LEASED = """
    INSERT INTO lease (what, source_id, start, count, epoch) VALUES ($1, 1, 0, 10, 1)
"""


@pytest.fixture
async def pools(dsn: str) -> AsyncIterator[NumberPools]:
    pool = await open_pool(dsn, "test", 2)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    yield pools
    await pool.close()


async def bind(database: Connection, n: int, iccid: str = "") -> None:
    binding = a_binding(n)
    await database.execute(
        "INSERT INTO binding VALUES ($1, $2, $3, $4, 1, 'hlr1', '200', 'k1', '', now())",
        int(binding.msisdn),
        int(binding.imsi),
        iccid or binding.iccid,
        binding.user_id,
    )


async def hold(database: Connection, n: int, state: str) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause) VALUES ($1, 1, $2, '')",
        1064800000000 + n,
        state,
    )


async def test_a_pools_secret_is_random_and_its_name_its_own(
    pools: NumberPools, database: Connection
) -> None:
    await pools.create_pool("other")

    with pytest.raises(Conflict, match="a pool named iot already"):
        await pools.create_pool("iot")

    secrets = await database.fetch("SELECT secret FROM pool")
    assert len({bytes(row["secret"]) for row in secrets}) == 2
    assert {len(row["secret"]) for row in secrets} == {32}


async def test_a_range_that_overlaps_is_refused_and_the_other_one_named(
    pools: NumberPools,
) -> None:
    await pools.add_range(a_span(10))

    with pytest.raises(Conflict, match="overlaps range 1, 1064800000000-1064800000009 of pool iot"):
        await pools.add_range(a_span(10, first=1064800000009))
    with pytest.raises(NotFound, match="no pool named nowhere"):
        await pools.add_range(a_span(10, pool="nowhere", first=1064900000000))

    found = await pools.pool("iot")
    assert found is not None
    assert [(row.first, row.last) for row in found.ranges] == [("1064800000000", "1064800000009")]


async def test_the_states_of_a_pools_numbers_sum_up_to_its_size(
    pools: NumberPools, database: Connection
) -> None:
    await pools.add_range(a_span(100))
    await database.execute("UPDATE number_range SET counter = 10")
    await database.execute(LEASED, "numbers")
    for n in range(20):
        await bind(database, n)
    await hold(database, 30, "quarantined")
    await hold(database, 31, "locked")
    await hold(database, 32, "free")

    found = await pools.pool("iot")

    assert found is not None
    numbers = dict(found.numbers)
    leased = numbers.pop("leased")
    assert 0 < leased <= 10  # its places that are neither bound nor held
    assert numbers == {
        "idle": 78 - leased,
        "reserved": 0,
        "inUse": 20,
        "quarantined": 1,
        "locked": 1,
    }


async def test_one_number_is_shown_with_its_state_and_user(
    pools: NumberPools, database: Connection
) -> None:
    await pools.add_range(a_span(20))
    await database.execute("UPDATE number_range SET counter = 10")
    await database.execute(LEASED, "numbers")
    await bind(database, 1)
    await hold(database, 2, "quarantined")

    states = []
    for n in range(20):
        row = await pools.number(MSISDN(f"{1064800000000 + n}"))
        assert row is not None
        states.append(row.state)
        assert row.user_id == (a_binding(1).user_id if n == 1 else None)

    assert (states[1], states[2]) == ("inUse", "quarantined")
    assert 8 <= states.count("leased") <= 10
    assert states.count("leased") + states.count("idle") == 18
    assert await pools.number(MSISDN("13900000000")) is None
