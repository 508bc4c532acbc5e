"""Which HLR is home to a number or an IMSI: segments by their prefix, the longest first.

A binding keeps the home it was made with; routes give the home of what comes new (imported ranges
and lots, cards that come with their order), and change when a segment is moved (割接).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hlrd.domain.errors import HlrdError


class RouteError(HlrdError):
    """The routes are not usable; the text names the place of each route at fault."""


class Identity(StrEnum):
    """What a segment is of."""

    MSISDN = "msisdn"  #: national form, without the country code
    IMSI = "imsi"


@dataclass(frozen=True, slots=True)
class Route:
    prefix: str  #: decimal digits
    of: Identity
    hlr: str
    place: str  #: where it was read, for errors

    def __str__(self) -> str:
        return f"{self.of} {self.prefix}* to {self.hlr} ({self.place})"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A range is not of one segment: `route` holds for a part of it only."""

    route: Route
    first: int  #: the part
    last: int


class Routing:
    """Immutable. A look-up costs one dictionary access per length of prefix that occurs."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.routes: Final = tuple(routes)
        self._segments: dict[tuple[Identity, str], Route] = {}
        for route in self.routes:
            self._add(route)
        self._lengths: dict[Identity, Sequence[int]] = {
            of: sorted({len(r.prefix) for r in self.routes if r.of is of}, reverse=True)
            for of in Identity
        }

    def _add(self, route: Route) -> None:
        other = self._segments.setdefault((route.of, route.prefix), route)
        if other is not route and other.hlr != route.hlr:
            raise RouteError(f"two HLRs for one segment: {other}, {route}")

    def route(self, of: Identity, identity: str) -> Route | None:
        """The one of the longest prefix; None where no route is about it."""
        for length in self._lengths[of]:
            found = self._segments.get((of, identity[:length]))
            if found is not None:
                return found
        return None

    def home(self, of: Identity, identity: str) -> str | None:
        found = self.route(of, identity)
        return found.hlr if found else None

    def crossing(self, of: Identity, first: str, last: str) -> Crossing | None:
        """A segment of another HLR that a range of numbers runs into; `first` and `last` are of
        one length and belong to the range.
        """
        home = self.home(of, first)
        low, high = int(first), int(last)
        for route in self.routes:
            if route.of is not of or route.hlr == home or len(route.prefix) > len(first):
                continue
            start, end = _segment(route.prefix, len(first))
            start, end = max(start, low), min(end, high)
            if start <= end and self._holds_within(route, start, end, len(first)):
                return Crossing(route, start, end)
        return None

    def _holds_within(self, route: Route, start: int, end: int, digits: int) -> bool:
        """Whether `route` is the longest for a number of start … end: longer ones may cover all."""
        at = start
        while at <= end:
            holder = self.route(route.of, str(at).zfill(digits))
            if holder is None or holder is route or holder.prefix == route.prefix:
                return True
            at = _segment(holder.prefix, digits)[1] + 1
        return False


def _segment(prefix: str, digits: int) -> tuple[int, int]:
    width = 10 ** (digits - len(prefix))
    return int(prefix) * width, int(prefix) * width + width - 1
