"""The state file of a relay or the registry: a line a change. It holds the encrypted keys that are
on their way, and no others.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from hlrd.domain.errors import HlrdError
from loadtest.relay.core import System
from loadtest.relay.partners import Publication
from loadtest.relay.records import CONFIRMED, Record


class StateFileDamaged(HlrdError):
    """A line of the file is no record; the text says which."""


class Line(Struct, frozen=True, omit_defaults=True):
    record: Record | None = None
    sealed: dict[str, Any] | None = None
    publication: Publication | None = None
    is_told: bool = False  #: the publication reached its province
    cursor: str = ""  #: of the receipts taken
    hlrd: str = ""  #: whose cursor: a province's; empty: headquarters'


def line_of(resource: str, system: System) -> Line:
    """Also of one that is gone: as a removal that was confirmed."""
    record = system.records.get(resource)
    gone = Record(resource, {}, CONFIRMED, "", is_leaving=True)
    return Line(record or gone, system.sealed.get(resource))


def lines_of(system: System, cursors: Mapping[str, str]) -> Iterator[bytes]:
    """The shortest file that says where it is: keys that went on are not in it any more."""
    for resource in system.records:
        yield encoded(line_of(resource, system))
    for publication in system.publications.values():
        yield encoded(Line(publication=publication))
    for hlrd, cursor in cursors.items():
        yield encoded(Line(cursor=cursor, hlrd=hlrd))


def encoded(line: Line) -> bytes:
    return msgspec.json.encode(line)


def recall(lines: Iterable[bytes], system: System, path: Path | None) -> dict[str, str]:
    """Bring the empty system to where the lines say it was; the cursors."""
    cursors: dict[str, str] = {}
    for number, written in enumerate(lines, start=1):
        try:
            line = msgspec.json.decode(written, type=Line)
            _recall(line, system)
        except (ValueError, KeyError, AssertionError):
            raise StateFileDamaged(
                f"{path}, line {number}: no record; remove the file to start empty"
            ) from None  # the cause may quote a key
        if line.cursor:
            cursors[line.hlrd] = line.cursor
    return cursors


def _recall(line: Line, system: System) -> None:
    if line.record is not None:
        system.put(line.record)
        if line.sealed is not None:
            system.sealed[line.record.resource] = line.sealed
        else:
            system.sealed.pop(line.record.resource, None)
    if line.publication is None:
        return
    place = line.publication.province, line.publication.resource
    if line.is_told:
        del system.publications[place]
    else:
        system.publications[place] = line.publication
