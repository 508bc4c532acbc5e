"""What CRM does with what it is asked: rows, orders, their decomposition and their closing.

Decides at once and sends afterwards: whatever is to be told to others goes to `send`, whoever waits
for an order hears of it by `on_closed`. Reads no clock but the one it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.business.database import Database, Table
from loadtest.business.outbox import Parcel
from loadtest.business.paper import (
    Answer,
    Full,
    Kind,
    Order,
    Orders,
    State,
    SubOrder,
    To,
    answer_of,
    sub_orders,
)
from loadtest.business.standing import Change, Master, Reason, Scheme, Sends, Side, Standing, scheme
from loadtest.business.system import Declined
from loadtest.crm.rows import (
    Account,
    Cancellation,
    Customer,
    NewCustomer,
    NewProduct,
    NewUser,
    Product,
    ProductState,
    StateRequest,
    Stop,
    Subscription,
    User,
    UserState,
)

BOOKINGS: Final = "/bookings"
REVERSALS: Final = "/reversals"
STATE_ORDERS: Final = "/state-orders"

_BOOKED_THEN_PROVISIONED: Final = ((Kind.BOOKING, To.BOSS), (Kind.PROVISIONING, To.HLRD))
_PUBLISHED: Final = ((Kind.PROVISIONING, To.HLRD),)
_SIDE: Final = "C"


@dataclass(slots=True)
class CRM:
    db: Database
    send: Callable[[Parcel], None]
    clock: Callable[[], float]
    prefix: str  #: of order ids, another at each start
    first_id: int  #: of users, customers and accounts that are named by CRM
    masters: Mapping[str, Master] = field(default_factory=dict)  #: by province; else BOSS
    sends: Sends = Sends.BOSS
    on_closed: Callable[[Order], None] = lambda order: None
    customers: Table[Customer] = field(default_factory=lambda: Table("customer"))
    accounts: Table[Account] = field(default_factory=lambda: Table("account"))
    users: Table[User] = field(default_factory=lambda: Table("user"))
    products: Table[Product] = field(default_factory=lambda: Table("product"))
    orders: Orders = field(default_factory=Orders)
    repeats: int = 0  #: answers that came again
    _gated: dict[str, Parcel] = field(default_factory=dict)  #: sent when the booking is done
    _numbers: int = 0

    # --- customers and accounts (F05) --------------------------------------------------------

    def open_customer(self, asked: NewCustomer) -> Customer:
        """To be told to BOSS; `drop_customer` if BOSS does not take it."""
        customer_id = asked.customer_id or self._fresh_id()
        account_id = asked.account_id or self._fresh_id()
        if customer_id in self.customers or account_id in self.accounts:
            raise Declined(409, "CUSTOMER_EXISTS", f"{customer_id} or {account_id} is known")
        customer = Customer(customer_id, asked.name, [account_id])
        self.customers.put(customer_id, customer)
        self.accounts.put(account_id, Account(account_id, customer_id))
        self.db.accessed("创建账户、客户及扩展信息A", customer_id)
        return customer

    def drop_customer(self, customer: Customer) -> None:
        self.customers.drop(customer.customer_id)
        for account_id in customer.accounts:
            self.accounts.drop(account_id)
        self.db.accessed("删除账户、客户", customer.customer_id)

    # --- products (F01) ----------------------------------------------------------------------

    def create_product(self, asked: NewProduct) -> Product:
        """A version that is there already is published again as it is."""
        known = self.products.find(asked.product)
        if known is not None and known.product_version == asked.product_version:
            return known
        product = Product(
            asked.product,
            asked.product_version,
            asked.name,
            asked.services,
            asked.platforms,
            asked.on_stopped_line,
            asked.description,
        )
        self.products.put(asked.product, product)
        self.db.accessed("创建产品、资费描述和服务", f"{asked.product}/{asked.product_version}")
        return product

    def publish(self, name: str, operator_id: str) -> Order:
        """When BOSS has number and tariffs of it."""
        product = self.products.get(name)
        order = self._order("PRODUCT_PUBLISH", operator_id, parts=_PUBLISHED, subject=name)
        product.state = ProductState.PUBLISHING
        self.send(
            self._provisioning(
                order,
                product=name,
                product_version=product.product_version,
                name=product.name,
                services=product.services,
                platforms=product.platforms,
                on_stopped_line=product.on_stopped_line,
            )
        )
        return order

    # --- users and what they order (F06 to F09) ----------------------------------------------

    def open_user(self, asked: NewUser) -> Order:
        account = self.accounts.get(asked.account_id)
        user = self._new_user(asked)
        self.users.put(user.user_id, user)
        order = self._order(
            "USER_OPEN", asked.operator_id, parts=_BOOKED_THEN_PROVISIONED, user=user
        )
        account.users.append(user.user_id)
        self.db.accessed("创建用户及附加信息A", user.user_id)
        self._decomposed(order)
        booked = {
            "account_id": user.account_id,
            "province": user.province,
            "msisdn": user.msisdn,
            "services": user.services,
        }
        self._book(order, action="open", **booked)
        self._gate(
            order,
            asked,
            msisdn=user.msisdn,
            imsi=user.imsi,
            iccid=user.iccid,
            services=user.services,
            **asked.card(),
        )
        return order

    def subscribe(self, asked: Subscription) -> Order:
        user = self.users.get(asked.user_id)
        order = self._order(
            "PRODUCT_SUBSCRIBE",
            asked.operator_id,
            parts=_BOOKED_THEN_PROVISIONED,
            user=user,
            subject=asked.product,
        )
        self.db.accessed("修改用户订购信息", f"{user.user_id} {asked.product}")
        self._decomposed(order)
        self._book(order, action="subscribe", product=asked.product)
        version = (
            {} if asked.product_version is None else {"product_version": asked.product_version}
        )
        attributes = {"attributes": asked.attributes} if asked.attributes else {}
        self._gate(order, asked, msisdn=user.msisdn, product=asked.product, **version, **attributes)
        return order

    def cancel(self, user_id: str, product: str, asked: Cancellation) -> Order:
        user = self.users.get(user_id)
        order = self._order(
            "PRODUCT_UNSUBSCRIBE",
            asked.operator_id,
            parts=_BOOKED_THEN_PROVISIONED,
            user=user,
            subject=product,
        )
        self.db.accessed("修改用户订购信息", f"{user_id} {product}")
        self._decomposed(order)
        self._book(order, action="cancel", product=product)
        self._gate(order, asked, msisdn=user.msisdn, product=product)
        return order

    # --- states of users (F10 to F16) --------------------------------------------------------

    def stop(self, user_id: str, asked: Stop) -> Order:
        return self._ask_change(user_id, asked, level=asked.level)

    def resume(self, user_id: str, asked: Stop) -> Order:
        return self._ask_change(user_id, asked, level=0)

    def _ask_change(self, user_id: str, asked: Stop, *, level: int) -> Order:
        """By the customer's wish: who counts the versions of the province decides."""
        user = self.users.get(user_id)
        change = Change(Reason.VOLUNTARY, level, asked.cause)
        rules = self._scheme(user)
        order = self._order(change.act, asked.operator_id, parts=rules.of_crm(), user=user)
        is_decided = rules.decides is Side.CRM
        if is_decided:
            user.standing.decide(change)
        self.db.accessed("修改用户状态", f"{user_id} {change.act}")
        self._decomposed(order)
        waits = {"mode": asked.mode, "deadline_ms": asked.deadline_ms} if asked.is_sync else {}
        self._tell_boss(order, user, change, is_decided=is_decided, **waits)
        cause = {"cause": asked.cause} if asked.cause and level else {}
        by_level = {"level": level} if level else {}
        details = {"msisdn": user.msisdn, **by_level, **cause}
        network = self._network(order)
        if network is not None and is_decided:
            details |= user.standing.word()
            self.send(self._provisioning(order, waits, **details))
        elif network is not None:
            self._gated[order.order_id] = self._provisioning(order, waits, **details)
        return order

    def requested(self, asked: StateRequest) -> Order | None:
        """用户状态变更请求 of BOSS. None where only the state is copied."""
        user = self.users.get(asked.user_id)
        if asked.standing is not None:
            user.standing.copy(asked.standing)
        rules = self._scheme(user)
        if asked.standing is not None and Side.CRM not in rules.sends:
            return None
        known = self.orders.get(asked.order_id)
        return known or self._order_change(user, asked)

    def _order_change(self, user: User, asked: StateRequest) -> Order:
        rules = self._scheme(user)
        change = asked.change
        order = self._order(
            change.act,
            asked.operator_id,
            parts=rules.of_crm(),
            user=user,
            order_id=asked.order_id,
        )
        if asked.standing is None:
            user.standing.decide(change)
        self._tell_boss(order, user, change, is_decided=True)
        by_level = {"level": change.level} if change.level else {}
        details = {**asked.details, **by_level, **user.standing.word()}
        self.send(self._provisioning(order, msisdn=user.msisdn, **details))
        return order

    def _tell_boss(
        self, order: Order, user: User, change: Change, *, is_decided: bool, **waits: Any
    ) -> None:
        body = {
            "order_id": order.order_id,
            "user_id": user.user_id,
            "change": change,
            "operator_id": order.operator_id,
            "standing": copy(user.standing) if is_decided else None,
            **waits,
        }
        self.send(Parcel(To.BOSS, STATE_ORDERS, body))

    # --- what comes back ---------------------------------------------------------------------

    def booked(self, order_id: str, answer: Answer) -> None:
        """定购类订单响应."""
        self._answered(order_id, Kind.BOOKING, answer)

    def unbooked(self, order_id: str) -> None:
        """What was booked is taken back."""
        order = self.orders.get(order_id)
        if order is not None and order.reversed(now=self.clock()):
            self._close(order)

    def state_ordered(self, order_id: str, answer: Answer, standing: Standing | None) -> None:
        """用户状态变更类订单响应: with the master's word where BOSS is that."""
        order = self.orders.get(order_id)
        user = None if order is None else self.users.find(order.user_id)
        gated = self._gated.get(order_id)
        if user is not None and standing is not None:
            user.standing.copy(standing)
            self.db.accessed("修改用户状态信息", user.user_id)
            if gated is not None:
                body = {**gated.body, **standing.word()}
                self._gated[order_id] = Parcel(gated.to, gated.path, body, gated.is_awaited)
        self._answered(order_id, Kind.STATE, answer)

    def provisioned(self, order_id: str, answer: Answer) -> None:
        """开通类订单响应, of hlrd or of BOSS, which carried it out."""
        self._answered(order_id, Kind.PROVISIONING, answer)

    def receipt_of(self, sub_order_id: str, receipt: Mapping[str, Any]) -> None:
        """An interim one (fallout) is only noted."""
        found = self.orders.of(sub_order_id)
        if found is None:
            return
        order, kind = found
        if receipt["result"] == "fallout":
            order.notes.append(f"fallout {receipt.get('code', '')}")
            return
        self._answered(order.order_id, kind, answer_of(receipt))

    def _answered(self, order_id: str, kind: Kind, answer: Answer) -> None:
        order = self.orders.get(order_id)
        if order is None:
            return
        if not order.answer(kind, answer, now=self.clock()):
            self.repeats += 1
            return
        gated = self._gated.pop(order_id, None)
        if not answer.is_done and self._has_followers(order, kind, gated):
            order.abandon(now=self.clock())
        if order.state is State.OPEN and gated is not None:
            self.send(gated)
        if order.state is State.REVERSING:
            self._reverse(order)
        if order.state is State.CLOSED:
            self._close(order)

    def _has_followers(self, order: Order, kind: Kind, gated: Parcel | None) -> bool:
        """Whether the network would have been asked only after a state order was taken."""
        network = order.sub(Kind.PROVISIONING)
        is_of_boss = network is not None and network.to is To.BOSS
        return kind is Kind.STATE and (gated is not None or is_of_boss)

    def _reverse(self, order: Order) -> None:
        body = {"order_id": order.order_id, "user_id": order.user_id, "code": order.code}
        self.send(Parcel(To.BOSS, REVERSALS, body))

    def _close(self, order: Order) -> None:
        self._take_effect(order)
        self.db.accessed("订单关闭", f"{order.order_id} {order.result}")
        self.orders.closed(order)
        self.on_closed(order)

    def _take_effect(self, order: Order) -> None:
        is_done = order.result == "succeeded"
        user = self.users.find(order.user_id)
        match order.act:
            case "USER_OPEN" if user is not None and is_done:
                user.state = UserState.ACTIVE
            case "USER_OPEN" if user is not None:
                user.state = UserState.VOID
                self.accounts.get(user.account_id).users.remove(user.user_id)
            case "PRODUCT_SUBSCRIBE" if user is not None and is_done:
                user.products[order.subject] = self._version(order.subject)
            case "PRODUCT_UNSUBSCRIBE" if user is not None and is_done:
                user.products.pop(order.subject, None)
            case "PRODUCT_PUBLISH":
                product = self.products.get(order.subject)
                product.state = ProductState.ACTIVE if is_done else ProductState.FAILED

    def _version(self, name: str) -> int:
        product = self.products.find(name)
        return 0 if product is None else product.product_version

    # --- making orders -----------------------------------------------------------------------

    def _new_user(self, asked: NewUser) -> User:
        user_id = asked.user_id or self._fresh_id()
        known = self.users.find(user_id)
        if known is not None and known.state is not UserState.VOID:
            raise Declined(409, "USER_EXISTS", f"user {user_id} is {known.state}")
        return User(
            user_id,
            asked.account_id,
            asked.province,
            asked.msisdn,
            asked.imsi,
            asked.iccid,
            services=asked.services,
        )

    def _order(
        self,
        act: str,
        operator_id: str,
        *,
        parts: Sequence[tuple[Kind, To]],
        user: User | None = None,
        subject: str = "",
        order_id: str = "",
    ) -> Order:
        name = order_id or self._fresh_order_id()
        order = Order(
            name,
            act,
            operator_id,
            "" if user is None else user.user_id,
            sub_orders(name, parts, side=_SIDE),
            subject=subject,
            opened_at=self.clock(),
        )
        try:
            self.orders.add(order)
        except Full as full:
            raise Declined(503, "QUEUE_FULL", str(full)) from full
        return order

    def _decomposed(self, order: Order) -> None:
        kinds = "、".join(sub.kind for sub in order.sub_orders)
        self.db.accessed("创建订单并分解", f"{order.order_id} → {kinds}")

    def _book(self, order: Order, **what: Any) -> None:
        body = {
            "order_id": order.order_id,
            "user_id": order.user_id,
            "operator_id": order.operator_id,
            **what,
        }
        self.send(Parcel(To.BOSS, BOOKINGS, body))

    def _gate(
        self, order: Order, asked: NewUser | Subscription | Cancellation, **what: Any
    ) -> None:
        """Known to BOSS before the network carries it, or it could not be billed (无主话单)."""
        waits = {"mode": asked.mode, "deadline_ms": asked.deadline_ms} if asked.is_sync else {}
        self._gated[order.order_id] = self._provisioning(order, waits, **what)

    def _network(self, order: Order) -> SubOrder | None:
        """Its provisioning sub-order, if that is CRM's to send."""
        sub = order.sub(Kind.PROVISIONING)
        return sub if sub is not None and sub.to is To.HLRD else None

    def _provisioning(
        self, order: Order, waits: Mapping[str, Any] | None = None, **what: Any
    ) -> Parcel:
        sub = order.sub(Kind.PROVISIONING)
        assert sub is not None
        user = self.users.find(order.user_id)
        about = {} if not order.user_id else {"user_id": order.user_id}
        body = {
            "type": order.act,
            "order_id": sub.order_id,
            "root_order_id": order.order_id,
            "province": "000" if user is None else user.province,
            "operator_id": order.operator_id,
            "channel": "CRM",
            **about,
            **what,
            **(waits or {}),
        }
        return Parcel(To.HLRD, "", body, is_awaited=bool(waits))

    def _scheme(self, user: User) -> Scheme:
        return scheme(self.masters.get(user.province, Master.BOSS), self.sends)

    def fresh_payment_id(self) -> str:
        return f"P{self._fresh_order_id()}"

    def _fresh_order_id(self) -> str:
        self._numbers += 1
        return f"{self.prefix}{self._numbers}"

    def _fresh_id(self) -> str:
        self._numbers += 1
        return str(self.first_id + self._numbers)
