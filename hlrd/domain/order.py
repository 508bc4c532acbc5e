"""Work orders (工单) as upstream posts them: one typed struct per kind, decoded and checked.

Every field rule that needs no knowledge beyond the order itself is here; what needs the user, the
stock or other orders is in `engine.intake`.
"""

import hashlib
import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from hlrd import limits
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest, Refusal
from hlrd.domain.identity import (
    ICCIDText,
    IMSIText,
    KeyText,
    MSISDNText,
    UserId,
    UserIdText,
)
from hlrd.domain.product import (
    ElementText,
    LabelText,
    ParameterText,
    Product,
    ProductService,
    ProductText,
    ProductVersion,
    ValueText,
)

BEIJING: Final = ZoneInfo("Asia/Shanghai")

PROVINCES: Final = {
    "000": "总部", "100": "北京", "200": "广东", "210": "上海", "220": "天津", "230": "重庆",
    "240": "辽宁", "250": "江苏", "270": "湖北", "280": "四川", "290": "陕西", "311": "河北",
    "351": "山西", "371": "河南", "431": "吉林", "451": "黑龙江", "471": "内蒙古", "531": "山东",
    "551": "安徽", "571": "浙江", "591": "福建", "731": "湖南", "771": "广西", "791": "江西",
    "851": "贵州", "871": "云南", "891": "西藏", "898": "海南", "931": "甘肃", "951": "宁夏",
    "971": "青海", "991": "新疆",
}  # fmt: skip
"""Company codes; 000 is headquarters."""


class Source(StrEnum):
    """The upstream system an order comes from. Known from its token, never from a body."""

    CRM = "CRM"
    BOSS = "BOSS"
    ESOP = "ESOP"
    BBOSS = "BBOSS"  #: 一级BBOSS
    BOSS1 = "BOSS1"  #: 一级BOSS
    PBOSS = "PBOSS"  #: 物联网PBOSS
    OPS = "OPS"  #: operator staff


class Service(StrEnum):
    """Functions of a subscriber that the HLR template switches on."""

    SMS = "SMS"
    GPRS = "GPRS"
    VOICE = "VOICE"


OrderIdText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,32}\Z")]
ProvinceText = Annotated[str, Meta(pattern=r"\A[0-9]{3}\Z")]
OperatorText = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,20}\Z")]
NameText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")]
ECCodeText = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]{1,20}\Z")]
TimeText = Annotated[str, Meta(pattern=r"\A[0-9]{14}\Z")]
MonthText = Annotated[str, Meta(pattern=r"\A20[0-9]{2}(?:0[1-9]|1[0-2])\Z")]
ReservationText = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,17}\Z")]
NoteText = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,200}\Z")]
LevelNumber = Annotated[int, Meta(ge=1, le=2)]
VersionNumber = Annotated[int, Meta(ge=0, le=2**53)]


class Header(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every order carries. Times are `yyyyMMddHHmmss`, Beijing time."""

    order_id: OrderIdText  #: upstream's, unique per source: the idempotency key
    province: ProvinceText  #: a key of PROVINCES
    operator_id: OperatorText  #: who did it upstream; recorded with every order
    version: Annotated[int, Meta(ge=1, le=1)] = 1
    root_order_id: OrderIdText | None = None  #: the business order in CRM
    channel: NameText | None = None
    seq: Annotated[int, Meta(ge=0, le=2**53)] | None = None  #: increases per user
    accept_time: TimeText | None = None
    effective_time: TimeText | None = None
    priority: Annotated[int, Meta(ge=0, le=limits.PRIORITIES - 1)] | None = None
    mode: Literal["sync", "async"] = "async"
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] | None = None
    reply_to: NameText | None = None


class UserHeader(Header, kw_only=True, forbid_unknown_fields=True):
    """What every order about one user carries."""

    user_id: UserIdText


class MemberActivate(UserHeader, tag="MEMBER_ACTIVATE", kw_only=True, forbid_unknown_fields=True):
    """成员基础通信功能开通: number and card are drawn, unless the card is named."""

    ec_code: ECCodeText
    product_class: Annotated[int, Meta(ge=1, le=3)] = 1
    route: Literal["BBOSS", "BOSS1"] = "BOSS1"  #: the relay that the report goes up by
    pool: NameText = "iot"
    digits: Literal[11, 13] = 13
    iccid: ICCIDText | None = None  #: this very card
    lot: NameText | None = None  #: any card of this lot; neither: any card of the province
    msisdn: MSISDNText | None = None  #: the customer's choice: idle, or of the reservation
    reservation: ReservationText | None = None  #: gives number, pool, digits; cards if any
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: [Service.GPRS, Service.SMS]
    )


class UserOpen(UserHeader, tag="USER_OPEN", kw_only=True, forbid_unknown_fields=True):
    """用户开户: CRM names number and card; the key comes with the order or from the stock."""

    msisdn: MSISDNText
    imsi: IMSIText
    iccid: ICCIDText
    ki: KeyText | None = None  #: encrypted under transport key `keyid`; taken off before storing
    keyid: Annotated[int, Meta(ge=0, le=identity.K4SNO_MAX)] | None = None
    algorithm: Literal["COMP128_1", "COMP128_2", "COMP128_3", "MILENAGE"] = "MILENAGE"
    card_type: Literal["SIM", "USIM"] = "USIM"
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)]
    reservation: ReservationText | None = None  #: that has the number, and the card if any
    arrears_level: LevelNumber | None = None  #: opened while the account is in arrears


class ArrearsSuspend(UserHeader, tag="ARREARS_SUSPEND", kw_only=True, forbid_unknown_fields=True):
    """欠费停机."""

    msisdn: MSISDNText
    level: LevelNumber
    account_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}\Z")] | None = None
    bill_month: MonthText | None = None
    state_version: VersionNumber | None = None


class PaymentResume(UserHeader, tag="PAYMENT_RESUME", kw_only=True, forbid_unknown_fields=True):
    """缴费开机: takes ARREARS off and no other reason."""

    msisdn: MSISDNText
    payment_id: OrderIdText | None = None
    state_version: VersionNumber | None = None


class UserTerminate(UserHeader, tag="USER_TERMINATE", kw_only=True, forbid_unknown_fields=True):
    """销户."""

    msisdn: MSISDNText
    cause: NoteText | None = None
    quarantine_days: Annotated[int, Meta(ge=0, le=365)] | None = None  #: absent: the pool's own


class ProductPublish(Header, tag="PRODUCT_PUBLISH", kw_only=True, forbid_unknown_fields=True):
    """产品发布: one version of a product, and how its services are switched. Of no user."""

    product: ProductText
    product_version: ProductVersion
    name: LabelText
    services: Annotated[
        list[ProductService], Meta(min_length=1, max_length=limits.PRODUCT_SERVICES_MAX)
    ]
    platforms: Annotated[list[ElementText], Meta(max_length=limits.PRODUCT_TARGETS_MAX)] = (
        msgspec.field(default_factory=list)
    )

    def content(self) -> Product:
        return Product(self.product, self.product_version, self.name, self.services, self.platforms)


class ProductSubscribe(
    UserHeader, tag="PRODUCT_SUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """产品定购."""

    msisdn: MSISDNText
    product: ProductText
    product_version: ProductVersion | None = None  #: absent: the active one when the order came
    attributes: Annotated[
        dict[ParameterText, ValueText],
        Meta(max_length=limits.PRODUCT_SERVICES_MAX * limits.PARAMETERS_MAX),
    ] = {}


class ProductUnsubscribe(
    UserHeader, tag="PRODUCT_UNSUBSCRIBE", kw_only=True, forbid_unknown_fields=True
):
    """产品退订."""

    msisdn: MSISDNText
    product: ProductText
    cause: NoteText | None = None


Opening = MemberActivate | UserOpen
ProductOrder = ProductPublish | ProductSubscribe | ProductUnsubscribe
OfUser = (
    MemberActivate
    | UserOpen
    | ArrearsSuspend
    | PaymentResume
    | UserTerminate
    | ProductSubscribe
    | ProductUnsubscribe
)
WorkOrder = OfUser | ProductPublish

_DECODER: Final[msgspec.json.Decoder[WorkOrder]] = msgspec.json.Decoder(WorkOrder)
_OF_PRODUCT: Final = "product:"
_PATH: Final = re.compile(r" - at `\$\.?(.*)`\Z")


def decode(document: bytes | msgspec.Raw) -> WorkOrder:
    """One order from its JSON; a refusal names the field by its path and never quotes its value."""
    if len(memoryview(document)) > limits.ORDER_BYTES_MAX:
        raise BadRequest("ORDER_TOO_LARGE", f"one order is at most {limits.ORDER_BYTES_MAX} bytes")
    try:
        order = _DECODER.decode(document)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("JSON_INVALID", f"not a JSON document: {error}") from None
    _normalize(order)
    return order


def encode(order: WorkOrder) -> bytes:
    """The stored form. A `UserOpen` must have lost its `ki` before (`engine.intake` seals it)."""
    assert not (isinstance(order, UserOpen) and order.ki), "a Ki would be stored in clear"
    return msgspec.json.encode(order)


def decode_stored(payload: bytes) -> WorkOrder:
    """What `encode` wrote. It was checked when it came in, and has no Ki beside its `keyid`."""
    return _DECODER.decode(payload)


def content_hash(order: WorkOrder) -> bytes:
    """16 bytes over the content, for telling a repeat from another order under the same id.

    Taken over the decoded order, so spacing, the order of keys and spelled-out defaults do not make
    another content; `mode` and `deadline_ms` say how to answer, not what to do, and do not count.
    """
    as_stored = order
    if order.mode != "async" or order.deadline_ms is not None:
        as_stored = msgspec.structs.replace(order, mode="async", deadline_ms=None)
    return hashlib.blake2b(msgspec.json.encode(as_stored), digest_size=16).digest()


def lane_of(order: WorkOrder) -> UserId:
    """Orders of one lane run one after the other: of one user, or of one product. A user id has
    digits only, so the two never meet.
    """
    if isinstance(order, ProductPublish):
        return UserId(f"{_OF_PRODUCT}{order.product}")
    return UserId(order.user_id)


def user_of(lane: str) -> str | None:
    """None for a lane that is no user's."""
    return None if lane.startswith(_OF_PRODUCT) else lane


def refuse_bad_times(order: WorkOrder, now: datetime) -> None:
    """`now` with a time zone."""
    accepted = _moment(order.accept_time, "accept_time")
    if accepted and accepted - now > timedelta(seconds=limits.ACCEPT_TIME_AHEAD_S_MAX):
        raise BadRequest(
            "ACCEPT_TIME_IN_FUTURE", "more than 10 minutes ahead of hlrd's clock", "accept_time"
        )
    effective = _moment(order.effective_time, "effective_time")
    if effective and effective > now:
        raise BadRequest(
            "EFFECTIVE_TIME_IN_FUTURE",
            "future-dated orders are not taken yet; post the order when it is due",
            "effective_time",
        )


def _moment(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise BadRequest("TIME_INVALID", "not a moment as yyyyMMddHHmmss", field) from None


def _normalize(order: WorkOrder) -> None:
    if order.province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
    if order.reply_to is not None:
        raise BadRequest(
            "REPLY_TO_UNKNOWN", "no receipt endpoint of that name is registered", "reply_to"
        )
    if isinstance(order, ProductPublish):
        return
    if order.msisdn is not None:
        order.msisdn = identity.parse_msisdn(order.msisdn)
    if isinstance(order, Opening):
        if order.iccid is not None:
            order.iccid = identity.parse_iccid(order.iccid)
        if len(set(order.services)) != len(order.services):
            raise BadRequest("SERVICE_TWICE", "a service is named twice", "services")
        order.services.sort()
    if isinstance(order, UserOpen):
        if (order.ki is None) != (order.keyid is None):
            raise BadRequest("KEY_INCOMPLETE", "ki and keyid come together or not at all", "keyid")
        if order.ki is not None and order.keyid is not None:
            identity.CardKey(order.ki, order.keyid, order.algorithm, order.card_type)


def refusal_of(error: msgspec.ValidationError) -> Refusal:
    """msgspec's message turned into a field path and a sentence, without the offending value."""
    message = str(error)
    found = _PATH.search(message)
    path = found[1] if found else ""
    text = message[: found.start()] if found else message
    missing = re.search(r"missing required field `([^`]+)`", text)
    unknown = re.search(r"unknown field `([^`]+)`", text)
    if missing:
        return BadRequest("FIELD_MISSING", "this field is mandatory", _join(path, missing[1]))
    if unknown:
        return BadRequest("FIELD_UNKNOWN", "no such field for this kind", _join(path, unknown[1]))
    if text.startswith("Invalid value") and path == "type":
        return BadRequest("KIND_UNKNOWN", "no such kind of order (docs/api.md)", "type")
    if text.startswith("Invalid enum value"):
        return BadRequest("FIELD_INVALID", "not one of the values this field takes", path)
    form = re.search(r"matching regex '\\\\A(.+)\\\\Z'", text)
    if form:
        said = form[1].replace(r"\\", "\\")
        return BadRequest("FIELD_INVALID", f"not text of the form {said}", path)
    return BadRequest("FIELD_INVALID", text, path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
