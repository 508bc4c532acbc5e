import pytest

from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.proof import prove
from tests.runtime.stock import a_span, stock_up

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
async def stock(dsn: str) -> None:
    pool = await open_pool(dsn, "test", 1)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(a_span(100))
    async with pool.acquire() as connection:
        await stock_up(connection, 10)
    await pool.close()


async def test_a_sound_database_has_no_faults(database: Connection) -> None:
    found = await prove(database)

    assert found.faults() == []
    assert (found.pool_size, found.numbers["idle"]) == (100, 100)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE number_range SET counter = 3", "numbers_leaked: 3"),
        ("UPDATE sim_lot SET counter = 2", "cards_leaked: 2"),
        (
            "INSERT INTO number_hold (msisdn, range_id, state, cause, lease_id)"
            " VALUES (1064800000000, 1, 'free', '', 9)",
            "holds_stranded: 1",
        ),
        (
            "INSERT INTO number_hold (msisdn, range_id, state, cause)"
            " VALUES (1064800000000, 1, 'reserved', '')",
            "reserved_stranded: 1",
        ),
        (
            "INSERT INTO receipt VALUES (1, 1, 'CRM', 'u', true, 's', '', '', now())",
            "receipts_without_order: 1",
        ),
        (
            "INSERT INTO receipt VALUES (1, 1, 'CRM', 'u', false, 'fallout', '', '', now())",
            "fallouts_stranded: 1",
        ),
    ],
)
async def test_each_kind_of_damage_is_found(database: Connection, damage: str, fault: str) -> None:
    await database.execute(damage)

    assert fault in (await prove(database)).faults()
