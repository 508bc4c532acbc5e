"""The order of the cells, their tables before and after, and what is kept of them."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from hlrd.store.connection import Connection
from loadtest.poolbench import database, flat, startup
from loadtest.poolbench.cell import Job
from loadtest.poolbench.meter import Figures
from loadtest.poolbench.redis_server import RedisServer
from loadtest.process import StackError
from loadtest.view import View

_JOURNAL: Final = ("work_order", "binding")
DESIGNS: Final[Mapping[str, Sequence[str]]] = {
    "first_idle": ("peer_pool",),
    "first_idle_by_index": ("peer_pool",),
    "random_start": ("peer_pool", *_JOURNAL),
    "spop": (),
    "spop_16": (),
    "spop_socket": (),
    "spop_16_socket": (),
    "raw_copy": _JOURNAL,
    "hlrd_64": _JOURNAL,
    "hlrd_1024": _JOURNAL,
    "hlrd_8192": _JOURNAL,
}
"""By name, the tables that a cell's allocations must be found in."""


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int = 3
    seconds: float = 4.0
    bursts: int = 7
    starts: int = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A database of the one server that all cells share."""

    dsn: str
    server_pid: int
    connection: Connection


class Bench:
    def __init__(self, plan: Plan, view: View) -> None:
        self._plan = plan
        self._view = view
        self._random = Random()

    async def side_by_side(
        self, place: Place, redis: RedisServer | None
    ) -> dict[str, list[Figures]]:
        """All designs, some rounds, each round in an order of its own."""
        await database.create_peer_pool(place.connection)
        names = [name for name in DESIGNS if redis or not name.startswith("spop")]
        found: dict[str, list[Figures]] = {name: [] for name in names}
        for turn in range(self._plan.rounds):
            for name in self._random.sample(names, len(names)):
                found[name].append(await self._cell(name, place, redis))
            rates = ", ".join(f"{name} {found[name][-1].per_s:,.0f}" for name in names)
            self._view.say(f"round {turn + 1} of {self._plan.rounds}, a second: {rates}")
        return found

    async def _cell(self, name: str, place: Place, redis: RedisServer | None) -> Figures:
        await database.reset(place.connection)
        seconds = self._plan.seconds
        if name.startswith("spop"):
            assert redis is not None
            address = redis.socket if name.endswith("_socket") else redis.address
            return await _run(Job(name, address, redis.pid, seconds))
        figures = await _run(Job(name, place.dsn, place.server_pid, seconds))
        await database.check(place.connection, name, DESIGNS[name], figures.acknowledged)
        return figures

    async def flat(self, empty: Place, full: Place) -> dict[str, list[Figures]]:
        """Pools of all sizes with nothing bound, and between them the one that is full."""
        found: dict[str, list[Figures]] = {name: [] for name in (*flat.SIZES, flat.FULL_POOL)}
        await _full_burst(full)
        for _ in range(self._plan.bursts):
            for name in self._random.sample(list(found), len(found)):
                burst = _full_burst(full) if name == flat.FULL_POOL else _burst(empty, name)
                found[name].append(await burst)
        rates = ", ".join(
            f"{name}: {max(each.per_s for each in bursts):,.0f}" for name, bursts in found.items()
        )
        self._view.say(f"best bursts, a second: {rates}")
        return found

    async def starts(self, full: Place, folder: Path) -> list[float]:
        """Seconds to readiness, on ten million bindings and a lease of the run before."""
        found = []
        for turn in range(self._plan.starts):
            home = folder / f"start{turn}"
            home.mkdir()
            await flat.leave_lease(full.connection)
            found.append(await startup.seconds_to_ready(full.dsn, home))
        self._view.say(f"ready after {', '.join(f'{each:.2f} s' for each in found)}")
        return found


async def _burst(place: Place, name: str) -> Figures:
    await database.reset_journal(place.connection, numbers=flat.SIZES[name])
    figures = await _run(Job("burst", place.dsn, place.server_pid, 0.0))
    await database.check(place.connection, name, _JOURNAL, flat.BURST)
    return figures


async def _full_burst(place: Place) -> Figures:
    await flat.empty_again(place.connection)
    figures = await _run(Job("burst", place.dsn, place.server_pid, 0.0))
    await flat.check(place.connection)
    return figures


async def _run(job: Job) -> Figures:
    """In a process of its own; its last line is what it found."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.poolbench.cell", msgspec.json.encode(job).decode(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        said, complained = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        raise
    if child.returncode != 0:
        raise StackError(f"cell {job.name} failed:\n{complained.decode()[-2000:]}")
    figures = msgspec.json.decode(said.splitlines()[-1], type=Figures)
    if figures.acknowledged != figures.distinct:
        raise StackError(f"cell {job.name}: a number was given twice: {figures}")
    return figures
