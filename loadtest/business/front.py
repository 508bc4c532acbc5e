"""What CRM and BOSS have in common as processes: the kept channel to hlrd, the outboxes to hlrd and
to each other, people who wait for an order to close, and what staff ask by the UI.
"""

import asyncio
import os
import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from loadtest.business.database import Database, Table
from loadtest.business.message import Party
from loadtest.business.neighbour import Neighbour, Words
from loadtest.business.northbound import Account, Channel
from loadtest.business.outbox import Outbox, Parcel
from loadtest.business.paper import Answer, Order, Orders, State, To
from loadtest.business.portal import Portal, PortalSettings
from loadtest.business.standing import Master, Sends
from loadtest.business.system import Declined, System, answer, body_of
from loadtest.client import Line

AWAITED_MAX: Final = 256
"""Sync orders at hlrd at once; each holds a connection. More wait their turn."""

_CLOSED: Final = 200
_OPEN: Final = 202


@dataclass(frozen=True, slots=True)
class Settings:
    name: str
    hlrd: str  #: URL
    peer: str  #: URL of BOSS, or of CRM
    account: Account
    masters: Mapping[str, Master] = field(default_factory=dict)
    sends: Sends = Sends.BOSS
    portal: PortalSettings = field(default_factory=PortalSettings)
    run: str = ""  #: in every order id, so that those of another start are others

    @property
    def prefix(self) -> str:
        return self.run or f"{int(time.time()):x}{os.getpid():x}x"


class Backup(Struct, frozen=True):
    sends: Sends


class Away(Struct, frozen=True):
    on: bool


class Front(System):
    """`core` is made by the subclass, with `send` and `on_closed` of this."""

    party: ClassVar[Party]
    ui_party: ClassVar[Party]
    peer_party: ClassVar[Party]
    peer_words: ClassVar[Mapping[str, Words]]  #: by the path of its resources

    def __init__(self, settings: Settings, *, database: Party) -> None:
        super().__init__(settings.name)
        self.settings = settings
        self.db = Database(self.messages, owner=self.party, name=database)
        self.channel = Channel(
            self.http,
            settings.hlrd,
            party=self.party,
            account=settings.account,
            messages=self.messages,
            random=Random(settings.name),
        )
        self.peer = Neighbour(
            self.http, settings.peer, me=self.party, it=self.peer_party, messages=self.messages
        )
        self.portal = Portal(
            settings.portal,
            self.http,
            settings.hlrd,
            self.messages,
            me=self.party,
            ui=self.ui_party,
        )
        self.to_hlrd = Outbox(self._deliver_to_hlrd, self._hlrd_answered)
        self.to_peer = Outbox(self._deliver_to_peer, self.peer_answered, on_away=self.peer_is_away)
        self._awaited = asyncio.Semaphore(AWAITED_MAX)
        self._closing: dict[str, asyncio.Event] = {}
        self._is_away = False

    # --- what a subclass is ------------------------------------------------------------------

    @property
    @abstractmethod
    def orders(self) -> Orders: ...

    @property
    @abstractmethod
    def tables(self) -> Mapping[str, Table[Any]]: ...

    @abstractmethod
    def hlrd_answered(self, sub_order_id: str, said: Answer) -> None:
        """hlrd refused it, or it was the answer of a sync order that is closed."""

    @abstractmethod
    def hlrd_receipt(self, sub_order_id: str, receipt: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def peer_answered(self, parcel: Parcel, said: Any) -> None: ...

    def peer_is_away(self, parcels: Sequence[Parcel]) -> None:
        """These wait for it."""
        return

    @abstractmethod
    def use_sends(self, sends: Sends) -> None: ...

    # --- running -----------------------------------------------------------------------------

    async def begin(self) -> None:
        self.keep_up(self.channel.run(self._on_receipt))
        self.keep_up(self.to_hlrd.run())
        self.keep_up(self.to_peer.run())

    async def end(self) -> None:
        await self.channel.close()

    def send(self, parcel: Parcel) -> None:
        if parcel.to is not To.HLRD:
            self.to_peer.put(parcel)
        elif parcel.is_awaited and not len(self.to_hlrd):  # else it would overtake
            self.keep_up(self._await_hlrd(parcel))
        else:
            self.to_hlrd.put(parcel)

    def stats(self) -> Mapping[str, Any]:
        orders = self.orders
        return {
            **{name: len(table) for name, table in self.tables.items()},
            "orders": len(orders),
            "orders_open": orders.open_count,
            **{f"orders_{name or 'other'}": count for name, count in orders.results.items()},
            "to_hlrd": len(self.to_hlrd),
            "to_peer": len(self.to_peer),
            "channel": self.channel.state(),
        }

    def dump(self) -> Sequence[Any]:
        rows: dict[str, Iterable[Any]] = {name: table.rows() for name, table in self.tables.items()}
        rows["orders"] = self.orders
        return [{"table": name, "row": row} for name, found in rows.items() for row in found]

    async def until_closed(self, order: Order, deadline_ms: int) -> None:
        """Or until the deadline, which is no failure (处理中)."""
        if order.state is State.CLOSED:
            return
        event = self._closing.setdefault(order.order_id, asyncio.Event())
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                await event.wait()
        except TimeoutError:
            self._closing.pop(order.order_id, None)

    def closed(self, order: Order) -> None:
        event = self._closing.pop(order.order_id, None)
        if event is not None:
            event.set()

    def middlewares(self) -> Sequence[Middleware]:
        return (self._unless_away,)

    @web.middleware
    async def _unless_away(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Away, it hears nothing: the connection ends without an answer."""
        if not self._is_away:
            return await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    # --- hlrd and the neighbour --------------------------------------------------------------

    async def _deliver_to_hlrd(self, _: str, parcels: Sequence[Parcel]) -> Sequence[Line]:
        lines = await self.channel.post([parcel.body for parcel in parcels])
        return [lines[parcel.body["order_id"]] for parcel in parcels]

    async def _await_hlrd(self, parcel: Parcel) -> None:
        async with self._awaited:
            line = await self.channel.post_and_wait(parcel.body)
        self._hlrd_answered(parcel, line)

    def _hlrd_answered(self, parcel: Parcel, line: Line) -> None:
        order_id = parcel.body["order_id"]
        if line.refusal is not None:
            refusal = line.refusal
            self.hlrd_answered(order_id, Answer(False, refusal.code, refusal.detail))
        elif line.receipt is not None:
            self.hlrd_receipt(order_id, line.receipt)

    def _on_receipt(self, receipt: Mapping[str, Any]) -> None:
        self.hlrd_receipt(receipt["order_id"], receipt)

    async def _deliver_to_peer(self, path: str, parcels: Sequence[Parcel]) -> Sequence[Any]:
        first = parcels[0].body
        shown = first.get("order_id") or first.get("product", "")
        detail = shown if len(parcels) == 1 else f"{shown} … {len(parcels)} 单"
        words = self.peer_words[path]
        bodies = [parcel.body for parcel in parcels]
        said: Sequence[Any] = await self.peer.ask("POST", path, bodies, words=words, detail=detail)
        return said

    # --- people ------------------------------------------------------------------------------

    def asked(self, name: str, detail: str = "") -> None:
        """By the UI, which has no recorder of its own."""
        self.messages.note(self.ui_party, self.party, name, detail)

    def told(self, name: str, detail: str = "") -> None:
        self.messages.note(self.party, self.ui_party, name, detail, is_answer=True)

    def shown(self, order: Order) -> web.Response:
        return answer(order, _CLOSED if order.state is State.CLOSED else _OPEN)

    def lookup_routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/orders", self._get_orders),
            web.get("/orders/{order_id}", self._get_order),
            *self.portal.routes(),
        )

    async def _get_orders(self, request: web.Request) -> web.Response:
        return answer(self.orders.of_user(request.query.get("user_id", "")))

    async def _get_order(self, request: web.Request) -> web.Response:
        order = self.orders.get(request.match_info["order_id"])
        if order is None:
            raise Declined(404, "ORDER_UNKNOWN", f"no order {request.match_info['order_id']}")
        return answer(order)

    # --- the control port --------------------------------------------------------------------

    def control_routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/channel", self._get_channel),
            web.post("/channel/lose", self._lose_channel),
            web.post("/channel/close", self._close_channel),
            web.post("/channel/open", self._open_channel),
            web.put("/backup", self._put_backup),
            web.put("/away", self._put_away),
        )

    async def _get_channel(self, _: web.Request) -> web.Response:
        return answer(self.channel.state())

    async def _lose_channel(self, _: web.Request) -> web.Response:
        self.channel.lose()
        return answer(self.channel.state())

    async def _close_channel(self, _: web.Request) -> web.Response:
        await self.channel.close()
        return answer(self.channel.state())

    async def _open_channel(self, _: web.Request) -> web.Response:
        self.channel.open()
        return answer(self.channel.state())

    async def _put_away(self, request: web.Request) -> web.Response:
        away = await body_of(request, Away)
        self._is_away = away.on
        return answer(away)

    async def _put_backup(self, request: web.Request) -> web.Response:
        backup = await body_of(request, Backup)
        self.use_sends(backup.sends)
        return answer(backup)


def user_row(user: Any) -> Mapping[str, Any]:
    """As a look-up shows it: how it stands is part of the user."""
    row: dict[str, Any] = msgspec.to_builtins(user)
    standing = row.pop("standing")
    return {**row, **standing, "level": user.standing.level}
