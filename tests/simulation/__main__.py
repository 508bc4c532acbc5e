"""`python -m tests.simulation --seeds n`: n schedules; `--seed one`: that one alone."""

import argparse
import sys
import time
import traceback
from collections import Counter

from tests.simulation.schedule import Schedule


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this schedule alone")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    return run([asked.seed] if asked.seed is not None else seeds)


def run(seeds: "range | list[int]") -> int:
    """Stops at the first schedule that fails, and says how to run it again."""
    seen: Counter[str] = Counter()
    started = time.perf_counter()
    for seed in seeds:
        schedule = Schedule(seed)
        try:
            schedule.run()
        except Exception:
            traceback.print_exc()
            print(f"\nat {schedule.world.now:.3f} s under {schedule.drawn}")
            print(f"again: python -m tests.simulation --seed {seed}")
            return 1
        seen += schedule.promises.seen
        seen["orders"] += len(schedule.database.orders)
    took_s = time.perf_counter() - started
    print(f"{len(seeds)} schedules in {took_s:.1f} s; every promise held")
    print(", ".join(f"{count} {what}" for what, count in seen.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
