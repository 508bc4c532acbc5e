import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from hlrd import limits
from hlrd.domain.errors import Fenced
from hlrd.domain.lifecycle import UserState
from hlrd.domain.suspension import NO_REASONS, Level, Reason
from hlrd.domain.user import User
from hlrd.ports import BindingEnd, Clash
from hlrd.runtime.journal import JournalWriter
from hlrd.runtime.node import NodeLease
from hlrd.store.connection import Connection
from tests.runtime.proxy import proxied
from tests.runtime.records import NOW, Told, a_binding, a_closing, an_acceptance, until

pytestmark = pytest.mark.postgres

Count = Callable[[str], Awaitable[int]]


@pytest.fixture
async def lease(dsn: str) -> AsyncIterator[NodeLease]:
    lease = NodeLease(dsn, "node1")
    await lease.take()
    yield lease
    lease.close()


@asynccontextmanager
async def a_journal(
    dsn: str, lease: NodeLease, told: Told | None = None
) -> AsyncIterator[tuple[JournalWriter, Told]]:
    told = told or Told()
    journal = JournalWriter(
        dsn,
        node="node1",
        epoch=lease.epoch,
        last_seq=await lease.last_seq(),
        quarantine_days=90,
    )
    journal.attach(told)
    running = asyncio.create_task(journal.run())
    try:
        yield journal, told
        async with asyncio.timeout(20):
            await asyncio.wait(
                [running, asyncio.create_task(journal.empty())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        if running.done():
            await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def count(database: Connection) -> Count:
    async def ask(table: str) -> int:
        found: int = await database.fetchval(f"SELECT count(*) FROM {table}")
        return found

    return ask


async def sabotage(database: Connection, where: str) -> None:
    """End the backend that writes the first row to a table, at the row or at its commit."""
    await database.execute(f"""
        CREATE SEQUENCE blow;
        CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('blow') = 1 THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            END IF;
            RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER blow AFTER INSERT ON {where}
            FOR EACH ROW EXECUTE FUNCTION sabotage();
    """)


async def test_what_arrives_during_a_flush_goes_in_the_next_one(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    async with a_journal(dsn, lease) as (journal, told):
        for id in range(1, 101):
            journal.accept(an_acceptance(id, binding=a_binding(id)))
        await journal.empty()

    assert told.accepted == list(range(1, 101))
    transactions = await database.fetchval("SELECT count(DISTINCT xmin::text) FROM work_order")
    assert transactions == 1
    assert await database.fetchval("SELECT count(*) FROM binding") == 100


async def test_a_backlog_is_split_and_each_users_receipts_keep_their_order(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    users = [f"{n:010}" for n in range(7)]

    async with a_journal(dsn, lease) as (journal, told):
        for id in range(1, 6001):
            journal.accept(an_acceptance(id, user_id=users[id % 7]))
            if id > 3000:
                journal.close(a_closing(id - 3000, user_id=users[(id - 3000) % 7]))
            if id % 500 == 0:
                await asyncio.sleep(0)
        await journal.empty()

    assert sorted(told.accepted) == list(range(1, 6001))
    assert sorted(told.closed) == list(range(1, 3001))
    for n in range(7):
        mine = [id for id in told.closed if id % 7 == n]
        assert mine == sorted(mine)
    rows = await database.fetch("SELECT order_id FROM receipt ORDER BY seq")
    assert [row["order_id"] for row in rows] == list(range(1, 3001))


async def test_each_clash_is_told_and_the_rest_of_the_batch_stands(
    dsn: str, lease: NodeLease, database: Connection, count: Count
) -> None:
    async with a_journal(dsn, lease) as (journal, told):
        journal.accept(an_acceptance(1, binding=a_binding(1)))
        await journal.empty()

        journal.accept(an_acceptance(2, binding=a_binding(2)))
        journal.accept(an_acceptance(3, order_id="order-1", user_id="30"))
        journal.accept(an_acceptance(4, binding=a_binding(4, user_id=a_binding(1).user_id)))
        journal.accept(an_acceptance(5, binding=a_binding(5, msisdn=a_binding(1).msisdn)))
        journal.accept(an_acceptance(6, binding=a_binding(6, imsi=a_binding(1).imsi)))
        journal.accept(an_acceptance(7, binding=a_binding(7, iccid=a_binding(1).iccid)))
        journal.accept(an_acceptance(8, binding=a_binding(8, msisdn=a_binding(2).msisdn)))
        journal.close(a_closing(1))
        journal.accept(an_acceptance(9, binding=a_binding(9)))
        await journal.empty()

    assert told.accepted == [1, 2, 9]
    assert told.closed == [1]
    assert told.clashes == {
        3: Clash.ORDER,
        4: Clash.USER,
        5: Clash.NUMBER,
        6: Clash.CARD,
        7: Clash.CARD,
        8: Clash.NUMBER,
    }
    assert await count("work_order") == await count("binding") == 3


@pytest.mark.parametrize(
    "where",
    [
        f"{table} {timing}"
        for table in ("work_order", "binding", "receipt")
        for timing in ("", "DEFERRABLE INITIALLY DEFERRED")
    ],
)
async def test_a_backend_killed_in_the_flush_or_at_commit_costs_nothing(
    dsn: str, lease: NodeLease, database: Connection, count: Count, where: str
) -> None:
    await sabotage(database, where)

    async with a_journal(dsn, lease) as (journal, told):
        for id in range(1, 11):
            journal.accept(an_acceptance(id, binding=a_binding(id)))
            journal.close(a_closing(id))
        await journal.empty()

    assert await database.fetchval("SELECT last_value > 1 FROM blow")
    assert told.accepted == told.closed == list(range(1, 11))
    assert await count("work_order") == await count("binding") == await count("receipt") == 10


async def test_a_commit_whose_answer_is_lost_is_settled_by_reading(
    dsn: str, lease: NodeLease, count: Count
) -> None:
    bound = a_binding(1)

    async with proxied(dsn) as (proxy, through), a_journal(through, lease) as (journal, told):
        journal.accept(an_acceptance(1, binding=bound))
        await journal.empty()
        proxy.commits_to_swallow = 1
        journal.accept(an_acceptance(2, binding=a_binding(2)))
        journal.close(a_closing(1, binding=bound, binding_end=BindingEnd.TERMINATED))
        await journal.empty()

    assert proxy.swallowed == 1
    assert told.accepted == [1, 2]
    assert told.closed == [1]
    assert told.clashes == {}
    assert await count("work_order") == 2
    assert await count("binding") == await count("receipt") == await count("number_hold") == 1


async def test_the_watermark_waits_for_a_receipt_that_commits_late(
    dsn: str, lease: NodeLease, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FLUSH_SPLIT_ROWS", 1)
    gate = database.transaction()
    woken: list[set[str]] = []

    async with a_journal(dsn, lease) as (journal, told):
        journal.attach(told, on_receipts=lambda sources: woken.append(set(sources)))
        await gate.start()
        await database.execute(
            "INSERT INTO receipt VALUES (1, 0, '', '', false, '', '', '', now())"
        )
        journal.close(a_closing(1))  # its number is taken by the open transaction: it hangs
        journal.close(a_closing(2, source="BOSS"))
        await until(lambda: told.closed == [2])
        behind = journal.durable_up_to()
        await gate.rollback()
        await journal.empty()

        assert behind == 0
        assert journal.durable_up_to() == 2
    assert told.closed == [2, 1]
    assert woken == [{"BOSS"}, {"BOSS", "CRM"}]  # who was told too early is told again


async def test_receipts_go_on_counting_after_a_restart(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    async with a_journal(dsn, lease) as (journal, _):
        journal.close(a_closing(1))
        await journal.empty()
    async with a_journal(dsn, lease) as (journal, _):
        assert journal.durable_up_to() == 1
        journal.close(a_closing(2, is_final=False))
        journal.close(a_closing(2))
        await journal.empty()
        assert journal.durable_up_to() == 3

    rows = await database.fetch("SELECT seq, is_final FROM receipt ORDER BY seq")
    assert [tuple(row) for row in rows] == [(1, True), (2, False), (3, True)]


async def test_a_daemon_that_was_overtaken_writes_nothing_more(
    dsn: str, lease: NodeLease, count: Count
) -> None:
    told = Told()

    async def run_and_be_overtaken() -> None:
        async with a_journal(dsn, lease, told) as (journal, _):
            journal.accept(an_acceptance(1))
            await journal.empty()
            lease.close()
            overtaker = NodeLease(dsn, "node1")
            await overtaker.take()
            overtaker.close()
            journal.accept(an_acceptance(2))

    with pytest.raises(Fenced, match="another daemon runs as node node1"):
        await run_and_be_overtaken()

    assert told.accepted == [1]
    assert await count("work_order") == 1


async def test_users_that_are_not_plainly_active_have_a_row_and_others_none(
    dsn: str, lease: NodeLease, database: Connection
) -> None:
    bound = a_binding(1)
    suspended = User(UserState.ACTIVE, bound, {Reason.ARREARS: Level.TWO_WAY})
    plain = User(UserState.ACTIVE, bound, NO_REASONS)

    async with a_journal(dsn, lease) as (journal, _):
        journal.accept(an_acceptance(1, binding=bound))
        journal.close(a_closing(1, binding=bound))
        await journal.empty()
        assert await database.fetchval("SELECT count(*) FROM user_state") == 0

        journal.close(a_closing(2, user_id=bound.user_id, user=plain))
        journal.close(a_closing(3, user_id=bound.user_id, user=suspended))
        await journal.empty()
        row = await database.fetchrow("SELECT state, reasons FROM user_state")
        assert row is not None
        assert tuple(row) == ("active", '{"ARREARS": 2}')

        journal.close(a_closing(4, user_id=bound.user_id, user=plain))
        await journal.empty()
        assert await database.fetchval("SELECT count(*) FROM user_state") == 0


@pytest.mark.parametrize(
    ("end", "states"),
    [
        (BindingEnd.ROLLED_BACK, ("free", "free")),
        (BindingEnd.UNPROVEN, ("locked", "scrapped")),
        (BindingEnd.TERMINATED, ("quarantined", "scrapped")),
    ],
)
async def test_the_end_of_a_binding_says_what_becomes_of_number_and_card(
    dsn: str, lease: NodeLease, database: Connection, end: BindingEnd, states: tuple[str, str]
) -> None:
    number, card = states
    bound = a_binding(1)

    async with a_journal(dsn, lease) as (journal, _):
        journal.accept(an_acceptance(1, binding=bound))
        await journal.empty()
        journal.close(a_closing(1, binding=bound, binding_end=end, quarantine_days=7))
        await journal.empty()

    assert await database.fetchval("SELECT count(*) FROM binding") == 0
    hold = await database.fetchrow("SELECT state, until FROM number_hold")
    assert hold is not None
    until_then = NOW + timedelta(days=7) if number == "quarantined" else None
    assert tuple(hold) == (number, until_then)
    assert await database.fetchval("SELECT state FROM card_hold") == card


async def test_while_postgresql_is_away_the_backlog_grows_and_then_drains(
    dsn: str, lease: NodeLease, count: Count
) -> None:
    async with proxied(dsn) as (proxy, through), a_journal(through, lease) as (journal, told):
        journal.accept(an_acceptance(1))
        await journal.empty()
        proxy.go_down()
        for id in range(2, 501):
            journal.accept(an_acceptance(id))
            await asyncio.sleep(0)
        backlog = journal.backlog()
        told_meanwhile = list(told.accepted)

        proxy.is_down = False
        await journal.empty()

    assert (backlog, told_meanwhile) == (499, [1])
    assert sorted(told.accepted) == list(range(1, 501))
    assert await count("work_order") == 500
