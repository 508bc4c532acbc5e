from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hlrd.domain.errors import Conflict
from hlrd.store.connection import Connection, open_pool
from hlrd.store.stock import SIMStock
from tests.runtime.stock import a_card, a_delivery
from tests.store.test_pools import LEASED, bind

pytestmark = pytest.mark.postgres


@pytest.fixture
async def stock(dsn: str) -> AsyncIterator[SIMStock]:
    pool = await open_pool(dsn, "test", 2)
    yield SIMStock(pool)
    await pool.close()


async def test_a_lot_is_taken_whole_and_the_same_file_changes_nothing(
    stock: SIMStock, database: Connection
) -> None:
    await stock.import_lot(a_delivery(10))
    await stock.import_lot(a_delivery(10))

    (lot,) = await stock.lots()
    assert (lot.name, lot.quantity, lot.cards["inStock"]) == ("lot1", 10, 10)
    rows = await database.fetch("SELECT row_no, iccid FROM sim_card ORDER BY row_no")
    assert [tuple(row) for row in rows] == [(n, a_card(n).iccid) for n in range(10)]


async def test_a_lot_with_cards_of_the_stock_is_refused_whole_and_they_are_named(
    stock: SIMStock, database: Connection
) -> None:
    await stock.import_lot(a_delivery(10))

    with pytest.raises(Conflict) as refused:
        await stock.import_lot(a_delivery(5, name="lot2", first=8))
    with pytest.raises(Conflict, match="this file was imported before, for province 200 and hlr1"):
        await stock.import_lot(replace(a_delivery(10), hlr="hlr2"))
    with pytest.raises(Conflict, match="lot lot1 came with another file"):
        await stock.import_lot(a_delivery(5, first=100))

    assert refused.value.code == "CARD_IN_STOCK"
    assert f"1 ({a_card(8).iccid}), 2 ({a_card(9).iccid})" in refused.value.detail
    assert await database.fetchval("SELECT count(*) FROM sim_card") == 10
    assert await stock.lot("lot2") is None


async def test_the_states_of_a_lots_cards_sum_up_to_its_quantity(
    stock: SIMStock, database: Connection
) -> None:
    await stock.import_lot(a_delivery(20))
    await database.execute("UPDATE sim_lot SET counter = 10")
    await database.execute(LEASED, "cards")
    await bind(database, 1, a_card(1).iccid)
    await database.execute(
        "INSERT INTO card_hold (iccid, lot_id, state) VALUES ($1, 1, 'scrapped'), ($2, 1, 'free')",
        a_card(2).iccid,
        a_card(3).iccid,
    )

    lot = await stock.lot("lot1")

    assert lot is not None
    assert lot.cards == {"inStock": 11, "leased": 7, "reserved": 0, "inUse": 1, "scrapped": 1}
