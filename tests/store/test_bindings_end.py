"""What is left of a binding when it ends: the hold of its number, and the number's past."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from hlrd.domain.lifecycle import UserState
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons
from hlrd.domain.user import User
from hlrd.ports import BindingEnd
from hlrd.store.batch import Batch, Numbered, write
from hlrd.store.connection import Connection, connect, count_moments, writing_as
from tests.runtime.records import NOW, a_binding, a_closing, an_acceptance

BINDING = a_binding(1)
NUMBER = int(BINDING.msisdn)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    await write(Batch(accepts=[an_acceptance(1, binding=BINDING)]), 90, connection)
    yield connection
    connection.terminate()


async def suspend(writer: Connection, reasons: Reasons) -> None:
    user = User(UserState.ACTIVE, BINDING, reasons)
    closing = a_closing(2, user_id=BINDING.user_id, user=user)
    await write(Batch(closings=[Numbered(1, closing)]), 90, writer)


async def end(writer: Connection, how: BindingEnd) -> None:
    user = User(UserState.TERMINATED, None, NO_REASONS)
    closing = a_closing(3, binding=BINDING, binding_end=how, user=user)
    await write(Batch(closings=[Numbered(2, closing)]), 90, writer)


async def hold(database: Connection) -> Any:
    return await database.fetchrow("SELECT * FROM number_hold WHERE msisdn = $1", NUMBER)


@pytest.mark.parametrize(
    ("how", "state", "event"),
    [
        (BindingEnd.ROLLED_BACK, "free", "rolledBack"),
        (BindingEnd.UNPROVEN, "locked", "rollBackUnproven"),
        (BindingEnd.TERMINATED, "quarantined", "terminated"),
    ],
)
async def test_an_end_sets_the_hold_and_writes_the_past(
    writer: Connection, database: Connection, how: BindingEnd, state: str, event: str
) -> None:
    await end(writer, how)

    assert (await hold(database))["state"] == state
    past = await database.fetchrow("SELECT * FROM number_past")
    assert past is not None
    assert (past["msisdn"], past["event"]) == (NUMBER, event)
    assert (past["user_id"], past["iccid"], past["order_id"]) == (
        BINDING.user_id,
        BINDING.iccid,
        1,
    )
    assert (past["since"], past["at"], past["cause"]) == (NOW, NOW, "order 3")
    assert await database.fetchval("SELECT count(*) FROM binding") == 0


async def test_a_termination_is_quarantined_for_as_long_as_it_says(
    writer: Connection, database: Connection
) -> None:
    await end(writer, BindingEnd.TERMINATED)

    assert (await hold(database))["until"] == NOW + timedelta(days=90)


@pytest.mark.parametrize(
    ("reasons", "in_arrears"),
    [({Reason.ARREARS: Level.TWO_WAY}, True), (NO_REASONS, False)],
)
async def test_a_user_who_leaves_in_arrears_leaves_an_arrears_hold(
    writer: Connection, database: Connection, reasons: Reasons, in_arrears: bool
) -> None:
    await suspend(writer, reasons)

    await end(writer, BindingEnd.TERMINATED)

    assert (await hold(database))["in_arrears"] is in_arrears


@pytest.mark.parametrize("how", list(BindingEnd))
async def test_a_number_locked_while_in_use_stays_locked_when_its_user_leaves(
    writer: Connection, database: Connection, how: BindingEnd
) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, state, cause) VALUES ($1, 'locked', 'complaint')", NUMBER
    )

    await end(writer, how)

    held = await hold(database)
    assert (held["state"], held["cause"], held["until"]) == ("locked", "complaint", None)
    assert held["user_id"] == BINDING.user_id
