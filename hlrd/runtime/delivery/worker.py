"""Delivers to one endpoint: reads what is new and sends as much at once as the endpoint takes."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

import structlog

from hlrd import limits, metrics
from hlrd.domain.delivery import Content, Outgoing, Reception, Reply
from hlrd.domain.lifecycle import DeliveryState
from hlrd.engine.outbox import Outbox
from hlrd.ports import Clock
from hlrd.runtime.delivery.sender import Sender
from hlrd.store.deliveries import DeliveryReader
from hlrd.store.errors import StoreUnavailable

_LOOK_S: Final = 1.0  #: at most between two looks at what is due
_GATHER_S: Final = 0.02  #: between two readings, however often receipts arrive

_RESULTS: Final = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "failed",
    DeliveryState.DEAD: "dead",
}
_NOT_THERE: Final = Reply(Reception.REFUSED, "the receipt is not in the journal any more")

_log: Final = structlog.get_logger(__name__)


class Worker:
    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        *,
        reader: DeliveryReader,
        load_rows: Callable[[], Awaitable[None]],
        durable_up_to: Callable[[], int],
        clock: Clock,
    ) -> None:
        self.outbox = outbox
        self.sender = sender
        self._reader = reader
        self._load_rows = load_rows
        self._durable_up_to = durable_up_to
        self._clock = clock
        self._has_work = asyncio.Event()
        self._is_ending = False
        self._couriers: set[asyncio.Task[None]] = set()
        name = outbox.endpoint.name
        self._results = {
            state: metrics.DELIVERIES.labels(name, result) for state, result in _RESULTS.items()
        }
        self._duration = metrics.DELIVERY_DURATION.labels(name)
        self._was = "open"
        metrics.ENDPOINT_AWAY.labels(name).set(0)

    def wake(self) -> None:
        """Something is new, due or allowed."""
        self._has_work.set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then may go once more after the next start."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._turn(group)
        finally:
            await self.sender.close()

    async def end(self, timeout_s: float) -> None:
        """Start nothing more; what is under way may still end for so long."""
        self._is_ending = True
        if self._couriers:
            await asyncio.wait(self._couriers, timeout=timeout_s)

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        self._has_work.clear()
        has_read = False
        try:
            has_read = await self._fill()
        except StoreUnavailable as error:
            _log.warning("receipts_not_read", endpoint=self._name, error=str(error))
        self._start(group, self._take())
        if has_read:
            await asyncio.sleep(_GATHER_S)
        else:
            await self._rest()

    async def _rest(self) -> None:
        now = self._now()
        due = self.outbox.next_due(now)
        rest_s = _LOOK_S if due is None else min(_LOOK_S, max(0.0, due - now))
        try:
            async with asyncio.timeout(rest_s):
                await self._has_work.wait()
        except TimeoutError:
            pass

    # Reading.

    async def _fill(self) -> bool:
        """Whether there was anything to read."""
        outbox = self.outbox
        if outbox.has_room_for_rows:
            await self._load_rows()
        self._expire()
        has_read = False
        while (room := outbox.room) and outbox.read_to < (mark := self._durable_up_to()):
            most = min(room, limits.RECEIPTS_PAGE_MAX)
            page = await self._reader.page(outbox.endpoint, outbox.read_to, mark, most)
            if not page.read:
                outbox.nothing_up_to(mark)
                break
            has_read = True
            is_last = page.read < most
            outbox.add_page(page.receipts, mark if is_last else page.last)
            self._expire()
            if is_last:
                break
        return has_read

    def _expire(self) -> None:
        dead = self.outbox.expire(self._now())
        if dead:
            self._results[DeliveryState.DEAD].inc(dead)
            _log.error("receipts_dead", endpoint=self._name, receipts=dead)

    # Sending.

    def _take(self, most: int | None = None) -> list[Outgoing]:
        return [] if self._is_ending else self.outbox.take(self._now(), most)

    def _start(self, group: asyncio.TaskGroup, receipts: list[Outgoing]) -> None:
        for receipt in receipts:
            courier = group.create_task(self._carry(receipt))
            self._couriers.add(courier)
            courier.add_done_callback(self._couriers.discard)

    async def _carry(self, receipt: Outgoing) -> None:
        """This receipt and, while there is one, the next: a burst costs a task per connection."""
        taken = [receipt]
        while taken:
            self._settle(taken[0], await self._try(taken[0]))
            taken = self._take(1)
        self.wake()

    async def _try(self, receipt: Outgoing) -> Reply:
        content = receipt.content or await self._read(receipt)
        if content is None:
            return _NOT_THERE
        started = perf_counter()
        reply = await self.sender.send(receipt, content)
        self._duration.observe(perf_counter() - started)
        return reply

    async def _read(self, receipt: Outgoing) -> Content | None:
        while True:
            try:
                return (await self._reader.contents([receipt.seq])).get(receipt.seq)
            except StoreUnavailable:
                await asyncio.sleep(_LOOK_S)

    def _settle(self, receipt: Outgoing, reply: Reply) -> None:
        now = self._now()
        state = self.outbox.settle(receipt, reply, now)
        self._results[state].inc()
        if state is DeliveryState.DEAD:
            _log.error("receipt_dead", endpoint=self._name, receipt=receipt.seq, said=reply.said)
        self._tell(self.outbox.state(now), reply)
        if self.outbox.in_flight + 1 < self.outbox.endpoint.in_flight_max:
            self.wake()

    def _tell(self, state: str, reply: Reply) -> None:
        """Once when it changes: an endpoint that is away fails often."""
        if state == self._was:
            return
        self._was = state
        metrics.ENDPOINT_AWAY.labels(self._name).set(state != "open")
        log = _log.info if state == "open" else _log.warning
        log("receipt_endpoint", endpoint=self._name, state=state, said=reply.said)

    @property
    def _name(self) -> str:
        return self.outbox.endpoint.name

    def _now(self) -> float:
        return self._clock.wall().timestamp()
