"""One run of orders from an upstream system: post them all, and wait for every receipt."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.client import Line, Upstream
from loadtest.generate import Batch, Latency
from loadtest.process import StackError, until
from loadtest.proof import Bound

SUCCEEDED: Final = "succeeded"
_FINAL: Final = frozenset({SUCCEEDED, "failed"})


class Unfinished(StackError):
    """The deadline came before the last receipt."""


@dataclass(slots=True)
class Book:
    """What upstream knows of its orders."""

    posted: dict[str, float] = field(default_factory=dict)  #: intended time by order id, monotonic
    accepted: dict[str, Line] = field(default_factory=dict)
    receipts: dict[str, Mapping[str, Any]] = field(default_factory=dict)  #: final ones
    receipts_repeated: int = 0  #: delivered again; at least once is the promise
    fallouts: set[str] = field(default_factory=set)
    latency: Latency = field(default_factory=Latency)
    started_s: float = 0.0
    finished_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        return self.finished_s - self.started_s

    def bound(self) -> dict[str, Bound | None]:
        """What each final receipt says; None where the order did not succeed."""
        return {
            order_id: Bound(receipt["msisdn"], receipt["imsi"], receipt["iccid"])
            if receipt["result"] == SUCCEEDED
            else None
            for order_id, receipt in self.receipts.items()
        }

    def missing(self) -> str:
        """For the person who reads that a run did not finish."""
        unanswered = [order for order in self.posted if order not in self.accepted]
        unclosed = [order for order in self.accepted if order not in self.receipts]
        named = ", ".join((unanswered + unclosed)[:5])
        return (
            f"{len(unanswered)} orders without an answer, {len(unclosed)} without a receipt,"
            f" {len(self.fallouts)} in fallout: {named}"
        )

    def take(self, receipt: Mapping[str, Any]) -> None:
        order_id = receipt["order_id"]
        if order_id not in self.posted:
            return
        if receipt["result"] not in _FINAL:
            self.fallouts.add(order_id)
        elif order_id in self.receipts:
            self.receipts_repeated += 1
        else:
            self.receipts[order_id] = receipt
            self.fallouts.discard(order_id)
            self.finished_s = time.monotonic()
            self.latency.record(self.finished_s - self.posted[order_id])


class Workload:
    """`posters` requests are in flight at most. A batch with a due time counts its latency from it,
    one without (all due at 0) from its first post."""

    def __init__(self, upstream: Upstream, batches: Sequence[Batch], *, posters: int = 8) -> None:
        self.book = Book()
        self.orders = sum(len(batch.orders) for batch in batches)
        self._upstream = upstream
        self._batches: Iterator[Batch] = iter(batches)
        self._posters = posters

    async def run(
        self, *, deadline_s: float, on_progress: Callable[[Book], None] = lambda book: None
    ) -> Book:
        """Raises Unfinished with what is missing."""
        self.book.started_s = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
                follower = tasks.create_task(self._upstream.follow(self.book.take))
                watcher = tasks.create_task(self._watch(on_progress))
                await asyncio.gather(*(self._post_batches() for _ in range(self._posters)))
                await until(
                    lambda: len(self.book.receipts) >= self.orders,
                    deadline_s=deadline_s,
                    what="every order has its receipt",
                )
                follower.cancel()
                watcher.cancel()
        except TimeoutError:
            raise Unfinished(f"after {deadline_s:.0f} s: {self.book.missing()}") from None
        finally:
            with suppress(Exception):
                on_progress(self.book)
        return self.book

    async def _post_batches(self) -> None:
        for batch in self._batches:
            await self._post(batch)

    async def _post(self, batch: Batch) -> None:
        intended_s = time.monotonic()
        if batch.due_s:
            intended_s = self.book.started_s + batch.due_s
            await asyncio.sleep(intended_s - time.monotonic())
        self.book.posted.update(dict.fromkeys((order for order, _ in batch.orders), intended_s))
        self.book.accepted.update(await self._upstream.post(batch.orders))

    async def _watch(self, on_progress: Callable[[Book], None]) -> None:
        while True:
            on_progress(self.book)
            await asyncio.sleep(0.1)
