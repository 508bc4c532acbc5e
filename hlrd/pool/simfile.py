"""A card vendor's file: a header block, then one card a line, each Ki under a transport key.

`docs/pool.md` shows one. Read as a stream. A bad line is named by line, column and reason, and
never quoted, since it holds a Ki.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from hlrd import limits
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import ICCID, IMSI, CardKey, parse_iccid, parse_imsi
from hlrd.pool.simheader import BadLine, Line, read_header, split


class LineSource(Protocol):
    """A binary file, as far as it is read here."""

    def readline(self, size: int, /) -> bytes: ...


class ReadCard(NamedTuple):
    """One good line."""

    line: int  #: from 1
    iccid: ICCID
    imsi: IMSI
    key: CardKey


class SIMFile:
    """One file, read once from start to end."""

    __slots__ = ("_lines", "header", "rows")

    def __init__(self, file: LineSource) -> None:
        """Reads the header block; raises SIMFileRefused if it cannot be used."""
        self._lines = lines(file, limits.SIM_FILE_LINE_BYTES_MAX)
        self.header = read_header(self._lines)
        self.rows = 0  #: lines of cards read so far, good and bad

    def cards(self) -> Iterator[ReadCard | BadLine]:
        """Card after card; a BadLine in the place of each bad one. Ends early behind one card more
        than may be in a file. Doubles are not looked for (`Doubles`).
        """
        for number, line in self._lines:
            if line is not None and not line.strip():
                continue
            self.rows += 1
            if self.rows > limits.SIM_FILE_ROWS_MAX:
                yield BadLine(number, "", f"more than {limits.SIM_FILE_ROWS_MAX} cards; split it")
                return
            try:
                yield self._card(number, self._row(line))
            except BadRequest as error:
                yield BadLine(number, error.field.upper(), error.detail)

    def wrong_quantity(self) -> BadLine | None:
        """Once all cards were read: whether there are as many as announced."""
        announced = self.header.quantity
        if self.rows == announced:
            return None
        reason = f"{announced} cards announced, {self.rows} found"
        return BadLine(self.header.quantity_line, "QUANTITY", reason)

    def _card(self, number: int, row: Mapping[str, str]) -> ReadCard:
        header = self.header
        iccid, imsi = parse_iccid(row["ICCID"]), parse_imsi(row["IMSI"])
        key = CardKey(row["KI"], header.k4sno, header.algorithm, header.card_type)
        return ReadCard(number, iccid, imsi, key)

    def _row(self, line: bytes | None) -> Mapping[str, str]:
        if line is None:
            raise _bad(f"longer than {limits.SIM_FILE_LINE_BYTES_MAX} bytes")
        if not line.isascii():
            raise _bad("a character that is not ASCII")
        values, columns = split(line.decode("ascii")), self.header.columns
        if values is None:
            raise _bad("quotes that do not match")
        if len(values) != len(columns):
            raise _bad(f"{len(columns)} columns are named, {len(values)} found")
        return dict(zip(columns, values, strict=True))


def lines(file: LineSource, longest: int) -> Iterator[Line]:
    """One after the other, whatever their length; `longest` in bytes."""
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) <= longest:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(longest + 1)
        yield number, None


def _bad(reason: str) -> BadRequest:
    return BadRequest("SIM_FILE_INVALID", reason)
