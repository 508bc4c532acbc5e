"""One run of orders from an upstream system: post them all, and wait for every receipt."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.client import Upstream
from loadtest.generate import Batch, Latency
from loadtest.process import StackError, beside, until
from loadtest.proof import Bound

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
_ROOM_S: Final = 120.0
_ROOM_POLL_S: Final = 0.005


class Unfinished(StackError):
    """The deadline came before the last receipt."""


@dataclass(slots=True)
class Book:
    """What upstream knows of its orders."""

    posted: dict[str, float] = field(default_factory=dict)  #: intended time by order id, monotonic
    accepted: set[str] = field(default_factory=set)
    receipts: dict[str, Bound | None] = field(default_factory=dict)  #: final; None: failed
    receipts_repeated: int = 0  #: delivered again; at least once is the promise
    trouble: dict[str, Mapping[str, Any]] = field(default_factory=dict)  #: failed or in fallout
    latency: Latency = field(default_factory=Latency)
    started_s: float = 0.0
    finished_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        return self.finished_s - self.started_s

    @property
    def open(self) -> int:
        return len(self.accepted) - len(self.receipts)

    def missing(self) -> str:
        """For the person who reads that a run did not finish."""
        unanswered = [order for order in self.posted if order not in self.accepted]
        unclosed = [order for order in self.accepted if order not in self.receipts]
        named = ", ".join((unanswered + unclosed)[:5])
        return (
            f"{len(unanswered)} orders without an answer, {len(unclosed)} without a receipt,"
            f" {len(self.trouble)} failed or in fallout: {named}"
        )

    def take(self, receipt: Mapping[str, Any]) -> None:
        order_id, result = receipt["order_id"], receipt["result"]
        if order_id not in self.posted:
            return
        if order_id in self.receipts:
            self.receipts_repeated += 1
            return
        if result == SUCCEEDED:
            self._close(order_id, Bound(receipt["msisdn"], receipt["imsi"], receipt["iccid"]))
            self.trouble.pop(order_id, None)
        else:
            self.trouble[order_id] = receipt
            if result == FAILED:
                self._close(order_id, None)

    def _close(self, order_id: str, bound: Bound | None) -> None:
        self.receipts[order_id] = bound
        self.finished_s = time.monotonic()
        self.latency.record(self.finished_s - self.posted[order_id])


class Workload:
    """`posters` requests are in flight at most, and no batch is posted while `open_max` orders or
    more are accepted and not closed. A batch with a due time counts its latency from that, one due
    at 0 from its first post.
    """

    def __init__(
        self,
        upstream: Upstream,
        batches: Iterable[Batch],
        *,
        posters: int = 8,
        open_max: int | None = None,
        book: Book | None = None,
    ) -> None:
        self.book = book or Book()
        self.upstream = upstream
        self._batches = iter(batches)
        self._posters = posters
        self._open_max = open_max

    async def run(
        self, *, deadline_s: float, on_progress: Callable[[Book], None] = lambda book: None
    ) -> Book:
        """Raises Unfinished with what is missing."""
        self.book.started_s = time.monotonic()
        following = self.upstream.follow(self.book.take)
        try:
            async with asyncio.timeout(deadline_s), beside(following, self._watch(on_progress)):
                await asyncio.gather(*(self._post_batches() for _ in range(self._posters)))
                await until(
                    lambda: len(self.book.receipts) >= len(self.book.posted),
                    deadline_s=deadline_s,
                    what="every order has its receipt",
                )
        except TimeoutError:
            raise Unfinished(f"after {deadline_s:.0f} s: {self.book.missing()}") from None
        finally:
            on_progress(self.book)
        return self.book

    def halt(self) -> None:
        """Post no more; `run` returns when what was posted has its receipts."""
        self._batches = iter(())

    async def _post_batches(self) -> None:
        while True:
            await until(
                self._has_room, deadline_s=_ROOM_S, what="orders close", poll_s=_ROOM_POLL_S
            )
            batch = next(self._batches, None)
            if batch is None:
                return
            await self._post(batch)

    def _has_room(self) -> bool:
        return self._open_max is None or self.book.open < self._open_max

    async def _post(self, batch: Batch) -> None:
        intended_s = time.monotonic()
        if batch.due_s:
            intended_s = self.book.started_s + batch.due_s
            await asyncio.sleep(intended_s - time.monotonic())
        self.book.posted.update(dict.fromkeys((order for order, _ in batch.orders), intended_s))
        self.book.accepted.update(await self.upstream.post(batch.orders))

    async def _watch(self, on_progress: Callable[[Book], None]) -> None:
        while True:
            on_progress(self.book)
            await asyncio.sleep(0.1)
