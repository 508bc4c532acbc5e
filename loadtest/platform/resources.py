"""The resources of a platform: where each stands, and what it may hold."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.json_platform import DELETE, PUT


class Subscription(Struct, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=0)]
    attributes: dict[str, str]
    product_class: Literal["1", "2", "3"] | UnsetType = UNSET


class Product(Subscription, forbid_unknown_fields=True, kw_only=True):
    name: str


class EC(Subscription, forbid_unknown_fields=True, kw_only=True):
    ec_name: str


class UserProduct(Subscription, forbid_unknown_fields=True, kw_only=True):
    user_id: str
    ec_code: str


class UserState(Struct, forbid_unknown_fields=True):
    user_id: str
    state: Literal["active", "suspended"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `commands`: what a change to it is called in faults and records."""

    path: re.Pattern[str]
    content: msgspec.json.Decoder[Any]
    commands: dict[str, str]  #: by method


class Place(NamedTuple):
    """A resource by its path."""

    kind: Kind
    resource: str
    product: str = ""
    ec: str = ""
    user: str = ""


_PRODUCT: Final = "/products/(?P<product>[0-9A-Za-z._~-]{1,64})"
_USER: Final = "/users/(?P<user>1[0-9]{10}(?:[0-9]{2})?)"
_EC: Final = "/ecs/(?P<ec>[0-9A-Za-z]{1,20})"


def _kind(path: str, content: type[Struct], **commands: str) -> Kind:
    return Kind(re.compile(rf"{path}\Z"), msgspec.json.Decoder(content), commands)


PRODUCT: Final = _kind(_PRODUCT, Product, PUT="PUBLISH")
EC_PRODUCT: Final = _kind(_EC + _PRODUCT, EC, PUT="SUBSCRIBE_EC", DELETE="UNSUBSCRIBE_EC")
USER_PRODUCT: Final = _kind(_USER + _PRODUCT, UserProduct, PUT="SUBSCRIBE", DELETE="UNSUBSCRIBE")
USER_STATE: Final = _kind(_USER + "/state", UserState, PUT="USER_STATE")

_KINDS: Final = (USER_PRODUCT, USER_STATE, EC_PRODUCT, PRODUCT)
COMMANDS: Final = tuple(name for kind in _KINDS for name in kind.commands.values())

assert {method for kind in _KINDS for method in kind.commands} == {PUT, DELETE}


def place_of(resource: str) -> Place | None:
    for kind in _KINDS:
        found = kind.path.match(resource)
        if found:
            return Place(kind, resource, **found.groupdict())
    return None
