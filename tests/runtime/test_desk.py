"""Staff's work on single numbers: locked in any state, unlocked to where the table leads."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.ranges import Span
from hlrd.runtime.desk import NumberDesk
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease
from hlrd.runtime.recycle import Found, Recycler
from hlrd.store.connection import Connection, open_pool
from hlrd.store.desk import Work
from hlrd.store.pools import NumberPools
from tests.runtime.test_recycle import FakeHLRs

pytestmark = pytest.mark.postgres

FIRST = 1064800000000
NUMBER = MSISDN(str(FIRST + 1))
LOCK = Work(NUMBER, "anna", "complaint 17")
UNLOCK = Work(NUMBER, "bert", "settled")


@dataclass
class Office:
    desk: NumberDesk
    pools: NumberPools
    keeper: LeaseKeeper
    allocator: Allocator
    hlrs: FakeHLRs
    freed: int = 0

    async def state(self, msisdn: str = NUMBER) -> str:
        row = await self.pools.number(MSISDN(msisdn))
        assert row is not None
        return row.state

    async def past(self) -> list[tuple[str, str | None, str | None]]:
        history = await self.pools.history(NUMBER)
        assert history is not None
        return [(row.event, row.operator_id, row.cause) for row in reversed(history.past)]


@pytest.fixture
async def office(dsn: str) -> AsyncIterator[Office]:
    lease = NodeLease(dsn, "node1")
    epoch = await lease.take()
    pool = await open_pool(dsn, "test", 2)
    pools, allocator, hlrs = NumberPools(pool), Allocator(Random(1).random), FakeHLRs()
    await pools.create_pool("iot")
    await pools.add_range(Span("iot", FIRST, FIRST + 9, 13, "200", "hlr1"))
    keeper = LeaseKeeper(
        dsn, node="node1", epoch=epoch, allocator=allocator, on_leased=lambda: None
    )
    await keeper.recover()
    recycler = Recycler(
        dsn, node="node1", epoch=epoch, hlrs=["hlr1"], inquire=hlrs.inquire, on_freed=lambda: None
    )
    office: Office

    def freed() -> None:
        office.freed += 1

    desk = NumberDesk(
        dsn,
        node="node1",
        epoch=epoch,
        allocator=allocator,
        recycler=recycler,
        change_ranges=keeper.change_ranges,
        on_freed=freed,
    )
    office = Office(desk, pools, keeper, allocator, hlrs)
    yield office
    desk.close()
    await pool.close()
    lease.close()


async def bind(database: Connection) -> None:
    await database.execute(
        "INSERT INTO binding VALUES ($1, 1, '8986', 'user1', 7, 'hlr1', '200', 'k', '', now())",
        int(NUMBER),
    )


async def hold(database: Connection, state: str, **fields: Any) -> None:
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, until, cause, user_id, in_arrears)"
        " VALUES ($1, 1, $2, now() + interval '1 day', '', 'user1', $3)",
        int(NUMBER),
        state,
        fields.get("in_arrears", False),
    )


async def test_an_idle_number_is_locked_and_idle_again_when_it_is_unlocked(office: Office) -> None:
    await office.desk.lock(LOCK)
    assert await office.state() == "locked"

    await office.desk.unlock(UNLOCK)

    assert await office.state() == "idle"
    assert await office.past() == [
        ("locked", "anna", "complaint 17"),
        ("unlocked", "bert", "settled"),
    ]
    assert office.freed == 1


@pytest.mark.parametrize("state", ["free", "reserved", "quarantined"])
async def test_a_number_is_locked_whatever_it_was_held_for(
    office: Office, database: Connection, state: str
) -> None:
    await hold(database, state)

    await office.desk.lock(LOCK)

    assert await office.state() == "locked"
    held = await database.fetchrow("SELECT * FROM number_hold")
    assert held is not None
    assert (held["until"], held["lease_id"], held["reservation_id"]) == (None, None, None)


async def test_a_number_in_use_is_locked_beside_its_user_and_unlocked_to_in_use(
    office: Office, database: Connection
) -> None:
    await bind(database)

    await office.desk.lock(LOCK)

    row = await office.pools.number(NUMBER)
    assert row is not None
    assert (row.state, row.user_id) == ("locked", "user1")
    await office.desk.unlock(UNLOCK)
    assert await office.state() == "inUse"
    assert [event for event, *_ in await office.past()] == ["locked", "unlockedBound"]
    assert await database.fetchval("SELECT count(*) FROM number_hold") == 0


async def test_a_locked_number_is_not_drawn_and_an_unlocked_one_comes_back(
    office: Office, database: Connection
) -> None:
    await office.desk.lock(LOCK)
    assert await _drawable(office) == {str(FIRST + n) for n in range(10)} - {NUMBER}

    await office.desk.unlock(UNLOCK)

    await office.keeper.refresh()
    assert await _drawable(office) == {NUMBER}


async def _drawable(office: Office) -> set[str]:
    """Lease and take everything, as orders that draw would."""
    shelves = office.allocator._shelves["iot", "200", 13]
    for shelf in shelves.values():
        shelf.want()
    await office.keeper._serve_wishes()
    found = {str(number) for shelf in shelves.values() for number in shelf.idle}
    for number in found:
        assert office.allocator.take(msisdn=MSISDN(number))
        office.allocator.bound(msisdn=MSISDN(number))
    return found


async def test_a_number_in_the_hand_of_an_order_is_not_locked_under_it(office: Office) -> None:
    assert office.allocator.take(msisdn=NUMBER)

    with pytest.raises(Conflict) as refused:
        await office.desk.lock(LOCK)

    assert refused.value.code == "NUMBER_OR_CARD_TAKEN"
    assert await office.state() == "idle"
    office.allocator.put_back(msisdn=NUMBER)
    await office.desk.lock(LOCK)


async def test_what_does_not_fit_its_state_is_refused_and_changes_nothing(office: Office) -> None:
    with pytest.raises(Conflict, match="not locked but idle"):
        await office.desk.unlock(UNLOCK)
    await office.desk.lock(LOCK)
    with pytest.raises(Conflict, match="locked already: complaint 17"):
        await office.desk.lock(Work(NUMBER, "carl", "again"))
    with pytest.raises(NotFound):
        await office.desk.lock(Work(MSISDN("13900000000"), "anna", "none"))

    assert await office.past() == [("locked", "anna", "complaint 17")]


async def test_a_number_is_recycled_before_its_date(office: Office, database: Connection) -> None:
    await hold(database, "quarantined")

    answer = await office.desk.recycle(NUMBER, "anna", waives=False)

    assert answer.found is Found.RECYCLED
    assert await office.state() == "idle"
    assert await office.past() == [("recycled", "anna", "recycled by hand")]


@pytest.mark.parametrize(
    ("state", "order_is_open", "code"),
    [
        ("free", False, "NUMBER_NOT_QUARANTINED"),
        ("quarantined", True, "ORDER_OPEN"),
        ("quarantined", False, "NUMBER_IN_ARREARS"),
    ],
)
async def test_what_stands_in_the_way_of_recycling_is_said(
    office: Office, database: Connection, state: str, order_is_open: bool, code: str
) -> None:
    await hold(database, state, in_arrears=True)
    if order_is_open:
        await database.execute(
            "INSERT INTO work_order VALUES"
            " (1, 'CRM', 'A1', 'PAYMENT_RESUME', 'user1', 'op', '200', 1, '', '', now())"
        )

    with pytest.raises(Conflict) as refused:
        await office.desk.recycle(NUMBER, "anna", waives=False)

    assert refused.value.code == code
    assert office.hlrs.asked == []


async def test_waived_arrears_are_no_hindrance_and_are_noted(
    office: Office, database: Connection
) -> None:
    await hold(database, "quarantined", in_arrears=True)

    await office.desk.recycle(NUMBER, "anna", waives=True)

    assert await office.past() == [("recycled", "anna", "recycled by hand, arrears waived")]


async def test_a_number_in_use_shows_since_when_and_by_which_order(
    office: Office, database: Connection
) -> None:
    await bind(database)

    history = await office.pools.history(NUMBER)

    assert history is not None
    assert (history.number.user_id, history.order_id, history.imsi) == (
        "user1",
        "7",
        "000000000000001",
    )
    assert history.since is not None
    assert history.past == []
    assert await office.pools.history(MSISDN("13900000000")) is None
