"""The files that staff imports: ranges of numbers, and SIM lots cut into requests."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hlrd.cli.client import CallFailed

RANGE_COLUMNS: Final = ("first", "last", "province", "hlr")

_LOT_BYTES_MAX: Final = 4 * 2**20
"""One request of a lot: about 45,000 cards, a second of the daemon's work."""


def ranges(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(_read(path).decode("utf-8-sig").splitlines()))
    if not rows or set(rows[0]) != set(RANGE_COLUMNS):
        raise CallFailed(f"{path}: a line {','.join(RANGE_COLUMNS)} and a line per range wanted")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise CallFailed(f"{path}, line {number}: {len(RANGE_COLUMNS)} values wanted")
    return rows


@dataclass(frozen=True, slots=True)
class Part:
    first_line: int  #: of its cards, in the file
    document: bytes  #: begins with the file's header


def lot_parts(path: Path) -> Iterator[Part]:
    header, *lines = _read(path).splitlines()
    part, size, first_line = [header], 0, 2
    for number, line in enumerate(lines, 2):
        part.append(line)
        size += len(line) + 1
        if size >= _LOT_BYTES_MAX:
            yield Part(first_line, b"\n".join(part))
            part, size, first_line = [header], 0, number + 1
    if len(part) > 1 or first_line == 2:
        yield Part(first_line, b"\n".join(part))


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CallFailed(f"cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise CallFailed(f"{path} is empty")
    return content
