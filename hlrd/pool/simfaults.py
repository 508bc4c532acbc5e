"""Every fault of a card vendor's file, at 20 bytes each, and the error file that names them."""

import csv
from array import array
from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from hlrd.pool.simheader import BadLine

COLUMNS: Final = ("line", "column", "reason")
_NONE: Final = 0


class Faults:
    """Kept as numbers: what can be wrong is from a small set, but for the line a double names."""

    __slots__ = ("_kinds", "_lines", "_others", "_said")

    def __init__(self) -> None:
        self._lines = array("L")
        self._kinds = array("L")
        self._others = array("L")
        self._said: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, bad: BadLine) -> None:
        self._add(bad.line, bad.column, bad.reason, _NONE)

    def add_all(self, found: Iterable[BadLine]) -> None:
        for bad in found:
            self.add(bad)

    def add_double(self, line: int, first: int, column: str) -> None:
        """`first`: the line that had the identity before."""
        self._add(line, column, "the same as in line", first)

    def by_line(self) -> Iterator[BadLine]:
        said = list(self._said)
        for place in sorted(range(len(self)), key=self._lines.__getitem__):
            column, reason = said[self._kinds[place]]
            other = self._others[place]
            yield BadLine(
                self._lines[place], column, reason if other == _NONE else f"{reason} {other}"
            )

    def write(self, file: TextIO) -> None:
        """CSV with a line for each fault, in the order of the vendor's file."""
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((bad.line, bad.column, bad.reason) for bad in self.by_line())

    def _add(self, line: int, column: str, reason: str, other: int) -> None:
        self._lines.append(line)
        self._kinds.append(self._said.setdefault((column, reason), len(self._said)))
        self._others.append(other)


def read(file: TextIO, most: int) -> list[BadLine]:
    """The first faults of an error file."""
    rows = csv.reader(file)
    next(rows, None)
    return [
        BadLine(int(line), column, reason)
        for (line, column, reason), _ in zip(rows, range(most), strict=False)
    ]
