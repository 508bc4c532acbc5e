"""The state of a user as the journal writes it and intake reads it."""

import pytest
from msgspec.structs import replace

from hlrd.domain.lifecycle import UserState
from hlrd.domain.product import StoppedLine
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.user import User
from hlrd.store.batch import Batch, Numbered, write
from hlrd.store.connection import Connection
from tests.runtime.records import a_closing, an_acceptance
from tests.store.test_products import BINDING, A, ProductStore, products, the_user, writer

__all__ = ["products", "writer"]  # fixtures

pytestmark = pytest.mark.postgres


async def becomes(writer: Connection, seq: int, state: UserState, reasons: Reasons) -> User:
    user = User(state, BINDING, reasons)
    closing = a_closing(seq, user_id=BINDING.user_id, user=user)
    await write(Batch(closings=[Numbered(seq, closing)]), 90, writer)
    return user


@pytest.mark.parametrize("state", [UserState.ACTIVE, UserState.PRE_TERMINATED])
@pytest.mark.parametrize("reasons", [NO_REASONS, dict.fromkeys(Reason, Level.ONE_WAY)])
async def test_a_user_is_read_back_in_its_state_and_with_every_reason(
    writer: Connection, state: UserState, reasons: Reasons
) -> None:
    user = await becomes(writer, 2, state, reasons)

    assert await the_user(writer) == user


async def test_a_reinstated_user_without_a_reason_costs_no_row(
    writer: Connection, database: Connection
) -> None:
    await becomes(writer, 2, UserState.PRE_TERMINATED, NO_REASONS)
    await becomes(writer, 3, UserState.ACTIVE, NO_REASONS)

    assert await database.fetchval("SELECT count(*) FROM user_state") == 0


async def test_a_product_keeps_what_it_said_of_stopped_lines(
    writer: Connection, products: ProductStore
) -> None:
    said = replace(A, version=3, on_stopped_line=StoppedLine.TAKE)
    await write(Batch(accepts=[an_acceptance(20, user_id="product:A", product=said)]), 90, writer)

    assert (await products.load()).get("A", 3) == said
