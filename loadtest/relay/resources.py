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

_EC: Final = "[0-9A-Za-z]{1,20}"
_PRODUCT: Final = "[0-9A-Za-z._~-]{1,64}"

Province = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z]{1,8}\Z")]


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A card's key as its maker encrypted it; index 0 would be one that is not."""

    value: Annotated[str, Meta(pattern=KEY_PATTERN)]
    index: Annotated[int, Meta(ge=1, le=K4SNO_MAX)]
    algorithm: Literal[ALGORITHMS]  # type: ignore[valid-type]
    card_type: Literal[CARD_TYPES]  # type: ignore[valid-type]

    def __repr__(self) -> str:
        return f"Key(index={self.index})"


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Annotated[str, Meta(pattern=USER_ID_PATTERN)]
    imsi: Annotated[str, Meta(pattern=IMSI_PATTERN)]
    iccid: Annotated[str, Meta(pattern=ICCID_PATTERN)]
    province: Province
    ec_code: Annotated[str, Meta(pattern=rf"\A{_EC}\Z")]
    product: Annotated[str, Meta(pattern=rf"\A(?:{_PRODUCT})?\Z")]
    key: Key


class Subscription(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    ec_name: Annotated[str, Meta(max_length=200)]
    version: Annotated[int, Meta(ge=0)]
    lead_province: Province | UnsetType = UNSET
    partner_provinces: Annotated[list[Province], Meta(min_length=1, max_length=40)] | UnsetType = (
        UNSET
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """`commands`: what a change to it is called in faults and records, by method."""

    path: re.Pattern[str]
    content: msgspec.json.Decoder[Any]
    commands: dict[str, str]


class Place(NamedTuple):
    kind: Kind
    resource: str
    msisdn: str  #: empty unless it is a member
    ec: str  #: empty unless it is a subscription
    product: str


MEMBER: Final = Kind(
    re.compile(r"/members/(?P<msisdn>1[0-9]{10}(?:[0-9]{2})?)(?P<ec>)(?P<product>)\Z"),
    msgspec.json.Decoder(Member),
    {PUT: "REPORT", DELETE: "CANCEL"},
)
SUBSCRIPTION: Final = Kind(
    re.compile(rf"/ecs/(?P<ec>{_EC})/products/(?P<product>{_PRODUCT})(?P<msisdn>)\Z"),
    msgspec.json.Decoder(Subscription),
    {PUT: "SUBSCRIBE", DELETE: "UNSUBSCRIBE"},
)


def place_of(resource: str) -> Place | None:
    for kind in (MEMBER, SUBSCRIPTION):
        found = kind.path.match(resource)
        if found is not None:
            return Place(kind, resource, **found.groupdict())
    return None


def subscription(ec: str, product: str) -> str:
    return f"/ecs/{ec}/products/{product}"
