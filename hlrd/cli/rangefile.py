"""The CSV of number segments: checked as a whole before the first is added."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hlrd.cli import files
from hlrd.cli.client import CallFailed
from hlrd.domain.errors import BadRequest
from hlrd.pool.ranges import Span, parse_range

COLUMNS: Final = ("first", "last", "province", "hlr")


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    span: Span


@dataclass(slots=True)
class Checked:
    """What of the file is to be added, what is there already, and what is wrong with the rest."""

    new: list[Line] = field(default_factory=list)
    present: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def check(
    path: Path, pool: str, pools: Iterable[Mapping[str, Any]], hlrs: Sequence[str]
) -> Checked:
    """`pools`: all that the daemon has, as it shows them."""
    checked = Checked()
    lines = []
    for number, row in _rows(path):
        fault = _fault_of(number, row, hlrs)
        if fault is None:
            try:
                lines.append(Line(number, parse_range(pool=pool, **_values(row))))
            except BadRequest as refused:
                fault = Fault(number, refused.field, refused.detail)
        if fault is not None:
            checked.faults.append(fault)
    known = list(_known(pools))
    there = {*known, *(replace(span, hlr="") for span in known)}
    for line in lines:
        (checked.present if line.span in there else checked.new).append(line)
    checked.faults += _overlaps(checked.new, known)
    checked.faults.sort(key=lambda fault: fault.line)
    return checked


def errors_of(path: Path) -> Path:
    return path.with_name(path.name + ".errors.csv")


def write_faults(path: Path, faults: Iterable[Fault]) -> Path:
    """Beside the file."""
    errors = errors_of(path)
    with errors.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "column", "reason"))
        writer.writerows((fault.line, fault.column, fault.reason) for fault in faults)
    return errors


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str | None, Any]]]:
    try:
        text = files.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CallFailed(f"{path} is not UTF-8") from error
    reader = csv.DictReader(text.splitlines())
    if set(reader.fieldnames or ()) != set(COLUMNS):
        raise CallFailed(f"{path}: a line {','.join(COLUMNS)} and a line per range wanted")
    is_empty = True
    for row in reader:
        is_empty = False
        yield reader.line_num, row
    if is_empty:
        raise CallFailed(f"{path}: no range")


def _values(row: Mapping[str | None, Any]) -> dict[str, str]:
    return {name: row[name] or "" for name in COLUMNS}


def _fault_of(number: int, row: Mapping[str | None, Any], hlrs: Sequence[str]) -> Fault | None:
    """What `parse_range` does not see."""
    if None in row or None in row.values():
        return Fault(number, "", f"{len(COLUMNS)} values wanted")
    if row["hlr"] and row["hlr"] not in hlrs:
        return Fault(number, "hlr", "no network element has this name")
    return None


def _known(pools: Iterable[Mapping[str, Any]]) -> Iterator[Span]:
    for pool in pools:
        for row in pool["ranges"]:
            yield parse_range(pool=pool["name"], **{name: row[name] for name in COLUMNS})


def _overlaps(lines: Iterable[Line], known: Iterable[Span]) -> Iterator[Fault]:
    """Each line that has numbers of another line or of a known range."""
    items = [*lines, *(Line(0, span) for span in known)]
    items.sort(key=lambda line: (line.span.first, line.number))
    furthest: Line | None = None
    for item in items:
        if furthest is not None and item.span.first <= furthest.span.last:
            earlier, later = sorted((furthest, item), key=lambda line: line.number)
            if later.number:
                yield Fault(later.number, "first", f"overlaps {_name(earlier)}")
        if furthest is None or item.span.last > furthest.span.last:
            furthest = item


def _name(line: Line) -> str:
    return f"line {line.number}" if line.number else f"{line.span} of pool {line.span.pool}"
