"""CRM and BOSS joined in memory, with a network behind them that remembers what it was told.

What they send waits in one queue per direction, in order; a test says which goes on next, so that
every interleaving can be had.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import msgspec

from loadtest.boss.core import BOSS
from loadtest.boss.rows import Booking, NewCustomer, Reversal, StateOrder
from loadtest.business.database import Database
from loadtest.business.message import Messages, Party
from loadtest.business.outbox import Parcel
from loadtest.business.paper import Answer, Order, To
from loadtest.business.standing import Master, Sends, Standing
from loadtest.crm.core import CRM
from loadtest.crm.rows import NewCustomer as Asked
from loadtest.crm.rows import NewUser, StateRequest

MASTERS = {"200": Master.BOSS, "210": Master.CRM, "220": Master.BACKUP}

Judge = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""A refusal of an order by hlrd, or None."""


class Network:
    """As hlrd: the master alone may change states, and the newest version counts."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, dict[str, Any]]] = []  #: source and order, as they came
        self.words: dict[str, tuple[int, dict[str, int]]] = {}
        self.judge: Judge = lambda order: None

    def take(self, source: str, order: dict[str, Any]) -> Answer:
        self.orders.append((source, order))
        refusal = self.judge(order)
        if refusal is not None:
            return Answer(False, str(refusal["code"]))
        if "state_version" in order:
            self._hear(order)
        return Answer(True)

    def _hear(self, order: Mapping[str, Any]) -> None:
        version, _ = self.words.get(order["user_id"], (0, {}))
        if order["state_version"] > version:
            reasons = {one["reason"]: one["level"] for one in order["reasons"]}
            self.words[order["user_id"]] = order["state_version"], reasons

    def of_user(self, user_id: str) -> dict[str, int]:
        return self.words.get(user_id, (0, {}))[1]

    def kinds(self) -> list[tuple[str, str]]:
        return [(source, order["type"]) for source, order in self.orders]


class Pair:
    def __init__(self, *, sends: Sends = Sends.BOSS) -> None:
        self.messages = Messages()
        self.network = Network()
        self.queues: dict[str, deque[Parcel]] = {
            name: deque() for name in ("crm→BOSS", "crm→hlrd", "boss→CRM", "boss→hlrd")
        }
        self.closed: list[Order] = []
        ticks = count(1)
        self.crm = CRM(
            Database(self.messages, owner=Party.CRM, name=Party.CRM_DB),
            lambda parcel: self.queues[f"crm→{parcel.to}"].append(parcel),
            lambda: float(next(ticks)),
            prefix="C",
            first_id=1_000,
            masters=MASTERS,
            sends=sends,
            on_closed=self.closed.append,
        )
        self.boss = BOSS(
            Database(self.messages, owner=Party.BOSS, name=Party.BOSS_DB),
            lambda parcel: self.queues[f"boss→{parcel.to}"].append(parcel),
            lambda: float(next(ticks)),
            prefix="B",
            masters=MASTERS,
            sends=sends,
            on_closed=self.closed.append,
        )

    # --- what is asked -----------------------------------------------------------------------

    def account(self) -> str:
        customer = self.crm.open_customer(Asked("zhang3", "客户"))
        account_id = customer.accounts[0]
        self.boss.open_customers([NewCustomer(customer.customer_id, account_id, "客户")])
        return account_id

    def open_user(self, account_id: str, province: str = "200", **more: Any) -> Order:
        number = len(self.crm.users)
        asked = NewUser(
            operator_id="zhang3",
            province=province,
            account_id=account_id,
            msisdn=f"10649{number:08d}",
            imsi=f"46004{number:010d}",
            iccid=f"8986042{number:013d}",
            **more,
        )
        return self.crm.open_user(asked)

    def active_user(self, province: str = "200", account_id: str = "") -> str:
        order = self.open_user(account_id or self.account(), province)
        self.settle()
        assert order.result == "succeeded", order
        return order.user_id

    # --- what goes on ------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        return [name for name, queue in self.queues.items() if queue]

    def settle(self) -> None:
        while waiting := self.waiting():
            self.step(waiting[0])

    def step(self, name: str) -> None:
        """The first parcel of a queue arrives, and its answer comes back."""
        parcel = self.queues[name].popleft()
        source = name.partition("→")[0]
        body = msgspec.json.decode(msgspec.json.encode(parcel.body))
        if parcel.to is To.HLRD:
            self._network(source, body)
        elif parcel.to is To.BOSS:
            self._to_boss(parcel.path, body)
        else:
            self._to_crm(parcel.path, body)

    def _network(self, source: str, order: dict[str, Any]) -> None:
        answer = self.network.take(source.upper(), order)
        if source == "crm":
            found = self.crm.orders.of(order["order_id"])
            assert found is not None
            self.crm.provisioned(found[0].order_id, answer)
        else:
            self.boss.provisioned(order["order_id"], answer)

    def _to_boss(self, path: str, body: dict[str, Any]) -> None:
        order_id = body["order_id"]
        match path:
            case "/bookings":
                taken = self.boss.book([msgspec.convert(body, Booking)])[0]
                self.crm.booked(order_id, Answer(taken.is_done, taken.code, taken.text))
            case "/reversals":
                self.boss.unbook([msgspec.convert(body, Reversal)])
                self.crm.unbooked(order_id)
            case "/state-orders":
                taken = self.boss.state_ordered([msgspec.convert(body, StateOrder)])[0]
                standing = msgspec.convert(msgspec.to_builtins(taken.standing), Standing | None)
                answer = Answer(taken.is_done, taken.code, taken.text)
                self.crm.state_ordered(order_id, answer, standing)

    def _to_crm(self, path: str, body: dict[str, Any]) -> None:
        match path:
            case "/state-requests":
                self.crm.requested(msgspec.convert(body, StateRequest))
                self.boss.state_requested(body["order_id"], Answer(True))
            case "/provisioning-answers":
                self.crm.provisioned(
                    body["order_id"], Answer(body["is_done"], body["code"], body["text"])
                )
