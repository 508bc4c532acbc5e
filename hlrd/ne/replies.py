"""What the replies of one kind of NE mean: a table read from a file (`adapters/replies/*.toml`).

A row says: asked so, an answer with this code (or a text like this) means that. A site's own file
is laid over the shipped one, so a new code needs no release. What no row covers is permanent, and
counted (`hlrd_ne_unknown_codes_total`).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from hlrd.domain.errors import HlrdError
from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict


class RepliesError(HlrdError):
    """A table of replies is not usable; the text names the file, the row and what is wrong."""


class Asked(StrEnum):
    """What was answered."""

    COMMAND = "command"
    READ_BACK = "readBack"
    LOGIN = "login"


class Ruling(NamedTuple):
    """What a reply means. `text` explains it where the NE's own words do not."""

    verdict: Verdict
    text: str = ""
    then: Operation | None = None  #: as `Outcome.then`
    is_known: bool = True


UNKNOWN: Final = Ruling(Verdict.PERMANENT, "a code of no table", is_known=False)
ELSEWHERE: Final = Ruling(
    Verdict.PERMANENT, "an answer that belongs to another operation", is_known=False
)

_NEEDS_THEN: Final = frozenset({Verdict.FOLLOW_UP, Verdict.PREREQUISITE})
_TAKES_THEN: Final = _NEEDS_THEN | {Verdict.APPLIED}
_OF_A_LOGIN: Final = frozenset(
    {Verdict.DONE, Verdict.PERMANENT, Verdict.BUSY, Verdict.TRANSIENT, Verdict.SESSION}
)
_NEVER: Final = frozenset({Verdict.NOT_SENT})  #: no reply says it


class Row(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `[[reply]]` of the file. `code` is compared as a whole; `pattern` is searched in the code
    and the text with a blank between, and has an `example` that it matches.
    """

    means: Verdict
    code: str | None = None
    pattern: str | None = None
    example: str = ""
    asked: Asked | None = None  #: absent: a command or its read-back
    operations: tuple[Operation, ...] = ()  #: none: any
    then: Operation | None = None
    text: str = ""

    def ruling(self) -> Ruling:
        return Ruling(self.means, self.text, self.then)

    def sample(self) -> str:
        """A code, or a code and a text, that this row is about."""
        return self.example if self.code is None else self.code


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    reply: list[Row]


class _Rules(NamedTuple):
    """What holds for one operation, asked in one way."""

    by_code: Mapping[str, Ruling]
    by_pattern: Sequence[tuple[re.Pattern[str], Ruling]]


def read(document: str, origin: str) -> list[Row]:
    """The rows of a file's text; `origin` names it in errors."""
    try:
        rows = msgspec.convert(tomllib.loads(document), _File).reply
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RepliesError(f"{origin}: {error}") from None
    for place, row in enumerate(rows, 1):
        for fault in _faults(row):
            raise RepliesError(f"{origin}, reply {place} ({row.sample() or 'no code'}): {fault}")
    _refuse_doubles(rows, origin)
    return rows


class Replies:
    """Immutable. Of several rows for one reply the most particular holds: of the site before the
    shipped, for named operations before any, asked so before asked anyhow, a code before a pattern,
    the upper of two patterns.
    """

    def __init__(self, shipped: Sequence[Row], site: Sequence[Row] = ()) -> None:
        self.rows = (*shipped, *site)
        rows = [
            *sorted(site, key=_particularity, reverse=True),
            *sorted(shipped, key=_particularity, reverse=True),
        ]
        self._rules = {
            (asked, operation): _rules(rows, asked, operation)
            for asked in Asked
            for operation in (None, *Operation)
        }
        self._codes = frozenset(row.code for row in self.rows if row.code is not None)

    def codes(self, asked: Asked, operation: Operation | None = None) -> Mapping[str, Ruling]:
        """What is ruled by code alone, for a dialect that prepares its outcomes."""
        return self._rules[asked, operation].by_code

    def ruling(
        self, asked: Asked, operation: Operation | None, code: str, text: str = ""
    ) -> Ruling:
        """`operation` is None for a login."""
        rules = self._rules[asked, operation]
        ruling = rules.by_code.get(code)
        if ruling is not None:
            return ruling
        said = f"{code} {text}"
        for pattern, by_pattern in rules.by_pattern:
            if pattern.search(said):
                return by_pattern
        return ELSEWHERE if code in self._codes else UNKNOWN


def _rules(rows: Iterable[Row], asked: Asked, operation: Operation | None) -> _Rules:
    """`rows`: the most particular first."""
    by_code: dict[str, Ruling] = {}
    by_pattern: list[tuple[re.Pattern[str], Ruling]] = []
    for row in rows:
        if not _is_about(row, asked, operation):
            continue
        if row.code is not None:
            by_code.setdefault(row.code, row.ruling())
        elif row.pattern is not None:
            by_pattern.append((re.compile(row.pattern), row.ruling()))
    return _Rules(by_code, by_pattern)


def _is_about(row: Row, asked: Asked, operation: Operation | None) -> bool:
    is_asked_so = asked is not Asked.LOGIN if row.asked is None else row.asked is asked
    return is_asked_so and (not row.operations or operation in row.operations)


def _particularity(row: Row) -> tuple[bool, bool]:
    return bool(row.operations), row.asked is not None


def _faults(row: Row) -> Iterator[str]:
    if (row.code is None) == (row.pattern is None):
        yield "has either code or pattern"
    if row.means in _NEVER:
        yield f"no reply means {row.means}"
    if row.means in _NEEDS_THEN and row.then is None:
        yield f"{row.means} needs then: the operation that is owed or missing"
    if row.then is not None and row.means not in _TAKES_THEN:
        yield f"{row.means} takes no then"
    if row.asked is Asked.LOGIN and (row.operations or row.means not in _OF_A_LOGIN):
        yield f"a login is of no operation and means one of {sorted(_OF_A_LOGIN)}"
    if row.pattern is not None:
        yield from _faults_of_pattern(row.pattern, row.example)


def _faults_of_pattern(pattern: str, example: str) -> Iterator[str]:
    try:
        found = re.search(pattern, example)
    except re.error as error:
        yield f"pattern: {error}"
    else:
        if not example or found is None:
            yield "example is not matched by its pattern"


def _refuse_doubles(rows: Sequence[Row], origin: str) -> None:
    seen: dict[tuple[Any, ...], int] = {}
    for place, row in enumerate(rows, 1):
        for operation in row.operations or (None,):
            key = (row.code, row.pattern, row.asked, operation)
            if key in seen:
                raise RepliesError(
                    f"{origin}, reply {place} ({row.sample()}): reply {seen[key]} says it already"
                )
            seen[key] = place
