"""Finds identities that come twice in a file, at 25 bytes a card instead of two sets of strings."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise

from hlrd.domain.identity import ICCID, IMSI


class Doubles:
    __slots__ = ("_iccids", "_imsis", "_lengths", "_lines")

    def __init__(self) -> None:
        self._lines = array("L")
        self._iccids = array("Q")  #: the 15 or 16 hexadecimal digits behind 8986
        self._lengths = array("B")
        self._imsis = array("Q")

    def add(self, line: int, iccid: ICCID, imsi: IMSI) -> None:
        self._lines.append(line)
        self._iccids.append(int(iccid[4:], 16))
        self._lengths.append(len(iccid))
        self._imsis.append(int(imsi))

    def found(self) -> Iterator[tuple[int, int, str]]:
        """Line, the line that had it first, and the column; column by column."""
        pairs = zip(self._lengths, self._iccids, strict=True)
        iccids = [length << 64 | digits for length, digits in pairs]
        for column, values in (("ICCID", iccids), ("IMSI", self._imsis)):
            for line, first in repeats(self._lines, values):
                yield line, first, column


def repeats(lines: Iterable[int], values: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each line whose value an earlier line has, and the first that has it. `values` is walked
    twice."""
    twice = {low for low, high in pairwise(sorted(values)) if low == high}
    first: dict[int, int] = {}
    for line, value in zip(lines, values, strict=True):
        if value in twice and first.setdefault(value, line) != line:
            yield line, first[value]
