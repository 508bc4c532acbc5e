"""Kills of the daemon and restarts of PostgreSQL, at random moments of the campaign."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

import psutil

from loadtest.process import StackError, until
from loadtest.stack import Stack, postmaster_pid
from loadtest.torture.asking import Tally

EARLIEST: Final = 0.03
LATEST: Final = 0.97
"""Of the allocations, between which everything happens."""

ENDS_S: Final = 60.0
_NEVER_S: Final = 86_400.0  # the campaign has a deadline of its own
_JITTER_S: Final = 0.3
_AGAIN: Final = 0.25
"""Part of the kills that hit a daemon which is just starting, and recovering, after another one."""

_AGAIN_S: Final = (0.1, 1.5)


class Kind(StrEnum):
    KILL = "kill -9 of the daemon"
    CRASH = "immediate stop of PostgreSQL"
    RESTART = "fast stop of PostgreSQL"


class Outage(NamedTuple):
    kind: Kind
    at: float  #: part of the allocations
    is_doubled: bool = False  #: the daemon is killed once more while it starts


@dataclass(slots=True)
class Suffered:
    kills: int = 0
    restarts: int = 0
    seconds: list[float] = field(default_factory=list)
    """From each outage to the first request sent after it that was answered well."""


def draw(*, kills: int, pg_restarts: int, random: Random) -> list[Outage]:
    """`kills` in all, doubled ones counted twice; the first restart of PostgreSQL is a crash."""
    outages: list[Outage] = []
    while kills > 0:
        is_doubled = kills > 1 and random.random() < _AGAIN
        kills -= 1 + is_doubled
        outages.append(Outage(Kind.KILL, random.uniform(EARLIEST, LATEST), is_doubled))
    for number in range(pg_restarts):
        kind = Kind.RESTART if number else Kind.CRASH
        outages.append(Outage(kind, random.uniform(EARLIEST, LATEST)))
    return sorted(outages, key=lambda outage: outage.at)


class Outages:
    def __init__(self, stack: Stack, tally: Tally, random: Random) -> None:
        self.suffered = Suffered()
        self.is_over = False
        self._stack = stack
        self._tally = tally
        self._random = random

    async def inflict(self, outages: Sequence[Outage], allocations: int) -> None:
        """Each when the clients have come so far, and service is back before the next."""
        for outage in outages:
            await self._wait_for(outage.at * allocations)
            await asyncio.sleep(self._random.uniform(0, _JITTER_S))
            began_s = time.monotonic()
            await (self._kill(outage) if outage.kind is Kind.KILL else self._restart(outage))
            await until(
                lambda since_s=began_s: self._tally.acknowledged_s > since_s,  # type: ignore[misc]
                deadline_s=ENDS_S,
                what=f"an answer after {outage.kind}; the log of the daemon says why not",
            )
            self.suffered.seconds.append(self._tally.acknowledged_s - began_s)
        self.is_over = True

    async def _wait_for(self, allocations: float) -> None:
        await until(
            lambda: self._tally.allocations >= allocations,
            deadline_s=_NEVER_S,
            what=f"{allocations:,.0f} allocations",
        )

    async def _kill(self, outage: Outage) -> None:
        self._kill_daemon()
        if outage.is_doubled:
            self._stack.daemon.start()
            await asyncio.sleep(self._random.uniform(*_AGAIN_S))
            self._kill_daemon()
        await self._stack.start_daemon()

    def _kill_daemon(self) -> None:
        self._stack.daemon.refuse_if_ended()
        self._stack.daemon.kill()
        self.suffered.kills += 1

    async def _restart(self, outage: Outage) -> None:
        """By the postmaster's own signals, as pg_ctl sends them."""
        pid = postmaster_pid(self._stack.data_dir)
        if pid is None:
            raise StackError("no PostgreSQL runs that could be restarted")
        os.kill(pid, signal.SIGQUIT if outage.kind is Kind.CRASH else signal.SIGINT)
        await until(
            lambda: not psutil.pid_exists(pid), deadline_s=ENDS_S, what="PostgreSQL has stopped"
        )
        await self._stack.dsn()  # starts it
        self.suffered.restarts += 1
        await self._stack.daemon_ready()
