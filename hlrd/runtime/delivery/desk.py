"""The endpoints of all sources: started, reloaded, ended; shown to staff, told to send again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog

from hlrd import limits, metrics
from hlrd.domain.delivery import Endpoint, Endpoints, EndpointView
from hlrd.domain.errors import Conflict, NotFound
from hlrd.domain.lifecycle import DeliveryState
from hlrd.engine.outbox import Outbox
from hlrd.ports import Clock
from hlrd.runtime.delivery.ledger import Ledger
from hlrd.runtime.delivery.sender import Registration, Sender
from hlrd.runtime.delivery.worker import Worker
from hlrd.store import deliveries
from hlrd.store.connection import Connection, Pool
from hlrd.store.deliveries import DeliveryReader, Listed, ReceiptRow, Registered
from hlrd.store.errors import StoreUnavailable

_COUNT_EVERY_S: Final = 10.0
_GAUGES: Final = (
    metrics.DELIVERIES_PENDING,
    metrics.DELIVERIES_OLDEST_AGE,
    metrics.DELIVERIES_DEAD,
    metrics.ENDPOINT_AWAY,
)
_log: Final = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Post:
    """What one endpoint has here."""

    registered: Registered
    worker: Worker
    running: asyncio.Task[None]
    pending: int = 0  #: as last counted
    dead: int = 0

    @property
    def outbox(self) -> Outbox:
        return self.worker.outbox


class DeliveryDesk:
    """`adopt` the endpoints of the settings as often as they change, and keep `run` running."""

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        *,
        node: str,
        epoch: int,
        endpoints: Endpoints,
        durable_up_to: Callable[[], int],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        """`endpoints`: told which of them orders may name, once they are registered."""
        self._reader = DeliveryReader(pool)
        self._ledger = Ledger(dsn, node=node, epoch=epoch)
        self._node = node
        self._endpoints = endpoints
        self._durable_up_to = durable_up_to
        self._clock = clock
        self._chance = chance
        self._posts: dict[tuple[str, str], _Post] = {}
        self._by_source: dict[str, list[_Post]] = {}
        self._wanted: Sequence[Registration] = ()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()

    def adopt(self, registrations: Sequence[Registration]) -> None:
        """These are all from now on; one that wanted no more is tried again."""
        self._wanted = registrations
        self._ready.clear()
        self._changed.set()

    async def ready(self) -> None:
        """Wait until what was adopted is at work."""
        await self._ready.wait()

    def arrived(self, sources: Iterable[str]) -> None:
        """Receipts of these sources became durable."""
        for source in sources:
            for post in self._by_source.get(source, ()):
                post.worker.wake()

    async def run(self) -> None:
        """For ever. Ends by Fenced or a bug."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ledger.run())
                group.create_task(self._keep_counting())
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._configure(group)
        finally:
            self._ledger.close()

    async def drain(self, timeout_s: float) -> None:
        """What is under way may still end for so long; what is settled becomes durable."""
        ends = (post.worker.end(timeout_s) for post in self._posts.values())
        await asyncio.gather(*ends)
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.STORE_TIMEOUT_S):
                await self._ledger.flush()

    # Endpoints of the settings.

    async def _configure(self, group: asyncio.TaskGroup) -> None:
        wanted = {_key(one.endpoint): one for one in self._wanted}
        for key in [key for key in self._posts if key not in wanted]:
            await self._close(self._posts.pop(key))
        for key, registration in wanted.items():
            if key in self._posts:
                self._change(self._posts[key], registration)
            else:
                self._posts[key] = await self._open(group, registration)
        self._by_source = {}
        for post in self._posts.values():
            self._by_source.setdefault(post.outbox.endpoint.source, []).append(post)
        self._endpoints.configure(post.outbox.endpoint for post in self._posts.values())
        self._ready.set()

    async def _open(self, group: asyncio.TaskGroup, registration: Registration) -> _Post:
        endpoint = registration.endpoint
        registered = await self._ledger.stubbornly(
            partial(deliveries.register, endpoint, self._durable_up_to())
        )
        outbox = Outbox(
            endpoint,
            cursor=registered.cursor,
            chance=self._chance,
            failing_since=registered.failing_since,
        )
        self._ledger.outboxes[registered.id] = outbox
        outbox.has_more_rows = True
        worker = Worker(
            outbox,
            Sender(registration, node=self._node),
            reader=self._reader,
            load_rows=partial(self._load_rows, registered.id, outbox),
            durable_up_to=self._durable_up_to,
            clock=self._clock,
        )
        outbox.skip(await self._beyond(registered))
        return _Post(registered, worker, group.create_task(worker.run()))

    async def _beyond(self, registered: Registered) -> list[int]:
        return await self._ledger.stubbornly(
            partial(deliveries.beyond, registered.id, registered.cursor)
        )

    def _change(self, post: _Post, registration: Registration) -> None:
        post.worker.sender.registration = registration
        post.outbox.reopen(registration.endpoint)
        post.worker.wake()

    async def _close(self, post: _Post) -> None:
        """It may come back: then it goes on from where it is now."""
        await post.worker.end(post.outbox.endpoint.timeout_s)
        await self._ledger.flush()
        del self._ledger.outboxes[post.registered.id]
        post.running.cancel()
        for gauge in _GAUGES:
            gauge.remove(post.outbox.endpoint.name)

    async def _load_rows(self, id: int, outbox: Outbox) -> None:
        most = limits.DELIVERIES_HELD_MAX
        async with self._ledger.settled():
            rows = await self._reader.rows(id, most)
            outbox.add_rows(rows)
            outbox.has_more_rows = len(rows) == most

    # Counting.

    async def _keep_counting(self) -> None:
        while True:
            try:
                await self._count()
            except StoreUnavailable as error:
                _log.warning("deliveries_not_counted", error=str(error))
            await asyncio.sleep(_COUNT_EVERY_S)

    async def _count(self) -> None:
        dead = await self._reader.dead()
        for post in list(self._posts.values()):
            post.dead = dead.get(post.registered.id, 0)
            post.pending = await self._pending(post.outbox)
            shown = self._view(post)
            metrics.DELIVERIES_DEAD.labels(shown.name).set(shown.dead)
            metrics.DELIVERIES_PENDING.labels(shown.name).set(shown.pending)
            metrics.DELIVERIES_OLDEST_AGE.labels(shown.name).set(shown.oldest_age_s)

    async def _pending(self, outbox: Outbox) -> int:
        """Those here are counted first: what is read on meanwhile would count twice."""
        here, read_to = outbox.waiting, outbox.read_to
        return here + await self._reader.unread(outbox.endpoint.source, read_to)

    # What staff and sources ask for.

    async def endpoints(self) -> list[EndpointView]:
        await self._count()
        return [self._view(post) for post in self._posts.values()]

    async def listed(self, name: str, state: DeliveryState, after: int, most: int) -> list[Listed]:
        """Deliveries of an endpoint, the oldest first; NotFound for the endpoint."""
        return await self._reader.listed(self._post(name).registered.id, state, after, most)

    async def receipts_of(self, order: int) -> list[ReceiptRow]:
        return await self._reader.of_order(order)

    def endpoint_of(self, source: str, reply_to: str | None) -> str | None:
        """Which one gets the receipts of an order; None: they are fetched only."""
        for post in self._by_source.get(source, ()):
            endpoint = post.outbox.endpoint
            if endpoint.name == reply_to or (reply_to is None and endpoint.is_default):
                return endpoint.name
        return None

    def delivered_to(self, name: str, seq: int) -> DeliveryState | None:
        """What became of a receipt that has no row; None: it came before the endpoint."""
        post = self._post(name)
        if seq <= post.registered.since_seq:
            return None
        return DeliveryState.DELIVERED if seq <= post.outbox.cursor else DeliveryState.PENDING

    async def redeliver(self, name: str, seqs: Sequence[int]) -> int:
        """Send these again; how many. What was never tried goes anyway and does not count."""
        post = self._post(name)
        return len(await self._again(post, partial(deliveries.redeliver, seqs)))

    async def redeliver_dead(self, name: str) -> int:
        """Send all dead ones again, up to REDELIVERY_RECEIPTS_MAX."""
        post = self._post(name)
        slice_ = limits.REDELIVERY_SLICE
        count, after = 0, 0
        while count < limits.REDELIVERY_RECEIPTS_MAX:
            found = await self._again(post, partial(deliveries.redeliver_dead, after, slice_))
            count += len(found)
            if len(found) < slice_:
                break
            after = found[-1]
        return count

    async def redeliver_span(self, name: str, since: datetime, until: datetime) -> int:
        """Send again whatever of it was closed in that time. Conflict if it is too much."""
        post = self._post(name)
        seqs = await self._closed_within(post, since, until)
        count = 0
        for start in range(0, len(seqs), limits.REDELIVERY_SLICE):
            count += await self.redeliver(name, seqs[start : start + limits.REDELIVERY_SLICE])
        return count

    async def _closed_within(self, post: _Post, since: datetime, until: datetime) -> list[int]:
        last = post.outbox.cursor
        first = max(await self._reader.first_from(since, last), post.registered.since_seq + 1)
        end = await self._reader.first_from(until, last)
        seqs: list[int] = []
        after = first - 1
        while after < end - 1:
            page = await self._reader.page(
                post.outbox.endpoint, after, end - 1, limits.RECEIPTS_PAGE_MAX
            )
            seqs += [receipt.seq for receipt in page.receipts]
            if len(seqs) > limits.REDELIVERY_RECEIPTS_MAX:
                most = limits.REDELIVERY_RECEIPTS_MAX
                text = f"more than {most:,} receipts; order a shorter time"
                raise Conflict("REDELIVERY_TOO_LARGE", text, "until")
            if not page.read:
                break
            after = page.last
        return seqs

    async def _again(
        self, post: _Post, work: Callable[[int, datetime, Connection], Awaitable[list[int]]]
    ) -> list[int]:
        """Whatever becomes of the asker: the worker reads what waits once more."""
        try:
            return await self._ledger.once(
                lambda connection: work(post.registered.id, self._clock.wall(), connection)
            )
        finally:
            post.outbox.has_more_rows = True
            post.worker.wake()

    def _post(self, name: str) -> _Post:
        for post in self._posts.values():
            if post.outbox.endpoint.name == name:
                return post
        raise NotFound("ENDPOINT_UNKNOWN", "no receipt endpoint has this name")

    def _view(self, post: _Post) -> EndpointView:
        outbox, endpoint = post.outbox, post.outbox.endpoint
        now = self._clock.wall().timestamp()
        return EndpointView(
            name=endpoint.name,
            source=endpoint.source,
            url=_shown(endpoint.url),
            is_default=endpoint.is_default,
            state=outbox.state(now),
            failing_since=outbox.failing_since,
            pending=post.pending,
            dead=post.dead,
            oldest_age_s=max(0.0, now - (outbox.oldest or now)),
            in_flight=outbox.in_flight,
            cursor=outbox.cursor,
        )


def _key(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.source, endpoint.name


def _shown(url: str) -> str:
    """Some sites keep a token in the query."""
    return urlsplit(url)._replace(query="").geturl()
