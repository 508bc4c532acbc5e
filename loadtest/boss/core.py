"""What BOSS does with what it is asked: accounts, bookings, credit control, payments, and the state
of users as the scheme of their province shares it.

Decides at once and sends afterwards: whatever is to be told to others goes to `send`, and who waits
for an order hears of it by `on_closed`. Reads no clock but the one it is given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from loadtest.boss.rows import (
    Account,
    Action,
    Bill,
    Booking,
    Customer,
    NewCustomer,
    NewProduct,
    Payment,
    Product,
    Reversal,
    Run,
    StateOrder,
    Taken,
    Tariffs,
    User,
    UserState,
)
from loadtest.business.database import Database, Table
from loadtest.business.outbox import Parcel
from loadtest.business.paper import (
    Answer,
    Full,
    Kind,
    Order,
    Orders,
    Result,
    State,
    To,
    answer_of,
    sub_orders,
)
from loadtest.business.standing import Change, Master, Reason, Scheme, Sends, Side, Standing, scheme
from loadtest.business.system import Declined

STATE_REQUESTS: Final = "/state-requests"
PROVISIONING_ANSWERS: Final = "/provisioning-answers"
PRODUCT_FEEDBACK: Final = "/product-feedback"

RUNS_MAX: Final = 1_000
"""Runs of credit control remembered."""

PAYMENTS_MAX: Final = 100
"""Of an account, remembered so that a repeat is told."""

_STOOD_IN: Final = ((Kind.PROVISIONING, To.HLRD),)
_SIDE: Final = "B"


class Wish(Struct, frozen=True, gc=False):
    """A change that somebody asks for, and what its order is to say beside it."""

    change: Change
    operator_id: str
    details: Mapping[str, Any]
    waits: Mapping[str, Any] = {}  #: for how long a person does


@dataclass(slots=True)
class BOSS:
    db: Database
    send: Callable[[Parcel], None]
    clock: Callable[[], float]
    prefix: str  #: of order ids, another at each start
    masters: Mapping[str, Master] = field(default_factory=dict)  #: by province; else BOSS
    sends: Sends = Sends.BOSS
    on_closed: Callable[[Order], None] = lambda order: None
    customers: Table[Customer] = field(default_factory=lambda: Table("customer"))
    accounts: Table[Account] = field(default_factory=lambda: Table("account"))
    users: Table[User] = field(default_factory=lambda: Table("user"))
    products: Table[Product] = field(default_factory=lambda: Table("product"))
    orders: Orders = field(default_factory=Orders)
    runs: dict[str, Run] = field(default_factory=dict)
    repeats: int = 0
    _run_of: dict[str, Run] = field(default_factory=dict)  #: by order that is not closed
    _asked_by_crm: set[str] = field(default_factory=set)  #: orders whose end CRM waits for
    _numbers: int = 0

    # --- customers, products and bookings ----------------------------------------------------

    def open_customers(self, asked: Sequence[NewCustomer]) -> None:
        for one in asked:
            customer = Customer(one.customer_id, one.name, [one.account_id])
            self.customers.put(one.customer_id, customer)
            if one.account_id not in self.accounts:
                self.accounts.put(one.account_id, Account(one.account_id, one.customer_id))
        first = asked[0].customer_id if asked else ""
        self.db.accessed("创建客户、账户及扩展信息B", first, times=len(asked))

    def create_product(self, asked: NewProduct) -> Product:
        """Number and name; its tariffs are for staff."""
        known = self.products.find(asked.product)
        if known is not None:
            known.services = asked.services
            return known
        product = Product(len(self.products) + 1, asked.product, asked.name, asked.services)
        self.products.put(asked.product, product)
        self.db.accessed("创建产品基本信息(编号和名称)和服务", f"{product.number} {asked.product}")
        return product

    def configure(self, name: str, tariffs: Tariffs) -> Product:
        product = self.products.get(name)
        product.tariffs = tariffs
        self.db.accessed("配置产品资费", name)
        self.send(Parcel(To.CRM, PRODUCT_FEEDBACK, {"product": name, "number": product.number}))
        return product

    def book(self, asked: Sequence[Booking]) -> list[Taken]:
        answers = [self._booked(one) for one in asked]
        what = "创建用户及附加信息B" if asked[0].action is Action.OPEN else "修改用户订购信息"
        self.db.accessed(what, asked[0].user_id, times=len(asked))
        return answers

    def unbook(self, asked: Sequence[Reversal]) -> list[Taken]:
        """Of what the network did not carry out: the opening, or the subscription."""
        for one in asked:
            self._unbook(one)
        self.db.accessed("冲正定购", asked[0].order_id, times=len(asked))
        return [Taken(True) for _ in asked]

    def _booked(self, asked: Booking) -> Taken:
        if asked.action is Action.OPEN:
            return self._open(asked)
        user = self.users.find(asked.user_id)
        if user is None or user.state is UserState.VOID:
            return Taken(False, "USER_UNKNOWN", f"BOSS has no user {asked.user_id}")
        if asked.action is Action.SUBSCRIBE and asked.product not in self.products:
            return Taken(False, "PRODUCT_UNKNOWN", f"BOSS has no product {asked.product}")
        held = [one for one in user.products if one != asked.product]
        user.products = [*held, asked.product] if asked.action is Action.SUBSCRIBE else held
        self._remember(asked)
        return Taken(True)

    def _open(self, asked: Booking) -> Taken:
        account = self.accounts.find(asked.account_id)
        if account is None:
            return Taken(False, "ACCOUNT_UNKNOWN", f"BOSS has no account {asked.account_id}")
        known = self.users.find(asked.user_id)
        if known is not None and known.state is not UserState.VOID:
            return Taken(True)  # the same, once more
        user = User(asked.user_id, asked.account_id, asked.province, asked.msisdn)
        self.users.put(asked.user_id, user)
        account.users.append(asked.user_id)
        self._remember(asked)
        return Taken(True)

    def _remember(self, asked: Booking) -> None:
        """What was booked by an order, so that it can be taken back."""
        order = Order(asked.order_id, asked.action, asked.operator_id, asked.user_id, [])
        order.subject, order.opened_at = asked.product, self.clock()
        order.finish(now=self.clock())
        if self.orders.get(asked.order_id) is None:
            self._add(order)
            self.orders.closed(order)

    def _unbook(self, asked: Reversal) -> None:
        user, booked = self.users.find(asked.user_id), self.orders.get(asked.order_id)
        if user is None or booked is None or booked.result is Result.REVERSED:
            return
        booked.result, booked.code = Result.REVERSED, asked.code
        match booked.act:
            case Action.OPEN:
                user.state = UserState.VOID
                self.accounts.get(user.account_id).users.remove(user.user_id)
            case Action.SUBSCRIBE:
                user.products = [one for one in user.products if one != booked.subject]
            case Action.CANCEL:
                user.products.append(booked.subject)

    # --- accounts ----------------------------------------------------------------------------

    def bill(self, asked: Sequence[Bill]) -> list[Account]:
        """出账. Declined whole when one account is unknown."""
        accounts = [self.accounts.get(one.account_id) for one in asked]
        for one, account in zip(asked, accounts, strict=True):
            account.balance -= one.amount
        first = asked[0].account_id if asked else ""
        self.db.accessed("出账", first, times=len(asked))
        return accounts

    def pay(self, asked: Payment) -> int:
        """缴费、销账: the balance at once; who is stopped for arrears is ordered to go on."""
        account = self.accounts.get(asked.account_id)
        if asked.payment_id in account.payments:  # the same, once more
            return account.payments[asked.payment_id]
        account.balance += asked.amount
        account.payments[asked.payment_id] = account.balance
        if len(account.payments) > PAYMENTS_MAX:
            del account.payments[next(iter(account.payments))]
        self.db.accessed("修改账户数据(缴费、销账、余额管理)", asked.account_id)
        if account.balance >= 0:
            self._resume(account, asked)
        return account.balance

    def _resume(self, account: Account, asked: Payment) -> None:
        details = {"payment_id": asked.payment_id}
        resume = Wish(Change(Reason.ARREARS, 0), asked.operator_id, details)
        stopped = [user for user in self._users_of(account) if user.arrears_asked]
        for user in stopped:
            self._change(user, resume)
        if stopped:
            self.db.accessed("修改用户状态信息", stopped[0].user_id, times=len(stopped))

    # --- credit control ----------------------------------------------------------------------

    def suspects(self, *, users: Sequence[str] | None, accounts: Sequence[str] | None) -> list[str]:
        """Ids of the users that credit control looks at. Raises Declined for an unknown one."""
        if users is not None:
            return [self.users.get(user_id).user_id for user_id in users]
        if accounts is not None:
            looked_at: Iterable[Account] = [self.accounts.get(one) for one in accounts]
        else:
            looked_at = (one for one in self.accounts.rows() if one.balance < 0)
        return [user.user_id for account in looked_at for user in self._users_of(account)]

    def begin_run(self, users: int) -> Run:
        if len(self.runs) >= RUNS_MAX:
            del self.runs[next(iter(self.runs))]
        run = Run(self._fresh_order_id(), users)
        self.runs[run.run] = run
        return run

    def control(
        self, run: Run, user_ids: Sequence[str], *, level: int, bill_month: str, operator_id: str
    ) -> None:
        """信用控制: stop these for arrears."""
        stop = Change(Reason.ARREARS, level, "欠费")
        months = {"bill_month": bill_month} if bill_month else {}
        for user_id in user_ids:
            user = self.users.get(user_id)
            wish = Wish(stop, operator_id, {"account_id": user.account_id, **months})
            self._run_of[self._change(user, wish)] = run
            run.ordered += 1
        self.db.accessed("修改用户状态信息", user_ids[0], times=len(user_ids))

    def _users_of(self, account: Account) -> list[User]:
        return [self.users.get(one) for one in account.users]

    # --- states of users ---------------------------------------------------------------------

    def state_ordered(self, asked: Sequence[StateOrder]) -> list[Taken]:
        """用户状态变更类订单请求 of CRM."""
        answers = [self._state_ordered(one) for one in asked]
        self.db.accessed("修改用户状态信息、停机原因", asked[0].user_id, times=len(asked))
        return answers

    def _state_ordered(self, asked: StateOrder) -> Taken:
        user = self.users.find(asked.user_id)
        if user is None or user.state is UserState.VOID:
            return Taken(False, "USER_UNKNOWN", f"BOSS has no user {asked.user_id}")
        if asked.standing is not None:
            user.standing.copy(asked.standing)
        elif self.orders.get(asked.order_id) is None:
            self._change(user, _wish_of(asked), order_id=asked.order_id)
        return Taken(True, standing=copy(user.standing))

    def _change(self, user: User, wish: Wish, *, order_id: str = "") -> str:
        """The id of the business order; with `order_id` it is one of CRM's."""
        rules = self._scheme(user)
        name = order_id or self._fresh_order_id()
        if wish.change.reason is Reason.ARREARS:
            user.arrears_asked = wish.change.level
        is_decided = rules.decides is Side.BOSS
        if is_decided:
            user.standing.decide(wish.change)
            parts = rules.of_boss(is_asked_by_crm=bool(order_id))
            order = self._order(name, user, wish, parts)
            if order_id and Side.CRM not in rules.sends:
                self._asked_by_crm.add(name)
            self._provision(order, wish, user.standing)
        if not order_id:
            self._tell_crm(name, user, wish, is_decided=is_decided)
        return name

    def _provision(self, order: Order, wish: Wish, standing: Standing) -> None:
        sub, user = order.sub(Kind.PROVISIONING), self.users.get(order.user_id)
        if sub is None:
            if not order.sub_orders:
                order.finish(now=self.clock())
                self._close(order)
            return
        level = {"level": wish.change.level} if wish.change.level else {}
        body = {
            "type": order.act,
            "order_id": sub.order_id,
            "root_order_id": order.order_id,
            "province": user.province,
            "operator_id": order.operator_id,
            "channel": "BOSS",
            "user_id": user.user_id,
            "msisdn": user.msisdn,
            **level,
            **wish.details,
            **standing.word(),
            **wish.waits,
        }
        self.send(Parcel(To.HLRD, "", body, is_awaited=bool(wish.waits)))

    def stand_in(self, asked: Mapping[str, Any]) -> None:
        """CRM was to order of the network by this request, and is away: under backup BOSS does
        so. What CRM sends when it is back counts once with that."""
        order = self.orders.get(asked["order_id"])
        if order is None or order.sub(Kind.PROVISIONING) is not None:
            return
        order.sub_orders += sub_orders(order.order_id, _STOOD_IN, side=_SIDE)
        wish = Wish(asked["change"], asked["operator_id"], asked["details"])
        self._provision(order, wish, asked["standing"])

    def _tell_crm(self, order_id: str, user: User, wish: Wish, *, is_decided: bool) -> None:
        """用户状态变更请求: the master's word, or a wish where CRM is the master."""
        body = {
            "order_id": order_id,
            "user_id": user.user_id,
            "change": wish.change,
            "operator_id": wish.operator_id,
            "standing": copy(user.standing) if is_decided else None,
            "details": wish.details,
        }
        self.send(Parcel(To.CRM, STATE_REQUESTS, body))

    # --- what comes back ---------------------------------------------------------------------

    def state_requested(self, order_id: str, answer: Answer) -> None:
        """用户状态变更反馈. Where CRM is the master that ends it for BOSS."""
        if self.orders.get(order_id) is None:
            self._end_in_run(order_id, is_failed=not answer.is_done)
        else:
            self._answered(order_id, Kind.STATE, answer)

    def provisioned(self, sub_order_id: str, answer: Answer) -> None:
        """What hlrd said at once."""
        found = self.orders.of(sub_order_id)
        if found is not None:
            self._answered(found[0].order_id, found[1], answer)

    def receipt_of(self, sub_order_id: str, receipt: Mapping[str, Any]) -> None:
        """An interim one (fallout) is only noted."""
        found = self.orders.of(sub_order_id)
        if found is None:
            return
        if receipt["result"] == "fallout":
            found[0].notes.append(f"fallout {receipt.get('code', '')}")
        else:
            self._answered(found[0].order_id, found[1], answer_of(receipt))

    def _answered(self, order_id: str, kind: Kind, answer: Answer) -> None:
        order = self.orders.get(order_id)
        if order is None:
            return
        if not order.answer(kind, answer, now=self.clock()):
            self.repeats += 1
            return
        if kind is Kind.PROVISIONING and order_id in self._asked_by_crm:
            self._asked_by_crm.discard(order_id)
            self.send(Parcel(To.CRM, PROVISIONING_ANSWERS, {"order_id": order_id, **of(answer)}))
        if order.state is State.CLOSED:
            self._close(order)

    def _close(self, order: Order) -> None:
        self.db.accessed("订单关闭", f"{order.order_id} {order.result}")
        self.orders.closed(order)
        self._end_in_run(order.order_id, is_failed=order.result == "failed")
        self.on_closed(order)

    def _end_in_run(self, order_id: str, *, is_failed: bool) -> None:
        run = self._run_of.pop(order_id, None)
        if run is not None:
            run.closed += 1
            run.failed += is_failed

    # --- making orders -----------------------------------------------------------------------

    def _order(self, name: str, user: User, wish: Wish, parts: Sequence[tuple[Kind, To]]) -> Order:
        order = Order(
            name,
            wish.change.act,
            wish.operator_id,
            user.user_id,
            sub_orders(name, parts, side=_SIDE),
            opened_at=self.clock(),
        )
        self._add(order)
        return order

    def _add(self, order: Order) -> None:
        try:
            self.orders.add(order)
        except Full as full:
            raise Declined(503, "QUEUE_FULL", str(full)) from full

    def _scheme(self, user: User) -> Scheme:
        return scheme(self.masters.get(user.province, Master.BOSS), self.sends)

    def _fresh_order_id(self) -> str:
        self._numbers += 1
        return f"{self.prefix}{self._numbers}"


def _wish_of(asked: StateOrder) -> Wish:
    change = asked.change
    details = {"cause": change.cause} if change.cause and change.level else {}
    is_sync = asked.mode == "sync"
    waits = {"mode": asked.mode, "deadline_ms": asked.deadline_ms} if is_sync else {}
    return Wish(change, asked.operator_id, details, waits)


def of(answer: Answer) -> dict[str, Any]:
    return {"is_done": answer.is_done, "code": answer.code, "text": answer.text}
