from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.store.connection import Connection, open_pool
from hlrd.store.inventory import Inventory
from tests.runtime.records import a_binding
from tests.runtime.stock import a_card, a_delivery, a_span

pytestmark = pytest.mark.postgres

LEASED = """
    INSERT INTO lease (what, source_id, start, count, epoch) VALUES ($1, 1, 0, 10, 1)
"""


@pytest.fixture
async def inventory(dsn: str) -> AsyncIterator[Inventory]:
    pool = await open_pool(dsn, "test", 2)
    inventory = Inventory(pool)
    await inventory.create_pool("iot")
    yield inventory
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
    inventory: Inventory, database: Connection
) -> None:
    await inventory.create_pool("other")

    with pytest.raises(Conflict, match="a pool named iot already"):
        await inventory.create_pool("iot")

    secrets = await database.fetch("SELECT secret FROM pool")
    assert len({bytes(row["secret"]) for row in secrets}) == 2
    assert {len(row["secret"]) for row in secrets} == {32}


async def test_a_range_that_overlaps_is_refused_and_the_other_one_named(
    inventory: Inventory,
) -> None:
    await inventory.add_range(a_span(10))

    with pytest.raises(Conflict, match="overlaps range 1, 1064800000000-1064800000009 of pool iot"):
        await inventory.add_range(a_span(10, first=1064800000009))
    with pytest.raises(NotFound, match="no pool named nowhere"):
        await inventory.add_range(a_span(10, pool="nowhere", first=1064900000000))

    found = await inventory.pool("iot")
    assert found is not None
    assert [(row.first, row.last) for row in found.ranges] == [("1064800000000", "1064800000009")]


async def test_the_states_of_a_pools_numbers_sum_up_to_its_size(
    inventory: Inventory, database: Connection
) -> None:
    await inventory.add_range(a_span(100))
    await database.execute("UPDATE number_range SET counter = 10")
    await database.execute(LEASED, "numbers")
    for n in range(20):
        await bind(database, n)
    await hold(database, 30, "quarantined")
    await hold(database, 31, "locked")
    await hold(database, 32, "free")

    found = await inventory.pool("iot")

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
    inventory: Inventory, database: Connection
) -> None:
    await inventory.add_range(a_span(20))
    await database.execute("UPDATE number_range SET counter = 10")
    await database.execute(LEASED, "numbers")
    await bind(database, 1)
    await hold(database, 2, "quarantined")

    states = []
    for n in range(20):
        row = await inventory.number(MSISDN(f"{1064800000000 + n}"))
        assert row is not None
        states.append(row.state)
        assert row.user_id == (a_binding(1).user_id if n == 1 else None)

    assert (states[1], states[2]) == ("inUse", "quarantined")
    assert 8 <= states.count("leased") <= 10
    assert states.count("leased") + states.count("idle") == 18
    assert await inventory.number(MSISDN("13900000000")) is None


async def test_a_lot_is_taken_whole_and_the_same_file_changes_nothing(
    inventory: Inventory, database: Connection
) -> None:
    await inventory.import_lot(a_delivery(10))
    await inventory.import_lot(a_delivery(10))

    (lot,) = await inventory.lots()
    assert (lot.name, lot.quantity, lot.cards["inStock"]) == ("lot1", 10, 10)
    rows = await database.fetch("SELECT row_no, iccid FROM sim_card ORDER BY row_no")
    assert [tuple(row) for row in rows] == [(n, a_card(n).iccid) for n in range(10)]


async def test_a_lot_with_cards_of_the_stock_is_refused_whole_and_they_are_named(
    inventory: Inventory, database: Connection
) -> None:
    await inventory.import_lot(a_delivery(10))

    with pytest.raises(Conflict) as refused:
        await inventory.import_lot(a_delivery(5, name="lot2", first=8))
    with pytest.raises(Conflict, match="this file was imported before, for province 200 and hlr1"):
        await inventory.import_lot(replace(a_delivery(10), hlr="hlr2"))
    with pytest.raises(Conflict, match="lot lot1 came with another file"):
        await inventory.import_lot(a_delivery(5, first=100))

    assert refused.value.code == "CARD_IN_STOCK"
    assert f"1 ({a_card(8).iccid}), 2 ({a_card(9).iccid})" in refused.value.detail
    assert await database.fetchval("SELECT count(*) FROM sim_card") == 10
    assert await inventory.lot("lot2") is None


async def test_the_states_of_a_lots_cards_sum_up_to_its_quantity(
    inventory: Inventory, database: Connection
) -> None:
    await inventory.import_lot(a_delivery(20))
    await database.execute("UPDATE sim_lot SET counter = 10")
    await database.execute(LEASED, "cards")
    await bind(database, 1, a_card(1).iccid)
    await database.execute(
        "INSERT INTO card_hold (iccid, lot_id, state) VALUES ($1, 1, 'scrapped'), ($2, 1, 'free')",
        a_card(2).iccid,
        a_card(3).iccid,
    )

    lot = await inventory.lot("lot1")

    assert lot is not None
    assert lot.cards == {"inStock": 11, "leased": 7, "reserved": 0, "inUse": 1, "scrapped": 1}
