"""How the registry and the BBOSS have an hlrd carry changes out: as orders on a kept channel,
posted until they are taken, their receipts followed past a cursor. hlrd may restart at any time,
and so may they: an order's id follows from its change.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from loadtest.business.message import Messages
from loadtest.business.northbound import Account, Channel
from loadtest.business.northbound import Order as Receipt
from loadtest.client import Line, Refused
from loadtest.faults import Fault, Faults
from loadtest.forward import Ending
from loadtest.record import Record
from loadtest.relay import orders
from loadtest.relay.orders import Order

BATCH_ORDERS_MAX: Final = 500
"""In one request."""

FALLOUT: Final = "fallout"
"""An interim receipt: a person looks at it, and whoever waits goes on waiting."""

NAMES: Final = {
    "PARTNER_PRODUCT_PUBLISH": "发布到配合省",
    "PARTNER_MEMBER_IMPORT": "配合省成员下发",
}

_REQUEST_LOST: Final = frozenset({Fault.CUT_BEFORE, Fault.HANG})
_ANSWER_LOST: Final = frozenset(
    {Fault.WITHHOLD, Fault.CUT_AFTER, Fault.GARBAGE, Fault.WRONG_ECHO, Fault.RESTART}
)


@dataclass(frozen=True, slots=True)
class HLRD:
    """Whom to order of."""

    url: str
    account: Account
    party: str  #: what messages call it


@dataclass(slots=True)
class Change:
    """A change that is to be carried out, and how far its order has come."""

    resource: str
    key: str
    order: Order | None = field(repr=False)  #: without id; it may have a secret
    order_id: str = ""
    kind: str = ""
    failures: int = 0  #: orders for it that had failed when it came
    is_taken: bool = False  #: the order was answered
    receipt: Receipt | None = None  #: that came before the answer


@dataclass(frozen=True, slots=True)
class Origin:
    """Who orders. `faults` befall the orders on their way, by their kinds."""

    party: str
    messages: Messages
    faults: Faults
    record: Record


@dataclass(frozen=True, slots=True)
class Heard:
    """Whom an `Onward` tells what it learns."""

    taken: Callable[[str, str, str], object]  #: resource, key, order id: hlrd has the order
    ended: Callable[[str, str, Ending], object]
    moved: Callable[[str], object]  #: to this cursor: what was told before it is not told again


class Onward:
    """`start`, `add` as often as there are changes, `close`."""

    def __init__(
        self,
        hlrd: HLRD,
        heard: Heard,
        origin: Origin,
        *,
        every_s: float,
        again_s: float | None = None,
    ) -> None:
        """`every_s`: when what was lost is sent again; `again_s`: when what failed is, None: never,
        it has ended."""
        self._hlrd = hlrd
        self._heard = heard
        self._origin = origin
        self._faults = origin.faults
        self._record = origin.record
        self._every_s = every_s
        self._again_s = again_s
        self._loop = asyncio.get_running_loop()
        self._changes: dict[str, Change] = {}  #: by resource
        self._by_order: dict[str, Change] = {}
        self._ready: dict[str, tuple[Change, Fault | None]] = {}
        self._has_ready = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self._channel: Channel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.cursor = "0"  #: of the last receipts taken, to start from

    def start(self, failed: Callable[[BaseException], object]) -> None:
        """`failed` is told what ended it: an account that hlrd refuses."""
        self._http = aiohttp.ClientSession()
        self._channel = Channel(
            self._http,
            self._hlrd.url,
            party=self._origin.party,
            account=self._hlrd.account,
            messages=self._origin.messages,
            hlrd=self._hlrd.party,
            names=NAMES,
        )
        self._channel.upstream.cursor = self.cursor
        works = (self._channel.run(self._take), self._post(self._channel))
        self._tasks = [self._loop.create_task(work) for work in works]
        for task in self._tasks:
            task.add_done_callback(lambda done: _tell_failure(done, failed))

    def add(self, resource: str, key: str, order: Order) -> None:
        """One for each resource at a time; who adds bounds how many there are."""
        self._await(Change(resource, key, order, kind=order["type"]))
        self._offer(self._changes[resource])

    def await_receipt(self, resource: str, key: str, order_id: str) -> None:
        """Of an order that was taken before a restart."""
        self._await(Change(resource, key, None, order_id, is_taken=True))
        self._by_order[order_id] = self._changes[resource]

    async def close(self) -> None:
        """What is on its way stays where it is."""
        self._changes.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._channel is not None and self._http is not None:
            await self._channel.close()
            await self._http.close()

    def state(self) -> Mapping[str, int]:
        return {"orders_open": len(self._changes), "orders_to_post": len(self._ready)}

    def _await(self, change: Change) -> None:
        assert change.resource not in self._changes, change.resource
        self._changes[change.resource] = change

    # --- posting -----------------------------------------------------------------------------

    def _offer(self, change: Change) -> None:
        """As soon as it would have come there."""
        fault = None if self._faults.is_calm else self._faults.befalls_sent(change.kind)
        delay_s = self._faults.latency_s(change.kind, fault)
        if fault in _REQUEST_LOST:
            self._record.served(change.kind, change.kind, "", fault or "")
            self._later(self._every_s, change)
        elif delay_s > 0.0:
            self._loop.call_later(delay_s, self._make_ready, change, fault)
        else:
            self._make_ready(change, fault)

    def _later(self, delay_s: float, change: Change) -> None:
        self._loop.call_later(delay_s, self._offer_again, change)

    def _offer_again(self, change: Change) -> None:
        if self._is_awaited(change):
            self._offer(change)

    def _make_ready(self, change: Change, fault: Fault | None) -> None:
        if self._is_awaited(change):
            self._ready[change.resource] = change, fault
            self._has_ready.set()

    def _is_awaited(self, change: Change) -> bool:
        return self._changes.get(change.resource) is change

    async def _post(self, channel: Channel) -> None:
        while True:
            await self._has_ready.wait()
            batch = list(self._ready.values())[:BATCH_ORDERS_MAX]
            for change, _ in batch:
                del self._ready[change.resource]
            if not self._ready:
                self._has_ready.clear()
            await self._post_batch(channel, batch)

    async def _post_batch(self, channel: Channel, batch: list[tuple[Change, Fault | None]]) -> None:
        try:
            lines = await channel.post([self._made(change) for change, _ in batch])
        except Refused:  # the whole request: by something between, or a daemon that is not ready
            for change, _ in batch:
                self._later(self._every_s, change)
            return
        for change, fault in batch:
            self._answered(change, lines[change.order_id], fault)

    def _made(self, change: Change) -> Order:
        assert change.order is not None, "it was taken"
        order_id = orders.order_id_of(change.resource, change.key, change.failures)
        change.order_id = order_id
        self._by_order[order_id] = change
        return {"order_id": order_id, "operator_id": self._hlrd.account.user, **change.order}

    def _answered(self, change: Change, line: Line, fault: Fault | None) -> None:
        code = line.state if line.refusal is None else line.refusal.code
        self._record.served(change.kind, f"{change.kind} {line.order_id}", code, fault or "")
        if fault in _ANSWER_LOST:
            self._later(self._every_s, change)
        elif line.refusal is not None:
            assert change.order is not None, "it was not taken before"
            self._end(change, orders.ending_of_line(change.order, line))
        else:
            self._taken(change, line.receipt or change.receipt, is_repeat=line.repeated)

    def _taken(self, change: Change, receipt: Receipt | None, *, is_repeat: bool) -> None:
        if receipt is not None and receipt["result"] == "failed" and is_repeat:
            self._try_anew(change)
        elif receipt is not None and receipt["result"] != FALLOUT:
            self._end(change, orders.ending_of(receipt))
        else:
            change.is_taken = True
            change.order = change.order if self._again_s is not None else None
            self._heard.taken(change.resource, change.key, change.order_id)

    def _try_anew(self, change: Change) -> None:
        """An earlier order for the same had failed: it says nothing of this one."""
        self._by_order.pop(change.order_id, None)
        change.failures += 1
        change.receipt = None
        self._offer(change)

    # --- receipts ----------------------------------------------------------------------------

    def _take(self, receipt: Receipt) -> None:
        assert self._channel is not None, "it was started"
        change = self._by_order.get(receipt["order_id"])
        if change is not None and receipt["result"] != FALLOUT:
            self._close_by(change, receipt)
        if self.cursor != self._channel.upstream.cursor:
            self.cursor = self._channel.upstream.cursor
            self._heard.moved(self.cursor)

    def _close_by(self, change: Change, receipt: Receipt) -> None:
        if change.is_taken:
            self._end(change, orders.ending_of(receipt))
        else:
            change.receipt = receipt  # the answer is still to come, and tells whether it is ours

    def _end(self, change: Change, ending: Ending) -> None:
        self._by_order.pop(change.order_id, None)
        if ending is not None and self._again_s is not None:
            change.is_taken, change.receipt = False, None
            self._later(self._again_s, change)
            return
        del self._changes[change.resource]
        self._heard.ended(change.resource, change.key, ending)


def _tell_failure(task: asyncio.Task[None], failed: Callable[[BaseException], object]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failed(error)
