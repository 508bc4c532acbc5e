"""Enterprises (EC, 集团客户), the products they have, their members, and where all that goes. Pure.

A product is of class 1, 2 or 3 (一类, 二类, 三类业务): class 1 is headquarters' business, told to
its platforms one by one; class 2 and 3 are a province's, told to its platform and, side by side, to
the chain that ends at the gateway.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from hlrd.domain.lifecycle import EC, ECEvent, ECState, advance
from hlrd.domain.role import Role
from hlrd.domain.suspension import NO_REASONS, Level, Reason, Reasons

PRODUCT_CLASS: Final = "product_class"
LEAD_PROVINCE: Final = "lead_province"
PARTNER_PROVINCES: Final = "partner_provinces"
SERVICES: Final = "services"
"""Of `Details.attributes`: the class as a digit; the province that sold; those that get the product
published, and what a member is opened with, each with commas between."""


class Scope(StrEnum):
    """Where the members of an enterprise may be."""

    IN_PROVINCE = "inProvince"
    CROSS_PROVINCE = "crossProvince"  #: its product is published to partner provinces (配合省)


class Subscription(Struct, frozen=True):
    """One product that an enterprise has (集团业务)."""

    ec_code: str
    ec_name: str
    product: str
    version: int
    product_class: int
    scope: Scope
    route: str  #: BBOSS or BOSS1: the relay that headquarters is told by
    lead_province: str
    partner_provinces: tuple[str, ...] = ()
    is_straight: bool = False  #: its province built a nationwide platform: no province leg


class Standing(NamedTuple):
    """A subscription as it stands; None: the enterprise has it no more."""

    subscription: Subscription
    state: ECState | None


class Membership(Struct, frozen=True, gc=False):
    """Whose member a user is, and what headquarters was told of it."""

    ec_code: str
    route: str
    product: str = ""  #: that the member was reported with


class Partner(Struct, frozen=True):
    """A member that another province opened: a record, and nothing of ours on the network."""

    ec_code: str
    msisdn: str
    province: str


@dataclass(frozen=True, slots=True)
class GroupPlaces:
    """The NEs of group business, by their part in it; empty where none is configured."""

    nationwide: str = ""
    class1: str = ""
    gateway: str = ""
    province_platform: str = ""
    province_management: str = ""
    relays: Mapping[str, str] = field(default_factory=dict)  #: by route
    registry: str = ""  #: of PBOSS, asked by an hlrd of headquarters itself
    role_missing: Role | None = None  #: another hlrd plays it, behind the relays; None: none does

    def upward(self, route: str) -> str:
        """Who is told what headquarters must know; empty: nobody is."""
        return self.relays.get(route, self.registry)

    def legs(self, product_class: int, *, is_straight: bool) -> tuple[tuple[str, ...], ...]:
        """The platforms that are told, stage by stage, those of a stage side by side. The gateway
        is last, so that traffic passes only when everything behind it knows of it; the chain of
        class 2 and 3 has it at its own end. Class 1 is headquarters' to tell, class 2 and 3 its
        province's: none of it is left where another hlrd plays that role.
        """
        if self.role_missing is (Role.HQ if product_class == 1 else Role.PROVINCE):
            return ()
        if product_class == 1:
            return (self.nationwide,), (self.class1,), (self.gateway,)
        if is_straight:
            return ((self.nationwide,),)
        return ((self.province_platform, self.province_management),)

    def lacks(self, product_class: int, *, is_straight: bool) -> bool:
        legs = self.legs(product_class, is_straight=is_straight)
        return not all(ne for leg in legs for ne in leg)

    def leaves_to_headquarters(self, product_class: int, route: str) -> bool:
        """Class 1 in a province: the relay leads to who tells the platforms, none of which is
        here."""
        if product_class != 1 or not self.upward(route):
            return False
        return self.role_missing is Role.HQ or not (self.nationwide or self.class1 or self.gateway)

    def platforms(self) -> frozenset[str]:
        own = (self.nationwide, self.class1, self.gateway)
        return frozenset((*own, self.province_platform, self.province_management)) - {""}


NO_GROUPS: Final = GroupPlaces()


class Enterprises:
    """What enterprises have, or are about to; the journal holds the same."""

    def __init__(self) -> None:
        self._standings: dict[tuple[str, str], Standing] = {}
        self._products: dict[str, dict[str, None]] = {}  #: by enterprise
        self._known: set[str] = set()
        self._stops: dict[str, Reasons] = {}

    def __len__(self) -> int:
        return len(self._standings)

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._standings.values())

    def find(self, ec_code: str, product: str) -> Standing | None:
        return self._standings.get((ec_code, product))

    def of(self, ec_code: str) -> Iterator[Standing]:
        """What one enterprise has, in the order it came."""
        return (self._standings[ec_code, name] for name in self._products.get(ec_code, ()))

    def stops_of(self, ec_code: str) -> Reasons:
        """What all its members are stopped for, and those too who are opened meanwhile."""
        return self._stops.get(ec_code, NO_REASONS)

    def stop(self, ec_code: str, reason: Reason, level: Level) -> None:
        """As the last order about all its members says; no level: they go on."""
        stops = {**self._stops.get(ec_code, NO_REASONS), reason: level}
        standing = {one: at for one, at in stops.items() if at}
        if standing:
            self._stops[ec_code] = standing
        else:
            self._stops.pop(ec_code, None)

    def meet(self, ec_code: str) -> None:
        """hlrd was told of it, though it may have nothing any more."""
        self._known.add(ec_code)

    def is_known(self, ec_code: str) -> bool:
        """Whether hlrd was ever told of it; also of one that was refused, or has left."""
        return ec_code in self._known

    def active_of_class(self, ec_code: str, product_class: int) -> Subscription | None:
        """What makes members of this class possible: the first product of it."""
        for subscription, state in self.of(ec_code):
            if state is ECState.ACTIVE and subscription.product_class == product_class:
                return subscription
        return None

    def active(self, ec_code: str, product: str) -> Subscription | None:
        found = self.find(ec_code, product)
        return found.subscription if found and found.state is ECState.ACTIVE else None

    def after(self, subscription: Subscription, event: ECEvent | None) -> Standing:
        """As it stands after `event`; without one as it stands when it is ordered."""
        if event is None:
            return Standing(subscription, ECState.PENDING)
        found = self.find(subscription.ec_code, subscription.product)
        assert found is not None, "only what was ordered goes on"
        assert found.state is not None, "what has ended is forgotten"
        return Standing(found.subscription, advance(EC, found.state, event))

    def put(self, standing: Standing) -> None:
        subscription = standing.subscription
        key = subscription.ec_code, subscription.product
        self.meet(subscription.ec_code)
        if standing.state is not None:
            self._standings[key] = standing
            self._products.setdefault(subscription.ec_code, {})[subscription.product] = None
            return
        self._standings.pop(key, None)
        products = self._products.get(subscription.ec_code, {})
        products.pop(subscription.product, None)
        if not products:
            self._products.pop(subscription.ec_code, None)
