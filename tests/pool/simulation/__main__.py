"""`python -m tests.pool.simulation --seeds n`: n schedules; `--seed one`: that one alone."""

import argparse
import asyncio
import logging
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence

import structlog

from tests.pool.simulation.schedule import Schedule
from tests.pool.simulation.server import open_server, own_server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pool.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this schedule alone")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without ending the server
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with own_server() as dsn:
        return asyncio.run(run(dsn, [asked.seed] if asked.seed is not None else seeds))


async def run(dsn: str, seeds: Sequence[int]) -> int:
    """Stops at the first schedule that fails, and says how to run it again."""
    server = await open_server(dsn)
    seen: Counter[str] = Counter()
    started = time.perf_counter()
    for seed in seeds:
        schedule = Schedule(seed, server)
        try:
            await schedule.run()
        except Exception:
            traceback.print_exc()
            print(f"again: python -m tests.pool.simulation --seed {seed}")
            return 1
        seen += schedule.seen
    took_s = time.perf_counter() - started
    print(f"{len(seeds)} schedules in {took_s:.1f} s; every promise held")
    print(", ".join(f"{times} {what}" for what, times in seen.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
