"""What the BOSS DB holds (附加信息 B), and what is asked of BOSS."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from loadtest.business.standing import Change, Standing


class AccountState(StrEnum):
    NORMAL = "normal"
    ARREARS = "arrears"


class Customer(Struct):
    customer_id: str
    name: str
    accounts: list[str]
    credit_class: str = "普通"  #: 扩展信息 B


class Account(Struct, gc=False):
    account_id: str
    customer_id: str
    balance: int = 0  #: in fen; below zero is owed
    payments: dict[str, int] = field(default_factory=dict)  #: balance after it, by payment
    users: list[str] = field(default_factory=list)

    @property
    def state(self) -> AccountState:
        return AccountState.ARREARS if self.balance < 0 else AccountState.NORMAL


class UserState(StrEnum):
    BOOKED = "booked"
    VOID = "void"  #: taken back


class User(Struct, gc=False):
    user_id: str
    account_id: str
    province: str
    msisdn: str
    state: UserState = UserState.BOOKED
    standing: Standing = field(default_factory=Standing)
    products: list[str] = field(default_factory=list)
    arrears_asked: int = 0  #: the level that credit control asked for last; 0 when it was paid
    rating: str = "标准"  #: 附加信息 B: 计费资费


class Tariffs(Struct):
    rating: str  #: 计费资费
    billing: str  #: 帐务资费
    operator_id: str


class Product(Struct):
    """One to one with CRM's of the same name (一对一映射)."""

    number: int  #: 编号
    product: str
    name: str
    services: list[str]
    tariffs: Tariffs | None = None


class NewCustomer(Struct):
    customer_id: str
    account_id: str
    name: str


class NewProduct(Struct):
    product: str
    name: str
    services: list[str]


class Action(StrEnum):
    OPEN = "open"
    SUBSCRIBE = "subscribe"
    CANCEL = "cancel"


class Booking(Struct, gc=False):
    """定购类订单请求."""

    order_id: str
    user_id: str
    operator_id: str
    action: Action
    account_id: str = ""
    province: str = ""
    msisdn: str = ""
    services: list[str] = field(default_factory=list)
    product: str = ""


class Reversal(Struct):
    order_id: str
    user_id: str
    code: str = ""


class StateOrder(Struct, gc=False):
    """用户状态变更类订单请求. Without `standing` BOSS decides."""

    order_id: str
    user_id: str
    change: Change
    operator_id: str
    standing: Standing | None = None
    mode: str = "async"
    deadline_ms: int = 0


class Bill(Struct):
    account_id: str
    amount: Annotated[int, Meta(gt=0)]


class Payment(Struct):
    account_id: str
    amount: Annotated[int, Meta(gt=0)]
    payment_id: str
    operator_id: str


class CreditControl(Struct):
    """Whom to look at; neither list: all who are in arrears."""

    users: list[str] | None = None
    accounts: list[str] | None = None
    level: Annotated[int, Meta(ge=1, le=2)] = 2
    bill_month: str = ""
    rate: Annotated[float, Meta(gt=0)] | None = None  #: users a second
    operator_id: str = "credit"


class Taken(Struct, gc=False):
    """The answer to one of several that came together."""

    is_done: bool
    code: str = ""
    text: str = ""
    standing: Standing | None = None


class Run(Struct):
    """One run of credit control."""

    run: str
    users: int
    ordered: int = 0
    closed: int = 0
    failed: int = 0

    def row(self) -> dict[str, Any]:
        is_over = self.ordered == self.users == self.closed
        return {
            "run": self.run,
            "users": self.users,
            "ordered": self.ordered,
            "closed": self.closed,
            "failed": self.failed,
            "is_over": is_over,
        }
