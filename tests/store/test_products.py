"""Products and who has them, as the journal writes and the readers read them."""

from collections.abc import AsyncIterator

import pytest

from hlrd.domain.lifecycle import ProductState, UserState
from hlrd.domain.product import Holding, Product
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.user import User
from hlrd.ports import Wanted
from hlrd.store import facts
from hlrd.store.batch import Batch, Numbered, write, write_carefully
from hlrd.store.connection import Connection, connect, count_moments, open_pool, writing_as
from hlrd.store.products import ProductStore
from tests.domain.products import a_content, a_function, a_product, an_apn, held
from tests.runtime.records import a_binding, a_closing, an_acceptance

pytestmark = pytest.mark.postgres

BINDING = a_binding(1)
A = a_product("A", an_apn("cmiot", "cmmtm"), a_content(), platforms=("p1",))
A2 = a_product("A", a_function(), version=2)
B = a_product("B", a_function())
ONE, TWO = held(A, apn="cmiot"), held(B)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    accepts = [
        an_acceptance(1, binding=BINDING),
        *(
            an_acceptance(id, user_id=f"product:{product.id}", product=product)
            for id, product in ((10, A), (11, A2), (12, B))
        ),
    ]
    await write(Batch(accepts=accepts, closings=[Numbered(1, a_closing(1))]), 90, connection)
    yield connection
    connection.terminate()


@pytest.fixture
async def products(dsn: str) -> AsyncIterator[ProductStore]:
    pool = await open_pool(dsn, "test", 1)
    yield ProductStore(pool)
    await pool.close()


async def activate(writer: Connection, seq: int, order_id: int, product: Product) -> None:
    closing = a_closing(order_id, user_id=f"product:{product.id}", activated=product)
    await write(Batch(closings=[Numbered(seq, closing)]), 90, writer)


async def give(
    writer: Connection, seq: int, *products: Holding, reasons: Reasons = NO_REASONS
) -> None:
    user = User(UserState.ACTIVE, BINDING, reasons, products)
    closing = a_closing(seq, user_id=BINDING.user_id, user=user, products=products)
    await write(Batch(closings=[Numbered(seq, closing)]), 90, writer)


async def the_user(connection: Connection) -> User | None:
    (fact,) = await facts.resolve(connection, [Wanted(1, "CRM", "X", BINDING.user_id)])
    return fact.user


async def test_a_version_is_read_back_as_it_was_published(
    writer: Connection, products: ProductStore
) -> None:
    found = await products.load()

    assert [(one.product, one.state) for one in found] == [
        (A, ProductState.STAGED),
        (A2, ProductState.STAGED),
        (B, ProductState.STAGED),
    ]
    assert found.active("A") is None


async def test_one_version_is_active_at_a_time(writer: Connection, products: ProductStore) -> None:
    await activate(writer, 2, 10, A)
    await activate(writer, 3, 11, A2)

    found = await products.load()

    assert found.active("A") == A2
    assert [row.state for row in await products.versions("A")] == ["active", "retired"]


async def test_a_publication_again_keeps_what_stands(
    writer: Connection, products: ProductStore
) -> None:
    await activate(writer, 2, 10, A)
    again = an_acceptance(20, user_id="product:A", product=A)

    await write(Batch(accepts=[again]), 90, writer)
    await activate(writer, 3, 20, A)

    _, row = await products.versions("A")
    assert (row.order_id, row.state) == (10, ProductState.ACTIVE)


async def test_a_user_has_its_products_in_the_order_they_came(writer: Connection) -> None:
    await give(writer, 2, TWO)
    await give(writer, 3, TWO, ONE)

    assert await the_user(writer) == User(UserState.ACTIVE, BINDING, NO_REASONS, (TWO, ONE))


async def test_a_user_keeps_products_beside_a_suspension(writer: Connection) -> None:
    await give(writer, 2, ONE, reasons={Reason.ARREARS: Level.TWO_WAY})

    found = await the_user(writer)

    assert found is not None
    assert found.products == (ONE,)
    assert found.reasons == {Reason.ARREARS: Level.TWO_WAY}


async def test_what_a_user_has_no_more_is_gone(writer: Connection, products: ProductStore) -> None:
    await give(writer, 2, ONE, TWO)
    assert [row.users for row in await products.versions("A")] == [0, 1]

    await give(writer, 3, TWO)

    found = await the_user(writer)
    assert found is not None
    assert found.products == (TWO,)
    assert [row.users for row in await products.versions("A")] == [0, 0]


async def test_of_two_records_in_one_flush_the_later_holds(writer: Connection) -> None:
    user = User(UserState.ACTIVE, BINDING, NO_REASONS)
    closings = [
        a_closing(seq, user_id=BINDING.user_id, user=user, products=has)
        for seq, has in ((2, (ONE, TWO)), (3, (held(A2),)))
    ]

    await write(Batch(closings=[Numbered(c.order_id, c) for c in closings]), 90, writer)

    found = await the_user(writer)
    assert found is not None
    assert found.products == (held(A2),)


async def test_a_record_that_is_written_again_changes_nothing(writer: Connection) -> None:
    closing = a_closing(2, user_id=BINDING.user_id, products=(ONE,))
    batch = Batch(closings=[Numbered(2, closing)])
    await write(batch, 90, writer)
    await give(writer, 3, TWO)

    await write_carefully(batch, 90, writer)

    found = await the_user(writer)
    assert found is not None
    assert found.products == (TWO,)


async def test_a_stored_order_comes_with_its_users_products(writer: Connection) -> None:
    await give(writer, 2, ONE)
    await write(Batch(accepts=[an_acceptance(30, user_id=BINDING.user_id)]), 90, writer)

    (stored,) = await facts.read_stored(writer, [30], [])

    assert stored.user is not None
    assert stored.user.products == (ONE,)
