"""Receipts as they come and on their way to endpoints, under the test's hand."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hlrd.domain.delivery import EndpointView
from hlrd.domain.errors import NotFound
from hlrd.domain.lifecycle import DeliveryState
from hlrd.store.deliveries import Listed, ReceiptRow

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class FakeFeed:
    """What is put comes at once; None ends it as a lost database does."""

    batches: asyncio.Queue[list[tuple[int, bytes]] | Exception] = field(
        default_factory=asyncio.Queue
    )
    followed: list[tuple[str, int]] = field(default_factory=list)
    open: int = 0

    async def follow(
        self, source: str, cursor: int
    ) -> AsyncGenerator[Sequence[tuple[int, bytes]], None]:
        self.followed.append((source, cursor))
        self.open += 1
        try:
            while True:
                batch = await self.batches.get()
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.open -= 1


def a_view(name: str) -> EndpointView:
    return EndpointView(
        name=name,
        source="ESOP",
        url="https://esop.example/receipts",
        is_default=True,
        state="away",
        failing_since=NOON.timestamp(),
        pending=3,
        dead=1,
        oldest_age_s=7.25,
        in_flight=0,
        cursor=412,
    )


def a_listed(seq: int, state: DeliveryState) -> Listed:
    return Listed(
        seq=seq,
        state=state,
        order=2**62,
        order_id="A1",
        kind="MEMBER_ACTIVATE",
        user_id="1",
        closed_at=NOON,
        failures=4,
        since=NOON,
        due_at=NOON,
        said="answered 422",
    )


def a_receipt_row(seq: int, state: DeliveryState | None = None) -> ReceiptRow:
    return ReceiptRow(
        seq=seq,
        is_final=True,
        closed_at=NOON,
        body=b'{"id":"%d"}' % seq,
        endpoint_id=state and 1,
        state=state,
        failures=state and 4,
        due_at=state and NOON,
        said=state and "answered 422",
    )


@dataclass
class FakeDeliveries:
    """One endpoint, `main` of ESOP; what is ordered again is kept."""

    default: str | None = "main"
    rows: list[ReceiptRow] = field(default_factory=list)
    dead: list[Listed] = field(default_factory=list)
    ordered: list[tuple[object, ...]] = field(default_factory=list)
    delivered: DeliveryState | None = DeliveryState.DELIVERED

    async def endpoints(self) -> list[EndpointView]:
        return [a_view("main")]

    def endpoint_of(self, source: str, reply_to: str | None) -> str | None:
        return reply_to or self.default

    async def receipts_of(self, order: int) -> list[ReceiptRow]:
        return self.rows

    def delivered_to(self, name: str, seq: int) -> DeliveryState | None:
        return self.delivered

    async def listed(self, name: str, state: DeliveryState, after: int, most: int) -> list[Listed]:
        self._known(name)
        return [one for one in self.dead if one.seq > after and one.state is state][:most]

    async def redeliver(self, name: str, seqs: Sequence[int]) -> int:
        self._known(name)
        self.ordered.append((name, list(seqs)))
        return len(seqs)

    async def redeliver_dead(self, name: str) -> int:
        self._known(name)
        self.ordered.append((name, "dead"))
        return 2

    async def redeliver_span(self, name: str, since: datetime, until: datetime) -> int:
        self._known(name)
        self.ordered.append((name, since, until))
        return 3

    def _known(self, name: str) -> None:
        if name != "main":
            raise NotFound("ENDPOINT_UNKNOWN", "no receipt endpoint has this name")
