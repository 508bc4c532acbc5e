"""What the ESOP of a province knows: enterprises with business and members, and orders. Pure."""

from collections import defaultdict
from typing import Final

from loadtest.esop.records import (
    Business,
    Customer,
    Line,
    Member,
    Offer,
    Order,
    Standing,
    Timing,
)

HOPES: Final = frozenset({Standing.PENDING, Standing.ACTIVE})
"""Of who has something, or may yet get it."""


class Refused(Exception):
    """An act that the rules do not allow; `status` is HTTP's."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class Book:
    """Each row is found by its id; what must be there is asked for by the methods that refuse."""

    def __init__(self, province: str, *, first_user: int = 0) -> None:
        self.province = province
        self.catalogue: dict[str, Offer] = {}
        self.customers: dict[str, Customer] = {}
        self.businesses: dict[tuple[str, str], Business] = {}
        self.members: dict[str, Member] = {}
        self.orders: dict[str, Order] = {}
        self.lines: dict[str, Line] = {}
        self._of: defaultdict[str, dict[str, None]] = defaultdict(dict)  #: users by enterprise
        self._next_user = first_user or int(f"{province}0000001")

    def members_of(self, code: str) -> list[Member]:
        return [self.members[user] for user in self._of.get(code, ())]

    # --- that must be there -----------------------------------------------------------------

    def _customer(self, code: str) -> Customer:
        try:
            return self.customers[code]
        except KeyError:
            raise Refused(404, "CUSTOMER_UNKNOWN", f"no enterprise {code}") from None

    def _business(self, code: str, product: str) -> Business:
        self._customer(code)
        found = self.businesses.get((code, product))
        if found is None or found.standing is not Standing.ACTIVE:
            raise Refused(409, "BUSINESS_NOT_ACTIVE", f"{code} does not have {product}")
        return found

    def _business_for(
        self, code: str, product_class: int | None, timing: Timing
    ) -> Business | None:
        """That the base capability of new members belongs to."""
        self._customer(code)
        fit = [
            one
            for (ec, _), one in self.businesses.items()
            if ec == code and one.standing in HOPES and product_class in (None, one.product_class)
        ]
        if not fit and timing is Timing.IN_SEQUENCE:
            raise Refused(409, "BUSINESS_NOT_ACTIVE", f"{code} has nothing to be a member of")
        return fit[0] if fit else None

    def _member(self, code: str, user_id: str) -> Member:
        self._customer(code)
        found = self.members.get(user_id)
        if found is None or found.ec_code != code or found.standing not in HOPES:
            raise Refused(404, "MEMBER_UNKNOWN", f"{user_id} is no member of {code}")
        return found

    def _new_member(self, code: str, user_id: str | None) -> str:
        known = self.members.get(user_id or "")
        if known is not None and known.standing is not Standing.FAILED:
            raise Refused(409, "MEMBER_EXISTS", f"{user_id} is a member of {known.ec_code}")
        if user_id is None:
            user_id = str(self._next_user)
            self._next_user += 1
        self.members[user_id] = Member(user_id, code)
        self._of[code][user_id] = None
        return user_id
