"""What a relay, the registry behind it and a partner province do with a change. Pure.

The registry knows who may be a member of what; a relay knows nothing of it and passes all on, so a
change is pending there until `settle` says how it ended. So it is at a registry that has
headquarters' hlrd behind it. Keys are held apart from the records and only until they have been
passed on.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Any, Final

import msgspec

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
)
from hlrd.codec.http import HTTPRequest
from loadtest.forward import Ending, Passed
from loadtest.jsonpeer import JSONCore, Refused, Served, Work, answered, command_of
from loadtest.relay import resources, rules
from loadtest.relay.partners import PARTNERS, Publication, publications
from loadtest.relay.records import (
    CONFIRMED,
    FAILED,
    ON_ITS_WAY,
    RECORDS_MAX,
    Content,
    Record,
    Records,
)
from loadtest.relay.resources import ROUTE, SUBSCRIPTION, Place

PARTNER_PATH: Final = "/province/v1"


class Role(StrEnum):
    BBOSS = "bboss_relay"
    BOSS1 = "boss1_relay"
    PBOSS = "pboss_registry"
    PARTNER = "partner_province"  #: is told by the BBOSS, and never asked by hlrd


RELAYS: Final = {Role.BBOSS: "BBOSS", Role.BOSS1: "BOSS1"}
"""And the route of what came by each."""


class System(JSONCore):
    """One system in the part that `role` says."""

    def __init__(
        self,
        role: Role,
        *,
        path: str = "",
        token: str = "",
        partners: Collection[str] = (),
        leads: Collection[str] = (),
        has_hlrd: bool = False,
    ) -> None:
        """`partners`: the provinces that a BBOSS can publish to; `leads`: those that it can tell of
        members; `has_hlrd`: of a registry, that headquarters' hlrd is behind it."""
        spoken = DIALECTS.get(role)
        super().__init__(path or getattr(spoken, "path", PARTNER_PATH), token)
        self.role = role
        self.has_hlrd = has_hlrd
        self._partners = frozenset(partners)
        self._leads = frozenset(leads)
        self._held = Records()
        self.records = self._held.by_resource
        self.sealed = self._held.sealed
        self.counts = self._held.counts
        self.publications: dict[tuple[str, str], Publication] = {}  #: by province and resource

    def passed(self, record: Record) -> Passed:
        """`record`, which is on its way, as the registry is told it."""
        if record.is_leaving:
            return Passed(DELETE, record.resource, None, record.transaction)
        content = {**record.content, ROUTE: RELAYS[self.role]}
        if record.resource in self.sealed:
            told = {name: value for name, value in content.items() if name != "key_index"}
            content = {**told, "key": self.sealed[record.resource]}
        return Passed(PUT, record.resource, content, record.transaction)

    def pending(self) -> Iterator[Record]:
        return self._held.pending()

    def put(self, record: Record) -> None:
        self._held.put(record)

    def province_of(self, resource: str, told: Content | None = None) -> str:
        return self._held.province_of(resource, told)

    def ordered(self, resource: str, key: str, order_id: str) -> Record | None:
        """Headquarters' hlrd has taken the order for a change: its key is not needed any more.

        None when nobody wants to know.
        """
        record = self._awaited(resource, key)
        if record is None:
            return None
        self.sealed.pop(resource, None)
        taken = msgspec.structs.replace(record, order_id=order_id)
        self.put(taken)
        return taken

    def settle(self, resource: str, key: str, failure: Ending) -> list[Publication] | None:
        """How the change under `key` ended further on, and what provinces are to be told now.

        None when nobody wants to know any more.
        """
        record = self._awaited(resource, key)
        if record is None:
            return None
        if failure is not None:
            self._keys.forget(resource, key)
            self.put(msgspec.structs.replace(record, state=FAILED, failure=failure))
            return []
        self.put(_confirmed(record))
        return self._publish(record)

    def published(self, province: str, resource: str, key: str) -> Publication | None:
        """A province was told; what it must be told of the same next."""
        newest = self.publications[province, resource]
        if newest.transaction != key:
            return newest
        del self.publications[province, resource]
        return None

    def _awaited(self, resource: str, key: str) -> Record | None:
        record = self.records.get(resource)
        if record is None or record.transaction != key or record.state != ON_ITS_WAY:
            return None
        return record

    def _publish(self, record: Record) -> list[Publication]:
        """What is on its way to a province already is told behind that. Only the BBOSS joins
        provinces."""
        told: list[Publication] = []
        if self.role is not Role.BBOSS:
            return told
        for news in publications(record, self._held, self._leads):
            place = news.province, news.resource
            if place not in self.publications:
                told.append(news)
            self.publications[place] = news
        return told

    # --- a request ---------------------------------------------------------------------------

    def _read(self, request: HTTPRequest, resource: str) -> Work | Served:
        place = resources.place_of(resource)
        if place is None or (place.kind is not SUBSCRIPTION and self.role is Role.PARTNER):
            raise Refused(404, "NO_SUCH_RESOURCE")
        if request.method == "GET":
            return self._found(resource)
        command = command_of(request, place.kind.commands)
        content = _content(place, request)
        if self.role is Role.BOSS1 and content and PARTNERS in content:
            raise Refused(400, "MALFORMED")
        if self.role in RELAYS and content and ROUTE in content:
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
        if self._awaited(work.resource, work.key) is not None:
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
        self._check(place, work, content)
        if before is None and len(self.records) >= RECORDS_MAX:
            raise Refused(507, "FULL")
        return self._take(work, content, key, before)

    def _check(self, place: Place, work: Work, content: Content | None) -> None:
        rules.check_turn(place, work, self._held)
        if self.role is Role.PBOSS:
            rules.judge(place, work, content, self._held)
        if self.role in RELAYS and content is not None:
            if not self._partners.issuperset(content.get(PARTNERS, ())):
                raise Refused(409, "PARTNER_UNKNOWN")
            rules.check_enterprise(place, content, self._held)
        if self.role in RELAYS or self.has_hlrd:
            rules.check_room(self._held)

    def _take(
        self, work: Work, content: Content | None, key: Content | None, before: Record | None
    ) -> Served:
        standing = None if before is None else before.standing
        is_passed_on = self.role in RELAYS or (self.has_hlrd and content != standing)
        if key is not None and is_passed_on:
            self.sealed[work.resource] = key
        state = ON_ITS_WAY if is_passed_on else CONFIRMED
        told = content if content is not None else _known(before)
        held = standing if is_passed_on else None
        self.put(Record(work.resource, told, state, work.key, work.method == DELETE, held=held))
        status, code = (202, PENDING) if is_passed_on else (200, DONE)
        return answered(work, status, code, has_effect=True)


def _content(place: Place, request: HTTPRequest) -> Content | None:
    if request.method == DELETE:
        if request.body:
            raise Refused(400, "MALFORMED")
        return None
    try:
        content: Content = msgspec.to_builtins(place.kind.content.decode(request.body))
    except (ValueError, RecursionError):
        raise Refused(400, "MALFORMED") from None  # the cause may quote a key
    return content


def _without_key(content: Any) -> tuple[Content | None, Content | None]:
    if content is None:
        return None, None
    kept = dict(content)
    key: Content | None = kept.pop("key", None)
    if key is not None:
        kept["key_index"] = key["index"]
    return kept, key


def _confirmed(record: Record) -> Record:
    return msgspec.structs.replace(record, state=CONFIRMED, held=None)


def _known(record: Record | None) -> Content:
    if record is None:
        return {}
    return record.content if record.standing is None else record.standing


def _is_so(work: Work, content: Content | None, record: Record | None) -> bool:
    if record is None:
        return work.method == DELETE
    return record.state == CONFIRMED and not record.is_leaving and record.content == content
