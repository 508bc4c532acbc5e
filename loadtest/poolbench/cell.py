"""One cell in a process of its own, so that none finds the memory or the garbage of another:
`python -m loadtest.poolbench.cell '{"name": …}'` prints its figures as one line of JSON."""

import asyncio
import faulthandler
import gc
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import msgspec
import uvloop
from msgspec import Struct

from hlrd import limits
from loadtest.poolbench.allocation import allocate, burst
from loadtest.poolbench.flat import BURST
from loadtest.poolbench.meter import Figures, Meter
from loadtest.poolbench.raw_copy import raw_copy
from loadtest.poolbench.skip_locked import first_idle, random_start

_DEADLINE_S: Final = 60.0
"""Beyond the measured time. A cell that hangs says where, and fails the bench."""

Work: TypeAlias = Callable[[str, Meter, float], Awaitable[None]]


class Job(Struct, frozen=True):
    name: str
    address: str  #: DSN, or the socket of Redis
    server_pid: int
    seconds: float


async def _spop(address: str, meter: Meter, seconds: float, *, depth: int = 1) -> None:
    """Its client is needed by nothing else."""
    from loadtest.poolbench.spop import spop

    await spop(address, meter, seconds, depth=depth)


WORK: Final[Mapping[str, Work]] = {
    "first_idle": first_idle,
    "first_idle_by_index": partial(first_idle, enable_seqscan="off"),
    "random_start": random_start,
    "spop": _spop,
    "spop_16": partial(_spop, depth=16),
    "spop_socket": _spop,
    "spop_16_socket": partial(_spop, depth=16),
    "raw_copy": raw_copy,
    "hlrd_64": partial(allocate, requesters=64),
    "hlrd_1024": partial(allocate, requesters=1_024),
    "hlrd_8192": partial(allocate, requesters=8_192),
    "burst": partial(burst, requesters=1_024, count=BURST),
}


async def run(job: Job) -> Figures:
    meter = Meter(job.server_pid)
    gc.set_threshold(limits.GC_OBJECTS, 20, 50)  # as the daemon has it
    async with asyncio.timeout(job.seconds + _DEADLINE_S / 2):
        await WORK[job.name](job.address, meter, job.seconds)
    return meter.figures()


def main() -> int:
    job = msgspec.json.decode(sys.argv[1], type=Job)
    faulthandler.dump_traceback_later(job.seconds + _DEADLINE_S, exit=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(run(job))
    print(msgspec.json.encode(figures).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
