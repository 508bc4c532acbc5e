"""What a relay, the registry behind it and a partner province do with a change. Pure.

The registry knows who may be a member of what; a relay knows nothing of it and passes all on, so a
change is pending there until `settle` says how it ended. Keys are held apart from the records and
only until they have been passed on.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
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
from hlrd.codec.http import HTTPRequest
from loadtest.forward import Ending, Passed
from loadtest.jsonpeer import JSONCore, Refused, Served, Work, answered, command_of
from loadtest.relay import resources
from loadtest.relay.resources import MEMBER, SUBSCRIPTION, Place

RECORDS_MAX: Final = 5_000_000
"""At about 600 bytes each, 3 GB. Beyond it the system is full."""

PENDING_MAX: Final = 100_000
"""Changes on their way at once; beyond it the relay is busy."""

CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"
ON_ITS_WAY: Final = "pending"

PARTNERS: Final = "partner_provinces"


class Role(StrEnum):
    BBOSS = "bboss_relay"
    BOSS1 = "boss1_relay"
    PBOSS = "pboss_registry"
    PARTNER = "partner_province"  #: is told by the BBOSS, and never asked by hlrd


RELAYS: Final = frozenset({Role.BBOSS, Role.BOSS1})
PARTNER_PATH: Final = "/province/v1"


class Record(Struct, frozen=True, omit_defaults=True):
    """One resource as it is, or is to become. Of its key only the index is told."""

    resource: str
    content: dict[str, Any]
    state: str
    transaction: str
    is_leaving: bool = False  #: its removal is on its way, or failed
    failure: Failure | None = None


class Publication(Struct, frozen=True, omit_defaults=True):
    """What a partner province must still be told of one subscription."""

    province: str
    resource: str
    transaction: str
    content: dict[str, Any] | None = None  #: None: that it is over

    def passed(self) -> Passed:
        method = DELETE if self.content is None else PUT
        return Passed(method, self.resource, self.content, self.transaction)


class System(JSONCore):
    """One system in the part that `role` says."""

    def __init__(
        self, role: Role, *, path: str = "", token: str = "", partners: Sequence[str] = ()
    ) -> None:
        """`partners`: the provinces that a BBOSS can reach."""
        spoken = DIALECTS.get(role)
        super().__init__(path or getattr(spoken, "path", PARTNER_PATH), token)
        self.role = role
        self._partners = frozenset(partners)
        self._products_of: Counter[str] = Counter()  #: an EC's subscriptions
        self._members_of: Counter[tuple[str, str]] = Counter()
        self._number_of: dict[str, str] = {}  #: by IMSI
        self.records: dict[str, Record] = {}
        self.sealed: dict[str, dict[str, Any]] = {}  #: keys of reports on their way
        self.publications: dict[tuple[str, str], Publication] = {}  #: by province and resource
        self.counts: Counter[str] = Counter()

    def passed(self, record: Record) -> Passed:
        """`record`, which is on its way, as the registry is told it."""
        if record.is_leaving:
            return Passed(DELETE, record.resource, None, record.transaction)
        content = record.content
        if record.resource in self.sealed:
            told = {name: value for name, value in content.items() if name != "key_index"}
            content = {**told, "key": self.sealed[record.resource]}
        return Passed(PUT, record.resource, content, record.transaction)

    def pending(self) -> Iterator[Record]:
        return (record for record in self.records.values() if record.state == ON_ITS_WAY)

    def settle(self, resource: str, key: str, failure: Ending) -> list[Publication] | None:
        """How the change under `key` ended at the registry, and what partners are to be told now.

        None when nobody wants to know any more.
        """
        record = self.records.get(resource)
        if record is None or record.transaction != key or record.state != ON_ITS_WAY:
            return None
        if failure is not None:
            self._keys.forget(key)
            self.put(msgspec.structs.replace(record, state=FAILED, failure=failure))
            return []
        self.put(msgspec.structs.replace(record, state=CONFIRMED))
        return self._publish(record)

    def published(self, province: str, resource: str, key: str) -> Publication | None:
        """A partner was told; what it must be told of the same next."""
        newest = self.publications[province, resource]
        if newest.transaction != key:
            return newest
        del self.publications[province, resource]
        return None

    def put(self, record: Record) -> None:
        """Have `record` in the place of what was there; a confirmed removal leaves nothing."""
        before = self.records.pop(record.resource, None)
        if before is not None:
            self._count(before, -1)
        if record.state != ON_ITS_WAY:
            self.sealed.pop(record.resource, None)
        if not (record.is_leaving and record.state == CONFIRMED):
            self.records[record.resource] = record
            self._count(record, 1)

    def _publish(self, record: Record) -> list[Publication]:
        content = None if record.is_leaving else record.content
        told = []
        for province in record.content.get(PARTNERS, ()):
            news = Publication(province, record.resource, record.transaction, content)
            if (province, record.resource) not in self.publications:
                told.append(news)  # else it is told behind what is on its way
            self.publications[province, record.resource] = news
        return told

    def _count(self, record: Record, change: int) -> None:
        self.counts[record.state] += change
        place = resources.place_of(record.resource)
        assert place is not None, record.resource
        if place.kind is SUBSCRIPTION:
            self._products_of[place.ec] += change
            return
        content = record.content
        self._members_of[content["ec_code"], content["product"]] += change
        if change > 0:
            self._number_of[content["imsi"]] = place.msisdn
        else:
            self._number_of.pop(content["imsi"], None)

    # --- a request ---------------------------------------------------------------------------

    def _read(self, request: HTTPRequest, resource: str) -> Work | Served:
        place = resources.place_of(resource)
        if place is None or (place.kind is MEMBER and self.role is Role.PARTNER):
            raise Refused(404, "NO_SUCH_RESOURCE")
        if request.method == "GET":
            return self._found(resource)
        command = command_of(request, place.kind.commands)
        content = _content(place, request)
        if self.role is Role.BOSS1 and content and PARTNERS in content:
            raise Refused(400, "MALFORMED")
        return Work(command, request.method, resource, content, request.key, request.body)

    def _found(self, resource: str) -> Served:
        record = self.records.get(resource)
        if record is None:
            return Served(404, Answer(resource, NOT_FOUND))
        answer = Answer(
            resource,
            FOUND,
            record.transaction,
            state=record.state,
            content=record.content,
            failure=record.failure,
        )
        return Served(200, answer)

    def _repeated(self, work: Work) -> Served:
        record = self.records.get(work.resource)
        if record is not None and record.transaction == work.key and record.state == ON_ITS_WAY:
            return answered(work, 202, PENDING)
        return answered(work, 200, DONE)

    def _change(self, work: Work) -> Served:
        place = resources.place_of(work.resource)
        assert place is not None, "it was read"
        before = self.records.get(work.resource)
        if before is not None and before.state == ON_ITS_WAY:
            if before.transaction == work.key:  # taken before a restart
                return answered(work, 202, PENDING)
            raise Refused(409, "CHANGE_PENDING")
        content, key = _without_key(work.content)
        if _is_so(work, content, before):
            return answered(work, 200, UNCHANGED)
        if self.role is Role.PBOSS:
            self._judge(place, work, content, before)
        elif self.role in RELAYS:
            self._check_way(place, content)
        if before is None and len(self.records) >= RECORDS_MAX:
            raise Refused(507, "FULL")
        return self._take(work, content if content is not None else _known(before), key)

    def _take(self, work: Work, content: dict[str, Any], key: dict[str, Any] | None) -> Served:
        is_relay = self.role in RELAYS
        state = ON_ITS_WAY if is_relay else CONFIRMED
        if key is not None and is_relay:
            self.sealed[work.resource] = key
        is_leaving = work.method == DELETE
        self.put(Record(work.resource, content, state, work.key, is_leaving))
        status, code = (202, PENDING) if is_relay else (200, DONE)
        return answered(work, status, code, has_effect=True)

    # --- rules -------------------------------------------------------------------------------

    def _check_way(self, place: Place, content: Mapping[str, Any] | None) -> None:
        """What a relay can tell by itself."""
        if self.counts[ON_ITS_WAY] >= PENDING_MAX:
            raise Refused(503, "BUSY")
        if content is None:
            return
        if not self._partners.issuperset(content.get(PARTNERS, ())):
            raise Refused(409, "PARTNER_UNKNOWN")
        if place.kind is MEMBER:
            named = resources.subscription(content["ec_code"], content["product"])
            subscribed = self.records.get(named)
            if subscribed is not None and subscribed.state == ON_ITS_WAY:
                raise Refused(409, "EC_PENDING")

    def _judge(
        self,
        place: Place,
        work: Work,
        content: Mapping[str, Any] | None,
        before: Record | None,
    ) -> None:
        """What the registry knows."""
        if place.kind is SUBSCRIPTION:
            if work.method == DELETE and self._members_of[place.ec, place.product]:
                raise Refused(409, "EC_HAS_MEMBERS")
        elif content is not None:
            self._judge_member(place, content, before)

    def _judge_member(
        self, place: Place, content: Mapping[str, Any], before: Record | None
    ) -> None:
        ec, product = content["ec_code"], content["product"]
        if not self._products_of[ec]:
            raise Refused(409, "EC_UNKNOWN")
        if product and resources.subscription(ec, product) not in self.records:
            raise Refused(409, "PRODUCT_NOT_SUBSCRIBED")
        if before is not None and before.content["user_id"] != content["user_id"]:
            raise Refused(409, "OTHER_USER")
        if self._number_of.get(content["imsi"], place.msisdn) != place.msisdn:
            raise Refused(409, "IMSI_TAKEN")


def _content(place: Place, request: HTTPRequest) -> dict[str, Any] | None:
    if request.method == DELETE:
        if request.body:
            raise Refused(400, "MALFORMED")
        return None
    try:
        content: dict[str, Any] = msgspec.to_builtins(place.kind.content.decode(request.body))
    except (ValueError, RecursionError):
        raise Refused(400, "MALFORMED") from None  # the cause may quote a key
    return content


def _without_key(
    content: Mapping[str, Any] | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if content is None:
        return None, None
    kept = dict(content)
    key: dict[str, Any] | None = kept.pop("key", None)
    if key is not None:
        kept["key_index"] = key["index"]
    return kept, key


def _known(record: Record | None) -> dict[str, Any]:
    return {} if record is None else record.content


def _is_so(work: Work, content: Mapping[str, Any] | None, record: Record | None) -> bool:
    if record is None:
        return work.method == DELETE
    return record.state == CONFIRMED and not record.is_leaving and record.content == content
