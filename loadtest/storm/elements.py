"""Steady business on sick elements: users are opened, get a product, are stopped, pay, give the
product back; hlrd itself is killed in the middle.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from loadtest.process import until
from loadtest.storm import verdict
from loadtest.storm.book import Kind
from loadtest.storm.orders import Posting, User
from loadtest.storm.storm import Options, Storm, brewing
from loadtest.storm.timetable import Timetable
from loadtest.storm.verdict import Outcome
from loadtest.view import View

_GIVES_BACK: Final = 0.5
_TWO_WAY: Final = 2


@dataclass(frozen=True, slots=True)
class Plan:
    options: Options
    users_per_s: float = 100.0
    gap_s: float = 1.5  #: mean time from one order of a user to the next


async def run(plan: Plan, view: View) -> Outcome:
    options = plan.options
    async with brewing(options, view, drawn=options.users) as storm:
        await storm.publish()
        singles = await storm.customers()
        await storm.calm(singles)
        lives = _Lives(storm, plan)
        await storm.rage(
            "storm",
            f"{options.users:,} users, {plan.users_per_s:g} a second",
            singles,
            lives.lead(),
            storm.ward.befall(),
            _kill_in_the_middle(storm, lives),
        )
        return await verdict.outcome(storm, "elements")


class _Lives:
    def __init__(self, storm: Storm, plan: Plan) -> None:
        self._storm = storm
        self._plan = plan
        self._timetable = Timetable(storm.upstreams, self._go_on)
        self.opened = 0

    async def lead(self) -> None:
        at_s = time.monotonic()
        for user in self._storm.new_users(self._plan.options.users):
            at_s += self._storm.random.expovariate(self._plan.users_per_s)
            self._timetable.add(at_s, partial(self._storm.clerk.activate, user))
        self._timetable.close()
        await self._timetable.keep()

    def _go_on(self, taken: Posting) -> None:
        """Upstream's next order of the same user, whether or not this one is done."""
        user = self._storm.upstreams.users[taken.order.user]
        self.opened += taken.order.kind is Kind.ACTIVATE
        write = self._next(taken.order.kind, user)
        if write is not None:
            gap_s = self._storm.random.expovariate(1 / self._plan.gap_s)
            self._timetable.add(time.monotonic() + gap_s, write)

    def _next(self, kind: Kind, user: User) -> Callable[[], Posting] | None:
        clerk = self._storm.clerk
        match kind:
            case Kind.ACTIVATE:
                return partial(clerk.subscribe, user)
            case Kind.SUBSCRIBE:
                return partial(clerk.stop, user, _TWO_WAY)
            case Kind.STOP:
                return partial(clerk.pay, user)
            case Kind.PAY if self._storm.random.random() < _GIVES_BACK:
                return partial(clerk.unsubscribe, user)
            case _:
                return None


async def _kill_in_the_middle(storm: Storm, lives: _Lives) -> None:
    await until(
        lambda: lives.opened >= storm.options.users / 2,
        deadline_s=storm.options.minutes_max * 60,
        what="half of the users have come",
    )
    await storm.ward.kill_daemon()
