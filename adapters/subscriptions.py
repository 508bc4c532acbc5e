"""What the five platforms of the IoT business are told: products, the enterprises (集团客户) and
users that have them, and whether a user is stopped. One resource each, the same on all five.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from adapters.json_platform import DELETE, PUT, JSONPlatform, Request
from hlrd.codec.base import UnsafeValue
from hlrd.domain import group
from hlrd.domain.operation import Operation, Task
from hlrd.ne.adapter import Account, AccountError
from hlrd.ne.replies import Replies

PUBLISH: Final = Operation.PUBLISH_PRODUCT
SUBSCRIBE_EC: Final = Operation.SUBSCRIBE_EC
UNSUBSCRIBE_EC: Final = Operation.UNSUBSCRIBE_EC
SUBSCRIBE: Final = Operation.SUBSCRIBE_MEMBER
UNSUBSCRIBE: Final = Operation.UNSUBSCRIBE_MEMBER
PAUSE: Final = Operation.PAUSE_RELATION
RESUME: Final = Operation.RESUME_RELATION

SUBSCRIPTIONS: Final = frozenset(
    {SUBSCRIBE_EC, UNSUBSCRIBE_EC, SUBSCRIBE, UNSUBSCRIBE, PAUSE, RESUME}
)

PRODUCT_CLASS: Final = group.PRODUCT_CLASS
"""Of `Details.attributes`, and the option: 1, 2 or 3 (一类, 二类, 三类业务)."""

ACTIVE: Final = "active"
SUSPENDED: Final = "suspended"

_MSISDN: Final = re.compile(r"[0-9]{11}(?:[0-9]{2})?\Z")
_CLASS: Final = re.compile(r"[123]\Z")


class SubscriptionPlatform(JSONPlatform):
    owner = "user_id"
    class_default: ClassVar[str] = ""
    """Of a product whose task names no class, unless the option says otherwise; empty where the
    platform is not told of classes."""

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        self._class = account.options.get(PRODUCT_CLASS, self.class_default)
        if self.class_default and not _CLASS.match(self._class):
            raise AccountError(f"option {PRODUCT_CLASS} = {self._class!r}: it is 1, 2 or 3")

    def request(self, task: Task) -> Request:
        operation, details = task.operation, task.details
        if operation is PUBLISH:
            content = {"name": details.text, **self._content(task)}
            return Request(PUT, f"/products/{details.product}", content)
        if operation in (SUBSCRIBE_EC, UNSUBSCRIBE_EC):
            resource = f"/ecs/{details.ec_code}/products/{details.product}"
            if operation is UNSUBSCRIBE_EC:
                return Request(DELETE, resource)
            return Request(PUT, resource, {"ec_name": details.ec_name, **self._content(task)})
        user = f"/users/{_msisdn(task)}"
        if operation in (PAUSE, RESUME):
            state = SUSPENDED if operation is PAUSE else ACTIVE
            stopped = {"user_id": task.binding.user_id, "state": state}
            return Request(PUT, f"{user}/state", stopped)
        resource = f"{user}/products/{details.product}"
        if operation is UNSUBSCRIBE:
            return Request(DELETE, resource)
        whose = {"user_id": task.binding.user_id, "ec_code": details.ec_code}
        return Request(PUT, resource, {**whose, **self._content(task)})

    def _content(self, task: Task) -> Mapping[str, object]:
        details = task.details
        attributes = dict(details.attributes)
        product_class = attributes.pop(PRODUCT_CLASS, self._class)
        content: dict[str, object] = {"version": details.version, "attributes": attributes}
        if self.class_default:
            if not _CLASS.match(product_class):
                raise UnsafeValue("a product is of class 1, 2 or 3")
            content[PRODUCT_CLASS] = product_class
        return content


def _msisdn(task: Task) -> str:
    if not _MSISDN.match(task.binding.msisdn):
        raise UnsafeValue("an MSISDN is 11 or 13 digits")
    return task.binding.msisdn
