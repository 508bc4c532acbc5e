"""Reservations on the real PostgreSQL: filled whole or not at all, drawn, chosen from, ended."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.errors import Refusal
from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from hlrd.pool.grade import Grades, Rule
from hlrd.pool.reservation import Asked
from hlrd.runtime.lease import LeaseKeeper
from hlrd.runtime.node import NodeLease
from hlrd.runtime.reservations import Reservations
from hlrd.store.connection import Connection, open_pool
from hlrd.store.pools import NumberPools
from hlrd.store.proof import prove
from tests.runtime.stock import a_span, stock_up

pytestmark = pytest.mark.postgres

SIZE = 500
GRADES = Grades([Rule("AAA", "AAA"), Rule("AA", "AA")])


@pytest.fixture(autouse=True)
def small_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 64)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 16)
    monkeypatch.setattr(limits, "LEASE_LOOK_S", 0.002)
    monkeypatch.setattr(limits, "LEASE_SWEEP_S", 0.01)
    monkeypatch.setattr(limits, "RESERVATION_SLICE", 30)
    monkeypatch.setattr(limits, "RESERVATION_SWEEP_S", 0.01)


@pytest.fixture(autouse=True)
async def stock(dsn: str, database: Connection) -> None:
    """A pool of SIZE numbers, 500 cards."""
    pool = await open_pool(dsn, "test", 1)
    pools = NumberPools(pool)
    await pools.create_pool("iot")
    await pools.add_range(a_span(SIZE))
    await pool.close()
    await stock_up(database, SIZE)


class Node:
    def __init__(self, allocator: Allocator, desk: Reservations, changed: asyncio.Event) -> None:
        self.allocator = allocator
        self.desk = desk
        self._changed = changed

    async def reserve(self, count: int = 10, **changes: Any) -> str:
        row, _ = await self.desk.reserve(asked(count, **changes))
        return row.id

    async def numbers(self, reservation: str) -> list[str]:
        return [row.msisdn for row in await self.desk.numbers(int(reservation), 0, 1_000)]

    async def draw(self, reservation: str | None = None, **how: Any) -> Drawn | Exhausted:
        async with asyncio.timeout(10):
            while True:
                self._changed.clear()
                if reservation is None:
                    drawn = self.allocator.draw(pool="iot", province="200", digits=13)
                else:
                    how = {"has_cards": False} | how
                    drawn = self.allocator.draw_reserved(int(reservation), province="200", **how)
                if not isinstance(drawn, Pending):
                    return drawn
                await self._changed.wait()

    async def draw_all(self, reservation: str | None = None, **how: Any) -> list[Drawn]:
        drawn = []
        while isinstance(one := await self.draw(reservation, **how), Drawn):
            drawn.append(one)
        return drawn


def asked(count: int = 10, **changes: Any) -> Asked:
    fixed: dict[str, Any] = {
        "source": "ESOP",
        "key": f"k{asked.calls}",  # type: ignore[attr-defined]
        "content_hash": b"same",
        "operator_id": "op",
        "pool": "iot",
        "province": "200",
        "digits": 13,
        "count": count,
        "ttl_s": 1_000,
    }
    asked.calls += 1  # type: ignore[attr-defined]
    if "numbers" in changes:
        fixed["count"] = len(changes["numbers"])
    return Asked(**fixed | changes)


asked.calls = 0  # type: ignore[attr-defined]


@asynccontextmanager
async def a_node(dsn: str, grades: Grades | None = None) -> AsyncIterator[Node]:
    """Leaving it is a crash: nothing is given back."""
    node = NodeLease(dsn, "node1")
    epoch = await node.take()
    allocator, changed = Allocator(Random(7).random), asyncio.Event()
    grades = grades or Grades()

    def on_leased() -> None:
        changed.set()
        desk.leased()

    keeper = LeaseKeeper(
        dsn, node="node1", epoch=epoch, allocator=allocator, on_leased=on_leased, grades=grades
    )
    desk = Reservations(
        dsn,
        node="node1",
        epoch=epoch,
        allocator=allocator,
        grades=grades,
        new_secret=partial(os.urandom, 32),
        on_page=changed.set,
        on_freed=keeper.freed,
    )
    await desk.recover()
    await keeper.recover()
    runs = [asyncio.create_task(keeper.run()), asyncio.create_task(desk.run())]
    try:
        yield Node(allocator, desk, changed)
    finally:
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        node.close()


async def bind(database: Connection, node: Node, drawn: list[Drawn]) -> None:
    for one in drawn:
        await database.execute(
            "INSERT INTO binding VALUES ($1, $2, $3, $4, 0, 'hlr1', '200', 'k1', '', now())",
            int(one.msisdn),
            int(one.card.imsi),
            one.card.iccid,
            one.msisdn,
        )
        node.allocator.bound(msisdn=one.msisdn, iccid=one.card.iccid)


async def code_of(reserving: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await reserving
    return caught.value.code


async def sound(database: Connection) -> dict[str, int]:
    found = await prove(database)
    assert found.faults() == []
    return found.numbers


async def test_what_is_reserved_is_drawn_by_its_orders_and_by_no_other(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        reservation = await node.reserve(100)
        reserved = await node.numbers(reservation)
        mine = await node.draw_all(reservation)
        await bind(database, node, mine)
        others = await node.draw_all()

        assert len(set(reserved)) == 100
        assert sorted(one.msisdn for one in mine) == reserved
        assert len(others) == SIZE - 100
        assert not {one.msisdn for one in others} & set(reserved)
        row = await node.desk.read(int(reservation), None)
        assert (row.state, row.granted, row.confirmed) == ("open", 100, 100)
        assert await node.draw(reservation) == Exhausted(Lack.RESERVATION)
        await bind(database, node, others)
    assert (await sound(database))["inUse"] == SIZE


async def test_a_reservation_is_filled_whole_or_holds_nothing(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        assert await code_of(node.reserve(SIZE + 1)) == "POOL_EXHAUSTED"
        assert (await sound(database))["reserved"] == 0

        part, _ = await node.desk.reserve(asked(SIZE + 1, is_partial=True))
        assert (part.asked, part.granted) == (SIZE + 1, SIZE)
        assert await code_of(node.reserve(1)) == "POOL_EXHAUSTED"
        assert await node.draw() == Exhausted(Lack.NUMBERS)
    assert (await sound(database))["reserved"] == SIZE


async def test_the_same_key_gives_the_same_reservation(dsn: str) -> None:
    async with a_node(dsn) as node:
        first, again = await asyncio.gather(
            node.desk.reserve(asked(20, key="K")), node.desk.reserve(asked(20, key="K"))
        )
        late = await node.desk.reserve(asked(20, key="K"))
        other = node.desk.reserve(asked(21, key="K", content_hash=b"other"))

        assert first[0].id == again[0].id == late[0].id
        assert late[1]
        assert await code_of(other) == "DUPLICATE_CONFLICT"
        assert (await node.desk.reserve(asked(5, key="K", source="CRM")))[0].id != first[0].id


async def test_cards_come_with_the_numbers(dsn: str, database: Connection) -> None:
    async with a_node(dsn) as node:
        reservation = await node.reserve(40, with_cards=True)
        cards = {r["iccid"] for r in await database.fetch("SELECT iccid FROM card_hold")}
        drawn = await node.draw_all(reservation, has_cards=True)

        assert len(cards) == 40
        assert {one.card.iccid for one in drawn} == cards
        others = await node.draw_all()
        assert len(others) == SIZE - 40
        assert not {one.card.iccid for one in others} & cards
    await sound(database)


async def test_cancelled_and_expired_numbers_are_idle_again_but_for_those_in_use(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        first = await node.reserve(100, with_cards=True)
        drawn = [await node.draw(first, has_cards=True) for _ in range(30)]
        await bind(database, node, [one for one in drawn if isinstance(one, Drawn)])
        row = await node.desk.cancel(int(first), "ESOP")
        assert (row.state, row.confirmed) == ("cancelled", 30)
        assert (await node.desk.cancel(int(first), "ESOP")).state == "cancelled"
        assert (await sound(database))["reserved"] == 0
        assert await database.fetchval("SELECT count(*) FROM number_past") == 70

        await node.reserve(50)
        await database.execute("UPDATE reservation SET expires_at = now() WHERE state = 'open'")
        async with asyncio.timeout(10):
            while not await database.fetchval(  # noqa: ASYNC110
                "SELECT bool_and(is_released) FROM reservation"
            ):
                await asyncio.sleep(0.005)
        assert len(await node.draw_all()) == SIZE - 30
    await sound(database)


async def test_an_ended_reservation_is_neither_extended_nor_cancelled(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        cancelled, expired = int(await node.reserve()), int(await node.reserve())
        longer = await node.desk.extend(expired, "ESOP", 5_000)
        shorter = await node.desk.extend(expired, "ESOP", 10)
        assert longer.expires_at == shorter.expires_at
        await node.desk.cancel(cancelled, None)
        await database.execute("UPDATE reservation SET expires_at = now() WHERE id = $1", expired)

        assert await code_of(node.desk.extend(cancelled, None, 9)) == "RESERVATION_CANCELLED"
        assert await code_of(node.desk.extend(expired, None, 9)) == "RESERVATION_EXPIRED"
        assert await code_of(node.desk.cancel(expired, None)) == "RESERVATION_EXPIRED"
        assert await code_of(node.desk.read(expired, "CRM")) == "RESERVATION_UNKNOWN"


async def test_the_customer_chooses_from_a_page_and_the_others_go_back_at_once(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        offer = await node.reserve(10, with_cards=True)
        page = await node.numbers(offer)
        row = await node.desk.choose(int(offer), "ESOP", [MSISDN(page[3])], 3_600)

        assert (row.granted, await node.numbers(offer)) == (1, [page[3]])
        assert (await sound(database))["reserved"] == 1
        assert (
            await database.fetchval("SELECT count(*) FROM card_hold WHERE state = 'reserved'") == 1
        )
        gone = node.desk.choose(int(offer), "ESOP", [MSISDN(page[4])], 3_600)
        assert await code_of(gone) == "NUMBER_NOT_OF_RESERVATION"
        drawn = await node.draw_all(offer, has_cards=True)
        assert [one.msisdn for one in drawn] == [page[3]]


async def test_of_two_choices_at_once_one_is_kept_and_the_other_is_told_so(dsn: str) -> None:
    async with a_node(dsn) as node:
        offer = await node.reserve(10)
        page = await node.numbers(offer)

        first, second = (node.desk.choose(int(offer), "ESOP", [MSISDN(n)], 60) for n in page[:2])
        row, code = await asyncio.gather(first, code_of(second))

        assert code == "NUMBER_NOT_OF_RESERVATION"
        assert (row.granted, await node.numbers(offer)) == (1, [page[0]])


async def test_what_orders_confirmed_counts_as_granted_after_a_choice(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        offer = await node.reserve(10, with_cards=True)
        confirmed = await node.draw(offer, has_cards=True)
        assert isinstance(confirmed, Drawn)
        await bind(database, node, [confirmed])
        left = [row for row in await node.desk.numbers(int(offer), 0, 10) if row.user_id is None]

        row = await node.desk.choose(int(offer), "ESOP", [MSISDN(left[0].msisdn)], 60)

        assert (row.granted, row.confirmed) == (2, 1)


async def test_of_two_cancels_at_once_both_say_cancelled(dsn: str) -> None:
    async with a_node(dsn) as node:
        reservation = int(await node.reserve())

        rows = await asyncio.gather(*(node.desk.cancel(reservation, None) for _ in range(2)))

        assert [row.state for row in rows] == ["cancelled", "cancelled"]


async def test_an_order_that_waits_for_numbers_of_a_reservation_learns_of_its_end(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_node(dsn) as node:
        reservation = await node.reserve()
        with monkeypatch.context() as unread:
            unread.setattr(Allocator, "kept_wanted", lambda _: [])
            drawing = asyncio.create_task(node.draw(reservation))
            await node.desk.cancel(int(reservation), None)

        assert await drawing == Exhausted(Lack.RESERVATION)


async def test_given_numbers_are_reserved_by_name_wherever_they_are(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        drawn = await node.draw()  # so that some are in memory, this one in hand, and others not
        assert isinstance(drawn, Drawn)
        numbers = [MSISDN(str(1064800000000 + n)) for n in range(200)]
        free = [number for number in numbers if number != drawn.msisdn]
        assert await node.numbers(await node.reserve(numbers=tuple(free))) == sorted(free)

        again = node.reserve(numbers=(numbers[1], numbers[2]))
        assert await code_of(again) == "NUMBER_NOT_IDLE"
        assert await code_of(node.reserve(numbers=(drawn.msisdn,))) in (
            "NUMBER_TAKEN",
            "NUMBER_NOT_IDLE",
        )
        assert await code_of(node.reserve(numbers=(MSISDN("1064999999999"),))) == "NUMBER_UNKNOWN"
        other = node.reserve(numbers=(MSISDN("1064800000300"),), province="100")
        assert await code_of(other) == "NUMBER_OF_OTHER_PROVINCE"
        rest = await node.draw_all()
        assert not {one.msisdn for one in rest} & set(free)
        assert len(rest) == SIZE - 1 - len(free)
        node.allocator.put_back(msisdn=drawn.msisdn, iccid=drawn.card.iccid)


async def test_graded_numbers_are_never_drawn_and_reserved_by_grade(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn, GRADES) as node:
        before = await node.numbers(await node.reserve(2, grade="AA"))  # not passed by the counter
        drawn = await node.draw_all()
        assert {GRADES.of(int(one.msisdn)) for one in drawn} == {None}
        assert len(drawn) == SIZE - 50
        after = await node.numbers(await node.reserve(5, grade="AAA"))  # held by leases by now

        assert {GRADES.of(int(number)) for number in before} == {"AA"}
        assert {number[-3:] for number in after} == {"000", "111", "222", "333", "444"}
        assert await code_of(node.reserve(1, grade="AAA")) == "GRADE_EXHAUSTED"
        assert await code_of(node.reserve(1, grade="BBB")) == "GRADE_UNKNOWN"
        part, _ = await node.desk.reserve(asked(60, grade="AA", is_partial=True))
        assert part.granted == 43
        await bind(database, node, drawn)
    assert (await sound(database))["idle"] == 0


async def test_other_rules_free_what_is_graded_no_more_and_keep_out_what_is(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn, GRADES) as node:
        first = await node.draw_all()
    async with a_node(dsn, Grades([Rule("odd", "1")])) as node:
        async with asyncio.timeout(10):
            while not await database.fetchval(  # noqa: ASYNC110
                "SELECT rules = 'odd=1' FROM grading"
            ):
                await asyncio.sleep(0.005)
        drawn = await node.draw_all()
    assert len(first) == SIZE - 50
    assert len(drawn) == SIZE - 50
    assert Counter(one.msisdn[-1] for one in drawn)["1"] == 0
    await sound(database)


async def test_a_crash_while_one_is_filled_holds_nothing_and_the_repeat_fills_it(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        filling = asyncio.create_task(node.desk.reserve(asked(SIZE, key="K")))
        async with asyncio.timeout(10):
            while not await database.fetchval(  # noqa: ASYNC110
                "SELECT count(*) > 0 FROM number_hold WHERE state = 'reserved'"
            ):
                await asyncio.sleep(0.001)
        filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)

    async with a_node(dsn) as node:
        state = await database.fetchval("SELECT state FROM reservation")
        if state is None:  # it was caught half filled
            assert (await sound(database))["reserved"] == 0
        row, _ = await node.desk.reserve(asked(SIZE, key="K"))
        assert (row.state, row.granted) == ("open", SIZE)
    assert (await sound(database))["reserved"] == SIZE


async def test_what_is_drawn_and_refused_is_drawn_again_and_a_crash_keeps_it_reserved(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        reservation = await node.reserve(40)
        drawn = await node.draw_all(reservation)
        for one in drawn[:15]:
            node.allocator.put_back(msisdn=one.msisdn, iccid=one.card.iccid)
        again = await node.draw_all(reservation)
        assert {one.msisdn for one in again} == {one.msisdn for one in drawn[:15]}
    async with a_node(dsn) as node:
        assert len(await node.draw_all(reservation)) == 40
    await sound(database)


async def test_orders_draw_while_a_reservation_is_filled_and_nothing_is_given_twice(
    dsn: str, database: Connection
) -> None:
    async with a_node(dsn) as node:
        filling = asyncio.create_task(node.reserve(300))
        drawn = []
        while not filling.done():
            one = await node.draw()
            assert isinstance(one, Drawn)
            drawn.append(one)
            await asyncio.sleep(0.002)
        reserved = await node.numbers(await filling)

        assert drawn
        assert len(reserved) == 300
        assert not {one.msisdn for one in drawn} & set(reserved)
        await bind(database, node, drawn)
    assert (await sound(database))["reserved"] == 300
