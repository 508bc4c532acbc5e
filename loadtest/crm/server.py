"""The HTTP interface of the emulated CRM.

What the UI asks (CRM 界面). Bodies are JSON, each names its `operator_id`. `mode` is "async"
(default: answered as soon as the order is decomposed) or "sync" (answered when the order is closed,
at latest after `deadline_ms`, 10,000 by default; 处理中 is no failure). What makes an order answers
it as `GET /orders/{id}` shows it: 200 when it is closed, 202 while it is not.

POST /customers   {"operator_id", "name", "customer_id"?, "account_id"?}         F05; 201
POST /products    {"operator_id", "product", "product_version", "name", "services", "platforms"?,
                   "on_stopped_line"?, "description"?}   F01; as PRODUCT_PUBLISH has them; again
                                                         with the same version: publishes it again
POST /users       {"operator_id", "province", "account_id", "user_id"?, "msisdn", "imsi", "iccid",
                   "services"?, "ki"?, "keyid"?, "algorithm"?, "card_type"?, "mode"?,
                   "deadline_ms"?}                                               F06, F07
POST /users/{user_id}/products          {"operator_id", "product", "product_version"?,
                                         "attributes"?, "mode"?, "deadline_ms"?} F08, F09
POST /users/{user_id}/products/{product}/cancellation  {"operator_id", "mode"?, "deadline_ms"?}
POST /users/{user_id}/stop, …/resume    {"operator_id", "cause"?, "level"? (2), "mode"?,
                                         "deadline_ms"?}                         F15, F16
POST /payments    {"operator_id", "account_id", "amount", "payment_id"?}         F12, F13, F14; 200
                  {"payment_id", "balance", "account_state"}: paid, whatever the network does
`POST /users` and `POST /users/{user_id}/products` also take an array (async, answered by an array;
items of the latter path then name their "user_id" and the path is `POST /subscriptions`).

GET /ui                           F02, F03: 302 to the SSO's login without its cookie; with it
                                  {"operator", "operations": [right, …]}
POST /ui/operations               {"right", "subject", "body"?}: cookie checked, authorized, then
                                  done at hlrd's staff API with the operator's own token, which
                                  the SSO gives for the cookie; {"status", "content"} of hlrd

To look up: GET /orders/{order_id} {"order_id", "act", "operator_id", "user_id", "subject",
"state" (open, reversing, closed), "result" ("", succeeded, failed, reversed), "code", "text",
"sub_orders": [{"kind" (定购类, 开通类, 用户状态变更类), "order_id", "to" (BOSS, CRM, hlrd),
"state" (waiting, done, failed, reversed), "code", "text", "marks"}]}; GET /orders?user_id=…;
GET /users/{user_id} {"state", "reasons": {"ARREARS": 2, …}, "level", "state_version", "cause"
(停机原因), "products": {product: version}, …}; GET /accounts/{account_id};
GET /customers/{customer_id}; GET /products/{product} {"state": created, publishing, active, failed}

What BOSS asks (arrays, answered in place):
POST /state-requests         用户状态变更请求: its master's word to copy, or what CRM is to order
POST /provisioning-answers   开通类订单响应 of what BOSS ordered for an order of CRM
POST /product-feedback       产品反馈: the tariffs of a product are configured

The control port has beside that of every system: GET /channel; POST /channel/lose, /channel/close,
/channel/open (F04); PUT /backup {"sends": "BOSS" | "CRM" | "both"}; PUT /away
{"on"}: it answers nobody until it is back; POST /rows {"customers",
"accounts", "users"} to fill the tables, as /dump shows the rows.
/dump has one row a line, as {"table": "users", "row": {…}}.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from loadtest.business.database import Table
from loadtest.business.front import Front, Settings, user_row
from loadtest.business.message import Party
from loadtest.business.neighbour import Words
from loadtest.business.outbox import Parcel
from loadtest.business.paper import Answer, Order, Orders
from loadtest.business.standing import Sends, Standing
from loadtest.business.system import Declined, Problem, answer, body_of
from loadtest.crm import rows
from loadtest.crm.core import BOOKINGS, CRM, REVERSALS, STATE_ORDERS
from loadtest.crm.rows import (
    Account,
    Cancellation,
    Customer,
    NewCustomer,
    NewProduct,
    NewUser,
    Payment,
    StateRequest,
    Stop,
    Subscription,
    User,
)

T = TypeVar("T")

_OPEN: Final = 202
_SAVE: Final = Words("创建客户、账户请求", "创建客户、账户响应")
_PRODUCT: Final = Words("产品信息请求", "产品反馈")
_PAY: Final = Words("缴费、销账请求", "服务调用响应")


class Taken(Struct):
    """BOSS's answer to one of several."""

    is_done: bool
    code: str = ""
    text: str = ""
    standing: Standing | None = None

    @property
    def answer(self) -> Answer:
        return Answer(self.is_done, self.code, self.text)


class Carried(Struct):
    """What became of an order that BOSS carried out for one of CRM."""

    order_id: str
    is_done: bool
    code: str = ""
    text: str = ""


class Configured(Struct):
    product: str
    number: int


class Filling(Struct):
    customers: list[Customer] = msgspec.field(default_factory=list)
    accounts: list[Account] = msgspec.field(default_factory=list)
    users: list[User] = msgspec.field(default_factory=list)


class Server(Front):
    party = Party.CRM
    ui_party = Party.CRM_UI
    peer_party = Party.BOSS
    peer_words: ClassVar[Mapping[str, Words]] = {
        BOOKINGS: Words("定购类订单请求", "定购类订单响应"),
        REVERSALS: Words("定购类订单冲正请求", "定购类订单冲正响应"),
        STATE_ORDERS: Words("用户状态变更类订单请求", "用户状态变更类订单响应"),
    }

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, database=Party.CRM_DB)
        self._publishers: dict[str, str] = {}  #: operator by product that waits for its tariffs
        self.core = CRM(
            self.db,
            self.send,
            time.monotonic,
            prefix=f"C{settings.prefix}",
            first_id=int(time.time()) * 1_000_000,
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
            web.post("/customers", self._post_customer),
            web.post("/products", self._post_product),
            web.post("/users", self._post_users),
            web.post("/users/{user_id}/products", self._post_subscription),
            web.post("/subscriptions", self._post_subscriptions),
            web.post("/users/{user_id}/products/{product}/cancellation", self._post_cancellation),
            web.post("/users/{user_id}/stop", self._post_stop),
            web.post("/users/{user_id}/resume", self._post_resume),
            web.post("/payments", self._post_payment),
            web.get("/users/{user_id}", self._get_user),
            web.get("/accounts/{account_id}", self._get_account),
            web.get("/customers/{customer_id}", self._get_customer),
            web.get("/products/{product}", self._get_product),
            web.post("/state-requests", self._post_state_requests),
            web.post("/provisioning-answers", self._post_provisioning_answers),
            web.post("/product-feedback", self._post_product_feedback),
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

    # --- what hlrd and BOSS answer -----------------------------------------------------------

    def hlrd_answered(self, sub_order_id: str, said: Answer) -> None:
        found = self.core.orders.of(sub_order_id)
        if found is not None:
            self.core.provisioned(found[0].order_id, said)

    def hlrd_receipt(self, sub_order_id: str, receipt: Mapping[str, Any]) -> None:
        self.core.receipt_of(sub_order_id, receipt)

    def peer_answered(self, parcel: Parcel, said: Any) -> None:
        taken = msgspec.convert(said, Taken)
        order_id = parcel.body["order_id"]
        match parcel.path:
            case "/bookings":
                self.core.booked(order_id, taken.answer)
            case "/reversals":
                self.core.unbooked(order_id)
            case _:
                self.core.state_ordered(order_id, taken.answer, taken.standing)

    # --- the UI ------------------------------------------------------------------------------

    async def _post_customer(self, request: web.Request) -> web.Response:
        asked = await body_of(request, NewCustomer)
        self.asked("开户请求", asked.name)
        customer = self.core.open_customer(asked)
        body = {
            "customer_id": customer.customer_id,
            "account_id": customer.accounts[0],
            "name": customer.name,
        }
        try:
            await self.peer.ask(
                "POST", "/customers", [body], words=_SAVE, detail=customer.customer_id
            )
        except Declined:
            self.core.drop_customer(customer)
            self.told("开户响应", "failed")
            raise
        self.told("开户响应", customer.customer_id)
        return answer(body, 201)

    async def _post_product(self, request: web.Request) -> web.Response:
        asked = await body_of(request, NewProduct)
        self.asked("新建产品请求", f"{asked.product}/{asked.product_version}")
        product = self.core.create_product(asked)
        body = {
            "product": product.product,
            "name": product.name,
            "services": [str(service.get("name", "")) for service in product.services],
        }
        said = await self.peer.ask(
            "POST", "/products", [body], words=_PRODUCT, detail=product.product
        )
        product.number = said[0]["number"]
        if said[0]["tariffs"] is None:
            self._publishers[product.product] = asked.operator_id
            self.told("请求响应", "待资费配置")
            return answer({"product": product.product, "state": product.state}, 202)
        order = self.core.publish(product.product, asked.operator_id)
        self.told("请求响应", order.order_id)
        return self.shown(order)

    async def _post_users(self, request: web.Request) -> web.Response:
        if (await request.read()).lstrip().startswith(b"["):
            await self.to_peer.room()
            many = await body_of(request, list[NewUser])
            return answer(_each(self.core.open_user, many), _OPEN)
        asked = await body_of(request, NewUser)
        self.asked("用户开户请求", asked.msisdn)
        return await self._finished(self.core.open_user(asked), asked, "定购响应")

    async def _post_subscription(self, request: web.Request) -> web.Response:
        asked = await body_of(request, Subscription)
        asked.user_id = request.match_info["user_id"]
        self.asked("产品定购请求", f"{asked.user_id} {asked.product}")
        return await self._finished(self.core.subscribe(asked), asked, "定购响应")

    async def _post_subscriptions(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[Subscription])
        await self.to_peer.room()
        return answer(_each(self.core.subscribe, many), _OPEN)

    async def _post_cancellation(self, request: web.Request) -> web.Response:
        asked = await body_of(request, Cancellation)
        user_id, product = request.match_info["user_id"], request.match_info["product"]
        self.asked("产品退订请求", f"{user_id} {product}")
        return await self._finished(self.core.cancel(user_id, product, asked), asked, "退订响应")

    async def _post_stop(self, request: web.Request) -> web.Response:
        asked = await body_of(request, Stop)
        self.asked("停机请求", request.match_info["user_id"])
        order = self.core.stop(request.match_info["user_id"], asked)
        return await self._finished(order, asked, "停机响应")

    async def _post_resume(self, request: web.Request) -> web.Response:
        asked = await body_of(request, Stop)
        self.asked("开机请求", request.match_info["user_id"])
        order = self.core.resume(request.match_info["user_id"], asked)
        return await self._finished(order, asked, "开机响应")

    async def _post_payment(self, request: web.Request) -> web.Response:
        """Paid here and now: what the network does about it concerns nobody at the counter."""
        asked = await body_of(request, Payment)
        self.core.accounts.get(asked.account_id)
        payment_id = asked.payment_id or self.core.fresh_payment_id()
        self.asked("缴费请求", f"{asked.account_id} {asked.amount}")
        body = {
            "account_id": asked.account_id,
            "amount": asked.amount,
            "payment_id": payment_id,
            "operator_id": asked.operator_id,
        }
        said = await self.peer.ask("POST", "/payments", [body], words=_PAY, detail=payment_id)
        self.told("缴费响应", f"{payment_id} {said[0]['balance']}")
        return answer(said[0])

    async def _finished(self, order: Order, asked: rows.Waits, name: str) -> web.Response:
        if asked.is_sync:
            await self.until_closed(order, asked.deadline_ms)
        self.told(name, f"{order.order_id} {order.result or '处理中'}")
        return self.shown(order)

    # --- look-ups ----------------------------------------------------------------------------

    async def _get_user(self, request: web.Request) -> web.Response:
        user = self.core.users.get(request.match_info["user_id"])
        return answer(user_row(user))

    async def _get_account(self, request: web.Request) -> web.Response:
        return answer(self.core.accounts.get(request.match_info["account_id"]))

    async def _get_customer(self, request: web.Request) -> web.Response:
        return answer(self.core.customers.get(request.match_info["customer_id"]))

    async def _get_product(self, request: web.Request) -> web.Response:
        return answer(self.core.products.get(request.match_info["product"]))

    # --- BOSS --------------------------------------------------------------------------------

    async def _post_state_requests(self, request: web.Request) -> web.Response:
        """Who sends many waits until what they cause has room."""
        many = await body_of(request, list[StateRequest])
        await self.to_peer.room()
        await self.to_hlrd.room()
        self.db.accessed("修改用户状态信息", many[0].user_id, times=len(many))
        return answer([self._requested(one) for one in many])

    def _requested(self, asked: StateRequest) -> Mapping[str, Any]:
        try:
            self.core.requested(asked)
        except Declined as declined:
            if declined.status == 503:
                raise
            return {"is_done": False, "code": declined.code, "text": declined.detail}
        return {"is_done": True}

    async def _post_provisioning_answers(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[Carried])
        for one in many:
            self.core.provisioned(one.order_id, Answer(one.is_done, one.code, one.text))
        return answer([{"is_done": True} for _ in many])

    async def _post_product_feedback(self, request: web.Request) -> web.Response:
        many = await body_of(request, list[Configured])
        for one in many:
            operator_id = self._publishers.pop(one.product, None)
            if operator_id is not None:
                self.core.products.get(one.product).number = one.number
                self.core.publish(one.product, operator_id)
        return answer([{"is_done": True} for _ in many])

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


def _each(act: Callable[[T], Order], asked: Sequence[T]) -> list[Order | Problem]:
    """What one of them is declined for concerns no other."""
    made: list[Order | Problem] = []
    for one in asked:
        try:
            made.append(act(one))
        except Declined as declined:
            made.append(declined.problem)
    return made
