"""What a platform does with a change: checks it, keeps it, or passes it on and waits. Pure.

A change that is passed on is pending until `settle` says how it ended at the last hop. What goes
wrong on the way is `loadtest.faults`' business.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from adapters import DIALECTS
from adapters.json_platform import (
    DELETE,
    DONE,
    FOUND,
    NOT_FOUND,
    PENDING,
    PUT,
    UNCHANGED,
    Answer,
    Failure,
)
from adapters.subscriptions import ACTIVE, PRODUCT_CLASS, PUBLISH, SubscriptionPlatform
from hlrd.codec.http import HTTPRequest
from loadtest.jsonpeer import JSONCore, Refused, Served, Work, answered, command_of
from loadtest.platform import resources
from loadtest.platform.resources import EC_PRODUCT, PRODUCT, USER_PRODUCT, USER_STATE, Place

RECORDS_MAX: Final = 5_000_000
"""At about 600 bytes each, 3 GB. Beyond it the platform is full."""

PENDING_MAX: Final = 20_000
"""Changes on their way at once; beyond it the platform is busy."""

NEXT_HOP: Final[Mapping[str, str]] = {
    "province_management": "nationwide_management",
    "nationwide_management": "iot_gateway",
}
"""Who passes changes on to whom."""

CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"
ON_ITS_WAY: Final = "pending"


class Record(Struct, omit_defaults=True):
    """One resource as it is, or is to become."""

    resource: str
    content: dict[str, Any]
    state: str
    transaction: str
    is_leaving: bool = False  #: its removal is on its way, or failed
    failure: Failure | None = None


class Platform(JSONCore):
    """One platform of the kind that speaks `dialect`."""

    def __init__(self, dialect: str, *, path: str = "", token: str = "") -> None:
        spoken = DIALECTS[dialect]
        assert issubclass(spoken, SubscriptionPlatform), dialect
        super().__init__(path or spoken.path, token)
        self._has_catalogue = PUBLISH in spoken.operations
        self._is_told_classes = bool(spoken.class_default)
        self._dialect = dialect
        self._users_of: Counter[tuple[str, str]] = Counter()  #: users of an EC's product
        self._products_of: dict[str, dict[str, None]] = {}  #: a user's, by their resource
        self.records: dict[str, Record] = {}
        self.counts: Counter[str] = Counter()

    # --- requests ----------------------------------------------------------------------------

    def _read(self, request: HTTPRequest, resource: str) -> Work | Served:
        place = self._place(resource)
        if request.method == "GET":
            return self._found(place)
        command = command_of(request, place.kind.commands)
        content = self._content(place, request)
        if place.kind is USER_STATE and content is not None:
            command = "RESUME" if content["state"] == ACTIVE else "PAUSE"
        return Work(command, request.method, resource, content, request.key, request.body)

    def _place(self, resource: str) -> Place:
        place = resources.place_of(resource)
        if place is None or (place.kind is PRODUCT and not self._has_catalogue):
            raise Refused(404, "NO_SUCH_RESOURCE")
        return place

    def _content(self, place: Place, request: HTTPRequest) -> dict[str, Any] | None:
        if request.method == DELETE:
            if request.body:
                raise Refused(400, "MALFORMED")
            return None
        try:
            typed = place.kind.content.decode(request.body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "MALFORMED") from error
        content: dict[str, Any] = msgspec.to_builtins(typed)
        is_told = self._is_told_classes and place.kind is not USER_STATE
        if (PRODUCT_CLASS in content) != is_told:
            raise Refused(400, "MALFORMED")
        return content

    def _found(self, place: Place) -> Served:
        record = self.records.get(place.resource) or self._implied(place)
        if record is None:
            return Served(404, Answer(place.resource, NOT_FOUND))
        answer = Answer(
            place.resource,
            FOUND,
            record.transaction,
            state=record.state,
            content=record.content,
            failure=record.failure,
        )
        return Served(200, answer)

    def _implied(self, place: Place) -> Record | None:
        """A user who has a product is active until told otherwise."""
        products = self._products_of.get(place.user)
        if place.kind is not USER_STATE or not products:
            return None
        content = {"user_id": self._owner_of(place.user), "state": ACTIVE}
        return Record(place.resource, content, CONFIRMED, "")

    # --- changes -----------------------------------------------------------------------------

    def _repeated(self, work: Work) -> Served:
        record = self.records.get(work.resource)
        if record is not None and record.transaction == work.key and record.state == ON_ITS_WAY:
            return answered(work, 202, PENDING)
        return answered(work, 200, DONE)

    def _change(self, work: Work) -> Served:
        place = self._place(work.resource)
        before = self.records.get(work.resource) or self._implied(place)
        if before is not None and before.state == ON_ITS_WAY:
            raise Refused(409, "CHANGE_PENDING")
        if work.method == PUT:
            self._check(place, work.content or {}, before)
        if _is_so(work, before):
            return answered(work, 200, UNCHANGED)
        if work.method == DELETE:
            self._check_leaving(place)
        return self._take(place, work, before)

    def _take(self, place: Place, work: Work, before: Record | None) -> Served:
        content = work.content if work.content is not None else before.content if before else {}
        state = CONFIRMED
        if self._passes_on(place, content):
            if self.counts[ON_ITS_WAY] >= PENDING_MAX:
                raise Refused(503, "BUSY")
            state = ON_ITS_WAY
        if before is None and len(self.records) >= RECORDS_MAX:
            raise Refused(507, "FULL")
        is_leaving = work.method == DELETE
        self.put(Record(work.resource, content, state, work.key, is_leaving))
        if state == CONFIRMED:
            return answered(work, 200, DONE, has_effect=True)
        return answered(work, 202, PENDING, has_effect=True)

    def settle(self, resource: str, key: str, failure: Failure | None) -> bool:
        """How the change under `key` ended further on; whether anybody still wanted to know."""
        record = self.records.get(resource)
        if record is None or record.transaction != key or record.state != ON_ITS_WAY:
            return False
        if failure is not None:
            self._keys.forget(resource, key)
        state = CONFIRMED if failure is None else FAILED
        self.put(msgspec.structs.replace(record, state=state, failure=failure))
        return True

    def put(self, record: Record) -> None:
        """Have `record` in the place of what was there; a confirmed removal leaves nothing."""
        place = resources.place_of(record.resource)
        assert place is not None, record.resource
        before = self.records.pop(record.resource, None)
        if before is not None:
            self.counts[before.state] -= 1
            self._index(place, before, -1)
        if record.is_leaving and record.state == CONFIRMED:
            self._forget_user(place)
            return
        self.records[record.resource] = record
        self.counts[record.state] += 1
        self._index(place, record, 1)

    def pending(self) -> Iterator[Record]:
        """What is on its way, in no order."""
        return (record for record in self.records.values() if record.state == ON_ITS_WAY)

    def _index(self, place: Place, record: Record, change: int) -> None:
        if place.kind is not USER_PRODUCT:
            return
        self._users_of[record.content["ec_code"], place.product] += change
        products = self._products_of.setdefault(place.user, {})
        if change > 0:
            products[place.resource] = None
        else:
            products.pop(place.resource, None)

    def _forget_user(self, place: Place) -> None:
        """The state of a user without any product is nobody's."""
        if place.kind is USER_PRODUCT and not self._products_of.get(place.user):
            self._products_of.pop(place.user, None)
            state = self.records.pop(f"/users/{place.user}/state", None)
            if state is not None:
                self.counts[state.state] -= 1

    # --- rules -------------------------------------------------------------------------------

    def _check(self, place: Place, content: Mapping[str, Any], before: Record | None) -> None:
        if place.kind is USER_STATE:
            if not self._products_of.get(place.user):
                raise Refused(409, "USER_UNKNOWN")
            if self._owner_of(place.user) != content["user_id"]:
                raise Refused(409, "OTHER_USER")
            return
        if place.kind is not PRODUCT and self._has_catalogue:
            self._check_product(place.product, content["version"])
        if place.kind is USER_PRODUCT:
            if before is not None and before.content["user_id"] != content["user_id"]:
                raise Refused(409, "OTHER_USER")
            if content["ec_code"]:
                self._check_ec(content["ec_code"], place.product)

    def _check_product(self, product: str, version: int) -> None:
        published = self.records.get(f"/products/{product}")
        if published is None or published.state != CONFIRMED:
            raise Refused(409, "PRODUCT_UNKNOWN")
        if version > published.content["version"]:
            raise Refused(409, "PRODUCT_UNKNOWN")

    def _check_ec(self, ec_code: str, product: str) -> None:
        subscribed = self.records.get(f"/ecs/{ec_code}/products/{product}")
        if subscribed is None or subscribed.state == FAILED or subscribed.is_leaving:
            raise Refused(409, "EC_UNKNOWN")
        if subscribed.state == ON_ITS_WAY:
            raise Refused(409, "EC_PENDING")

    def _check_leaving(self, place: Place) -> None:
        if place.kind is EC_PRODUCT and self._users_of[place.ec, place.product]:
            raise Refused(409, "EC_HAS_USERS")

    def _owner_of(self, user: str) -> str:
        first = self.records[next(iter(self._products_of[user]))]
        owner: str = first.content["user_id"]
        return owner

    def _passes_on(self, place: Place, content: Mapping[str, Any]) -> bool:
        """The gateway is told of class 1 by headquarters, and keeps no catalogue."""
        if self._dialect == "province_management":
            return True
        if self._dialect != "nationwide_management" or place.kind is PRODUCT:
            return False
        if place.kind is USER_STATE:
            products = [self.records[name].content for name in self._products_of[place.user]]
            return any(product[PRODUCT_CLASS] != "1" for product in products)
        return bool(content[PRODUCT_CLASS] != "1")


def passed_on(dialect: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as the next hop is told it."""
    return {
        name: value
        for name, value in content.items()
        if name != PRODUCT_CLASS or dialect != "nationwide_management"
    }


def _is_so(work: Work, record: Record | None) -> bool:
    if record is None:
        return work.method == DELETE
    return record.state == CONFIRMED and record.content == work.content
