"""What befalls a run under `make demo CHAOS=1`, beside the faults of the emulators themselves.

Everything ends by itself; the daemon is killed once, and started again.
"""

import asyncio
from collections import Counter
from random import Random
from typing import Final

from loadtest.faults import Chance, Latency, Profile
from loadtest.process import until
from loadtest.stack import Stack
from loadtest.view import View
from loadtest.workload import Book

WITHHELD: Final = 0.05
BUSY: Final = 0.02
HLR_FAULTS: Final = Profile(
    latency=Latency(p50_s=0.004, p99_s=0.03), chance=Chance(withhold=WITHHELD, busy=BUSY)
)
"""5 % of the commands are executed and not answered, 2 % are refused as busy."""

HLR_SESSIONS: Final = 32
REPLY_TIMEOUT_S: Final = 1.0
SETTLE_S: Final = 0.2
ORDERS_PER_S: Final = 1_000.0
"""Slow enough that posting, executing, the cuts and the kill all overlap."""

CUT_EVERY_S: Final = (0.3, 1.2)
KILL_AT: Final = 0.5
"""Part of the orders that are accepted when the daemon is killed."""


async def cut_sessions(stack: Stack, random: Random) -> None:
    """A few at a time, of any HLR, until cancelled."""
    while True:
        await asyncio.sleep(random.uniform(*CUT_EVERY_S))
        name = random.choice(stack.shape.hlr_names)
        await stack.control(name, "POST", f"/cut?sessions={random.randint(1, 4)}")


async def kill_daemon(stack: Stack, book: Book, *, orders: int, view: View) -> None:
    """Once, in the middle, and start it again."""
    await until(
        lambda: len(book.accepted) >= orders * KILL_AT,
        deadline_s=60 + orders / ORDERS_PER_S,
        what="the middle of the run, for the kill",
    )
    stack.daemon.kill()
    view.say(
        f"kill -9 of the daemon, with {len(book.accepted):,} orders accepted and"
        f" {len(book.receipts):,} receipts out"
    )
    await stack.start_daemon()
    view.say("daemon ready again")


async def inflicted(stack: Stack) -> str:
    """What the HLRs did wrong, by their own count."""
    faults: Counter[str] = Counter()
    for name in stack.shape.hlr_names:
        faults.update((await stack.control(name, "GET", "/stats"))["faults"])
    return ", ".join(f"{count:,} x {fault}" for fault, count in sorted(faults.items()))
