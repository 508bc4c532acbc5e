"""Whatever is killed when: every accepted order takes effect once, and every part says the same."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from hlrd.limits import ORDERS_IN_MEMORY_MAX
from loadtest.chaos import cut_sessions
from loadtest.cpu import rss_mib
from loadtest.faults import Chance, Latency, Profile
from loadtest.process import beside, until
from loadtest.workload import Book
from tests.e2e.flow import DEADLINE_S, SMALL, system

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FAULTY = Profile(latency=Latency(p50_s=0.005), chance=Chance(withhold=0.05, busy=0.02))


async def receipts_reach(book: Book, count: int) -> None:
    await until(
        lambda: len(book.receipts) >= count, deadline_s=DEADLINE_S, what=f"{count} receipts"
    )


async def test_the_proof_holds_through_withheld_replies_cuts_and_a_killed_daemon() -> None:
    async with system(replace(SMALL, hlr_faults=FAULTY)) as made:
        workload = made.workload(300, orders_per_s=150)

        async def kill_the_daemon() -> None:
            await until(
                lambda: len(workload.book.accepted) >= 150, deadline_s=DEADLINE_S, what="half"
            )
            made.stack.daemon.kill()
            await made.stack.start_daemon()

        async with beside(cut_sessions(made.stack, made.upstream().random), kill_the_daemon()):
            book = await workload.run(deadline_s=DEADLINE_S)

        assert await made.wrong(book) == []


async def test_an_hlr_that_is_killed_and_comes_back_costs_no_order() -> None:
    shape = replace(SMALL, remembers=True, hlr_faults=Profile(latency=Latency(p50_s=0.01)))
    async with system(shape) as made:
        workload = made.workload(300, orders_per_s=300)

        async def kill_an_hlr() -> None:
            await receipts_reach(workload.book, 60)
            made.stack.elements["hlr1"].kill()
            await receipts_reach(workload.book, 100)  # the other HLR's orders go on
            await made.stack.restart_element("hlr1")

        async with beside(kill_an_hlr()):
            book = await workload.run(deadline_s=DEADLINE_S)

        assert await made.wrong(book) == []


async def test_lost_database_connections_lose_no_order() -> None:
    async with system(replace(SMALL, hlr_faults=Profile(latency=Latency(p50_s=0.01)))) as made:
        workload = made.workload(300, orders_per_s=200)
        terminated = 0

        async def cut_the_database() -> None:
            nonlocal terminated
            connection = await asyncpg.connect(await made.stack.dsn())
            for receipts in (50, 120, 200):
                await receipts_reach(workload.book, receipts)
                terminated += await connection.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            await connection.close()

        async with beside(cut_the_database()):
            book = await workload.run(deadline_s=DEADLINE_S)

        assert terminated > 0
        assert await made.wrong(book) == []


async def test_sigterm_leaves_no_accepted_order_behind() -> None:
    async with system(replace(SMALL, hlr_faults=Profile(latency=Latency(p50_s=0.02)))) as made:
        workload = made.workload(300, orders_per_s=200)

        async def stop_and_start() -> None:
            await receipts_reach(workload.book, 80)
            assert await made.stack.daemon.end(deadline_s=30) == 0
            await made.stack.start_daemon()

        async with beside(stop_and_start()):
            book = await workload.run(deadline_s=DEADLINE_S)

        assert await made.wrong(book) == []


async def test_the_same_orders_posted_by_many_at_once_take_effect_once() -> None:
    async with system() as made:
        first, second = made.workload(200, run="SAME"), made.workload(200, run="SAME")

        book, other = await asyncio.gather(
            first.run(deadline_s=DEADLINE_S), second.run(deadline_s=DEADLINE_S)
        )

        assert book.receipts == other.receipts
        assert await made.wrong(book) == []


async def test_orders_beyond_memory_wait_in_the_journal_and_all_finish() -> None:
    orders = ORDERS_IN_MEMORY_MAX + 4_000
    async with system(orders=orders) as made:
        stack, workload = made.stack, made.workload(orders, size=1_000)
        for name in stack.shape.hlr_names:
            stack.elements[name].kill()

        async def come_back() -> None:
            await until(
                lambda: len(workload.book.accepted) >= orders, deadline_s=90, what="all accepted"
            )
            assert rss_mib(stack.daemon.pid) < 600
            assert workload.book.receipts == {}
            for name in stack.shape.hlr_names:
                await stack.restart_element(name)

        async with beside(come_back()):
            book = await workload.run(deadline_s=150)

        assert await made.wrong(book) == []
