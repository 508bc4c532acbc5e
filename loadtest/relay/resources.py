"""What stands in the registry of PBOSS, and goes up to it by a relay."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.json_platform import DELETE, PUT
from hlrd.domain.identity import (
    ALGORITHMS,
    CARD_TYPES,
    ICCID_PATTERN,
    IMSI_PATTERN,
    K4SNO_MAX,
    KEY_PATTERN,
    USER_ID_PATTERN,
)
from hlrd.domain.orders import Service
from hlrd.limits import PARAMETERS_MAX, PRODUCT_SERVICES_MAX

_ATTRIBUTES_MAX: Final = PRODUCT_SERVICES_MAX * PARAMETERS_MAX

_EC: Final = "[0-9A-Za-z]{1,20}"
_PRODUCT: Final = "[0-9A-Za-z._~-]{1,64}"

Province = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z]{1,8}\Z")]
ECCode = Annotated[str, Meta(pattern=rf"\A{_EC}\Z")]
UserId = Annotated[str, Meta(pattern=USER_ID_PATTERN)]
Version = Annotated[int, Meta(ge=0)]
ProductClass = Annotated[int, Meta(ge=1, le=3)]

ROUTE: Final = "route"
Route = Literal["BBOSS", "BOSS1"]
"""By which relay it came: the relay's own word, which the province does not say."""


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A card's key as its maker encrypted it; index 0 would be one that is not."""

    value: Annotated[str, Meta(pattern=KEY_PATTERN)]
    index: Annotated[int, Meta(ge=1, le=K4SNO_MAX)]
    algorithm: Literal[ALGORITHMS]  # type: ignore[valid-type]
    card_type: Literal[CARD_TYPES]  # type: ignore[valid-type]

    def __repr__(self) -> str:
        return f"Key(index={self.index})"


class Member(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    user_id: UserId
    imsi: Annotated[str, Meta(pattern=IMSI_PATTERN)]
    iccid: Annotated[str, Meta(pattern=ICCID_PATTERN)]
    province: Province
    ec_code: ECCode
    product: Annotated[str, Meta(pattern=rf"\A(?:{_PRODUCT})?\Z")]
    key: Key
    services: Annotated[list[Service], Meta(min_length=1, max_length=3)] | UnsetType = UNSET
    product_class: ProductClass | UnsetType = UNSET
    route: Route | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.services is not UNSET and len(set(self.services)) < len(self.services):
            raise ValueError("a service comes twice")


class Subscription(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    ec_name: Annotated[str, Meta(max_length=200)]
    version: Version
    lead_province: Province | UnsetType = UNSET
    partner_provinces: Annotated[list[Province], Meta(min_length=1, max_length=40)] | UnsetType = (
        UNSET
    )
    product_class: ProductClass | UnsetType = UNSET
    route: Route | UnsetType = UNSET


class MemberProduct(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a member has of its enterprise beside the base capability."""

    user_id: UserId
    ec_code: ECCode
    version: Version
    attributes: Annotated[dict[str, str], Meta(max_length=_ATTRIBUTES_MAX)]
    route: Route | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Kind:
    """`commands`: what a change to it is called in faults and records, by method."""

    path: re.Pattern[str]
    content: msgspec.json.Decoder[Any]
    commands: dict[str, str]


class Place(NamedTuple):
    kind: Kind
    resource: str
    msisdn: str  #: empty unless it is a member, or a product of one
    ec: str  #: empty unless it is a subscription
    product: str  #: empty if it is a member


_MEMBER: Final = r"/members/(?P<msisdn>1[0-9]{10}(?:[0-9]{2})?)(?P<ec>)"

MEMBER: Final = Kind(
    re.compile(rf"{_MEMBER}(?P<product>)\Z"),
    msgspec.json.Decoder(Member),
    {PUT: "REPORT", DELETE: "CANCEL"},
)
MEMBER_PRODUCT: Final = Kind(
    re.compile(rf"{_MEMBER}/products/(?P<product>{_PRODUCT})\Z"),
    msgspec.json.Decoder(MemberProduct),
    {PUT: "SUBSCRIBE_MEMBER", DELETE: "UNSUBSCRIBE_MEMBER"},
)
SUBSCRIPTION: Final = Kind(
    re.compile(rf"/ecs/(?P<ec>{_EC})/products/(?P<product>{_PRODUCT})(?P<msisdn>)\Z"),
    msgspec.json.Decoder(Subscription),
    {PUT: "SUBSCRIBE", DELETE: "UNSUBSCRIBE"},
)


KINDS: Final = (MEMBER, MEMBER_PRODUCT, SUBSCRIPTION)


def place_of(resource: str) -> Place | None:
    for kind in KINDS:
        found = kind.path.match(resource)
        if found is not None:
            return Place(kind, resource, **found.groupdict())
    return None


def member(msisdn: str) -> str:
    return f"/members/{msisdn}"


def subscription(ec: str, product: str) -> str:
    return f"/ecs/{ec}/products/{product}"
