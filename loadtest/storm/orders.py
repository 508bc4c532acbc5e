"""The orders of a storm as the upstream systems write them, with the numbers that real ones give:
`seq` over all sources, and the state master's `state_version`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from hlrd.domain.orders import Source
from loadtest.settings import POOL, PROVINCE
from loadtest.storm.book import Kind, Order

OPERATOR = "storm"
PRODUCT = "STORM"
CONTEXT = "7"
"""CNTXID that the product gives a line."""

SERVICE = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": [CONTEXT], "apn": ["storm.iot"]},
    "scripts": [
        {
            "dialect": "huawei_hlr",
            "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
            "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
        }
    ],
}


class Posting(NamedTuple):
    order: Order
    body: bytes


class Plan(NamedTuple):
    """A number and a card that CRM chose for a user of its own."""

    msisdn: str
    imsi: str
    iccid: str
    province: str


@dataclass(slots=True)
class User:
    """As upstream has him: his number once he was told, and how far it has counted."""

    id: str
    msisdn: str = ""
    place: int = 0
    state_version: int = 0

    def next_place(self) -> int:
        self.place += 1
        return self.place


class Clerk:
    """Writes orders, each under an id of its own: `run` and a running number."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._number = 0

    def activate(self, user: User, *, ec: str = "ECSTORM") -> Posting:
        more = {"ec_code": ec, "pool": POOL}
        return self._write(Kind.ACTIVATE, Source.ESOP, user, user.next_place(), more)

    def open(self, user: User, plan: Plan, *, deadline_ms: int) -> Posting:
        """Somebody waits for it at the counter."""
        user.msisdn = plan.msisdn
        more: dict[str, Any] = {
            "imsi": plan.imsi,
            "iccid": plan.iccid,
            "services": ["GPRS", "SMS"],
            "province": plan.province,
            "mode": "sync",
            "deadline_ms": deadline_ms,
        }
        place = user.next_place()
        return self._write(Kind.OPEN, Source.CRM, user, place, more, is_urgent=True)

    def replace(self, user: User) -> Posting:
        more = {"cause": "damaged"}
        place = user.next_place()
        return self._write(Kind.REPLACE, Source.CRM, user, place, more, is_urgent=True)

    def stop(self, user: User, level: int) -> Posting:
        more = {"level": level, "bill_month": "202611", "state_version": self._version(user)}
        return self._write(Kind.STOP, Source.BOSS, user, user.next_place(), more, level=level)

    def pay(self, user: User) -> Posting:
        more = {"payment_id": f"PAY-{user.id}", "state_version": self._version(user)}
        place = user.next_place()
        return self._write(Kind.PAY, Source.BOSS, user, place, more, is_urgent=True)

    def report_stop(self, user: User, level: int) -> Posting:
        more = {"level": level, "state_version": self._version(user)}
        place = user.next_place()
        return self._write(Kind.REPORT_STOP, Source.BOSS, user, place, more, level=level)

    def subscribe(self, user: User) -> Posting:
        more = {"product": PRODUCT}
        return self._write(Kind.SUBSCRIBE, Source.CRM, user, user.next_place(), more)

    def unsubscribe(self, user: User) -> Posting:
        more = {"product": PRODUCT}
        return self._write(Kind.UNSUBSCRIBE, Source.CRM, user, user.next_place(), more)

    def id(self) -> str:
        self._number += 1
        return f"{self._run}-{self._number:08d}"

    def _write(
        self,
        kind: Kind,
        source: Source,
        user: User,
        place: int,
        more: dict[str, Any],
        *,
        level: int = 0,
        is_urgent: bool = False,
    ) -> Posting:
        order_id = self.id()
        body: dict[str, Any] = {
            "type": kind,
            "order_id": order_id,
            "province": PROVINCE,
            "operator_id": OPERATOR,
            "user_id": user.id,
            "seq": place,
        }
        if user.msisdn:
            body["msisdn"] = user.msisdn
        order = Order(order_id, source, kind, user.id, place, level, is_urgent)
        return Posting(order, msgspec.json.encode({**body, **more}))

    @staticmethod
    def _version(user: User) -> int:
        user.state_version += 1
        return user.state_version


def of_no_user(kind: str, order_id: str, fields: Mapping[str, Any]) -> bytes:
    header = {
        "type": kind,
        "order_id": order_id,
        "province": PROVINCE,
        "operator_id": OPERATOR,
    }
    return msgspec.json.encode({**header, **fields})


def file_query(kind: Kind, order_id: str, common: Mapping[str, str]) -> dict[str, str]:
    return {
        "order_id": order_id,
        "operator_id": OPERATOR,
        "province": PROVINCE,
        "child": kind,
        "common": msgspec.json.encode(common).decode(),
    }
