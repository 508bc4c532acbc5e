"""What the orders of the ESOP say, and what a receipt says of one. Pure."""

from collections.abc import Mapping
from typing import Any

from loadtest.esop.records import Attributes, Business, Customer, NewMember, NewMembers, Offer


def opening_of(
    code: str,
    held: Business | None,
    new: NewMember | NewMembers,
    *,
    pool: str,
    iccid: str | None = None,
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ec_code": code,
        "product_class": held.product_class if held else new.product_class or 1,
        "route": held.route if held else "BOSS1",
        "pool": new.pool or pool,
        "services": new.services,
    }
    named = {"iccid": iccid, "lot": new.lot}
    return told | {name: value for name, value in named.items() if value is not None}


def selling_of(business: Business, customer: Customer, offer: Offer) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ec_code": business.ec_code,
        "ec_name": customer.name,
        "product": business.product,
        "product_class": business.product_class,
        "scope": "crossProvince" if business.partner_provinces else "inProvince",
        "route": business.route,
        "lead_province": business.lead_province,
        "partner_provinces": list(business.partner_provinces),
    }
    if business.straight:
        told["straight"] = True
    if offer.version is not None:
        told["product_version"] = offer.version
    return told


def ordering_of(code: str, product: str, attributes: Attributes) -> dict[str, Any]:
    fields: dict[str, Any] = {"ec_code": code, "product": product}
    return fields | ({"attributes": dict(attributes)} if attributes else {})


def words_of(receipt: Mapping[str, Any]) -> tuple[str, str]:
    """The element's own code where one refused, with its words."""
    code = receipt.get("ne_code") or receipt.get("code") or "FAILED"
    return code, receipt.get("ne_text") or receipt.get("text") or ""
