"""The files that staff imports."""

import csv
from pathlib import Path
from typing import Final

from hlrd.cli.client import CallFailed

RANGE_COLUMNS: Final = ("first", "last", "province", "hlr")


def ranges(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(read(path).decode("utf-8-sig").splitlines()))
    if not rows or set(rows[0]) != set(RANGE_COLUMNS):
        raise CallFailed(f"{path}: a line {','.join(RANGE_COLUMNS)} and a line per range wanted")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise CallFailed(f"{path}, line {number}: {len(RANGE_COLUMNS)} values wanted")
    return rows


def read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CallFailed(f"cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise CallFailed(f"{path} is empty")
    return content
