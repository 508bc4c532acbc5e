"""The HTTP interface of the emulated BOSS.

What its staff and its credit control ask. Bodies are JSON.

POST /bills              [{"account_id", "amount"}]: 出账; the balance falls
POST /credit-control     {"users"? | "accounts"? (lists of ids; neither: all in arrears), "level"?
                         (2), "bill_month"?, "rate"? (users a second; absent: as fast as may be),
                         "operator_id"?}: 202 {"run", "users"}                     F10, F11
GET  /credit-control/{run}  {"users", "ordered", "closed", "failed", "is_over"}
POST /products/{product}/tariffs  {"operator_id", "rating", "billing"}: 产品资费配置   F01
GET /ui, POST /ui/operations      as the CRM's (F02, F03), with the rights of BOSS

What CRM asks:
POST /customers          [{"customer_id", "account_id", "name", "operator_id"}]  创建客户、账户请求
POST /products           [{"product", "name", "services", "operator_id"}]          产品信息请求
POST /bookings           定购类订单请求: opening, subscription, cancellation, and their reversal
POST /state-orders       用户状态变更类订单请求
POST /payments           [{"account_id", "amount", "payment_id", "operator_id"}]   缴费、销账

To look up: GET /accounts/{account_id} {"balance", "state" (normal, arrears), "users": […]};
GET /users/{user_id} {"state", "reasons", "level", "state_version", "cause" (停机原因), "products"};
GET /customers/{customer_id}; GET /products/{product} {"number", "name", "tariffs"};
GET /orders/{order_id} as the CRM's: the orders that BOSS makes itself as the state master;
GET /orders?user_id=…

The control port has beside that of every system: GET /channel; POST /channel/lose, /channel/close,
/channel/open (F04); PUT /backup {"sends": "BOSS" | "CRM" | "both"}; PUT /away
{"on"}: it answers nobody until it is back; POST /rows {"customers",
"accounts", "users"} to fill the tables, as /dump shows the rows.
/dump has one row a line, as {"table": "users", "row": {…}}.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from loadtest.boss.core import BOSS, PRODUCT_FEEDBACK, PROVISIONING_ANSWERS, STATE_REQUESTS
from loadtest.boss.rows import (
    Account,
    Bill,
    Booking,
    CreditControl,
    Customer,
    NewCustomer,
    NewProduct,
    Payment,
    Reversal,
    Run,
    StateOrder,
    Tariffs,
    User,
)
from loadtest.business.database import Table
from loadtest.business.front import Front, Settings, user_row
from loadtest.business.message import Party
from loadtest.business.neighbour import Words
from loadtest.business.outbox import ROOM_PARCELS, Parcel
from loadtest.business.paper import ORDERS_MAX, Answer, Orders
from loadtest.business.standing import Sends
from loadtest.business.system import Declined, answer, body_of
from loadtest.process import until

CONTROL_CHUNK: Final = 1_000
"""Users that credit control stops at a time, before it looks for room."""

_TICK_S: Final = 0.05
_PATIENCE_S: Final = 3_600.0
_OPEN: Final = 202


class Taken(Struct):
    """CRM's answer to one of several."""

    is_done: bool
    code: str = ""
    text: str = ""


class Filling(Struct):
    customers: list[Customer] = msgspec.field(default_factory=list)
    accounts: list[Account] = msgspec.field(default_factory=list)
    users: list[User] = msgspec.field(default_factory=list)


class Server(Front):
    party = Party.BOSS
    ui_party = Party.BOSS_UI
    peer_party = Party.CRM
    peer_words: ClassVar[Mapping[str, Words]] = {
        STATE_REQUESTS: Words("用户状态变更请求", "用户状态变更反馈"),
        PROVISIONING_ANSWERS: Words("开通类订单响应", "订单关闭"),
        PRODUCT_FEEDBACK: Words("产品反馈", "请求响应"),
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, database=Party.BOSS_DB)
        self.core = BOSS(
            self.db,
            self.send,
            time.monotonic,
            prefix=f"B{settings.prefix}",
            masters=settings.masters,
            sends=settings.sends,
            on_closed=self.closed,
        )

    @property
    def orders(self) -> Orders:
        return self.core.orders

    def use_sends(self, sends: Sends) -> None:
        self.core.sends = sends

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.post("/bills", self._post_bills),
            web.post("/credit-control", self._post_credit_control),
            web.get("/credit-control/{run}", self._get_credit_control),
            web.post("/products/{product}/tariffs", self._post_tariffs),
            web.post("/customers", self._post_customers),
            web.post("/products", self._post_products),
            web.post("/bookings", self._post_bookings),
            web.post("/reversals", self._post_reversals),
            web.post("/state-orders", self._post_state_orders),
            web.post("/payments", self._post_payments),
            web.get("/accounts/{account_id}", self._get_account),
            web.get("/users/{user_id}", self._get_user),
            web.get("/customers/{customer_id}", self._get_customer),
            web.get("/products/{product}", self._get_product),
            *self.lookup_routes(),
        )

    def control_routes(self) -> Sequence[web.RouteDef]:
        return (*super().control_routes(), web.post("/rows", self._post_rows))

    @property
    def tables(self) -> Mapping[str, Table[Any]]:
        core = self.core
        return {
            "customers": core.customers,
            "accounts": core.accounts,
            "users": core.users,
            "products": core.products,
        }

    def stats(self) -> Mapping[str, Any]:
        return {**super().stats(), "answers_repeated": self.core.repeats}

    # --- what hlrd and CRM answer ------------------------------------------------------------

    def hlrd_answered(self, sub_order_id: str, said: Answer) -> None:
        self.core.provisioned(sub_order_id, said)

    def hlrd_receipt(self, sub_order_id: str, receipt: Mapping[str, Any]) -> None:
        self.core.receipt_of(sub_order_id, receipt)

    def peer_answered(self, parcel: Parcel, said: Any) -> None:
        if parcel.path == STATE_REQUESTS:
            taken = msgspec.convert(said, Taken)
            answered = Answer(taken.is_done, taken.code, taken.text)
            self.core.state_requested(parcel.body["order_id"], answered)

    def peer_is_away(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            if parcel.path == STATE_REQUESTS:
                self.core.stand_in(parcel.body)

    # --- staff and credit control ------------------------------------------------------------

    async def _post_bills(self, request: web.Request) -> web.Response:
        accounts = self.core.bill(await body_of(request, list[Bill]))
        return answer([_account_row(account) for account in accounts])

    async def _post_credit_control(self, request: web.Request) -> web.Response:
        asked = await body_of(request, CreditControl)
        suspects = self.core.suspects(users=asked.users, accounts=asked.accounts)
        run = self.core.begin_run(len(suspects))
        if suspects:
            self.keep_up(self._control(run, suspects, asked))
        return answer(run.row(), _OPEN)

    async def _control(self, run: Run, suspects: Sequence[str], asked: CreditControl) -> None:
        """At the rate that was asked for, and no faster than the others take it."""
        chunk = CONTROL_CHUNK if asked.rate is None else max(1, int(asked.rate * _TICK_S))
        started_s = time.monotonic()
        for at in range(0, len(suspects), chunk):
            await self._until_there_is_room()
            self.core.control(
                run,
                suspects[at : at + chunk],
                level=asked.level,
                bill_month=asked.bill_month,
                operator_id=asked.operator_id,
            )
            due_s = 0.0 if asked.rate is None else (at + chunk) / asked.rate
            await asyncio.sleep(max(0.0, started_s + due_s - time.monotonic()))

    async def _until_there_is_room(self) -> None:
        await self.to_hlrd.room()
        await self.to_peer.room()
        orders = self.core.orders
        await until(
            lambda: orders.open_count < ORDERS_MAX - ROOM_PARCELS,
            deadline_s=_PATIENCE_S,
            what="orders of BOSS close",
            poll_s=_TICK_S,
        )

    async def _get_credit_control(self, request: web.Request) -> web.Response:
        run = self.core.runs.get(request.match_info["run"])
        if run is None:
            raise Declined(404, "RUN_UNKNOWN", f"no run {request.match_info['run']}")
        return answer(run.row())

    async def _post_tariffs(self, request: web.Request) -> web.Response:
        """产品资费配置."""
        tariffs = await body_of(request, Tariffs)
        name = request.match_info["product"]
        self.asked("产品资费配置", name)
        product = self.core.configure(name, tariffs)
        self.told("产品资费配置完成", name)
        return answer(product)

    # --- CRM ---------------------------------------------------------------------------------

    async def _post_customers(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[NewCustomer])
        self.core.open_customers(many)
        return answer([{"is_done": True} for _ in many])

    async def _post_products(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[NewProduct])
        return answer([self.core.create_product(one) for one in many])

    async def _post_bookings(self, request: web.Request) -> web.Response:
        return answer(self.core.book(await body_of(request, list[Booking])))

    async def _post_reversals(self, request: web.Request) -> web.Response:
        return answer(self.core.unbook(await body_of(request, list[Reversal])))

    async def _post_state_orders(self, request: web.Request) -> web.Response:
        return answer(self.core.state_ordered(await body_of(request, list[StateOrder])))

    async def _post_payments(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[Payment])
        return answer([self._paid(one) for one in many])

    def _paid(self, asked: Payment) -> Mapping[str, Any]:
        balance = self.core.pay(asked)
        state = self.core.accounts.get(asked.account_id).state
        return {"payment_id": asked.payment_id, "balance": balance, "account_state": state}

    # --- look-ups ----------------------------------------------------------------------------

    async def _get_account(self, request: web.Request) -> web.Response:
        return answer(_account_row(self.core.accounts.get(request.match_info["account_id"])))

    async def _get_user(self, request: web.Request) -> web.Response:
        return answer(user_row(self.core.users.get(request.match_info["user_id"])))

    async def _get_customer(self, request: web.Request) -> web.Response:
        return answer(self.core.customers.get(request.match_info["customer_id"]))

    async def _get_product(self, request: web.Request) -> web.Response:
        return answer(self.core.products.get(request.match_info["product"]))

    # --- the control port --------------------------------------------------------------------

    async def _post_rows(self, request: web.Request) -> web.Response:
        filling = await body_of(request, Filling)
        for customer in filling.customers:
            self.core.customers.put(customer.customer_id, customer)
        for account in filling.accounts:
            self.core.accounts.put(account.account_id, account)
        for user in filling.users:
            self.core.users.put(user.user_id, user)
        return answer({"users": len(self.core.users)})


def _account_row(account: Account) -> Mapping[str, Any]:
    return {**msgspec.to_builtins(account), "state": account.state}
