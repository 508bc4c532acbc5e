"""Vanity grades (靓号等级): rules on the last digits, compiled into a table by them.

The tail of a rule is a pattern: a digit stands for itself, a letter for a digit (the same letter
for the same digit, two letters for different ones), `?` for any digit, `+` and `-` for the digit
one above or below that before it. The first rule that a number matches gives its grade.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from hlrd import limits

_ANY: Final = re.compile(r"\A\?+(?![?+-]|\Z)")  # in front, and nothing refers to it


class Rule(NamedTuple):
    grade: str
    tail: str


class Grades:
    """Which numbers are graded. A look-up costs a division and a byte."""

    __slots__ = ("_modulus", "_names", "_table", "rules")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Well below a millisecond for the usual rules; a second for a tail of six free digits."""
        self.rules = tuple(rules)
        self._names: list[str] = ["", *dict.fromkeys(rule.grade for rule in self.rules)]
        assert len(self._names) <= limits.GRADES_MAX + 1, "a grade is one byte of the table"
        width = max((len(rule.tail) for rule in self.rules), default=0)
        self._modulus = 10**width
        self._table = bytearray(self._modulus)
        for rule in reversed(self.rules):  # so that the first has the last word
            self._mark(rule)

    def _mark(self, rule: Rule) -> None:
        tail = _ANY.sub("", rule.tail)
        step, code = 10 ** len(tail), self._names.index(rule.grade)
        marks = bytes([code]) * (self._modulus // step)
        for digits in _expansions(tail):
            self._table[digits::step] = marks

    def __str__(self) -> str:
        """What tells one table from another."""
        return " ".join(f"{rule.grade}={rule.tail}" for rule in self.rules)

    def __contains__(self, grade: str) -> bool:
        return grade in self._names[1:]

    @property
    def names(self) -> Sequence[str]:
        return self._names[1:]

    def of(self, number: int) -> str | None:
        return self._names[self._table[number % self._modulus]] or None

    def graded(self, numbers: Iterable[int]) -> list[int]:
        """Those that have a grade."""
        table, modulus = self._table, self._modulus
        return [number for number in numbers if table[number % modulus]]

    def candidates(self, grade: str, spans: Sequence[tuple[int, int]]) -> "Candidates":
        """All numbers of `grade` in the spans (first and last), countable without being listed."""
        code = self._names.index(grade, 1)
        return Candidates(_tails(bytes(self._table), code), self._modulus, spans)


class Candidates(Sequence[int]):
    """Numbers by their tails: the place of each is computed, so a range of 10^9 costs nothing."""

    __slots__ = ("_ends", "_modulus", "_spans", "_tails")

    def __init__(
        self, tails: Sequence[int], modulus: int, spans: Sequence[tuple[int, int]]
    ) -> None:
        self._tails = tails
        self._modulus = modulus
        self._spans = [(self._below(first), first, last) for first, last in spans]
        self._ends: list[int] = []
        total = 0
        for before, _, last in self._spans:
            total += self._below(last + 1) - before
            self._ends.append(total)

    def _below(self, number: int) -> int:
        """How many natural numbers below `number` have one of the tails."""
        blocks, tail = divmod(number, self._modulus)
        return blocks * len(self._tails) + bisect_left(self._tails, tail)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, place: int) -> int:  # type: ignore[override]
        span = bisect_right(self._ends, place)
        passed = self._ends[span - 1] if span else 0
        blocks, tail = divmod(self._spans[span][0] + place - passed, len(self._tails))
        return blocks * self._modulus + self._tails[tail]


@lru_cache(maxsize=32)
def _tails(table: bytes, code: int) -> "array[int]":
    """Ascending."""
    tails, place = array("L"), table.find(code)
    while place >= 0:
        tails.append(place)
        place = table.find(code, place + 1)
    return tails


def _expansions(tail: str) -> Iterator[int]:
    """Every number that the pattern stands for."""

    def grow(place: int, value: int, last: int, letters: dict[str, int]) -> Iterator[int]:
        if place == len(tail):
            yield value
            return
        sign = tail[place]
        for digit in _digits_for(sign, last, letters):
            named = {**letters, sign: digit} if sign.isalpha() else letters
            yield from grow(place + 1, 10 * value + digit, digit, named)

    return grow(0, 0, 0, {})


def _digits_for(sign: str, last: int, letters: dict[str, int]) -> Sequence[int]:
    if sign.isdigit():
        return [int(sign)]
    if sign == "?":
        return range(10)
    if sign == "+":
        return [last + 1] if last < 9 else []
    if sign == "-":
        return [last - 1] if last > 0 else []
    if sign in letters:
        return [letters[sign]]
    return [digit for digit in range(10) if digit not in letters.values()]
