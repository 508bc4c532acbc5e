"""What the journal keeps of turns, and what intake and a restart are told of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest
from msgspec import structs

from hlrd.domain.identity import UserId
from hlrd.domain.turn import Note
from hlrd.ports import Acceptance, Facts, Wanted
from hlrd.runtime.node import NodeLease, first_order_id
from hlrd.store import batches, facts, turns
from hlrd.store.batch import Batch, Numbered, write, write_carefully
from hlrd.store.connection import Connection, connect, count_moments, writing_as
from tests.runtime.records import NOW, a_binding, a_closing, an_acceptance

pytestmark = pytest.mark.postgres

USER = UserId("0000000001")
SEQS = count(100)
DUE = NOW + timedelta(hours=1)


@pytest.fixture
async def writer(dsn: str, database: Connection) -> AsyncIterator[Connection]:
    await database.execute("INSERT INTO node (name, epoch) VALUES ('node1', 1)")
    await database.execute("INSERT INTO epoch (node) VALUES ('node1')")
    connection = await connect(dsn, "test", **writing_as("node1", 1))
    await count_moments(connection)
    yield connection
    connection.terminate()


def noted(id: int, **said: object) -> Acceptance:
    note = Note(**{"due_at": None, "after": 0, "business_key": None} | said)  # type: ignore[arg-type]
    return structs.replace(an_acceptance(id, user_id=USER), turn=note)


async def accept(writer: Connection, *accepts: Acceptance) -> None:
    await write(Batch(accepts=list(accepts)), 90, writer)


async def close(writer: Connection, *order_ids: int, **said: object) -> None:
    closings = [
        Numbered(next(SEQS), structs.replace(a_closing(id, user_id=USER), **said))
        for id in order_ids
    ]
    await write(Batch(closings=closings), 90, writer)


async def asked(writer: Connection, **said: object) -> Facts:
    (told,) = await facts.resolve(writer, [Wanted(7, "CRM", "new", USER, **said)])  # type: ignore[arg-type]
    return told


async def fall_due(writer: Connection, *, hours: float = 2, most: int = 10) -> list[turns.Due]:
    places = count(1_000)
    now = NOW + timedelta(hours=hours)
    return await turns.fall_due(writer, now=now, most=most, next_id=lambda: next(places))


async def test_a_sequence_only_ever_goes_on(writer: Connection) -> None:
    await close(writer, 1, applied=(("", 5), ("ARREARS", 5)))
    await close(writer, 2, applied=(("", 3), ("VOLUNTARY", 3)))

    told = await asked(writer, has_seq=True)

    assert told.applied == {"": 5, "ARREARS": 5, "VOLUNTARY": 3}
    assert (await asked(writer)).applied == {}


async def test_two_of_one_user_in_one_commit_leave_the_higher_number(writer: Connection) -> None:
    closings = [
        Numbered(seq, structs.replace(a_closing(seq, user_id=USER), applied=(("", seq),)))
        for seq in (2, 1)
    ]
    await write(Batch(closings=closings), 90, writer)

    assert (await asked(writer, has_seq=True)).applied == {"": 2}


async def test_a_record_that_stands_already_moves_nothing_twice(writer: Connection) -> None:
    batch = Batch(accepts=[noted(1, due_at=DUE, used_up=(("", 4),))])
    await write(batch, 90, writer)

    await write_carefully(batch, 90, writer)

    assert (await asked(writer, has_seq=True)).applied == {"": 4}


async def test_the_order_that_first_did_the_same_business_is_named(writer: Connection) -> None:
    await accept(writer, *(noted(id, business_key="K") for id in (1, 2, 3)))
    assert (await asked(writer, business_key="K")).repeat_of is None, "it is still open"

    await close(writer, 2)
    await close(writer, 1)

    assert (await asked(writer, business_key="K")).repeat_of == 2
    assert (await asked(writer, business_key="L")).repeat_of is None


async def test_one_that_failed_did_nothing(writer: Connection) -> None:
    await accept(writer, noted(1, business_key="K"))

    await close(writer, 1, state="failed")

    assert (await asked(writer, business_key="K")).repeat_of is None


async def test_what_is_dated_ahead_is_not_read_back_before_its_time(writer: Connection) -> None:
    await accept(writer, noted(1, due_at=DUE), an_acceptance(2, user_id=USER, order_id="B"))

    assert [one.id for one in await facts.read_stored(writer, [2], [])] == [2]
    dated = await facts.read_stored(writer, [1], [], also_dated=True)
    assert [(one.id, one.turn) for one in dated] == [(1, Note(DUE, 0, None)), (2, None)]


async def test_orders_fall_due_by_their_time_each_once_and_get_a_place(writer: Connection) -> None:
    later = DUE + timedelta(minutes=1)
    await accept(writer, noted(1, due_at=later), noted(2, due_at=DUE))
    await accept(writer, noted(3, due_at=DUE + timedelta(days=1)))

    assert await fall_due(writer, hours=0.5) == []
    assert await fall_due(writer, most=1) == [turns.Due(2, USER, 2, "ARREARS_SUSPEND")]
    assert [one.id for one in await fall_due(writer)] == [1]
    assert await fall_due(writer) == []
    (first, second) = await facts.read_stored(writer, [], [USER])
    assert first.turn is not None
    assert second.turn is not None
    assert (first.turn.place, second.turn.place) == (1_000, 1_000)


async def test_what_was_called_off_never_falls_due(writer: Connection) -> None:
    await accept(writer, noted(1, due_at=DUE))

    await close(writer, 1, state="cancelled", was_dated=True)

    assert await fall_due(writer) == []
    assert await turns.count_waiting(writer) == 0


async def test_an_order_behind_an_opening_learns_when_that_falls_due(writer: Connection) -> None:
    binding = a_binding(1)
    opening = structs.replace(an_acceptance(1, binding=binding), turn=Note(DUE, 0, None))
    await accept(writer, opening, noted(2, due_at=DUE))

    told = await asked(writer, is_dated=True)

    assert (told.opens_at, told.scheduled) == (DUE, 2)
    assert (await asked(writer)).opens_at is None


async def test_a_repeat_of_an_order_that_waits_for_its_time_is_told_so(writer: Connection) -> None:
    await accept(writer, noted(1, due_at=DUE))

    (told,) = await facts.resolve(writer, [Wanted(7, "CRM", "order-1", USER)])

    assert told.repeat is not None
    assert told.repeat.state == "scheduled"


async def test_a_chase_is_kept_and_tells_what_was_before(writer: Connection) -> None:
    await accept(writer, an_acceptance(1, user_id=USER))

    assert await turns.chase(writer, order_id=1) == 2
    assert await turns.chase(writer, order_id=1) == 1
    (stored,) = await facts.read_stored(writer, [1], [])
    assert stored.priority == 1


async def test_a_date_far_ahead_holds_no_start_up_and_falls_due_after_a_restart(
    dsn: str, database: Connection
) -> None:
    lease = NodeLease(dsn, "node1")
    own = first_order_id(await lease.take())
    writer = await connect(dsn, "test", **writing_as("node1", lease.epoch))
    await count_moments(writer)
    await accept(writer, noted(own, due_at=DUE), *(an_acceptance(own + n) for n in (1, 2)))
    await write(Batch(closings=[Numbered(n, a_closing(own + n)) for n in (1, 2)]), 90, writer)

    marked = await lease_mark(lease)
    assert marked == own + 3, "the date is no open order that a start must find again"
    assert await open_ids(lease) == []
    await fall_due(writer)
    assert await open_ids(lease) == [own], "however far below the mark"

    writer.terminate()
    lease.close()


async def lease_mark(lease: NodeLease) -> int:
    await lease._mark(lambda: None)
    connection = await lease._connect()
    marked: int = await connection.fetchval("SELECT low_water FROM node")
    return marked


async def open_ids(lease: NodeLease) -> list[int]:
    return [one.id async for page in lease.open_orders() for one in page]


async def test_a_row_of_a_batch_file_is_not_wrong_for_an_order_that_is_dated_ahead(
    writer: Connection,
) -> None:
    await accept(writer, noted(60, due_at=DUE))
    before = await batches.open_orders(writer, [USER])
    await fall_due(writer)

    assert before == {}
    assert list((await batches.open_orders(writer, [USER])).values()) == [60]
