"""The header block of a card vendor's file: what holds for all its cards, and the columns."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hlrd import limits
from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import ALGORITHMS, CARD_TYPES, K4SNO_MAX
from hlrd.pool.ranges import NAME_PATTERN

COLUMNS: Final = ("ICCID", "IMSI", "KI")
COLUMNS_NOT_KEPT: Final = ("PIN1", "PUK1", "PIN2", "PUK2", "ADM1")
"""Secrets that vendors deliver along and hlrd has no use for."""

HEADER_LINES_MAX: Final = 64
"""Lines up to and with the one that names the columns."""

Line = tuple[int, bytes | None]
"""Number from 1, and bytes; None: longer than limits.SIM_FILE_LINE_BYTES_MAX."""

_NAME: Final = re.compile(NAME_PATTERN)
_NUMBER: Final = re.compile(r"\A[0-9]{1,9}\Z")
_FIELDS: Final = ("VENDOR", "LOT", "QUANTITY", "K4SNO", "ALGORITHM", "CARD_TYPE")
_BEFORE_TEXT: Final = b'\xef\xbb\xbf" \t'


@dataclass(frozen=True, slots=True, order=True)
class BadLine:
    line: int  #: from 1
    column: str  #: or the name in the header block; empty: the line as a whole
    reason: str


class SIMFileRefused(HlrdError):
    """The header block is not usable; nothing of the file is taken."""

    def __init__(self, bad_lines: Sequence[BadLine]) -> None:
        """By line."""
        super().__init__(summary(len(bad_lines), bad_lines[0]))
        self.bad_lines = bad_lines


def summary(count: int, first: BadLine) -> str:
    """Of all faults of a file."""
    place = f"line {first.line} {first.column}".rstrip()
    faults = "1 fault" if count == 1 else f"{count} faults"
    return f"{faults} in the file, the first in {place}: {first.reason}"


@dataclass(frozen=True, slots=True)
class Header:
    vendor: str
    lot: str
    quantity: int
    k4sno: int  #: index of the transport key, 0 for none
    algorithm: str
    card_type: str
    columns: Sequence[str]
    quantity_line: int  #: where the quantity stands
    lot_line: int


def read_header(lines: Iterator[Line]) -> Header:
    """Reads `lines` up to the one that names the columns. Raises SIMFileRefused, with every fault
    of the block.
    """
    texts = _decoded(_block(lines))
    fields = _Fields()
    for number, text in texts[:-1]:
        fields.read(number, text)
    fields.last = texts[-1][0]
    header = fields.header(_columns(fields, *texts[-1]))
    if fields.faults:
        raise SIMFileRefused(sorted(fields.faults))
    return header


def split(text: str) -> list[str] | None:
    """The values of one line; None if its quotes do not match. No value crosses lines, so a stray
    quote cannot swallow the cards behind it.
    """
    if '"' not in text:
        return [value.strip() for value in text.split(",")] if text.strip() else []
    try:
        return [value.strip() for value in next(csv.reader((text,), strict=True), [])]
    except csv.Error:
        return None


def _block(lines: Iterator[Line]) -> list[tuple[int, bytes]]:
    block = []
    for number, line in lines:
        if line is None:
            reason = f"longer than {limits.SIM_FILE_LINE_BYTES_MAX} bytes"
            raise SIMFileRefused([BadLine(number, "", reason)])
        block.append((number, line))
        if line.lstrip(_BEFORE_TEXT).upper().startswith(b"ICCID"):
            return block
        if number == HEADER_LINES_MAX:
            break
    reason = f"none of the first {HEADER_LINES_MAX} lines names the columns {','.join(COLUMNS)}"
    raise SIMFileRefused([BadLine(1, "", reason)])


def _decoded(block: list[tuple[int, bytes]]) -> list[tuple[int, str]]:
    """UTF-8, or else GBK; of the block as a whole, since a line of GBK may pass for UTF-8."""
    for encoding in ("utf-8-sig", "gbk"):
        try:
            return [(number, line.decode(encoding)) for number, line in block]
        except UnicodeDecodeError:
            continue
    raise SIMFileRefused([BadLine(1, "", "the header block is neither UTF-8 nor GBK")])


def _columns(fields: "_Fields", number: int, text: str) -> list[str]:
    columns = [name.upper() for name in split(text) or []]
    for name in COLUMNS:
        if name not in columns:
            fields.fault(number, name, "this column is missing")
    for name in columns:
        if name not in (*COLUMNS, *COLUMNS_NOT_KEPT):
            fields.fault(number, "", "a column of an unknown name (docs/pool.md)")
    if len(set(columns)) != len(columns):
        fields.fault(number, "", "a column is named twice")
    return columns


class _Fields:
    """Names and values of the block, and what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[BadLine] = []
        self.last = 1  #: where a missing field is reported
        self._values: dict[str, tuple[int, str]] = {}

    def fault(self, line: int, name: str, reason: str) -> None:
        self.faults.append(BadLine(line, name, reason))

    def read(self, number: int, text: str) -> None:
        values = split(text)
        if values is None:
            self.fault(number, "", "quotes that do not match")
            return
        name = values[0].upper().replace(" ", "_") if values else ""
        if name not in _FIELDS:
            return  # vendors write more than we need
        if name in self._values:
            self.fault(number, name, "given twice")
        elif len(values) != 2:
            self.fault(number, name, "write name,value")
        else:
            self._values[name] = (number, values[1])

    def header(self, columns: Sequence[str]) -> Header:
        return Header(
            vendor=self._vendor(),
            lot=self._lot(),
            quantity=self._number("QUANTITY", 1, limits.SIM_FILE_ROWS_MAX),
            k4sno=self._number("K4SNO", 0, K4SNO_MAX),
            algorithm=self._one_of("ALGORITHM", ALGORITHMS),
            card_type=self._one_of("CARD_TYPE", CARD_TYPES),
            columns=columns,
            quantity_line=self._line_of("QUANTITY"),
            lot_line=self._line_of("LOT"),
        )

    def _line_of(self, name: str) -> int:
        return self._values.get(name, (self.last, ""))[0]

    def _text(self, name: str) -> tuple[int, str]:
        number, text = self._values.get(name, (self.last, ""))
        if not text:
            self.fault(number, name, "missing in the header block")
        return number, text

    def _vendor(self) -> str:
        number, text = self._text("VENDOR")
        if not text.isprintable():
            self.fault(number, "VENDOR", "a control character, or one that cannot be seen")
        return text

    def _lot(self) -> str:
        number, text = self._text("LOT")
        if text and not _NAME.match(text):
            self.fault(number, "LOT", "1 to 32 letters, digits, dots, - and _")
        return text

    def _number(self, name: str, low: int, high: int) -> int:
        number, text = self._text(name)
        if _NUMBER.match(text) and low <= int(text) <= high:
            return int(text)
        if text:
            self.fault(number, name, f"a number from {low} to {high}")
        return low

    def _one_of(self, name: str, allowed: Sequence[str]) -> str:
        number, text = self._text(name)
        if text and text.upper() not in allowed:
            self.fault(number, name, f"one of {', '.join(allowed)}")
        return text.upper()
