"""What goes up to headquarters by a relay, hop by hop (docs/ne/relays.md): which enterprise has a
product, which number and card a new member has, and which products.

The card's key goes along as its maker delivered it: encrypted under a transport key of which only
the index is known here. One that is not encrypted is never sent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from adapters.json_platform import (
    CONFIRMED,
    DELETE,
    FOUND,
    GET,
    PUT,
    Answer,
    JSONPlatform,
    Request,
)
from hlrd.codec.base import UnsafeValue
from hlrd.domain import group
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict

REPORT: Final = Operation.REPORT_MEMBER
CANCEL: Final = Operation.CANCEL_REPORT
SUBSCRIBE: Final = Operation.SUBSCRIBE_EC
UNSUBSCRIBE: Final = Operation.UNSUBSCRIBE_EC
SUBSCRIBE_MEMBER: Final = Operation.SUBSCRIBE_MEMBER
UNSUBSCRIBE_MEMBER: Final = Operation.UNSUBSCRIBE_MEMBER
_FIND_NUMBER: Final = Operation.FIND_NUMBER

LEAD_PROVINCE: Final = group.LEAD_PROVINCE
PARTNER_PROVINCES: Final = group.PARTNER_PROVINCES
PRODUCT_CLASS: Final = group.PRODUCT_CLASS
SERVICES: Final = group.SERVICES
"""Of `Details.attributes`: the province that sold, those that get the product published, the class
as a digit, and what a member is opened with; commas between where there are several."""

_SAID_SINCE: Final = frozenset({PRODUCT_CLASS, SERVICES})

CLEAR: Final = 0
"""The key index of a key that is not encrypted."""

_MSISDN: Final = re.compile(r"[0-9]{11}(?:[0-9]{2})?\Z")
_PROVINCES: Final = re.compile(r"[0-9A-Za-z]{1,8}(?:,[0-9A-Za-z]{1,8})*\Z")
_CLASS: Final = re.compile(r"[123]\Z")


class Reports(JSONPlatform):
    operations = frozenset(
        {REPORT, CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE_MEMBER, UNSUBSCRIBE_MEMBER}
    )
    inquiries = frozenset({_FIND_NUMBER})
    owner = "user_id"
    has_partners = False
    """Whether it publishes to partner provinces."""

    def request(self, task: Task) -> Request:
        """Without the key, so that nobody sees it who sees a request."""
        operation, details = task.operation, task.details
        if operation in (SUBSCRIBE, UNSUBSCRIBE):
            resource = f"/ecs/{details.ec_code}/products/{details.product}"
            return _either(operation is SUBSCRIBE, resource, self._subscription(task))
        member = f"/members/{_msisdn(task)}"
        if operation is _FIND_NUMBER:
            return Request(GET, member)
        if operation in (REPORT, CANCEL):
            return _either(operation is REPORT, member, _member(task))
        resource = f"{member}/products/{details.product}"
        return _either(operation is SUBSCRIBE_MEMBER, resource, _product_of_member(task))

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        if task.operation is not REPORT:
            return super().encode(task, None)
        method, resource, content = self.request(task)
        content = {**(content or {}), "key": _sealed(key)}
        return self._service.send(method, resource, key=task.transaction, content=content)

    def compare_found(self, task: Task, found: Answer) -> Outcome:
        """A number that is, or may be, a member's is not forgotten at headquarters."""
        if task.operation is not _FIND_NUMBER:
            return super().compare_found(task, found)
        if found.state != CONFIRMED:
            return Outcome(Verdict.PENDING, found.state, "a change of it is on its way, or failed")
        return Outcome(Verdict.APPLIED, FOUND, f"IMSI {found.content.get('imsi', 'unknown')}")

    def compare_content(self, wanted: Request, found: Mapping[str, Any]) -> Outcome:
        """What was taken before changes said this much is there all the same."""
        if wanted.content is None:
            return super().compare_content(wanted, found)
        told = {
            name: value
            for name, value in wanted.content.items()
            if name in found or name not in _SAID_SINCE
        }
        return super().compare_content(wanted._replace(content=told), found)

    def _subscription(self, task: Task) -> Mapping[str, object]:
        details = task.details
        content: dict[str, object] = {"ec_name": details.ec_name, "version": details.version}
        lead = details.attributes.get(LEAD_PROVINCE, "")
        partners = details.attributes.get(PARTNER_PROVINCES, "")
        if any(named and not _PROVINCES.match(named) for named in (lead, partners)):
            raise UnsafeValue("a province is named by 1 to 8 letters and digits")
        if partners and not self.has_partners:
            raise UnsafeValue(f"{self.dialect} publishes to no partner province")
        if PRODUCT_CLASS in details.attributes:
            content[PRODUCT_CLASS] = _class(task)
        if lead:
            content[LEAD_PROVINCE] = lead
        if partners:
            content[PARTNER_PROVINCES] = partners.split(",")
        return content


def _either(is_wanted: bool, resource: str, content: Mapping[str, object]) -> Request:
    return Request(PUT, resource, content) if is_wanted else Request(DELETE, resource)


def _member(task: Task) -> Mapping[str, object]:
    """Services and class when it is opened, for who opens it; not of one that is known."""
    binding, details = task.binding, task.details
    content: dict[str, object] = {
        "user_id": binding.user_id,
        "imsi": binding.imsi,
        "iccid": binding.iccid,
        "province": binding.province,
        "ec_code": details.ec_code,
        "product": details.product,
    }
    if SERVICES in details.attributes:
        content[SERVICES] = details.attributes[SERVICES].split(",")
        content[PRODUCT_CLASS] = _class(task)
    return content


def _product_of_member(task: Task) -> Mapping[str, object]:
    details = task.details
    chosen = {name: value for name, value in details.attributes.items() if name != PRODUCT_CLASS}
    return {
        "user_id": task.binding.user_id,
        "ec_code": details.ec_code,
        "version": details.version,
        "attributes": chosen,
    }


def _class(task: Task) -> int:
    named = task.details.attributes.get(PRODUCT_CLASS, "")
    if not _CLASS.match(named):
        raise UnsafeValue("a product is of class 1, 2 or 3")
    return int(named)


def _sealed(key: CardKey | None) -> Mapping[str, object]:
    if key is None or key.k4sno == CLEAR:
        raise UnsafeValue("a card's key goes to a relay only as its maker encrypted it")
    return {
        "value": key.value,
        "index": key.k4sno,
        "algorithm": key.algorithm,
        "card_type": key.card_type,
    }


def _msisdn(task: Task) -> str:
    if not _MSISDN.match(task.binding.msisdn):
        raise UnsafeValue("an MSISDN is 11 or 13 digits")
    return task.binding.msisdn
