"""What is seen while a storm goes on: the HLRs' own logs, and the daemon's memory."""

import asyncio
import math
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
import psutil

from loadtest import cpu
from loadtest.stack import Stack
from loadtest.storm import mml
from loadtest.storm.book import Kind, Told

_LOOK_S: Final = 0.5
"""A log keeps 10,000 commands: three seconds of an HLR at its fastest."""


class Watch:
    """When each HLR did what frees a line, by its log. `missed` counts commands that its ring had
    lost before they were read, but for those of an HLR that was killed."""

    def __init__(self, stack: Stack) -> None:
        self.done: dict[mml.Effect, list[float]] = defaultdict(list)
        self.missed = 0
        self.rss_mib: list[float] = []
        self._stack = stack
        self._after = dict.fromkeys(stack.shape.hlr_names, 0)

    async def look(self) -> None:
        """Until cancelled."""
        while True:
            started_s = time.monotonic()
            await self.look_once()
            await asyncio.sleep(max(0.0, _LOOK_S - (time.monotonic() - started_s)))

    async def look_once(self) -> None:
        with suppress(psutil.Error):
            self.rss_mib.append(cpu.rss_mib(self._stack.daemon.pid))
        for name in self._stack.shape.hlr_names:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                path = f"/log?after={self._after[name]}"
                self._take(name, await self._stack.control(name, "GET", path))

    def began_anew(self, name: str) -> None:
        """A process that starts counts its commands from one."""
        self._after[name] = 0

    def _take(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self.missed += row["number"] - self._after[name] - 1
            self._after[name] = row["number"]
            effect = mml.effect(row["command"]) if row["code"] == "0" else None
            if effect is not None:
                self.done[effect].append(row["at"])

    def done_s(self, kind: Kind, told: Told, since_s: float) -> float:
        """When the line was as the order wants it; infinity where the log does not say, as of an
        order that needed no command."""
        wanted = _wanted(kind, told)
        moments = self.done.get(wanted, []) if wanted is not None else []
        at = bisect_left(moments, since_s)
        return moments[at] if at < len(moments) else math.inf


def _wanted(kind: Kind, told: Told) -> mml.Effect | None:
    match kind:
        case Kind.OPEN | Kind.ACTIVATE:
            return mml.Effect("ADD TPLSUB", told.imsi)
        case Kind.REPLACE:
            return mml.Effect("MOD IMSI", told.imsi)
        case Kind.PAY if told.level is not None:
            return mml.Effect(mml.LOCK, told.imsi, told.level)
        case _:
            return None
