"""Which HLR is home to a number or an IMSI: segments by their prefix, the longest first.

A binding keeps the home it was made with; routes give the home of what comes new (imported ranges
and lots, cards that come with their order), and change when a segment is moved (割接).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from msgspec import structs

from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import Binding


class RouteError(HlrdError):
    """The routes are not usable; the text names the place of each route at fault."""


class Identity(StrEnum):
    """What a segment is of."""

    MSISDN = "msisdn"  #: national form, without the country code
    IMSI = "imsi"


_DIGITS: Final[Mapping[Identity, Sequence[int]]] = {Identity.MSISDN: (11, 13), Identity.IMSI: (15,)}

PREFIX_PATTERN: Final = r"\A[0-9]{1,15}\Z"


@dataclass(frozen=True, slots=True)
class Segment:
    """All numbers, or all cards, whose MSISDN or IMSI begins so."""

    of: Identity
    prefix: str  #: PREFIX_PATTERN

    def __str__(self) -> str:
        return f"{self.of} {self.prefix}*"

    def holds(self, binding: Binding) -> bool:
        identity = binding.msisdn if self.of is Identity.MSISDN else binding.imsi
        return identity.startswith(self.prefix)

    def spans(self) -> Sequence[tuple[int, int]]:
        """First and last of it, for each length that there is."""
        lengths = [digits for digits in _DIGITS[self.of] if digits >= len(self.prefix)]
        return [_segment(self.prefix, digits) for digits in lengths]


@dataclass(frozen=True, slots=True)
class Rehoming:
    """What of the segment is at one HLR goes to another."""

    segment: Segment
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.segment} from {self.old} to {self.new}"

    def of(self, binding: Binding) -> Binding:
        """As it is afterwards."""
        if binding.hlr != self.old or not self.segment.holds(binding):
            return binding
        return structs.replace(binding, hlr=self.new)

    def back(self) -> "Rehoming":
        return Rehoming(self.segment, self.new, self.old)


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

    def after(self, rehoming: Rehoming) -> "Routing":
        """With the segment moved. Parts of it that a longer prefix gives to a third stay there."""
        of, prefix = rehoming.segment.of, rehoming.segment.prefix
        place = f"moved from {rehoming.old}"
        covering = self.home(of, prefix)
        routes = [
            replace(route, hlr=rehoming.new, place=f"{route.place}, {place}")
            if route.of is of and route.hlr == rehoming.old and route.prefix.startswith(prefix)
            else route
            for route in self.routes
        ]
        if covering in (None, rehoming.old) and (of, prefix) not in self._segments:
            routes.append(Route(prefix, of, rehoming.new, place))
        return Routing(routes)

    def only(self, of: Identity) -> "Routing":
        return Routing(route for route in self.routes if route.of is of)

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


class RouteTable:
    """The routes in force: those of the settings, and over them the segments moved since."""

    def __init__(self, configured: Routing | None = None) -> None:
        self._configured = configured or Routing()
        self._moved: list[Rehoming] = []
        self.routing = self._configured

    def configure(self, configured: Routing) -> None:
        self._configured = configured
        self._lay_over()

    def move(self, rehoming: Rehoming) -> None:
        """After those before it. Once or twice is the same."""
        if self._moved[-1:] != [rehoming]:
            self._moved.append(rehoming)
        self._lay_over()

    def _lay_over(self) -> None:
        routing = self._configured
        for rehoming in self._moved:
            routing = routing.after(rehoming)
        self.routing = routing


def _segment(prefix: str, digits: int) -> tuple[int, int]:
    width = 10 ** (digits - len(prefix))
    return int(prefix) * width, int(prefix) * width + width - 1
