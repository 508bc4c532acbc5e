"""What the registry orders of headquarters' hlrd for each change, and the BBOSS of a province's;
and how an order's end is the end of its change. Pure.

An order id follows from the change alone, so whatever is ordered twice is one order.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from adapters.json_platform import Failure
from loadtest.client import Line
from loadtest.forward import Ending
from loadtest.relay.partners import LEAD, PARTNERS, Publication
from loadtest.relay.records import Content, Record
from loadtest.relay.resources import MEMBER, MEMBER_PRODUCT, ROUTE, Place

Order = dict[str, Any]

HLRD: Final = "hlrd"
"""The hop that a failure at the far end names."""

HEADQUARTERS: Final = "000"
"""The province of what no province is told of."""

_CLASS: Final = "product_class"
_SERVICES: Final = ["GPRS", "SMS"]
_LOCKED: Final = "NUMBER_LOCKED"
_GONE: Final = {
    "EC_PRODUCT_CANCEL": frozenset({"EC_UNKNOWN", "PRODUCT_NOT_SUBSCRIBED"}),
    "MEMBER_REMOVE": frozenset({"USER_UNKNOWN", "USER_TERMINATED", "NOT_A_MEMBER"}),
    "MEMBER_PRODUCT_UNSUBSCRIBE": frozenset({"USER_UNKNOWN", "USER_TERMINATED", "NOT_A_MEMBER"}),
}
"""Refusals of a removal that say that nothing is there."""

_ID_BYTES: Final = 10
_TEXT_MAX: Final = 200


def order_of(record: Record, province: str, key: Content | None) -> Order:
    """Of the registry, for a change that is on its way: all but order id and operator. `key` is the
    card's, of a report."""
    return {"province": province or HEADQUARTERS, **_order_of(record, key)}


def _order_of(record: Record, key: Content | None) -> Order:
    place = record.place
    if (place.kind, record.is_leaving) == (MEMBER, False):
        assert key is not None, "a report has its key until it was ordered"
        return _open(place, record.content, key)
    if place.kind is MEMBER:
        return _remove(place, record.content)
    if record.is_leaving:
        leave = _unsubscribe_member if place.kind is MEMBER_PRODUCT else _cancel
        return leave(place, record.content)
    subscribe = _subscribe_member if place.kind is MEMBER_PRODUCT else _subscribe
    return subscribe(place, record.content)


def publication_order(news: Publication, place: Place) -> Order:
    """Of the BBOSS, for another province."""
    content = news.content
    if place.kind is MEMBER:
        assert content is not None, "a lead is not told that a member left"
        return {
            "type": "PARTNER_MEMBER_IMPORT",
            "province": news.province,
            "ec_code": content["ec_code"],
            "msisdn": place.msisdn,
            "partner_province": content["province"],
        }
    header = {"province": news.province, "ec_code": place.ec, "product": place.product}
    if content is None:
        return {"type": "EC_PRODUCT_CANCEL", **header}
    return {
        "type": "PARTNER_PRODUCT_PUBLISH",
        **header,
        "ec_name": content["ec_name"],
        "lead_province": content.get(LEAD, HEADQUARTERS),
        "product_class": content.get(_CLASS, 1),
        "route": "BBOSS",
        **_version(content),
    }


def order_id_of(resource: str, key: str, try_number: int) -> str:
    """At most 32 characters. `try_number`: how many orders for the same change failed before."""
    digest = blake2b(f"{key} {resource}".encode(), digest_size=_ID_BYTES).hexdigest()
    return f"R-{digest}-{try_number}"


def ending_of_line(order: Order, line: Line) -> Ending | None:
    """Of an order that was refused at once."""
    assert line.refusal is not None
    if line.refusal.code in _GONE.get(order["type"], ()):
        return None
    return Failure(HLRD, line.refusal.code, line.refusal.detail[:_TEXT_MAX])


def ending_of(receipt: Mapping[str, Any]) -> Ending:
    """Of a final receipt. That the number is not proven clean counts for more than why."""
    code = receipt.get("code", "")
    if receipt["result"] == "succeeded" or code in _GONE.get(receipt["type"], ()):
        return None
    said = [receipt.get(name, "") for name in ("ne", "ne_code", "ne_text", "text")]
    if _LOCKED in receipt.get("marks", ()):
        code = _LOCKED
    return Failure(HLRD, code, " ".join(filter(None, said))[:_TEXT_MAX])


# The orders of the registry.


def _subscribe(place: Place, content: Content) -> Order:
    is_cross = content.get(ROUTE) == "BBOSS" and content.get(_CLASS, 1) == 1
    cross = {"scope": "crossProvince", PARTNERS: content.get(PARTNERS, [])} if is_cross else {}
    return {
        "type": "EC_PRODUCT_SUBSCRIBE",
        "ec_code": place.ec,
        "product": place.product,
        "ec_name": content["ec_name"],
        "product_class": content.get(_CLASS, 1),
        **_route(content),
        **_version(content),
        **cross,
    }


def _cancel(place: Place, content: Content) -> Order:
    return {"type": "EC_PRODUCT_CANCEL", "ec_code": place.ec, "product": place.product}


def _open(place: Place, content: Content, key: Content) -> Order:
    return {
        "type": "MEMBER_OPEN",
        "user_id": content["user_id"],
        "msisdn": place.msisdn,
        "imsi": content["imsi"],
        "iccid": content["iccid"],
        "ki": key["value"],
        "keyid": key["index"],
        "algorithm": key["algorithm"],
        "card_type": key["card_type"],
        "ec_code": content["ec_code"],
        _CLASS: content.get(_CLASS, 1),
        "services": content.get("services", _SERVICES),
        **_route(content),
    }


def _remove(place: Place, content: Content) -> Order:
    """The number rests in its province, and need not at headquarters too."""
    told = {"terminate": True, "quarantine_days": 0}
    return {"type": "MEMBER_REMOVE", **_of_member(place, content), **told}


def _subscribe_member(place: Place, content: Content) -> Order:
    told = {"product": place.product, "attributes": content["attributes"]}
    return {"type": "MEMBER_PRODUCT_SUBSCRIBE", **_of_member(place, content), **told}


def _unsubscribe_member(place: Place, content: Content) -> Order:
    told = {"product": place.product}
    return {"type": "MEMBER_PRODUCT_UNSUBSCRIBE", **_of_member(place, content), **told}


def _of_member(place: Place, content: Content) -> Order:
    return {
        "user_id": content["user_id"],
        "ec_code": content["ec_code"],
        "msisdn": place.msisdn,
    }


def _route(content: Content) -> Order:
    return {ROUTE: content[ROUTE]} if ROUTE in content else {}


def _version(content: Content) -> Order:
    version = content["version"]
    return {"product_version": version} if version else {}
