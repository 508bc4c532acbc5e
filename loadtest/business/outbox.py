"""What a business system has to tell its neighbours, kept until they took it.

One request at a time goes to a neighbour, with what gathered meanwhile: that keeps the order of
what concerns one user, and is fast. How many parcels there are is bounded by the orders that are
open (loadtest.business.paper): each has few under way. Who makes many waits for `room`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from loadtest.business.paper import To
from loadtest.business.system import Declined

BATCH_MAX: Final = 1_000
"""Parcels of one request; hlrd takes up to 10,000, and answers sooner when there are fewer."""

ROOM_PARCELS: Final = 20_000
"""Above it who makes many has to wait; at about 1 KB each, 20 MB."""

_AGAIN_S: Final = 0.25


class Parcel(Struct, frozen=True, gc=False):
    to: To
    path: str  #: of the neighbour's resource; hlrd has one for all
    body: Mapping[str, Any]
    is_awaited: bool = False  #: of hlrd: its answer is to come with the receipt, by the deadline


Deliver = Callable[[str, Sequence[Parcel]], Awaitable[Sequence[Any]]]
"""Path and parcels to the answers, each in its place; raises Declined."""


class Outbox:
    def __init__(
        self,
        deliver: Deliver,
        on_answer: Callable[[Parcel, Any], None],
        *,
        on_away: Callable[[Sequence[Parcel]], None] = lambda parcels: None,
    ) -> None:
        """`on_away` hears of what could not be delivered, at every try."""
        self.sent = 0
        self.tries_failed = 0
        self._deliver = deliver
        self._on_answer = on_answer
        self._on_away = on_away
        self._parcels: deque[Parcel] = deque()
        self._has_some = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        self._parcels.append(parcel)
        self._has_some.set()
        if len(self._parcels) >= ROOM_PARCELS:
            self._has_room.clear()

    async def room(self) -> None:
        await self._has_room.wait()

    async def run(self) -> None:
        """Until cancelled. Raises Declined for what the neighbour will never take."""
        while True:
            await self._has_some.wait()
            batch = self._next()
            answers = await self._delivered(batch)
            for _ in batch:
                self._parcels.popleft()
            self._signal()
            self.sent += len(batch)
            for parcel, answer in zip(batch, answers, strict=True):
                self._on_answer(parcel, answer)

    def _next(self) -> list[Parcel]:
        """Those at the front that go to one path; they stay until they are delivered."""
        batch: list[Parcel] = []
        for parcel in self._parcels:
            if parcel.path != self._parcels[0].path or len(batch) == BATCH_MAX:
                break
            batch.append(parcel)
        return batch

    async def _delivered(self, batch: Sequence[Parcel]) -> Sequence[Any]:
        while True:
            try:
                return await self._deliver(batch[0].path, batch)
            except Declined as declined:
                if declined.status < 500:
                    raise
                self.tries_failed += 1
                self._on_away(batch)
                await asyncio.sleep(_AGAIN_S)

    def _signal(self) -> None:
        if not self._parcels:
            self._has_some.clear()
        if len(self._parcels) < ROOM_PARCELS:
            self._has_room.set()
