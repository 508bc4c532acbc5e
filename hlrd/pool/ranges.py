"""Number ranges: what a pool is made of, how one is read, and how two are told apart."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.identity import MSISDN, parse_msisdn
from hlrd.domain.orders import PROVINCES
from hlrd.domain.routing import Identity, Routing
from hlrd.pool.permutation import Permutation, order_key

NAME_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z"
"""Of pools and lots, so that any of them can be named in an order."""

_NAME: Final = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive numbers of one length, checked; not in the database yet."""

    pool: str
    first: int
    last: int
    digits: int  #: 11 or 13
    province: str
    hlr: str

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class NumberRange(Span):
    """A span that is in the database, and how far its numbers were leased."""

    id: int
    counter: int  #: indexes of its permutation ever leased

    @property
    def unleased(self) -> int:
        return self.size - self.counter


class Order:
    """The secret order of one range's numbers; what a leased interval of the counter means."""

    __slots__ = ("_first", "_permutation")

    def __init__(self, span: NumberRange, pool_secret: bytes) -> None:
        self._first = span.first
        self._permutation = Permutation(order_key(pool_secret, span.id), span.size)

    def numbers(self, start: int, count: int) -> list[int]:
        """About 1 us each; on an event loop, ask for some hundreds at a time."""
        first = self._first
        return [first + index for index in self._permutation.interval(start, count)]


def parse_range(*, pool: str, first: str, last: str, province: str, hlr: str) -> Span:
    """Refuses, naming the field; the numbers are plain digits without a country code."""
    if not _NAME.match(pool):
        raise BadRequest("POOL_NAME_INVALID", "1 to 32 letters, digits, dots, - and _", "pool")
    if province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
    low, high = _national(first, "first"), _national(last, "last")
    _refuse_bad_ends(low, high)
    return Span(pool, int(low), int(high), len(low), province, hlr)


def home_of_range(span: Span, routing: Routing) -> str:
    """As named, or by its route; refuses, with the route, what disagrees with one."""
    first, last = str(span.first), str(span.last)
    crossing = routing.crossing(Identity.MSISDN, first, last)
    if crossing is not None:
        text = f"{crossing.first}-{crossing.last} belong to another home: {crossing.route}"
        raise BadRequest("RANGE_CROSSES_SEGMENTS", text, "last")
    route = routing.route(Identity.MSISDN, first)
    if route is None:
        if not span.hlr:
            raise BadRequest("HLR_WANTED", "no route is about these numbers; name hlr", "hlr")
        return span.hlr
    if span.hlr not in ("", route.hlr):
        raise BadRequest("HLR_NOT_BY_ROUTE", f"the route says otherwise: {route}", "hlr")
    return route.hlr


def refuse_overlap(span: Span, others: Iterable[NumberRange]) -> None:
    """A number belongs to one range only, whatever its pool; the refusal names the other range."""
    for other in others:
        if span.digits == other.digits and span.first <= other.last and other.first <= span.last:
            raise Conflict(
                "RANGE_OVERLAPS",
                f"overlaps range {other.id}, {other} of pool {other.pool}; {_instead(span, other)}",
                "first",
            )


def _instead(span: Span, other: NumberRange) -> str:
    first, last = max(span.first, other.first), min(span.last, other.last)
    if (first, last) == (span.first, span.last):
        return "all of it is imported already"
    return f"import {span} without {first}-{last}"


def _refuse_bad_ends(low: MSISDN, high: MSISDN) -> None:
    if len(low) != len(high):
        raise BadRequest("RANGE_LENGTHS_DIFFER", "first and last differ in length", "last")
    if low > high:
        raise BadRequest("RANGE_REVERSED", "last is below first", "last")
    if _block(low) != _block(high):
        raise BadRequest(
            "RANGE_CROSSES_BLOCKS",
            f"numbers between the blocks {_block(low)} and {_block(high)} do not exist; "
            "import one range for each",
            "last",
        )


def _block(number: MSISDN) -> str:
    """All numbers of one length below it are valid (`identity.MSISDN_PATTERN`)."""
    if len(number) == 11:
        return number[:1]
    return "1064" if number.startswith("1064") else "144"


def _national(text: str, field: str) -> MSISDN:
    number = parse_msisdn(text, field)
    if number != text:
        raise BadRequest("MSISDN_INVALID", "write the number without the country code", field)
    return number
