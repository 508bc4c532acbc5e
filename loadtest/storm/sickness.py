"""How the elements misbehave while a storm goes on: one HLR slow, one down for a time, one started
again, and of all of them some commands refused as busy, some carried out and not answered.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from loadtest.faults import Chance, Latency, Profile
from loadtest.stack import DRAIN_S, Stack
from loadtest.storm.promptness import EVERYWHERE, Absence
from loadtest.storm.watch import Watch
from loadtest.view import View

SLOW, DOWN, RESTARTED = "hlr2", "hlr3", "hlr4"
HLRS: Final = 4
_LOOK_S: Final = 0.5
_P50_S: Final = 0.015
_P99_S: Final = 0.080


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    slow_factor: float = 5.0
    down_after_s: float = 5.0  #: of the storm's beginning
    down_s: float = 300.0
    busy: float = 0.02
    unanswered: float = 0.005

    @property
    def restart_after_s(self) -> float:
        """In the middle of the time in which another one is down."""
        return self.down_after_s + self.down_s / 2

    @property
    def chance(self) -> Chance:
        return Chance(withhold=self.unanswered, busy=self.busy)

    def profile(self, *, factor: float = 1.0) -> Profile:
        """An HLR as it is in the storm, so many times slower."""
        latency = Latency(p50_s=_P50_S * factor, p99_s=_P99_S * factor)
        return Profile(latency=latency, chance=self.chance)


CALM: Final = Profile(latency=Latency(p50_s=_P50_S, p99_s=_P99_S))
"""An HLR as it is on any day."""


class Ward:
    """Inflicts a sickness, and writes down who was away from when to when."""

    def __init__(self, stack: Stack, sickness: Sickness, watch: Watch, view: View) -> None:
        self.absences: list[Absence] = []
        self.has_befallen = False
        self._is_meant: set[str] = set()  #: to be away just now
        self._stack = stack
        self._sickness = sickness
        self._watch = watch
        self._view = view

    async def be_calm(self) -> None:
        """The latencies of any day, and nothing goes wrong."""
        await self._stack.put_faults(CALM)

    async def be_stormy(self) -> None:
        """Of each element some commands are refused as busy, and some are not answered."""
        await self._stack.put_faults(self._sickness.profile())
        await self._stack.put_faults(Profile(chance=self._sickness.chance), elements=["dsmp1"])

    async def befall(self) -> None:
        """One HLR is slow from now on, one goes down for a time, one is restarted."""
        sickness = self._sickness
        self.has_befallen = True
        slow = sickness.profile(factor=sickness.slow_factor)
        await self._stack.put_faults(slow, elements=[SLOW])
        self._view.say(f"{SLOW} is {sickness.slow_factor:g} times slower from now on")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._away(DOWN, sickness.down_after_s, sickness.down_s))
            tasks.create_task(self._away(RESTARTED, sickness.restart_after_s, 0.0))

    async def kill_daemon(self) -> None:
        """kill -9, and start it again."""
        start_s = time.monotonic()
        self._is_meant.add(self._stack.daemon.name)
        self._stack.daemon.kill()
        self._view.say("kill -9 of hlrd")
        await self._stack.start_daemon()
        self._absent(EVERYWHERE, start_s)
        self._is_meant.remove(self._stack.daemon.name)
        self._view.say(f"hlrd is ready again after {time.monotonic() - start_s:.1f} s")

    async def restart_daemon(self) -> int:
        """In good order; its exit code."""
        self._is_meant.add(self._stack.daemon.name)
        code = await self._stack.daemon.end(deadline_s=DRAIN_S)
        await self._stack.start_daemon()
        self._is_meant.remove(self._stack.daemon.name)
        return code

    async def watch_over(self) -> None:
        """Until cancelled. Raises StackError for a process that ended and was not meant to."""
        while True:
            for process in (self._stack.daemon, *self._stack.elements.values()):
                if process.name not in self._is_meant:
                    process.refuse_if_ended()
            await asyncio.sleep(_LOOK_S)

    async def _away(self, name: str, after_s: float, seconds: float) -> None:
        """Killed with -9; it knows what it knew when it comes back."""
        await asyncio.sleep(after_s)
        start_s = time.monotonic()
        self._is_meant.add(name)
        self._stack.elements[name].kill()
        self._view.say(f"{name} is {f'down for {seconds:g} s' if seconds else 'restarted'}")
        await asyncio.sleep(seconds)
        await self._stack.restart_element(name)
        self._watch.began_anew(name)
        await self._stack.put_faults(self._sickness.profile(), elements=[name])
        self._absent(name, start_s)
        self._is_meant.remove(name)
        if seconds:
            self._view.say(f"{name} is back")

    def _absent(self, name: str, start_s: float) -> None:
        self.absences.append(Absence(name, start_s, time.monotonic()))
