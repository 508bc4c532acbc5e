"""What goes up to headquarters by a relay, hop by hop (docs/ne/relays.md): which enterprise has a
product, and which number and card a new member has.

The card's key goes along as its maker delivered it: encrypted under a transport key of which only
the index is known here. One that is not encrypted is never sent.
"""

import re
from collections.abc import Mapping
from typing import Final

from adapters.json_platform import DELETE, PUT, JSONPlatform, Request
from hlrd.codec.base import UnsafeValue
from hlrd.domain import group
from hlrd.domain.identity import CardKey
from hlrd.domain.operation import Operation, Task

REPORT: Final = Operation.REPORT_MEMBER
CANCEL: Final = Operation.CANCEL_REPORT
SUBSCRIBE: Final = Operation.SUBSCRIBE_EC
UNSUBSCRIBE: Final = Operation.UNSUBSCRIBE_EC

LEAD_PROVINCE: Final = group.LEAD_PROVINCE
PARTNER_PROVINCES: Final = group.PARTNER_PROVINCES
"""Of `Details.attributes`: the province that sold, and those that get the product published, with
commas between."""

CLEAR: Final = 0
"""The key index of a key that is not encrypted."""

_MSISDN: Final = re.compile(r"[0-9]{11}(?:[0-9]{2})?\Z")
_PROVINCES: Final = re.compile(r"[0-9A-Za-z]{1,8}(?:,[0-9A-Za-z]{1,8})*\Z")


class Reports(JSONPlatform):
    operations = frozenset({REPORT, CANCEL, SUBSCRIBE, UNSUBSCRIBE})
    owner = "user_id"
    has_partners = False
    """Whether it publishes to partner provinces."""

    def request(self, task: Task) -> Request:
        """Without the key, so that nobody sees it who sees a request."""
        details = task.details
        if task.operation in (REPORT, CANCEL):
            resource = f"/members/{_msisdn(task)}"
            return _either(task.operation is REPORT, resource, _member(task))
        resource = f"/ecs/{details.ec_code}/products/{details.product}"
        return _either(task.operation is SUBSCRIBE, resource, self._subscription(task))

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        if task.operation is not REPORT:
            return super().encode(task, None)
        method, resource, content = self.request(task)
        content = {**(content or {}), "key": _sealed(key)}
        return self._service.send(method, resource, key=task.transaction, content=content)

    def _subscription(self, task: Task) -> Mapping[str, object]:
        details = task.details
        content: dict[str, object] = {"ec_name": details.ec_name, "version": details.version}
        lead = details.attributes.get(LEAD_PROVINCE, "")
        partners = details.attributes.get(PARTNER_PROVINCES, "")
        if any(named and not _PROVINCES.match(named) for named in (lead, partners)):
            raise UnsafeValue("a province is named by 1 to 8 letters and digits")
        if partners and not self.has_partners:
            raise UnsafeValue(f"{self.dialect} publishes to no partner province")
        if lead:
            content[LEAD_PROVINCE] = lead
        if partners:
            content[PARTNER_PROVINCES] = partners.split(",")
        return content


def _either(is_wanted: bool, resource: str, content: Mapping[str, object]) -> Request:
    return Request(PUT, resource, content) if is_wanted else Request(DELETE, resource)


def _member(task: Task) -> Mapping[str, object]:
    binding, details = task.binding, task.details
    return {
        "user_id": binding.user_id,
        "imsi": binding.imsi,
        "iccid": binding.iccid,
        "province": binding.province,
        "ec_code": details.ec_code,
        "product": details.product,
    }


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
