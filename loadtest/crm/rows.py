"""What the CRM DB holds (附加信息 A), and what is asked of CRM."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from loadtest.business.standing import Change, Standing

Id = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]
OperatorId = Annotated[str, Meta(min_length=1, max_length=20)]
DEADLINE_MS = 10_000


class Customer(Struct):
    customer_id: str
    name: str
    accounts: list[str]
    channel: str = "营业厅"  #: 附加信息 A: by which he came


class Account(Struct, gc=False):
    account_id: str
    customer_id: str
    users: list[str] = field(default_factory=list)


class UserState(StrEnum):
    OPENING = "opening"
    ACTIVE = "active"
    VOID = "void"  #: never came to be


class User(Struct, gc=False):
    user_id: str
    account_id: str
    province: str
    msisdn: str
    imsi: str
    iccid: str
    state: UserState = UserState.OPENING
    standing: Standing = field(default_factory=Standing)
    products: dict[str, int] = field(default_factory=dict)  #: version by product; 0: the active one
    services: list[str] = field(default_factory=list)  #: 附加信息 A: as the customer wanted it


class ProductState(StrEnum):
    CREATED = "created"  #: BOSS has not configured its tariffs yet
    PUBLISHING = "publishing"
    ACTIVE = "active"
    FAILED = "failed"


class Product(Struct):
    product: str
    product_version: int
    name: str
    services: list[dict[str, Any]]
    platforms: list[str] = field(default_factory=list)
    on_stopped_line: str = "byKind"
    description: str = ""  #: 附加信息 A: of its tariffs, for the customer
    state: ProductState = ProductState.CREATED
    number: int = 0  #: BOSS's, one to one


class Waits(Struct, kw_only=True):
    """How long the person at the UI waits."""

    operator_id: OperatorId
    mode: Literal["sync", "async"] = "async"
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = DEADLINE_MS

    @property
    def is_sync(self) -> bool:
        return self.mode == "sync"


class NewCustomer(Struct):
    operator_id: OperatorId
    name: str
    customer_id: Id | None = None
    account_id: Id | None = None


class NewProduct(Struct):
    operator_id: OperatorId
    product: str
    product_version: int
    name: str
    services: list[dict[str, Any]]
    platforms: list[str] = field(default_factory=list)
    on_stopped_line: str = "byKind"
    description: str = ""


class NewUser(Waits, kw_only=True):
    province: str
    account_id: Id
    msisdn: str
    imsi: str
    iccid: str
    user_id: Id | None = None
    services: list[str] = field(default_factory=lambda: ["GPRS", "SMS"])
    ki: str | None = None
    keyid: int | None = None
    algorithm: str | None = None
    card_type: str | None = None

    def card(self) -> dict[str, Any]:
        """The key that the card brings, if it does: for hlrd alone, and kept nowhere."""
        given = {name: getattr(self, name) for name in ("ki", "keyid", "algorithm", "card_type")}
        return {name: value for name, value in given.items() if value is not None}


class Subscription(Waits, kw_only=True):
    product: str
    user_id: str = ""  #: named by the path, or by an item of many
    product_version: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


class Cancellation(Waits, kw_only=True):
    pass


class Stop(Waits, kw_only=True):
    """Also of a resume, whose level is none."""

    cause: str = ""
    level: Annotated[int, Meta(ge=1, le=2)] = 2


class Payment(Struct):
    operator_id: OperatorId
    account_id: Id
    amount: Annotated[int, Meta(gt=0)]
    payment_id: str | None = None


class StateRequest(Struct, gc=False):
    """Of BOSS: 用户状态变更请求. With `standing` BOSS has decided, else CRM is to."""

    order_id: str
    user_id: str
    change: Change
    operator_id: str
    standing: Standing | None = None
    details: dict[str, Any] = field(default_factory=dict)  #: bill_month, payment_id, account_id
