"""A national range cut into shares while a node draws from it: no number twice, none lost."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import pytest

from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.ranges import Span
from hlrd.runtime.desk import NumberDesk
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease
from hlrd.runtime.recycle import Recycler
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.shares import Share
from tests.runtime.test_recycle import FakeHLRs

pytestmark = pytest.mark.postgres

FIRST = 1064800000000


@dataclass
class Office:
    desk: NumberDesk
    pools: NumberPools
    keeper: LeaseKeeper
    allocator: Allocator

    async def ranges(self) -> list[tuple[int, int, str, bool]]:
        """First and last from FIRST on, province, whether it is a share."""
        found = await self.pools.pool("iot")
        assert found is not None
        return [
            (int(row.first) - FIRST, int(row.last) - FIRST, row.province, row.is_share)
            for row in found.ranges
        ]

    async def drawable(self, province: str) -> set[int]:
        """Lease everything of a province, as orders that draw would."""
        shelves = self.allocator._shelves.get(("iot", province, 13), {}).values()
        for shelf in shelves:
            shelf.want()
        await self.keeper._serve_wishes()
        return {number - FIRST for shelf in shelves for number in shelf.idle}


@pytest.fixture
async def office(dsn: str) -> AsyncIterator[Office]:
    """A pool with two national ranges of 100 numbers."""
    lease = NodeLease(dsn, "node1")
    epoch = await lease.take()
    pool = await open_pool(dsn, "test", 2)
    pools, allocator = NumberPools(pool), Allocator(Random(1).random)
    keeper = LeaseKeeper(
        dsn, node="node1", epoch=epoch, allocator=allocator, on_leased=lambda: None
    )
    await pools.create_pool("iot")
    for first in (FIRST, FIRST + 100):
        await pools.add_range(Span("iot", first, first + 99, 13, "000", "hlr1"))
    await keeper.recover()
    recycler = Recycler(
        dsn,
        node="node1",
        epoch=epoch,
        hlrs=[],
        inquire=FakeHLRs().inquire,
        on_freed=lambda: None,
    )
    desk = NumberDesk(
        dsn,
        node="node1",
        epoch=epoch,
        allocator=allocator,
        recycler=recycler,
        change_ranges=keeper.change_ranges,
        on_freed=lambda: None,
    )
    yield Office(desk, pools, keeper, allocator)
    desk.close()
    await pool.close()
    lease.close()


async def give(office: Office, numbers: int, province: str = "200") -> None:
    await office.desk.share(Share("iot", province, numbers), "anna")


async def test_a_share_is_cut_from_the_end_and_drawn_by_its_province_alone(office: Office) -> None:
    await give(office, 30)

    assert await office.ranges() == [
        (0, 69, "000", False),
        (70, 99, "200", True),
        (100, 199, "000", False),
    ]
    assert await office.drawable("200") == set(range(70, 100))
    assert await office.drawable("000") == set(range(70)) | set(range(100, 200))


async def test_a_share_may_need_several_ranges_and_take_whole_ones(office: Office) -> None:
    await give(office, 150)

    assert await office.ranges() == [
        (0, 99, "200", True),
        (100, 149, "000", False),
        (150, 199, "200", True),
    ]
    assert len(await office.drawable("200")) == 150
    assert await office.drawable("000") == set(range(100, 150))


async def test_provinces_have_shares_of_one_range_side_by_side(office: Office) -> None:
    await give(office, 10, "200")
    await give(office, 10, "210")

    assert await office.drawable("200") == set(range(90, 100))
    assert await office.drawable("210") == set(range(80, 90))


async def test_a_range_that_was_drawn_from_is_not_cut(office: Office) -> None:
    assert len(await office.drawable("000")) == 200

    with pytest.raises(Conflict, match="0 numbers of national ranges are untouched"):
        await give(office, 1)

    assert len(await office.ranges()) == 2


async def test_it_is_not_cut_where_a_number_is_bound_or_held(
    office: Office, database: Connection
) -> None:
    await database.execute(
        "INSERT INTO binding VALUES ($1, 1, '8986', 'u', 7, 'hlr1', '000', 'k', '', now())",
        FIRST + 60,
    )
    await database.execute(
        "INSERT INTO number_hold (msisdn, range_id, state, cause) VALUES ($1, 2, 'locked', '')",
        FIRST + 198,
    )

    with pytest.raises(Conflict, match="40 numbers of national ranges are untouched"):
        await give(office, 41)
    await give(office, 40)

    assert (61, 99, "200", True) in await office.ranges()
    assert (199, 199, "200", True) in await office.ranges()


async def test_an_untouched_share_goes_back_and_is_national_again(office: Office) -> None:
    await give(office, 30)

    await office.desk.unshare("iot", MSISDN(str(FIRST + 70)), "bert")

    assert (70, 99, "000", False) in await office.ranges()
    assert await office.drawable("200") == set()
    assert await office.drawable("000") == set(range(200))


async def test_a_share_that_was_drawn_from_stays(office: Office) -> None:
    await give(office, 30)
    await office.drawable("200")

    with pytest.raises(Conflict) as refused:
        await office.desk.unshare("iot", MSISDN(str(FIRST + 70)), "bert")
    with pytest.raises(NotFound):
        await office.desk.unshare("iot", MSISDN(str(FIRST)), "bert")

    assert refused.value.code == "SHARE_IN_USE"


async def test_a_number_of_a_share_is_found_by_its_name(office: Office) -> None:
    await give(office, 30)
    await office.desk.unshare("iot", MSISDN(str(FIRST + 70)), "bert")
    number = MSISDN(str(FIRST + 75))
    assert 75 in await office.drawable("000")

    assert office.allocator.take(msisdn=number)

    assert 75 not in await office.drawable("000")


async def test_the_states_sum_up_to_the_size_before_and_after(office: Office) -> None:
    sizes = []
    for step in (lambda: give(office, 150), lambda: give(office, 20, "210"), None):
        found = await office.pools.pool("iot")
        assert found is not None
        sizes.append(sum(found.numbers.values()))
        if step:
            await step()

    assert sizes == [200, 200, 200]
