"""The kept channel of a business system to hlrd (系统之间的认证): one login by the account of the
system, a heartbeat that keeps it, orders and receipts on it, and a new login whenever hlrd does not
know the session any more.

Orders outlive the channel: what was not answered is posted again under the same order id, and the
receipts go on behind the last cursor.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from aiohttp import hdrs
from msgspec import Struct

from loadtest.business.message import Messages, Party
from loadtest.client import Line, Refusal, TokenRefused, Upstream

T = TypeVar("T")
Order = Mapping[str, Any]

LOGIN: Final = "提交系统登录用户名、密码"
LOGGED_IN: Final = "认证结果"
KEEP: Final = "维持通道"
ORDER: Final = "开通类订单请求"
TAKEN: Final = "开通类订单受理"
RECEIPT: Final = "开通类订单响应"

NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})

NOTED_ONE_BY_ONE_MAX: Final = 20
"""Orders of one request; more are noted as one message with their number."""

TOLD_MAX: Final = 4_096
"""Receipts remembered that came with the answer of a sync order, and come again by their cursor."""

_RETRY_S: Final = 0.25
_LOCKED_S: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)
_WAITS: Final = frozenset({423, 429, 503})


class LoginRefused(Exception):
    """Account or password is wrong: trying again would only lock the account."""


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    password: str = field(repr=False)


class Session(Struct, frozen=True):
    session: str
    token: str
    heartbeat_s: float

    def __repr__(self) -> str:
        return f"Session({self.session})"


@dataclass(slots=True)
class ChannelCounters:
    logins: int = 0
    heartbeats: int = 0
    forgotten: int = 0  #: sessions that hlrd did not know any more
    lost: int = 0  #: cut off by `lose`


class Channel:
    """`run` it beside everything else; the other calls wait until it is logged in."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        *,
        party: str,
        account: Account,
        messages: Messages,
        hlrd: str = Party.HLRD,
        names: Mapping[str, str] = NO_NAMES,
        random: Random | None = None,
    ) -> None:
        """`names`: of messages, by the kind of order that they carry, if not `ORDER`."""
        self.upstream = Upstream(http, url.rstrip("/"), token="", random=random or Random())
        self.counters = ChannelCounters()
        self.session: Session | None = None
        self._http = http
        self._party = party
        self._account = account
        self._messages = messages
        self._hlrd = hlrd
        self._names = names
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self._logging_in = asyncio.Lock()
        self._life: asyncio.Task[None] | None = None
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self, on_receipt: Callable[[Order], None]) -> None:
        """Keep the channel and take each receipt by it, at least once; until cancelled.

        Raises LoginRefused.
        """
        while True:
            await self._logged_in()
            self._life = asyncio.create_task(self._live(on_receipt))
            try:
                await asyncio.wait([self._life])
            finally:
                self._life.cancel()
            if not self._life.cancelled():
                self._life.result()

    async def close(self) -> None:
        """Log out; the channel stays closed until `open`."""
        self._is_wanted.clear()
        session, self.session = self.session, None
        if session is not None:
            self._note("退出登录", session.session)
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                await self._ask("DELETE", "/v1/sessions/current", session)

    def lose(self) -> None:
        """As if the line broke: nothing is said to hlrd, nothing is heard, until `open`."""
        self._is_wanted.clear()
        self.session = None
        self.counters.lost += 1
        if self._life is not None:
            self._life.cancel()

    def open(self) -> None:
        self._is_wanted.set()

    async def post(self, orders: Sequence[Order]) -> dict[str, Line]:
        """By order id: taken, or refused for good. Ends only by being cancelled."""
        encoded = [(order["order_id"], msgspec.json.encode(order)) for order in orders]
        self._note_orders(orders)
        lines = await self._on_channel(lambda: self.upstream.offer(encoded))
        self._note_answers(list(lines.values()))
        return lines

    async def post_and_wait(self, order: Order) -> Line:
        """A sync order: with its receipt, or in process (处理中) at its deadline."""
        body = msgspec.json.encode(order)
        self._note_orders([order])
        line = await self._on_channel(lambda: self.upstream.post_and_wait(body))
        if line.receipt is None:
            self._note_answers([line])
        else:
            self._note_receipts([line.receipt])
            self._remember(line.receipt)
        return line

    def state(self) -> Mapping[str, object]:
        counters = self.upstream.counters
        return {
            "is_open": self.session is not None,
            "session": "" if self.session is None else self.session.session,
            "cursor": self.upstream.cursor,
            **{name: getattr(self.counters, name) for name in ChannelCounters.__slots__},
            **{name: getattr(counters, name) for name in type(counters).__slots__},
        }

    # --- the session -------------------------------------------------------------------------

    async def _on_channel(self, act: Callable[[], Awaitable[T]]) -> T:
        """Again after a new login for as long as hlrd does not know the session."""
        while True:
            session = await self._logged_in()
            try:
                return await act()
            except TokenRefused:
                self._forget(session)

    async def _logged_in(self) -> Session:
        while True:
            await self._is_wanted.wait()
            async with self._logging_in:
                if self.session is None:
                    self.session = await self._log_in()
                    self.upstream.token = self.session.token
                if self._is_wanted.is_set():
                    return self.session
                self.session = None

    def _forget(self, session: Session) -> None:
        if self.session is session:
            self.session = None
            self.counters.forgotten += 1

    async def _log_in(self) -> Session:
        self._note(LOGIN, self._account.user)
        while True:
            status, content, wait_s = await self._try_log_in()
            if status == 201:
                session = msgspec.json.decode(content, type=Session)
                self.counters.logins += 1
                self._note(LOGGED_IN, f"认证通过 {session.session}", is_answer=True)
                return session
            if 400 <= status < 500 and status not in _WAITS:
                refusal = msgspec.json.decode(content, type=Refusal)
                self._note(LOGGED_IN, refusal.code, is_answer=True)
                raise LoginRefused(f"{self._account.user}: {refusal.code}: {refusal.detail}")
            await asyncio.sleep(wait_s)

    async def _try_log_in(self) -> tuple[int, bytes, float]:
        """Status, 0 when none came; content; and how long to wait before the next try."""
        body = {"user": self._account.user, "password": self._account.password}
        url = f"{self.upstream.url}/v1/sessions"
        try:
            async with self._http.post(url, json=body, timeout=_TIMEOUT) as response:
                wait_s = float(response.headers.get(hdrs.RETRY_AFTER, _LOCKED_S))
                return response.status, await response.read(), wait_s
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, b"", _RETRY_S

    async def _live(self, on_receipt: Callable[[Order], None]) -> None:
        """Until hlrd no longer knows the session."""
        session = self.session
        if session is None:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_up(session))
                tasks.create_task(self.upstream.follow(self._told_first(on_receipt)))
        except* TokenRefused:
            self._forget(session)

    async def _keep_up(self, session: Session) -> None:
        while True:
            await asyncio.sleep(session.heartbeat_s)
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                self._note(KEEP, session.session)
                status = await self._ask("POST", "/v1/sessions/current/heartbeat", session)
                if status == 401:
                    raise TokenRefused(session.session)
                self.counters.heartbeats += 1
                self._note(KEEP, str(status), is_answer=True)

    async def _ask(self, method: str, path: str, session: Session) -> int:
        headers = {hdrs.AUTHORIZATION: f"Bearer {session.token}"}
        async with self._http.request(
            method, self.upstream.url + path, headers=headers, timeout=_TIMEOUT
        ) as response:
            return response.status

    # --- what is noted -----------------------------------------------------------------------

    def _note(self, name: str, detail: str, *, is_answer: bool = False) -> None:
        sides = (self._hlrd, self._party) if is_answer else (self._party, self._hlrd)
        self._messages.note(*sides, name, detail, is_answer=is_answer)

    def _note_orders(self, orders: Sequence[Order]) -> None:
        for name, some in groupby(orders, lambda order: self._names.get(order["type"], ORDER)):
            details = [f"{order['type']} {order['order_id']}" for order in some]
            self._note_each(name, details, is_answer=False)

    def _note_answers(self, lines: Sequence[Line]) -> None:
        details = [
            f"{line.order_id} {line.state if line.refusal is None else line.refusal.code}"
            for line in lines
        ]
        self._note_each(TAKEN, details, is_answer=True)

    def _note_receipts(self, receipts: Sequence[Order]) -> None:
        self._note_each(RECEIPT, [_shown(receipt) for receipt in receipts], is_answer=True)

    def _note_each(self, name: str, details: Sequence[str], *, is_answer: bool) -> None:
        if len(details) > NOTED_ONE_BY_ONE_MAX:
            details = [f"{len(details)} 单, {details[0]} …"]
        for detail in details:
            self._note(name, detail, is_answer=is_answer)

    def _remember(self, receipt: Order) -> None:
        self._told[receipt["id"], receipt["result"]] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)

    def _told_first(self, on_receipt: Callable[[Order], None]) -> Callable[[Order], None]:
        def take(receipt: Order) -> None:
            if (receipt["id"], receipt["result"]) not in self._told:
                self._note_receipts([receipt])
            on_receipt(receipt)

        return take


def _shown(receipt: Order) -> str:
    parts = (receipt["type"], receipt["order_id"], receipt["result"], receipt.get("code", ""))
    return " ".join(part for part in parts if part)
