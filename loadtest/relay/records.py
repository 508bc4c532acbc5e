"""What a relay or the registry knows: the newest change to each resource, and what stands whatever
becomes of it. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from adapters.json_platform import Failure
from loadtest.relay import resources
from loadtest.relay.resources import MEMBER, MEMBER_PRODUCT, SUBSCRIPTION, Place

RECORDS_MAX: Final = 5_000_000
"""At about 600 bytes each, 3 GB. Beyond it the system is full."""

CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"
ON_ITS_WAY: Final = "pending"

Content = dict[str, Any]


class Record(Struct, frozen=True, omit_defaults=True):
    """The newest change to a resource. Of a member's key only the index is told."""

    resource: str
    content: Content
    state: str
    transaction: str
    is_leaving: bool = False  #: it removes
    failure: Failure | None = None
    held: Content | None = None  #: what stood before, and stands until it is confirmed
    order_id: str = ""  #: of the order that headquarters' hlrd has taken for it

    @property
    def standing(self) -> Content | None:
        """None: it is not there, as far as anybody has confirmed."""
        return self.content if self.state == CONFIRMED else self.held

    @property
    def place(self) -> Place:
        place = resources.place_of(self.resource)
        assert place is not None, self.resource
        return place

    def contents(self) -> Iterator[Content]:
        """What it may be, now or soon."""
        if self.state != FAILED:
            yield self.content
        if self.held is not None:
            yield self.held


class Records:
    """By resource, and counted as the rules ask for them."""

    def __init__(self) -> None:
        self.by_resource: dict[str, Record] = {}
        self.sealed: dict[str, Content] = {}  #: keys of reports on their way
        self.counts: Counter[str] = Counter()  #: by state
        self._subscriptions: dict[str, set[str]] = {}  #: by EC, their resources
        self._products: dict[str, set[str]] = {}  #: by the member's MSISDN, their resources
        self._users: Counter[tuple[str, str]] = Counter()  #: of an EC's product
        self._number_of: dict[str, str] = {}  #: by IMSI

    def put(self, record: Record) -> None:
        """Have `record` in the place of what was there. A confirmed removal leaves nothing, and a
        member's takes its products along."""
        before = self.by_resource.pop(record.resource, None)
        if before is not None:
            self._count(before, -1)
        if record.state != ON_ITS_WAY:
            self.sealed.pop(record.resource, None)
        if not (record.is_leaving and record.state == CONFIRMED):
            self.by_resource[record.resource] = record
            self._count(record, 1)
            return
        if record.place.kind is MEMBER:
            for product in sorted(self._products.get(record.place.msisdn, ())):
                self._count(self.by_resource.pop(product), -1)

    def pending(self) -> Iterator[Record]:
        found = self.by_resource.values()
        return (record for record in found if record.state == ON_ITS_WAY)

    def subscriptions(self, ec: str) -> list[Record]:
        return [self.by_resource[each] for each in sorted(self._subscriptions.get(ec, ()))]

    def products(self, msisdn: str) -> list[Record]:
        return [self.by_resource[each] for each in sorted(self._products.get(msisdn, ()))]

    def is_used(self, ec: str, product: str) -> bool:
        """Whether a member has it, or was reported with it; or is about to."""
        return self._users[ec, product] > 0

    def province_of(self, resource: str, told: Content | None = None) -> str:
        """Whose business it is, by what is `told` of it now or before; empty if nobody said so."""
        place = resources.place_of(resource)
        assert place is not None, resource
        if place.kind is MEMBER_PRODUCT:
            resource, told = resources.member(place.msisdn), None
        known = self.by_resource.get(resource)
        content = told if told is not None else known.content if known is not None else {}
        named: str = content.get("lead_province" if place.kind is SUBSCRIPTION else "province", "")
        return named

    def number_of(self, imsi: str) -> str | None:
        return self._number_of.get(imsi)

    def _count(self, record: Record, change: int) -> None:
        self.counts[record.state] += change
        place = record.place
        if place.kind is SUBSCRIPTION:
            _index(self._subscriptions, place.ec, record.resource, change)
            return
        for content in record.contents():
            product = content["product"] if place.kind is MEMBER else place.product
            self._users[content["ec_code"], product] += change
        if place.kind is MEMBER:
            self._count_cards(record, change)
        else:
            _index(self._products, place.msisdn, record.resource, change)

    def _count_cards(self, record: Record, change: int) -> None:
        msisdn = record.place.msisdn
        for content in record.contents():
            if change > 0:
                self._number_of[content["imsi"]] = msisdn
            elif self._number_of.get(content["imsi"]) == msisdn:
                del self._number_of[content["imsi"]]


def _index(index: dict[str, set[str]], key: str, resource: str, change: int) -> None:
    if change > 0:
        index.setdefault(key, set()).add(resource)
        return
    index[key].discard(resource)
    if not index[key]:
        del index[key]
