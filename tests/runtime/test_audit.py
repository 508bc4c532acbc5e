"""The writer of the audit trail: no act without its row, and no row twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from hlrd import limits
from hlrd.domain.audit import Action, Row, Walk
from hlrd.domain.errors import Unavailable
from hlrd.runtime.audit import AuditWriter
from hlrd.runtime.node import NodeLease
from hlrd.store.audit_trail import AuditBook, AuditFilter
from hlrd.store.connection import Connection, open_pool
from tests.runtime.proxy import proxied

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KI = "0123456789ABCDEF0123456789ABCDEF"


@asynccontextmanager
async def a_writer(dsn: str, through: str | None = None) -> AsyncIterator[AuditWriter]:
    lease = NodeLease(dsn, "node1")
    writer = AuditWriter(through or dsn, node="node1", epoch=await lease.take(), wall=lambda: NOON)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(writer.run())
        yield writer
        work.cancel()
    lease.close()


def lock(writer: AuditWriter, number: int, **rest: Any) -> "asyncio.Future[int]":
    return asyncio.ensure_future(
        writer.record(
            actor="anna", source="OPS", action="number.lock", subject=f"number:{number}", **rest
        )
    )


async def trail(dsn: str) -> list[Row]:
    pool = await open_pool(dsn, "test", 1)
    rows = [row async for page in AuditBook(pool).rows() for row in page]
    await pool.close()
    return rows


def is_whole(rows: list[Row]) -> bool:
    walk = Walk()
    return all(walk.step(row) is None for row in rows)


async def test_acts_that_come_at_once_are_chained_in_the_order_they_came(dsn: str) -> None:
    async with a_writer(dsn) as writer:
        numbers = await asyncio.gather(*(lock(writer, number) for number in range(1200)))

    rows = await trail(dsn)
    assert numbers == list(range(1, 1201))
    assert [row.subject for row in rows] == [f"number:{number}" for number in range(1200)]
    assert is_whole(rows)


async def test_the_chain_goes_on_after_a_restart(dsn: str) -> None:
    for number in range(3):
        async with a_writer(dsn) as writer:
            assert await lock(writer, number) == number + 1

    assert is_whole(await trail(dsn))


async def test_a_row_whose_commit_was_not_answered_is_not_written_twice(dsn: str) -> None:
    async with proxied(dsn) as (proxy, through), a_writer(dsn, through) as writer:
        await lock(writer, 1)
        proxy.commits_to_swallow = 1
        assert await lock(writer, 2) == 2
        assert await lock(writer, 3) == 3
        assert proxy.swallowed == 1

    rows = await trail(dsn)
    assert [row.subject for row in rows] == ["number:1", "number:2", "number:3"]
    assert is_whole(rows)


async def test_an_act_is_refused_while_the_trail_cannot_be_written(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_TIMEOUT_S", 0.2)
    async with proxied(dsn) as (proxy, through), a_writer(dsn, through) as writer:
        proxy.go_down()
        with pytest.raises(Unavailable) as refused:
            await lock(writer, 1)
        proxy.is_down = False
        monkeypatch.undo()
        await lock(writer, 2)
        assert await lock(writer, 3) > 0

    rows = await trail(dsn)
    assert refused.value.code == "AUDIT_UNAVAILABLE"
    assert is_whole(rows)
    done = [row.subject for row in rows if row.after is None]
    undone = [row.subject for row in rows if row.after is not None]
    assert undone == ["number:1"] * ("number:1" in done), "a row that nobody acted on is taken back"
    assert done[-2:] == ["number:2", "number:3"]


async def test_more_than_may_wait_is_refused_at_once(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_WAITING_MAX", 2)
    async with a_writer(dsn) as writer:
        waiting = [lock(writer, number) for number in range(4)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert answers[:2] == [1, 2]
    assert all(isinstance(answer, Unavailable) for answer in answers[2:])


async def test_nothing_is_done_any_more_once_the_writer_has_ended(dsn: str) -> None:
    async with a_writer(dsn) as writer:
        await lock(writer, 1)

    with pytest.raises(Unavailable):
        await lock(writer, 2)

    assert len(await trail(dsn)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_trail SET actor = 'bert'",
        "DELETE FROM audit_trail",
        "TRUNCATE audit_trail",
    ],
)
async def test_the_database_refuses_to_change_a_row(
    dsn: str, database: Connection, damage: str
) -> None:
    async with a_writer(dsn) as writer:
        await lock(writer, 1)

    with pytest.raises(asyncpg.RaiseError, match="only added to"):
        await database.execute(damage)

    assert len(await trail(dsn)) == 1


async def test_no_secret_gets_into_a_row(dsn: str, database: Connection) -> None:
    async with a_writer(dsn) as writer:
        await lock(
            writer, 1, before={"ki": "x1y2", "card": {"opc": "z"}}, after={"said": f"ki={KI}"}
        )

    text = await database.fetchval("SELECT before || after FROM audit_trail")
    assert "redacted" in text
    assert not any(secret in text for secret in (KI, "x1y2", '"z"'))


async def test_a_page_shows_what_fits_newest_first(dsn: str) -> None:
    async with a_writer(dsn) as writer:
        for number in (1, 2, 1):
            await lock(writer, number, order=number)
    pool = await open_pool(dsn, "test", 1)
    book = AuditBook(pool)

    of_one = await book.page(AuditFilter(subject="number:1"), 2**63 - 1, 10)
    of_order = await book.page(AuditFilter(order=2, actor="anna"), 2**63 - 1, 10)
    older = await book.page(AuditFilter(), 3, 1)
    late = await book.page(AuditFilter(since=NOON.replace(year=2027)), 2**63 - 1, 10)
    await pool.close()

    assert [row.seq for row in of_one] == [3, 1]
    assert [row.seq for row in of_order] == [2]
    assert [row.seq for row in older] == [2]
    assert late == []


async def test_what_the_daemon_does_at_once_gets_its_row_when_the_database_is_back(
    dsn: str,
) -> None:
    async with proxied(dsn) as (proxy, through), a_writer(dsn, through) as writer:
        proxy.go_down()
        writer.note(Action.SETTINGS_RELOAD, "node:node1", after={"need_restart": []})
        proxy.is_down = False
        await lock(writer, 1)

    first, second = await trail(dsn)
    assert (first.action, first.actor, first.source) == ("settings.reload", "hlrd", "hlrd")
    assert second.action == "number.lock"
