"""What the support system of a province keeps (customers, their businesses, members, orders), and
what it is asked for.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from hlrd import limits
from hlrd.domain.identity import ICCIDText
from hlrd.domain.orders.header import ECCodeText, NameText, OperatorText, ProvinceText, Service
from hlrd.domain.product import LabelText, ParameterText, ProductText, ProductVersion, ValueText

MEMBERS_MAX: Final = 1_000_000
"""Of all enterprises together; at about 1 kB each, 1 GB."""

ADDED_MAX: Final = limits.BATCH_ROWS_MAX
"""Members of one act: what a batch file takes."""

Attributes = dict[ParameterText, ValueText]
Services = Annotated[tuple[Service, ...], Meta(min_length=1)]


class Act(StrEnum):
    """What people do at the front, as the seeds call it."""

    OPEN_BUSINESS = "业务开通"
    CANCEL_BUSINESS = "业务退订"
    ADD_MEMBER = "成员添加"
    ADD_MEMBERS = "批量开户"
    ORDER_PRODUCT = "成员业务订购"
    DROP_PRODUCT = "成员业务退订"
    REMOVE_MEMBER = "成员退出"


class Standing(StrEnum):
    """Of a business, of a member, of a member's product."""

    PENDING = "pending"
    ACTIVE = "active"
    LEAVING = "leaving"
    GONE = "gone"
    FAILED = "failed"


class LineState(StrEnum):
    HELD = "held"  #: for what comes before it
    POSTED = "posted"
    FALLOUT = "fallout"  #: a person looks at it; it can still succeed
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: or refused, or never posted since what it needs failed


ENDED: Final = frozenset({LineState.SUCCEEDED, LineState.FAILED})


class Timing(StrEnum):
    """When the orders of a new member are posted."""

    IN_SEQUENCE = "inSequence"  #: enterprise, base capability, products: each when the last is done
    TOGETHER = "together"  #: at once, whatever the enterprise has
    PRODUCT_FIRST = "productFirst"  #: at once, and the products before the base capability


# What people ask for.


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """A product of the catalogue (产品目录) that enterprises choose from."""

    name: LabelText
    product_class: Annotated[int, Meta(ge=1, le=3)] = 1
    version: ProductVersion | None = None  #: None: the active one when it is ordered


class NewCustomer(Struct, frozen=True, forbid_unknown_fields=True):
    code: ECCodeText
    name: LabelText
    operator: OperatorText | None = None


class NewBusiness(Struct, frozen=True, forbid_unknown_fields=True):
    product: ProductText
    partner_provinces: Annotated[list[ProvinceText], Meta(max_length=30)] = []
    straight: bool = False
    operator: OperatorText | None = None


class NewMember(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One member, with a physical card: this very one, or any of the lot or of the province."""

    products: Annotated[list[ProductText], Meta(max_length=8)] = []
    attributes: Attributes = {}  #: of the products
    timing: Timing = Timing.IN_SEQUENCE
    product_class: Annotated[int, Meta(ge=1, le=3)] | None = None  #: None: the enterprise's
    user_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | None = None
    iccid: ICCIDText | None = None
    lot: NameText | None = None
    pool: NameText | None = None  #: None: the one of this system
    services: Services = (Service.GPRS, Service.SMS)
    operator: OperatorText | None = None


class NewMembers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Many at once, by a file; or, as `orders`, by as many orders."""

    count: Annotated[int, Meta(ge=1, le=ADDED_MAX)]
    products: Annotated[list[ProductText], Meta(max_length=8)] = []
    attributes: Attributes = {}
    timing: Timing = Timing.IN_SEQUENCE
    product_class: Annotated[int, Meta(ge=1, le=3)] | None = None
    as_orders: bool = False
    partial: bool = False  #: fewer members are better than none
    lot: NameText | None = None
    pool: NameText | None = None  #: None: the one of this system
    iccid_first: ICCIDText | None = None
    iccid_last: ICCIDText | None = None
    services: Services = (Service.GPRS, Service.SMS)
    operator: OperatorText | None = None


class NewProduct(Struct, frozen=True, forbid_unknown_fields=True):
    product: ProductText
    attributes: Attributes = {}
    operator: OperatorText | None = None


# What it keeps.


class Customer(Struct):
    """An enterprise (EC, 集团客户)."""

    code: str
    name: str
    province: str  #: the lead; another's was published to this one


class Business(Struct):
    """A product that an enterprise has, or is about to (集团业务)."""

    ec_code: str
    product: str
    product_class: int
    route: str
    lead_province: str
    partner_provinces: Sequence[str] = ()
    straight: bool = False
    standing: Standing = Standing.PENDING
    code: str = ""  #: why it failed


class Member(Struct):
    user_id: str
    ec_code: str
    standing: Standing = Standing.PENDING
    msisdn: str = ""
    imsi: str = ""
    iccid: str = ""
    code: str = ""  #: why it was not opened
    products: dict[str, Standing] = {}


class Line(Struct):
    """One work order of hlrd, or one file of them, of a business order."""

    order_id: str
    kind: str
    fields: dict[str, Any]  #: what its header has not; of a file, what the rows have in common
    operator: str
    root: str
    state: LineState = LineState.HELD
    users: Sequence[str] = ()  #: the rows, if it is a file
    said: dict[str, str] = {}  #: of a file, beside what is in common
    id: str = ""  #: hlrd's; of a file, of the batch
    code: str = ""
    text: str = ""
    given: dict[str, str] = {}  #: number and card, as its answer told; not of a file

    @property
    def is_file(self) -> bool:
        return bool(self.users)


class Order(Struct):
    """A business order (业务订单): closed when each of its lines has ended."""

    id: str
    act: Act
    ec_code: str
    lines: list[str] = []
    open: int = 0  #: lines that have not ended

    @property
    def is_closed(self) -> bool:
        return not self.open


def file_of(line: Line) -> bytes:
    """The batch file: what is of the rows alone."""
    return ("user_id\n" + "\n".join(line.users) + "\n").encode()


def header_of(line: Line, province: str) -> dict[str, Any]:
    """What every order carries."""
    return {
        "type": line.kind,
        "order_id": line.order_id,
        "root_order_id": line.root,
        "province": province,
        "operator_id": line.operator,
    }
