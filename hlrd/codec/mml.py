"""Man-machine language over TCP, both sides: `ADD KI:IMSI="…",K4SNO=1;` and its framed reply.

    +++    HLR1        2026-01-31 08:00:00+08:00
    O&M    #42                                        (SMU, and no RETCODE below, on older releases)
    %%LST SUB:IMSI="001010000000001";%%
    RETCODE = 0  SUCCESS0001:Operation is successful

    The result is as follows
    ------------------------
    ISDN  =  8610649000001
    (Number of results = 1)

    ---    END

A reply ends with the line `--- END` and with nothing else: rules and blanks vary between releases.
A block whose last line is "To be continued" goes on in the next one.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hlrd import limits
from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

COMMAND_BYTES_MAX: Final = 8 * 2**10
"""One command. The longest honest one, ADD KI, stays under 300 bytes."""

MASK: Final = "****"
NULL: Final = "NULL"
"""What a table shows where a record has no value."""

SECRETS: Final = frozenset({"PWD", "KIVALUE", "KIVALUELIST", "OPCVALUE"})


@dataclass(slots=True)
class MMLReply:
    """One whole reply, its blocks joined."""

    echo: bytes = field(repr=False)  #: the command as the NE read it; may hold a key
    codes: tuple[int, ...]  #: of RETCODE, else of ERRn; (0,) is success
    status: str  #: SUCCESS0001, ERR3001; empty where the NE gives only RETCODE
    text: str
    body: bytes = field(default=b"", repr=False)

    def values(self) -> dict[str, str]:
        """All that the body shows, under its first name: enough where it shows one record."""
        values: dict[str, str] = {}
        for record in self.records():
            values = record | values
        return values

    def records(self) -> list[dict[str, str]]:
        """What the body shows, in either form: lines `NAME = VALUE`, of which a name that comes
        again begins the next record, or tables (of two columns at least) with a line for each.
        """
        reader = _Records()
        for line in _text(self.body).split("\n"):
            reader.take(line.strip())
        return reader.records


@dataclass(slots=True)
class MMLCommand:
    """One command as it came in. `name` is empty when it breaks the grammar."""

    name: str  #: verb and object in capitals: `ADD KI`, `LGI`, `BAT ADD KI`
    params: dict[str, str] = field(repr=False)
    text: bytes = field(repr=False)  #: as received, with its semicolon


_END_LINE: Final = re.compile(rb"---[ \t]*END[ \t\r]*")
_CONTINUED: Final = b"To be continued"
_CONTINUED_WITHIN: Final = 64  #: bytes before the END line in which it is looked for
_HEAD: Final = (
    rb"\s*+\+\+\+[ \t]++[^\r\n]*+\r?\n"
    rb"[^\r\n#]*+#[ \t]*+[0-9]++[ \t]*+\r?\n"
    rb"%%([^\r\n]*)%%[ \t]*+\r?\n\s*+"
    rb"(?:RETCODE[ \t]*+=[ \t]*+([0-9]{1,10}(?![0-9])|\[[0-9, ]{1,200}\])[ \t]*+)?"
    rb"(?:((?:SUCCESS|ERR)([0-9]{1,10}))[ \t]*+:?[ \t]*+)?([^\r\n]*+)\r?\n"
)
"""Up to the result line. Possessive, so that no garbage costs more than one pass."""

_BLOCK: Final = re.compile(_HEAD)
_BARE_REPLY: Final = re.compile(_HEAD + rb"(\s*+)(?<=\n)---[ \t]*+END[ \t\r]*+\n(?:\s*\n)?")
"""A whole reply with nothing in its body, as most are. One that came alone is read in one match."""

_SUCCESS: Final = (0,)
_NUMBER: Final = re.compile(rb"[0-9]{1,10}")
_RULE: Final = re.compile(r"-{4,}\Z")
_VALUE_LINE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*)\Z")
_HEADING: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_GAP: Final = re.compile(r"\s{2,}")


class _Records:
    """Reads a body line by line. Titles, trailers and what stands between packets are no record."""

    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []
        self._columns: list[str] = []  #: of the table that is being read
        self._is_under_rule = False
        self._is_in_lines = False  #: the last record is one of lines, and may go on

    def take(self, line: str) -> None:
        if not line:
            return
        if _RULE.match(line):
            self._is_under_rule = True
            self._is_in_lines = False
            return
        pair = _VALUE_LINE.match(line)
        if pair is not None:
            self._take_pair(pair[1], pair[2])
            return
        cells = _GAP.split(line)
        if len(cells) > 1:
            self._take_cells(cells)

    def _take_cells(self, cells: list[str]) -> None:
        is_heading, self._is_under_rule = self._is_under_rule, False
        if is_heading and all(map(_HEADING.match, cells)):
            self._columns = cells
        elif len(cells) == len(self._columns):
            self.records.append(dict(zip(self._columns, cells, strict=True)))

    def _take_pair(self, name: str, value: str) -> None:
        self._columns = []
        self._is_under_rule = False
        if not self._is_in_lines or name in self.records[-1]:
            self.records.append({})
            self._is_in_lines = True
        self.records[-1][name] = value


class MMLReplies:
    """The client's decoder. Replies come out the same however TCP cuts them."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._scanned = 0  #: no END line ends before this offset of `_pending`
        self._blocks: list[MMLReply] = []  #: of a reply that is to be continued
        self._blocks_bytes = 0

    def feed(self, data: bytes) -> list[MMLReply]:
        if not self._pending:
            return self._alone(data) or self._take(data)
        self._pending += data
        whole = self._pending
        self._pending = bytearray()
        return self._take(whole)

    def _alone(self, data: bytes) -> list[MMLReply] | None:
        """The one reply that `data` is and nothing else; None to look closer."""
        if self._blocks or len(data) > limits.FRAME_BYTES_MAX:
            return None
        match = _BARE_REPLY.fullmatch(data)
        return None if match is None else [_reply(match, match[6])]

    def _take(self, data: bytes | bytearray) -> list[MMLReply]:
        replies: list[MMLReply] = []
        start, scanned = 0, self._scanned
        while True:
            end_line, end, scanned = _find_end(data, start, scanned)
            if end < 0:
                break
            self._bound(end - start)
            block = _parse(data, start, end_line)
            if _goes_on(data, start, end_line):
                self._blocks.append(block)
                self._blocks_bytes += end - start
            else:
                replies.append(self._whole(block))
            start = end
        self._keep(data, start, scanned)
        return replies

    def _whole(self, last: MMLReply) -> MMLReply:
        if not self._blocks:
            return last
        blocks, self._blocks, self._blocks_bytes = self._blocks, [], 0
        return _join([*blocks, last])

    def _keep(self, data: bytes | bytearray, start: int, scanned: int) -> None:
        self._bound(len(data) - start)
        if isinstance(data, bytearray):
            del data[:start]
            self._pending = data
        elif start < len(data):
            self._pending = bytearray(data[start:])
        self._scanned = scanned - start
        if self._pending.isspace() and self._pending.endswith(b"\n"):  # lines of no reply
            self._pending.clear()
            self._scanned = 0

    def _bound(self, size: int) -> None:
        if self._blocks_bytes + size > limits.FRAME_BYTES_MAX:
            raise ProtocolError(f"an MML reply is longer than {limits.FRAME_BYTES_MAX} bytes")


def _find_end(data: bytes | bytearray, start: int, scanned: int) -> tuple[int, int, int]:
    """Offsets of the next END line and of what follows it, both -1 if there is none yet, and the
    offset to look on from.
    """
    while True:
        at = data.find(b"END", scanned)
        if at < 0:
            return -1, -1, max(scanned, len(data) - 2)
        newline = data.find(b"\n", at + 3)
        if newline < 0:
            return -1, -1, at
        line = max(start, data.rfind(b"\n", start, at) + 1)
        if _END_LINE.fullmatch(data, line, newline):
            return line, newline + 1, newline + 1
        scanned = at + 3


def _goes_on(data: bytes | bytearray, start: int, end_line: int) -> bool:
    at = data.find(_CONTINUED, max(start, end_line - _CONTINUED_WITHIN), end_line)
    if at < 0:
        return False
    line = data.rfind(b"\n", start, at) + 1
    return not data[line:at].strip() and b"\n" not in data[at:end_line].rstrip()


def _parse(data: bytes | bytearray, start: int, end_line: int) -> MMLReply:
    match = _BLOCK.match(data, start, end_line)
    if match is None:
        raise ProtocolError("an MML reply without header, echo or result line")
    return _reply(match, bytes(data[match.end() : end_line]))


def _reply(match: re.Match[bytes], body: bytes) -> MMLReply:
    """`match` begins with the groups of `_HEAD`."""
    echo, retcode, status, number, text = match.group(1, 2, 3, 4, 5)
    if retcode is None:
        if status is None:
            raise ProtocolError("an MML reply without RETCODE, SUCCESS or ERR")
        retcode = b"0" if status.startswith(b"SUCCESS") else number
    shown = "" if status is None else status.decode("ascii")
    return MMLReply(bytes(echo), _codes(retcode), shown, _text(text), body)


def _codes(raw: bytes) -> tuple[int, ...]:
    """One code, or a list in brackets."""
    if raw == b"0":
        return _SUCCESS
    if raw[:1] != b"[":
        return (int(raw),)
    codes = tuple(int(code) for code in _NUMBER.findall(raw))
    if not codes:
        raise ProtocolError("an MML reply with an empty list of result codes")
    return codes


def _join(blocks: list[MMLReply]) -> MMLReply:
    first = blocks[0]
    if any(block.echo != first.echo for block in blocks):
        raise ProtocolError("the blocks of one MML reply echo different commands")
    codes = tuple(dict.fromkeys(code for block in blocks for code in block.codes))
    body = b"".join(block.body for block in blocks)
    return MMLReply(first.echo, codes, first.status, first.text, body)


def _text(raw: bytes) -> str:
    """Releases differ in the character set of their texts; codes never depend on it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")


_NAME: Final = "[A-Za-z][A-Za-z0-9_]{0,31}"
_SAFE: Final = r"[!#-&(-+\--9<>-~]"  #: printable ASCII but `"`, `'`, `,`, `:`, `;`, `=` and blank
_PARAM: Final = rf'{_NAME}\s*+=\s*+(?:"[ !#-~]*+"|{_SAFE}++)\s*+(?:,\s*+(?=[A-Za-z])|(?=;))'
_COMMAND: Final = re.compile(
    rf"\s*+([A-Za-z]{{1,16}})(?:[ \t]++({_NAME}(?:[ \t]++{_NAME})?))?"
    rf"\s*+(?::\s*+((?:{_PARAM})*+))?;".encode()
)
_SPLIT_PARAMS: Final = re.compile(rf'({_NAME})\s*=\s*(?:"([^"]*)"|([^\s,]+))')
_TO_SEMICOLON: Final = re.compile(rb'(?:[^;"]++|"[^"]*+")*+;')
"""Where a command ends that breaks the grammar."""


class MMLCommands:
    """The server's decoder: commands in order, however they are glued or split."""

    def __init__(self) -> None:
        self._pending = b""

    @property
    def has_begun(self) -> bool:
        """A command has come in part."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[MMLCommand]:
        """Raises ProtocolError before more than COMMAND_BYTES_MAX of one command is kept."""
        if self._pending:
            data = self._pending + data
        commands: list[MMLCommand] = []
        start = 0
        while start < len(data):
            match = _COMMAND.match(data, start) or _TO_SEMICOLON.match(data, start)
            if match is None:
                break
            _bound_command(match.end() - start)
            start = match.end()
            commands.append(_command(match))
        self._pending = data[start:].lstrip()
        _bound_command(len(self._pending))
        return commands


def _bound_command(size: int) -> None:
    if size > COMMAND_BYTES_MAX:
        raise ProtocolError(f"an MML command is longer than {COMMAND_BYTES_MAX} bytes")


def parse_command(text: bytes) -> MMLCommand:
    """`text` to its semicolon. A command that breaks the grammar comes back without a name."""
    match = _COMMAND.fullmatch(text)
    return _command(match) if match else MMLCommand("", {}, text.strip())


def _command(match: re.Match[bytes]) -> MMLCommand:
    text = match[0].strip()
    if match.re is not _COMMAND:
        return MMLCommand("", {}, text)
    verb, noun, rest = match.groups()
    found = _SPLIT_PARAMS.findall(rest.decode("ascii")) if rest else []
    params = {name.upper(): quoted or bare for name, quoted, bare in found}
    if len(params) != len(found):
        return MMLCommand("", {}, text)  # which of two values for one name counts is not defined
    name = verb if noun is None else b" ".join([verb, *noun.split()])
    return MMLCommand(name.decode("ascii").upper(), params, text)


_IMSI: Final = "[0-9]{6,15}"
_ISDN: Final = "[0-9]{5,15}"
_KI: Final = "[0-9A-Fa-f]{32}"
_QUOTED: Final = {
    "IMSI": _IMSI,
    "NEWIMSI": _IMSI,
    "ENDIMSI": _IMSI,
    "IMSILIST": f"{_IMSI}(?:&{_IMSI})*+",
    "ISDN": _ISDN,
    "NEWISDN": _ISDN,
    "ENDISDN": _ISDN,
    "ISDNLIST": f"{_ISDN}(?:&{_ISDN})*+",
    "KIVALUE": _KI,
    "KIVALUELIST": f"{_KI}(?:&{_KI})*+",
    "APN": "[A-Za-z0-9](?:[A-Za-z0-9.-]{0,98}[A-Za-z0-9])?",
    "IPV4ADD": r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    "OPNAME": _SAFE + "{1,64}",
    "PWD": _SAFE + "{1,64}",
}
"""A batch has a range (IMSI to ENDIMSI) or a list, with & between."""

_BARE: Final = "[A-Za-z0-9_]{1,32}"
"""Numbers and enumerations."""

_WORD: Final = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?"
"""What else may stand in quotes: names, domains, addresses."""

_FullMatch = Callable[[str], "re.Match[str] | None"]
_QUOTED_FIT: Final[dict[str, _FullMatch]] = {
    key: re.compile(alphabet).fullmatch for key, alphabet in _QUOTED.items()
}
_BARE_FIT: Final[_FullMatch] = re.compile(_BARE).fullmatch
_WORD_FIT: Final[_FullMatch] = re.compile(_WORD).fullmatch


def command(name: str, quoted: Collection[str] = (), /, **params: str) -> bytes:
    """The whole command. Raises UnsafeValue for any value outside its own narrow alphabet, none of
    which holds `; : , " ' =`, a blank, a control or a non-ASCII character.

    `quoted` names parameters of which this module does not know that they stand in quotes.
    """
    for key, value in params.items():
        if not _fit(key, quoted)(value):
            raise UnsafeValue(f"the value of {key} for {name} has characters that MML cannot carry")
    return written(name, params, quoted).encode("ascii")


def _fit(key: str, quoted: Collection[str]) -> _FullMatch:
    return _QUOTED_FIT.get(key) or (_WORD_FIT if key in quoted else _BARE_FIT)


def _alphabet(key: str, quoted: Collection[str]) -> str:
    return _QUOTED.get(key) or (_WORD if key in quoted else _BARE)


def written(name: str, params: Mapping[str, str], quoted: Collection[str] = ()) -> str:
    """As `command`, unchecked: for what was read off a wire."""
    parts = [
        f'{key}="{value}"' if key in _QUOTED or key in quoted else f"{key}={value}"
        for key, value in params.items()
    ]
    return f"{name}:{','.join(parts)};"


class Form:
    """A command that is made again and again: its text and its check once, then only filled in.

    One match of the finished text checks every value. No alphabet holds a delimiter, so a text that
    matches has those of the form and no others, and each value stands in its own place.
    """

    __slots__ = ("_is_sound", "_keys", "_name", "_quoted", "_text")

    def __init__(self, name: str, quoted: Collection[str] = (), /, **params: str | None) -> None:
        """None stands for a value that `fill` is given, in this order. Raises UnsafeValue."""
        given = {key: value for key, value in params.items() if value is not None}
        command(name, quoted, **given)
        text, pattern = {}, {}
        for key, value in params.items():
            text[key] = "%s" if value is None else value.replace("%", "%%")
            pattern[key] = _alphabet(key, quoted) if value is None else re.escape(value)
        self._name = name
        self._quoted = quoted
        self._keys = [key for key, value in params.items() if value is None]
        self._text = written(name, text, quoted)
        self._is_sound = re.compile(written(name, pattern, quoted)).fullmatch

    def fill(self, *values: str) -> bytes:
        """As `command` would with these values."""
        text = self._text % values
        if not self._is_sound(text):
            named = dict(zip(self._keys, values, strict=True))
            return command(self._name, self._quoted, **named)
        return text.encode("ascii")


_SECRET_VALUE: Final = re.compile(
    r"\b(" + "|".join(sorted(SECRETS)) + r")(\s*=\s*)(\"[^\"]*\"?|[^,;\s]*)", re.IGNORECASE
)


def masked(text: str) -> str:
    """A command as people may see it, well-formed or not."""
    return _SECRET_VALUE.sub(rf'\1\2"{MASK}"', text)


def is_echo(sent: bytes, echo: bytes) -> bool:
    """Whether `echo` repeats `sent`. An NE may trim it, change its case or mask its secrets."""
    if sent == echo:
        return True
    ours, theirs = (parse_command(text.strip().removesuffix(b";") + b";") for text in (sent, echo))
    return bool(ours.name) and ours.name == theirs.name and _plain(ours) == _plain(theirs)


def _plain(command: MMLCommand) -> dict[str, str]:
    return {name: value for name, value in command.params.items() if name not in SECRETS}


def block(
    *, ne: str, stamp: str, number: int, echo: str, retcode: str, result: str, body: str = ""
) -> str:
    """One block of a reply. An empty `retcode` gives the older layout, which has no such line."""
    source, code = ("O&M", f"RETCODE = {retcode}  ") if retcode else ("SMU", "")
    return (
        f"+++    {ne}        {stamp}\r\n{source}    #{number}\r\n%%{echo}%%\r\n"
        f"{code}{result}\r\n\r\n{body}---    END\r\n"
    )


def lines(records: Sequence[Mapping[str, str]]) -> list[str]:
    """Records of a query's body, a line for each value."""
    return [f"{name:>12}  =  {value}" for record in records for name, value in record.items()]


def columns(records: Sequence[Mapping[str, str]]) -> list[str]:
    """The same as a table: a heading, and a line for each record."""
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = [names, *([record.get(name) or NULL for name in names] for record in records)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
