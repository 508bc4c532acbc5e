"""What the API asks of the rest of hlrd, each as small as its routes need.

Whatever is read here may already be out of date when the client sees it, except that an order an
`Intake` answered without a refusal is durable.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hlrd.domain.audit import Head, Row
from hlrd.domain.batch import Posting
from hlrd.domain.delivery import EndpointView
from hlrd.domain.fallout import Act, Chosen
from hlrd.domain.identity import ICCID, MSISDN, Binding
from hlrd.domain.lifecycle import BatchEvent, DeliveryState, MoveEvent
from hlrd.domain.master import Master
from hlrd.domain.operation import Task
from hlrd.domain.reconciliation import Comparison, Said, Stopped
from hlrd.domain.rights import Operator
from hlrd.domain.routing import Rehoming
from hlrd.domain.session import AccountView, LoggedIn, Session, SessionView
from hlrd.ne.halts import Halt
from hlrd.pool.forecast import Forecast
from hlrd.pool.ranges import Span
from hlrd.pool.reservation import Asked
from hlrd.pool.simheader import BadLine
from hlrd.ports import Answer, Submission
from hlrd.store.audit_trail import AuditFilter
from hlrd.store.batches import BatchRow, Result
from hlrd.store.bulk import BulkRow
from hlrd.store.deliveries import Listed, ReceiptRow
from hlrd.store.desk import Work
from hlrd.store.fallout import CountRow, FalloutRow, FalloutShown
from hlrd.store.groups import ECRow, MemberRow, PartnerRow, SubscriptionRow
from hlrd.store.masters import MasterView
from hlrd.store.products import ProductRow
from hlrd.store.record import (
    CardRow,
    ExportRow,
    History,
    ImportRow,
    LotRow,
    MoveRow,
    NumberRow,
    OrderRecord,
    PoolRow,
    RangeRow,
    Report,
    ReservationRow,
    ReservedNumber,
)
from hlrd.store.shares import Share


class Intake(Protocol):
    def submit(
        self, submissions: Sequence[Submission], on_answers: Callable[[list[Answer]], None], /
    ) -> None:
        """Judge these orders. `on_answers` is called once with one answer per order in their order,
        as soon as all are durable or refused; perhaps before this returns."""
        ...

    def when_closed(self, order: int, on_receipt: Callable[[bytes], None], /) -> Callable[[], None]:
        """Call back once with the final receipt of an open order; returns how to call this off."""
        ...


class Sessions(Protocol):
    """Who is logged in of the source systems."""

    def heard(self, digest: bytes, /) -> Session | None:
        """The session whose token has this SHA-256, if it is open; it was heard of now."""
        ...

    def knock(self, address: str, /) -> None:
        """Before anything of a login is looked at. Busy: too many come from there, or at all."""
        ...

    async def log_in(self, user: str, password: str, address: str, /) -> LoggedIn:
        """Unauthorized: wrong. Locked: for a time, whatever the password. Unavailable: no row of
        the audit trail could be written, so nobody is logged in."""
        ...

    def log_out(self, id: str, /) -> None: ...

    def close(self, id: str, /) -> None:
        """By staff; the row of the audit trail is written."""
        ...

    def unlock(self, user: str, /) -> None:
        """By staff, too."""
        ...

    def is_open(self, id: str, /) -> bool: ...

    def shown(self) -> Sequence[SessionView]: ...

    def get(self, id: str, /) -> SessionView | None: ...

    def accounts(self) -> Sequence[AccountView]: ...

    def on_end(self, call: Callable[[str], None], /) -> None:
        """Whom to call with the id of each session that is over from now on."""
        ...


class Operators(Protocol):
    """Staff in its own name; implemented by `runtime.operators.desk`."""

    def operator(self, token: str, /) -> Operator | None:
        """Whose token it is; None: it has not even the form of one. Raises TokenInvalid."""
        ...

    async def may(self, operator: str, right: str, subject: str, /) -> bool:
        """Whether he may do that to it. Unavailable: nobody can say, so he may not now."""
        ...


class Desk(Protocol):
    """What staff and inquirers may ask of the engine."""

    def show(self, order: int, /) -> Mapping[str, object] | None:
        """State and live tasks of an order in memory, ready for JSON; None for any other."""
        ...

    def hold_of(self, binding: Binding | None, /) -> Mapping[str, object] | None:
        """Why no order of this binding is started."""
        ...

    def lack_of(
        self, kind: str, payload: bytes, /, *, is_bound: bool
    ) -> Mapping[str, object] | None:
        """What a parked order would only wait for in memory. `is_bound`: its user is."""
        ...


class Recall(Protocol):
    """Implemented by `runtime.calendar`."""

    async def cancel(self, order: int, /) -> None:
        """Call an order off before its first command, durably. Conflict where it is too late."""
        ...

    async def chase(self, order: int, /) -> None:
        """Urge an open order on. Conflict for one that waits for a person, or for its time."""
        ...


class Orders(Protocol):
    async def by_id(self, order: int, /) -> OrderRecord | None: ...

    async def by_order_id(self, source: str, order_id: str, /) -> OrderRecord | None: ...


class Receipts(Protocol):
    async def after(
        self, source: str, cursor: int, limit: int, wait_s: float
    ) -> list[tuple[int, bytes]]:
        """Receipts of `source` past `cursor`, oldest first, each with its own cursor.

        Waits up to `wait_s` seconds for the first; empty when none came.
        """
        ...


class Feed(Protocol):
    """Receipts as they come; implemented by `runtime.feed`."""

    def follow(self, source: str, cursor: int) -> AsyncGenerator[Sequence[tuple[int, bytes]], None]:
        """Receipts of `source` past `cursor` for ever, each with its cursor; nothing now and then,
        as a sign of life. To be closed by who follows."""
        ...


class Deliveries(Protocol):
    """Receipts on their way to endpoints; implemented by `runtime.delivery.desk`."""

    async def endpoints(self) -> Sequence[EndpointView]: ...

    def endpoint_of(self, source: str, reply_to: str | None) -> str | None:
        """Which one gets the receipts of an order; None: they are fetched only."""
        ...

    async def receipts_of(self, order: int) -> Sequence[ReceiptRow]:
        """By number."""
        ...

    def delivered_to(self, name: str, seq: int) -> DeliveryState | None:
        """What became of a receipt that has no row; None: it came before the endpoint."""
        ...

    async def listed(
        self, name: str, state: DeliveryState, after: int, most: int
    ) -> Sequence[Listed]:
        """Deliveries of an endpoint, the oldest first; NotFound for the endpoint."""
        ...

    async def redeliver(self, name: str, seqs: Sequence[int]) -> int:
        """Send these again; how many. What was never tried goes anyway and does not count."""
        ...

    async def redeliver_dead(self, name: str) -> int:
        """Send all dead ones again, up to REDELIVERY_RECEIPTS_MAX."""
        ...

    async def redeliver_span(self, name: str, since: datetime, until: datetime) -> int:
        """Send again whatever of it was closed in that time. Conflict if it is too much."""
        ...


class NumberPools(Protocol):
    async def create_pool(self, name: str) -> None:
        """Conflict if the name is taken."""
        ...

    async def add_range(self, span: Span) -> bool:
        """False: exactly this range is there. NotFound for the pool; Conflict if a number of the
        range is in another range already."""
        ...

    async def set_low_water(self, name: str, numbers: int | None) -> None:
        """None lifts the mark. NotFound for the pool."""
        ...

    async def pools(self) -> Sequence[PoolRow]: ...

    async def pool(self, name: str) -> PoolRow | None: ...

    async def report(self) -> Report: ...

    def export(self, name: str, state: str | None) -> AsyncIterator[Sequence[ExportRow]]:
        """Numbers that are bound or held, in order, page by page."""
        ...

    async def number(self, msisdn: MSISDN) -> NumberRow | None: ...

    async def history(self, msisdn: MSISDN) -> History | None: ...


class NumberDesk(Protocol):
    """Staff's work on numbers; implemented by `runtime.desk`. Refuses what does not fit."""

    async def lock(self, work: Work) -> None: ...

    async def unlock(self, work: Work) -> None: ...

    async def recycle(self, msisdn: MSISDN, operator_id: str, *, waives: bool) -> object: ...

    async def recycle_due(self, operator_id: str) -> object: ...

    async def share(self, share: Share, operator_id: str) -> Sequence[RangeRow]: ...

    async def unshare(self, pool: str, first: MSISDN, operator_id: str) -> RangeRow: ...


class Forecasts(Protocol):
    async def forecast(self) -> Sequence[Forecast]: ...


class SIMStock(Protocol):
    async def lots(self) -> Sequence[LotRow]: ...

    async def lot(self, name: str) -> LotRow | None: ...

    async def card(self, iccid: ICCID) -> CardRow | None:
        """None if it is not of the stock."""
        ...

    async def cards(self, lot: str) -> AsyncIterator[Sequence[CardRow]] | None:
        """All cards of a lot, page by page; None if there is no such lot."""
        ...


class ProductShelf(Protocol):
    """The published products."""

    async def rows(self) -> Sequence[ProductRow]:
        """Every version of every product."""
        ...

    async def versions(self, id: str) -> Sequence[ProductRow]:
        """Of one product, the newest first; empty if there is none."""
        ...


class GroupShelf(Protocol):
    """Enterprises and their members; implemented by `store.groups`."""

    async def page(self, after: str, limit: int, /) -> Sequence[ECRow]:
        """By code."""
        ...

    async def ec(self, code: str, /) -> ECRow | None: ...

    async def subscriptions(self, code: str, /) -> Sequence[SubscriptionRow]: ...

    async def members(self, code: str, after: str, limit: int, /) -> Sequence[MemberRow]:
        """Our own, by user id."""
        ...

    async def partners(self, code: str, after: int, limit: int, /) -> Sequence[PartnerRow]:
        """Those of partner provinces, by number."""
        ...


class Reservations(Protocol):
    """Implemented by `runtime.reservations`. `source`: only this one's; None: anybody's."""

    async def reserve(self, asked: Asked) -> tuple[ReservationRow, bool]:
        """And whether it was there before, under the same key. A refusal holds nothing."""
        ...

    async def read(self, reservation: int, source: str | None) -> ReservationRow:
        """NotFound, as all the others."""
        ...

    async def page(self, source: str | None, before: int, limit: int) -> list[ReservationRow]:
        """The newest first."""
        ...

    async def numbers(self, reservation: int, after: int, limit: int) -> list[ReservedNumber]:
        """Ascending."""
        ...

    async def extend(self, reservation: int, source: str | None, ttl_s: int) -> ReservationRow:
        """Conflict once it has ended."""
        ...

    async def cancel(self, reservation: int, source: str | None) -> ReservationRow:
        """Conflict once it has expired."""
        ...

    async def choose(
        self, reservation: int, source: str | None, numbers: Sequence[MSISDN], ttl_s: int
    ) -> ReservationRow:
        """Conflict once it has ended, or for a number that it does not have."""
        ...


class CardDesk(Protocol):
    async def scrap(self, iccid: ICCID, *, cause: str, operator_id: str) -> None:
        """For good. NotFound if it is not of the stock; Conflict if somebody has it."""
        ...


class Imports(Protocol):
    """Imports of SIM lots; implemented by `runtime.imports.desk`."""

    async def receive(
        self,
        parts: AsyncIterator[bytes],
        *,
        bytes_expected: int,
        province: str,
        hlr: str,
        operator_id: str,
    ) -> ImportRow:
        """The import of this file, which may go on or be done already."""
        ...

    async def until_over(self, row: ImportRow) -> ImportRow: ...

    async def get(self, id: int) -> ImportRow | None: ...

    async def newest(self) -> Sequence[ImportRow]: ...

    async def cancel(self, id: int, operator_id: str) -> ImportRow:
        """NotFound; Conflict if it is over."""
        ...

    async def faults(self, row: ImportRow, most: int) -> list[BadLine]:
        """The first of them, by line."""
        ...

    def error_file(self, row: ImportRow) -> Path | None:
        """None if it has none."""
        ...


class Batches(Protocol):
    """Files of orders, and orders for all members of an EC; implemented by `runtime.batches`."""

    async def receive(
        self, parts: AsyncIterator[bytes], *, bytes_expected: int, posting: Posting
    ) -> BatchRow:
        """The batch of this file, which may go on or be over already. Conflict if its order id was
        used with other content."""
        ...

    async def until_checked(self, batch: BatchRow) -> BatchRow:
        """Until it is refused, or its order is handed in."""
        ...

    async def get(self, id: int, source: str | None) -> BatchRow:
        """NotFound, also for another source's."""
        ...

    async def page(self, source: str | None, before: int, limit: int) -> Sequence[BatchRow]:
        """The newest first."""
        ...

    async def order(self, batch: BatchRow, event: BatchEvent) -> BatchRow:
        """Conflict if it is not in a state for that."""
        ...

    async def faults(self, batch: BatchRow, most: int) -> list[BadLine]:
        """The first of them, by line."""
        ...

    def error_file(self, batch: BatchRow) -> Path | None:
        """None if it has none."""
        ...

    def results(self, batch: BatchRow) -> AsyncIterator[Sequence[Result]]:
        """By row, page by page."""
        ...


class FalloutDesk(Protocol):
    """What one person does with one order; implemented by `runtime.fallout.desk`."""

    async def page(self, chosen: Chosen, after: int, most: int) -> Sequence[FalloutRow]: ...

    async def counts(self) -> Sequence[CountRow]: ...

    async def get(self, order_id: int) -> FalloutRow:
        """NotFound, as `show`."""
        ...

    async def show(self, order_id: int) -> FalloutShown: ...

    async def act(self, act: Act, row: FalloutRow, *, reason: str, operator_id: str) -> None:
        """Conflict if the order is not open to it, or has gone on."""
        ...

    async def change(
        self, row: FalloutRow, fields: Mapping[str, object], *, reason: str, operator_id: str
    ) -> None: ...


class BulkActs(Protocol):
    """What two persons do with many; implemented by `runtime.fallout.bulk`."""

    async def propose(self, act: Act, chosen: Chosen, *, reason: str, operator_id: str) -> BulkRow:
        """BadRequest for what cannot be done to many; Conflict if no order is meant."""
        ...

    async def confirm(self, bulk: BulkRow, operator_id: str) -> BulkRow:
        """Conflict for who proposed it, or when it does not wait any more."""
        ...

    async def stop(self, bulk: BulkRow, operator_id: str) -> BulkRow: ...

    async def get(self, id: int) -> BulkRow:
        """NotFound."""
        ...

    async def newest(self) -> Sequence[BulkRow]: ...


class Halts(Protocol):
    """Keeps what people said of network elements over a restart."""

    async def keep(self, ne: str, halt: Halt) -> None: ...

    async def drop(self, ne: str) -> None: ...


class Progress(Protocol):
    """What only memory knows of the move that goes on."""

    @property
    def waiting(self) -> int: ...

    @property
    def running(self) -> int: ...


class Moves(Protocol):
    """Segments on their way to another HLR; implemented by `runtime.moves`."""

    async def start(self, rehoming: Rehoming, operator_id: str, sample: int | None) -> MoveRow:
        """Conflict while another goes on, or for what is in the way."""
        ...

    async def order(self, id: int, event: MoveEvent, operator_id: str) -> MoveRow:
        """NotFound; Conflict if it is not in a state for that."""
        ...

    async def get(self, id: int) -> MoveRow: ...

    async def newest(self) -> Sequence[MoveRow]: ...

    def progress(self) -> Progress: ...


class AuditBook(Protocol):
    """The audit trail, as who reads sees it."""

    async def head(self) -> Head: ...

    async def page(self, wanted: AuditFilter, before: int, limit: int) -> Sequence[Row]:
        """The newest below row `before`, newest first."""
        ...

    def rows(self) -> AsyncIterator[Sequence[Row]]:
        """All from the beginning, page by page."""
        ...


class StateMasters(Protocol):
    """Who is master of user state; implemented by `runtime.master`."""

    @property
    def usual(self) -> Master:
        """Of every province that nothing else was said of."""
        ...

    async def views(self) -> Sequence[MasterView]:
        """Every province that something was said of."""
        ...

    async def view(self, province: str) -> MasterView: ...

    async def switch(self, province: str, master: Master, operator_id: str) -> MasterView:
        """Conflict if it is the master, or if something is in the way."""
        ...

    async def cancel(self, province: str, operator_id: str) -> MasterView:
        """Conflict once it is switched."""
        ...

    def stopped(self, province: str) -> AsyncIterator[Sequence[Stopped]]:
        """Every user that hlrd has reasons for, page by page."""
        ...


class Reconciler(Protocol):
    """Compares with the state master; implemented by `runtime.reconcile`."""

    async def compare(
        self, province: str, said: Sequence[Said], *, operator_id: str, repairs: bool
    ) -> Comparison: ...


class Element(Protocol):
    """One network element; implemented by `ne.driver`."""

    name: str

    def show(self) -> Mapping[str, object]:
        """Dialect, address, sessions, window, breaker: ready for JSON, no password."""
        ...

    def halt(self, halt: Halt | None, /) -> None:
        """Keep from it by a person's word, or by none any more."""
        ...

    def obstacle(self) -> Mapping[str, object] | None:
        """Why a task that waits for it is not sent now; None when it is about to be."""
        ...

    def masked(self, task: Task, /) -> str:
        """The task's command as people may see it: no Ki, no password."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    ready: bool
    reason: str = ""  #: why not: starting, draining, the database is out of reach
