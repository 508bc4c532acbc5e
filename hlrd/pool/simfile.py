"""A card vendor's file: a header block, then one card a line, each Ki under a transport key.

`docs/pool.md` shows one. Read as a stream, so a file of a million cards costs its identities, not
its text. A bad line is named by line, column and reason, and never quoted, since it holds a Ki.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from hlrd import limits
from hlrd.domain.errors import BadRequest
from hlrd.domain.identity import Card, CardKey, parse_iccid, parse_imsi
from hlrd.pool.doubles import Doubles
from hlrd.pool.simheader import BadLine, Line, SIMFileRefused, read_header, split
from hlrd.ports import Vault


class SIMFile:
    """One file, read once from start to end."""

    __slots__ = ("_lines", "header")

    def __init__(self, file: BinaryIO) -> None:
        """Reads the header block; raises SIMFileRefused if it cannot be used."""
        self._lines = _lines(file)
        self.header = read_header(self._lines)

    def cards(self, vault: Vault, *, hlr: str, province: str) -> Iterator[Card | BadLine]:
        """Card after card, its key sealed; a BadLine in the place of each bad one, and for each
        fault of the whole. The file is good only if no BadLine came at all.
        """
        doubles, rows = Doubles(), 0
        for number, line in self._lines:
            if line is not None and not line.strip():
                continue
            rows += 1
            if rows > limits.SIM_FILE_ROWS_MAX:
                yield BadLine(number, "", f"more than {limits.SIM_FILE_ROWS_MAX} cards; split it")
                return
            try:
                card = self._card(self._row(line), vault, hlr=hlr, province=province)
            except BadRequest as error:
                yield BadLine(number, error.field.upper(), error.detail)
            else:
                doubles.add(number, card.iccid, card.imsi)
                yield card
        yield from self._faults_of_the_whole(rows, doubles)

    def _card(self, row: Mapping[str, str], vault: Vault, *, hlr: str, province: str) -> Card:
        header = self.header
        iccid, imsi = parse_iccid(row["ICCID"]), parse_imsi(row["IMSI"])
        key = CardKey(row["KI"], header.k4sno, header.algorithm, header.card_type)
        return Card(iccid, imsi, hlr, province, vault.seal(imsi, key))

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

    def _faults_of_the_whole(self, rows: int, doubles: Doubles) -> Iterator[BadLine]:
        if rows != self.header.quantity:
            reason = f"{self.header.quantity} cards announced, {rows} found"
            yield BadLine(self.header.quantity_line, "QUANTITY", reason)
        for line, first, column in doubles.found():
            yield BadLine(line, column, f"the same as in line {first}")


def gather(parsed: Iterable[Card | BadLine]) -> list[Card]:
    """All cards of a file, or SIMFileRefused."""
    cards, bad_lines, count = [], [], 0
    for card in parsed:
        if isinstance(card, Card):
            cards.append(card)
            continue
        count += 1
        cards.clear()
        if count <= limits.SIM_FILE_FAULTS_MAX:
            bad_lines.append(card)
    if count:
        raise SIMFileRefused(sorted(bad_lines), count)
    return cards


def _lines(file: BinaryIO) -> Iterator[Line]:
    longest, number = limits.SIM_FILE_LINE_BYTES_MAX, 0
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
