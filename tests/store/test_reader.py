from collections.abc import AsyncIterator

import pytest

from hlrd.store.connection import Connection, open_pool
from hlrd.store.reader import OrderReader
from tests.runtime.records import a_binding

pytestmark = pytest.mark.postgres

ORDER = """
    INSERT INTO work_order VALUES (7, 'CRM', 'a7', 'K', $1, 'op', '200', 2, '', '{"x":1}', now())
"""
RECEIPT = "INSERT INTO receipt VALUES ($1, 7, 'CRM', 'u', $2, $3, $4, '[]', now())"


@pytest.fixture
async def reader(dsn: str) -> AsyncIterator[OrderReader]:
    pool = await open_pool(dsn, "test", 1)
    yield OrderReader(pool)
    await pool.close()


async def test_an_order_is_found_by_either_id(reader: OrderReader, database: Connection) -> None:
    await database.execute(ORDER, "u")

    found = await reader.by_id(7)

    assert found is not None
    assert found == await reader.by_order_id("CRM", "a7")
    assert (found.state, found.payload, found.receipts, found.trail) == (
        "queued",
        b'{"x":1}',
        [],
        None,
    )
    assert (found.closed_at, found.session) == (None, None)
    assert await reader.by_id(8) is None
    assert await reader.by_order_id("BOSS", "a7") is None


async def test_its_receipts_come_in_order_the_final_one_last(
    reader: OrderReader, database: Connection
) -> None:
    binding = a_binding(1)
    await database.execute(ORDER, binding.user_id)
    await database.execute(
        "INSERT INTO binding VALUES ($1, $2, $3, $4, 7, 'hlr1', '200', 'k1', 'sealed', now())",
        int(binding.msisdn),
        int(binding.imsi),
        binding.iccid,
        binding.user_id,
    )
    await database.execute(RECEIPT, 1, False, "fallout", b"first")
    fallen = await reader.by_id(7)
    await database.execute(RECEIPT, 2, True, "succeeded", b"last")
    closed = await reader.by_id(7)

    assert fallen is not None
    assert (fallen.state, fallen.closed_at, fallen.receipts) == ("fallout", None, [b"first"])
    assert closed is not None
    assert (closed.state, closed.receipts) == ("succeeded", [b"first", b"last"])
    assert closed.closed_at is not None
    assert closed.binding == binding


async def test_an_order_that_staff_changed_shows_both_forms(
    reader: OrderReader, database: Connection
) -> None:
    await database.execute(ORDER, "u")
    amend = "INSERT INTO order_amendment VALUES (7, $1, $2, 'op7', 'why')"
    for number, payload in ((1, b"first"), (2, b"last")):
        await database.execute(amend, number, payload)

    found = await reader.by_id(7)

    assert found is not None
    assert (found.payload, found.amended) == (b'{"x":1}', b"last")
