"""A batch file, read as a stream: CSV with a line that names the columns, or a JSON object a line.

A bad line is named by line, column and reason, and never quoted: a row may hold a Ki.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from hlrd import limits
from hlrd.domain.batch import NOT_OF_ROWS, Format
from hlrd.domain.catalogue import BY_NAME
from hlrd.domain.errors import HlrdError
from hlrd.pool.simfile import LineSource, lines
from hlrd.pool.simheader import BadLine, split

_NAME: Final = re.compile(r"\A[a-z_]{1,32}\Z")
_BOM: Final = "\ufeff"
_LIST_SEPARATOR: Final = ";"


class Row(NamedTuple):
    """One line that can be read; whether it makes an order is seen later."""

    line: int  #: from 1
    fields: Mapping[str, Any]


class HeaderRefused(HlrdError):
    """The columns are not usable, so no row is."""

    def __init__(self, bad: BadLine) -> None:
        super().__init__(bad.reason)
        self.bad = bad


class RowFile:
    """One file, read once from start to end."""

    def __init__(self, file: LineSource, *, kind: str, form: Format, charset: str) -> None:
        """Reads the line of the columns, if there is one; raises HeaderRefused."""
        self._lines = lines(file, limits.BATCH_LINE_BYTES_MAX)
        self._charset = charset
        self._known = frozenset(BY_NAME[kind].shape.__struct_fields__) - NOT_OF_ROWS
        self._columns: Sequence[str] = ()
        self.is_text = form is Format.CSV
        if self.is_text:
            self._columns = self._read_columns()
            self._parts = _parts_of(kind)

    def rows(self) -> Iterator[Row | BadLine]:
        """Row after row; a BadLine in the place of each bad one. Ends early behind one row, or one
        blank line, more than may be in a file."""
        rows = blanks = 0
        for number, line in self._lines:
            is_blank = line is not None and not line.strip()
            rows, blanks = rows + (not is_blank), blanks + is_blank
            if rows > limits.BATCH_ROWS_MAX:
                yield BadLine(number, "", f"more than {limits.BATCH_ROWS_MAX:,} rows; split it")
                return
            if blanks > limits.BATCH_BLANK_LINES_MAX:
                reason = f"more than {limits.BATCH_BLANK_LINES_MAX:,} blank lines"
                yield BadLine(number, "", reason)
                return
            if not is_blank:
                yield self._row(number, line)

    def _row(self, number: int, line: bytes | None) -> Row | BadLine:
        try:
            text = self._decoded(line)
            return Row(number, self._values(text) if self.is_text else self._members(text))
        except _BadRow as bad:
            return BadLine(number, bad.column, bad.reason)

    def _decoded(self, line: bytes | None) -> str:
        if line is None:
            raise _BadRow("", f"longer than {limits.BATCH_LINE_BYTES_MAX} bytes")
        try:
            return line.decode(self._charset).removeprefix(_BOM).rstrip("\r\n")
        except UnicodeDecodeError:
            raise _BadRow("", f"a character that is not {self._charset.upper()}") from None

    def _values(self, text: str) -> dict[str, Any]:
        values = split(text)
        if values is None:
            raise _BadRow("", "quotes that do not match")
        if len(values) != len(self._columns):
            found = f"{len(self._columns)} columns are named, {len(values)} found"
            raise _BadRow("", found)
        named = zip(self._columns, values, strict=True)
        return {name: self._cell(name, value) for name, value in named if value}

    def _cell(self, name: str, value: str) -> Any:
        part = self._parts.get(name)
        if part is None:
            return value
        if part is _LIST:
            return [item.strip() for item in value.split(_LIST_SEPARATOR)]
        return _json(value, name)

    def _members(self, text: str) -> dict[str, Any]:
        members = _json(text, "")
        if not isinstance(members, dict):
            raise _BadRow("", "not a JSON object")
        for name in members:
            if name not in self._known:
                raise _BadRow(_shown(name), _unknown(name))
        return members

    def _read_columns(self) -> list[str]:
        number, line = next(self._lines, (1, b""))
        try:
            columns = split(self._decoded(line)) or []
        except _BadRow as bad:
            raise HeaderRefused(BadLine(number, bad.column, bad.reason)) from None
        if not columns or not all(columns):
            raise HeaderRefused(BadLine(number, "", "the first line names the columns"))
        for place, name in enumerate(columns):
            if name not in self._known:
                reason = f"column {place + 1}: {_unknown(name)}"
                raise HeaderRefused(BadLine(number, _shown(name), reason))
            if name in columns[:place]:
                raise HeaderRefused(BadLine(number, name, "this column comes twice"))
        return columns


class _BadRow(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


_LIST: Final = "list"
_OBJECT: Final = "object"


def _parts_of(kind: str) -> Mapping[str, str]:
    """Columns whose cells hold more than one value: words with `;` between, or JSON."""
    shape = msgspec.inspect.type_info(BY_NAME[kind].shape)
    assert isinstance(shape, msgspec.inspect.StructType)
    found = {field.name: _part_of(field.type) for field in shape.fields}
    return {name: part for name, part in found.items() if part}


def _part_of(type_: msgspec.inspect.Type) -> str:
    inner = type_.types if isinstance(type_, msgspec.inspect.UnionType) else (type_,)
    for one in inner:
        if isinstance(one, msgspec.inspect.ListType):
            is_flat = not isinstance(one.item_type, msgspec.inspect.StructType)
            return _LIST if is_flat else _OBJECT
        if isinstance(one, msgspec.inspect.DictType | msgspec.inspect.StructType):
            return _OBJECT
    return ""


def _json(text: str, column: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _BadRow(column, "not a JSON document") from None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The last of two members of one name would win, and the first may have been meant."""
    found = dict(members)
    if len(found) != len(members):
        raise _BadRow("", "a field comes twice")
    return found


def _shown(name: str) -> str:
    """If it can be meant for one: a file that lacks the line of its columns has a row there."""
    return name if _NAME.match(name) else ""


def _unknown(name: str) -> str:
    if name in NOT_OF_ROWS:
        return "the batch has this field, and no row"
    return "no such field for this kind"
