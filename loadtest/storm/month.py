"""The first of the month: everybody who owes is stopped in one run, and pays at random, some before
their stop was sent; single orders go on, and the elements are sick meanwhile.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final

from loadtest.storm import verdict
from loadtest.storm.orders import Posting, User
from loadtest.storm.storm import Options, Storm, brewing
from loadtest.storm.timetable import Timetable
from loadtest.storm.verdict import Outcome
from loadtest.view import View

_PAY: Final = 0.6  # of those who are stopped
_PAY_BEFORE: Final = 0.05  # of those who pay, and whose stop is on its way no later
_REPORTED: Final = 0.02  # of all users: stopped on their own wish before, and thus afterwards
_ONE_WAY: Final = 0.1
_ONE, _TWO = 1, 2
_STOPS_AT_ONCE: Final = 500
_POSTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Plan:
    options: Options
    resumes_s: float = 120.0  #: over which the payments come
    overtaken_s: float = 8.0  #: longest time by which a payment overtakes its stop: hlrd waits 5 s


async def run(plan: Plan, view: View) -> Outcome:
    options = plan.options
    async with brewing(options, view, drawn=options.users) as storm:
        users = await storm.open_users(options.users)
        await report(storm, users)
        singles = await storm.customers()
        await storm.calm(singles)
        month = _Month(storm, plan, users)
        await storm.rage(
            "storm",
            f"{len(users):,} stops, {month.payments:,} payments",
            singles,
            month.stop(),
            month.pay(),
            storm.ward.befall(),
        )
        return await verdict.outcome(storm, "month")


async def report(storm: Storm, users: list[User]) -> None:
    """Some are stopped on their own wish before: their payment must not free the line."""
    some = storm.random.sample(users, round(len(users) * _REPORTED))
    levels = (_level(storm.random) for _ in some)
    postings = (storm.clerk.report_stop(*each) for each in zip(some, levels, strict=True))
    await storm.upstreams.post_all(postings)
    await storm.all_closed("some users are stopped on their own wish")


class _Month:
    """Upstream decides all of it beforehand, in the order of `seq`; how it is posted comes then."""

    def __init__(self, storm: Storm, plan: Plan, users: list[User]) -> None:
        self._storm = storm
        self._plan = plan
        self._timetable = Timetable(storm.upstreams)
        self._run: list[tuple[Posting, Posting | None]] = []  #: stops, and payments behind them
        self._overtaking: list[tuple[Posting, Posting]] = []
        random, clerk = storm.random, storm.clerk
        for user in random.sample(users, len(users)):
            stop = clerk.stop(user, _level(random))
            if random.random() >= _PAY:
                self._run.append((stop, None))
            elif random.random() < _PAY_BEFORE:
                self._overtaking.append((stop, clerk.pay(user)))
            else:
                self._run.append((stop, clerk.pay(user)))
        self.payments = sum(pay is not None for _, pay in self._run) + len(self._overtaking)

    async def stop(self) -> None:
        """As fast as stops are taken; a payment comes at a random time, and after its stop."""
        began_s = time.monotonic()
        left = iter(self._run)

        async def keep_on() -> None:
            while batch := list(islice(left, _STOPS_AT_ONCE)):
                now_s = time.monotonic()
                for _, payment in batch:
                    if payment is not None:
                        at_s = began_s + self._storm.random.uniform(0, self._plan.resumes_s)
                        self._timetable.add(max(now_s, at_s), _given(payment))
                await self._storm.upstreams.post([stop for stop, _ in batch])

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_POSTERS):
                tasks.create_task(keep_on())
        self._timetable.close()

    async def pay(self) -> None:
        """Those who overtake their stops as well."""
        random, began_s = self._storm.random, time.monotonic()
        for stop, payment in self._overtaking:
            at_s = began_s + random.uniform(0, self._plan.resumes_s)
            self._timetable.add(at_s, _given(payment))
            self._timetable.add(at_s + random.uniform(0.1, self._plan.overtaken_s), _given(stop))
        await self._timetable.keep()


def _given(posting: Posting) -> Callable[[], Posting]:
    return lambda: posting


def _level(random: Random) -> int:
    return _ONE if random.random() < _ONE_WAY else _TWO
