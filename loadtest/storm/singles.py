"""Single urgent orders that go on whatever else happens: somebody opens a user at the counter and
waits (sync), has his card replaced, has paid. An open model: they come at Poisson times, whether or
not the earlier ones are done.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from loadtest.storm.orders import Clerk, Plan, Posting, User
from loadtest.storm.upstreams import Upstreams

DEADLINE_MS: Final = 5_000
"""How long the one at the counter waits; then his order goes on without him."""

IN_FLIGHT_MAX: Final = 2_000
"""Requests at once; more would be a client that is broken."""


@dataclass(slots=True)
class Customers:
    """Who comes: new users, those whose card is damaged, those who owe and pay. Each comes once."""

    new: Iterator[tuple[User, Plan]]
    damaged: Iterator[User]
    owing: Iterator[User]


class Singles:
    def __init__(
        self, upstreams: Upstreams, clerk: Clerk, customers: Customers, random: Random
    ) -> None:
        self._upstreams = upstreams
        self._clerk = clerk
        self._customers = customers
        self._random = random
        self._turn = 0
        self.under_way = 0
        self.turned_away = 0  #: as there was nobody left of a sort

    async def go_on(self, per_s: float, is_over: Callable[[], bool]) -> None:
        """Returns when it is over and the last one that came has its answer."""
        due_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            while not is_over():
                due_s += self._random.expovariate(per_s)
                await asyncio.sleep(due_s - time.monotonic())
                posting = self._next()
                if posting is None or self.under_way >= IN_FLIGHT_MAX:
                    self.turned_away += 1
                else:
                    tasks.create_task(self._post(posting, due_s))

    async def _post(self, posting: Posting, due_s: float) -> None:
        self.under_way += 1
        await self._upstreams.post_one(posting, due_s=due_s)
        self.under_way -= 1

    def _next(self) -> Posting | None:
        """Of each sort in turn."""
        self._turn += 1
        customers = self._customers
        if self._turn % 3 == 0:
            found = next(customers.new, None)
            if found is None:
                return None
            self._upstreams.users[found[0].id] = found[0]
            return self._clerk.open(*found, deadline_ms=DEADLINE_MS)
        user = next(customers.damaged if self._turn % 3 == 1 else customers.owing, None)
        if user is None:
            return None
        return self._clerk.replace(user) if self._turn % 3 == 1 else self._clerk.pay(user)
