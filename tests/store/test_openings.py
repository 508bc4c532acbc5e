"""Openings stand in no index of users: who has the binding by one finds it."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from msgspec.structs import replace

from hlrd.domain.catalogue import KINDS
from hlrd.domain.claim import claim_of
from hlrd.domain.conflict import Nature
from hlrd.domain.identity import MSISDN
from hlrd.domain.orders import Service
from hlrd.ports import Acceptance, ClaimEnd, Wanted
from hlrd.store.batch import Batch, Numbered, write
from hlrd.store.connection import Connection, connect, count_moments, writing_as
from hlrd.store.facts import read_stored, resolve
from tests.runtime.records import a_binding, a_closing, an_acceptance

pytestmark = pytest.mark.postgres

BOUND: Final = a_binding(1)
USER: Final = BOUND.user_id
OTHER_NUMBER: Final = replace(BOUND, msisdn=MSISDN("1064800000009"))
OPENINGS: Final = {kind.name for kind in KINDS if kind.nature is Nature.OPEN}
SAID: Final = (
    b'{"type":"USER_OPEN","order_id":"A-1","province":"200","operator_id":"li4","user_id":"9001",'
    b'"msisdn":"1064800000001","imsi":"460001234567890","iccid":"89860420200000000019",'
    b'"services":["SMS"]}'
)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    yield connection
    connection.terminate()


def an_opening(id: int, kind: str = "USER_OPEN") -> Acceptance:
    return replace(an_acceptance(id, binding=BOUND), user_id=USER, kind=kind, payload=SAID)


async def write_all(writer: Connection, *records: Acceptance) -> None:
    await write(Batch(accepts=list(records)), 90, writer)


async def open_orders(writer: Connection) -> list[int]:
    return [stored.id for stored in await read_stored(writer, [], users=[USER])]


async def test_the_database_knows_the_kinds_that_open_users(database: Connection) -> None:
    rows = await database.fetch(
        "SELECT kind FROM unnest($1::text[]) AS kind WHERE is_opening(kind)",
        [kind.name for kind in KINDS],
    )
    left_out = await database.fetchval(
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index"
        " WHERE indexrelid = 'work_order_user_id'::regclass"
    )
    ways = await database.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'orders_of'")

    assert {row["kind"] for row in rows} == OPENINGS
    for kind in KINDS:
        assert (f"'{kind.name}'" in left_out) == (kind.name in OPENINGS)
        assert (f"'{kind.name}'" in ways) == (kind.name in OPENINGS)


@pytest.mark.parametrize("kind", sorted(OPENINGS))
async def test_an_open_opening_is_found_beside_the_other_orders_of_its_user(
    writer: Connection, kind: str
) -> None:
    stop = replace(an_acceptance(2), user_id=USER, kind="ARREARS_SUSPEND")
    await write_all(writer, an_opening(1, kind), stop)

    assert await open_orders(writer) == [1, 2]


async def test_what_was_opened_before_is_of_no_account(writer: Connection) -> None:
    await write_all(writer, an_opening(1))
    await write(Batch(closings=[Numbered(1, a_closing(1, binding=BOUND))]), 90, writer)
    stop = replace(an_acceptance(2), user_id=USER, kind="ARREARS_SUSPEND")
    await write_all(writer, stop)

    assert await open_orders(writer) == [2]


@pytest.mark.parametrize("changes", [0, 1])
async def test_with_what_services_is_still_known_after_the_number_changed(
    writer: Connection, changes: int
) -> None:
    await write_all(writer, an_opening(1))
    await write(Batch(closings=[Numbered(1, a_closing(1, user_id=USER))]), 90, writer)
    if changes:
        claim = claim_of(BOUND, OTHER_NUMBER)
        change = replace(an_acceptance(2, binding=claim), user_id=USER, kind="NUMBER_CHANGE")
        await write_all(writer, change)
        made = replace(a_closing(2, user_id=USER), claim_end=ClaimEnd(claim, BOUND, None))
        await write(Batch(closings=[Numbered(2, made)]), 90, writer)

    (facts,) = await resolve(writer, [Wanted(7, "CRM", "new", USER, opened_with=True)])

    assert facts.opened_with == (Service.SMS,)
