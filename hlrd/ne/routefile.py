"""Which HLR is home to which segment, as the settings say it: `[[route]]` tables, and a CSV file
for the many."""

import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from hlrd import limits
from hlrd.config import Settings
from hlrd.domain.routing import PREFIX_PATTERN, Identity, Route, RouteError, Routing

COLUMNS: Final = ("kind", "prefix", "ne")

_PREFIX: Final = re.compile(PREFIX_PATTERN)


def routing(settings: Settings, hlrs: Collection[str]) -> Routing:
    """Raises RouteError: for a file that cannot be read, an NE that is none of `hlrs`, and two HLRs
    for one segment, with the places."""
    routes = [
        Route(route.prefix, Identity(route.kind), route.ne, f"[[route]] {number}")
        for number, route in enumerate(settings.route, 1)
    ]
    if settings.routes_file is not None:
        routes += parse(_read(settings.routes_file), settings.routes_file.name)
    if len(routes) > limits.ROUTES_MAX:
        raise RouteError(f"{len(routes)} routes; no more than {limits.ROUTES_MAX} are taken")
    for route in routes:
        if route.hlr not in hlrs:
            raise RouteError(f"{route.place}: {route.hlr} is none of the HLRs {sorted(hlrs)}")
    return Routing(routes)


def parse(text: str, name: str) -> Iterator[Route]:
    """`name` of the file, for the places."""
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise RouteError(f"{name}, line 1: it must be {','.join(COLUMNS)}")
        for row in reader:
            yield _route(row, f"{name}, line {reader.line_num}")
    except csv.Error as error:
        raise RouteError(f"{name}, line {reader.line_num + 1}: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RouteError(f"routes_file: cannot read {path}: {error}") from error


def _route(row: dict[str | None, str | None], place: str) -> Route:
    kind, prefix, ne = (row[column] for column in COLUMNS)
    if None in row or kind is None or prefix is None or ne is None:
        raise RouteError(f"{place}: {len(COLUMNS)} values wanted")
    if kind not in tuple(Identity):
        raise RouteError(f"{place}: kind is msisdn or imsi, not {kind!r}")
    if not _PREFIX.match(prefix):
        raise RouteError(f"{place}: {prefix!r} is no prefix; it has 1 to 15 digits")
    return Route(prefix, Identity(kind), ne, place)
