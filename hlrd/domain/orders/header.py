"""What every order carries, and the forms of the fields that kinds share."""

from enum import StrEnum
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from hlrd import limits
from hlrd.domain.identity import UserIdText

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
