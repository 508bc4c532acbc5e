"""`make bench-pool`: one durable allocation beside the ways others do it; flat cost; start-up.

Every design is measured again and again in a few short cells, in an order shuffled anew each round,
each in a process of its own on tables that were emptied alike; medians count. Into
`docs/performance.md`, between its markers, and into `build/bench/pool.json`.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from hlrd.config import Database
from hlrd.store import embedded
from hlrd.store.connection import connect
from hlrd.store.migrate import migrate
from loadtest.owner import run_until_signal
from loadtest.poolbench import flat, page, redis_server
from loadtest.poolbench.bench import Bench, Place, Plan
from loadtest.stack import postmaster_pid
from loadtest.view import View

QUICK: Final = Plan(rounds=1, seconds=1.5, bursts=1, starts=1)


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[embedded.Server]:
    server = await asyncio.to_thread(embedded.start, Database(data_dir=folder / "postgres"))
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _database(server: embedded.Server, name: str) -> AsyncIterator[Place]:
    """A new one with hlrd's tables."""
    first = await connect(server.dsn, "bench")
    await first.execute(f"CREATE DATABASE {name}")
    await first.close()
    assert server.data_dir is not None
    pid = postmaster_pid(server.data_dir)
    assert pid is not None
    dsn = server.dsn.replace("/hlrd?", f"/{name}?")
    connection = await connect(dsn, "bench")
    try:
        await migrate(connection)
        yield Place(dsn, pid, connection)
    finally:
        await connection.close()


async def measure(plan: Plan, view: View, *, is_kept: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="hlrd-bench-"))
    (folder / "redis").mkdir()
    try:
        figures = await _measure(Bench(plan, view), folder, view)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    view.console.print(page.table(figures), markup=False)
    if is_kept:
        page.write(figures, plan)
        view.say(f"written: {page.PAGE} and {page.RECORD}")


async def _measure(bench: Bench, folder: Path, view: View) -> dict[str, Any]:
    async with _server(folder) as server, _database(server, "bench") as empty:
        async with redis_server.running(folder / "redis") as redis:
            if redis is None:
                view.say("LEFT OUT: Redis, since there is none here: apt-get install redis-server")
            designs = await bench.side_by_side(empty, redis)
        async with _database(server, "bench_full") as full:
            view.say(f"writing {flat.BOUND:,} bindings, orders and receipts")
            await flat.fill(full.connection)
            view.say("bursts of pools from small to large, and of a full one")
            bursts = await bench.flat(empty, full)
            starts = await bench.starts(full, folder)
    return page.figures(designs, bursts, starts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.poolbench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a try-out that writes nothing down")
    options = parser.parse_args()
    view = View()
    return run_until_signal(
        measure(QUICK if options.quick else Plan(), view, is_kept=not options.quick),
        on_failure=view.fail,
    )


if __name__ == "__main__":
    sys.exit(main())
