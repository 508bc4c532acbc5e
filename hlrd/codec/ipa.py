"""IPA frames and the control interface CTRL of the Osmocom programs, both sides, with no socket.

A frame is its length, a protocol and a payload. CTRL's payload is a line: `SET <id> <variable>
<value>`, `GET <id> <variable>`, and back `SET_REPLY`, `GET_REPLY` or `ERROR <id> <text>`. Commands
are executed and answered strictly in order, and ids are the client's own to choose, so several
commands that belong together are one request here: its number and the count of commands that
still follow make the id, and their answers come back as one reply.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct

from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

FRAME_BYTES_MAX: Final = 4_096
"""Of a payload that is read. The longest honest one, an `info`, has some 250."""

COMMAND_BYTES_MAX: Final = 1_000
"""Of a command that is sent: an osmo-hlr answers so long a one, and resets above 4,000."""

COMMANDS_MAX: Final = 16
"""Of one request. An activation's longest has three."""

PORT: Final = 4_259
PING: Final = b"\x00\x01\xfe\x00"
PONG: Final = b"\x00\x01\xfe\x01"
MASK: Final = "****"

_CCM: Final = 0xFE
_OSMO: Final = 0xEE
_CTRL: Final = b"\x00"
_HEADER_BYTES: Final = 3
_ID_AT: Final = _HEADER_BYTES + len(_CTRL) + len("SET ")
_NUMBER_DIGITS: Final = 12
_ID_DIGITS: Final = _NUMBER_DIGITS + 2
_VARIABLE_AT: Final = _ID_AT + _ID_DIGITS + 1

_VARIABLE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")
_VALUE: Final = re.compile(r"[0-9A-Za-z,]+\Z")
_ANSWER: Final = re.compile(
    rb"(?:(?P<verb>[GS]ET)_REPLY (?P<id>[0-9]{14}) (?P<variable>[!-~]+)(?: (?P<value>.*))?"
    rb"|ERROR (?P<error_id>[0-9]{14}|err) (?P<error>.*))",
    re.DOTALL,
)
_TRAP: Final = b"TRAP "
_SECRET: Final = re.compile(r"\.(?:aud2g|aud3g|info-aud|info-all)\Z")


class Command(NamedTuple):
    """`value` is empty for a GET."""

    verb: str
    variable: str
    value: str = ""

    def masked(self) -> str:
        """As people may see it."""
        value = self.value
        if _SECRET.search(self.variable):
            value = f"{value.partition(',')[0]},{MASK}"
        return f"{self.verb} {self.variable} {value}".rstrip()


class Answer(NamedTuple):
    variable: str  #: empty with an error
    value: str  #: of a variable that holds a key only OK is kept
    error: str = ""


class CTRLReply(Struct, frozen=True, gc=False):
    """All answers to one request, in the order of its commands."""

    number: int | None  #: None: the answer to a ping
    answers: tuple[Answer, ...] = ()


class CTRLCommand(Struct, frozen=True, gc=False):
    """A command as a server reads it."""

    verb: str
    id: str = ""
    variable: str = ""
    value: str = ""
    fault: str = ""  #: why it cannot be carried out, in osmo-hlr's words; `id` is "err" then or not


PINGED: Final = CTRLCommand("PING")


def get(variable: str) -> Command:
    """Raises UnsafeValue."""
    _check(variable, _VARIABLE)
    return Command("GET", variable)


def put(variable: str, value: str) -> Command:
    """SET. Raises UnsafeValue."""
    _check(variable, _VARIABLE)
    _check(value, _VALUE)
    return Command("SET", variable, value)


def request(*commands: Command) -> bytes:
    """The frames of a request that has no number yet (0)."""
    assert 0 < len(commands) <= COMMANDS_MAX, "a request is one command or a few"
    lefts = range(len(commands) - 1, -1, -1)
    return b"".join(
        _command_frame(command, left) for command, left in zip(commands, lefts, strict=True)
    )


def numbered(request: bytes, number: int) -> bytes:
    """The same request under its number, 1 or more."""
    digits = b"%012d" % number
    parts: list[bytes] = []
    for start, end in _frames(request):
        parts += (request[start : start + _ID_AT], digits)
        parts.append(request[start + _ID_AT + _NUMBER_DIGITS : end])
    return b"".join(parts)


def is_echo(request: bytes, reply: CTRLReply) -> bool:
    """Whether `reply` has the number of `request` and one fitting answer to each of its commands.

    An error names its command by the id alone.
    """
    if request == PING:
        return reply.number is None
    number = int(request[_ID_AT : _ID_AT + _NUMBER_DIGITS])
    frames = list(_frames(request))
    return (
        reply.number == number
        and len(reply.answers) == len(frames)
        and all(
            answer.error or answer.variable == _variable(request[start:end])
            for answer, (start, end) in zip(reply.answers, frames, strict=True)
        )
    )


def frame(text: str) -> bytes:
    """One CTRL payload in its frame."""
    payload = _CTRL + text.encode("ascii", "replace")
    return len(payload).to_bytes(2, "big") + bytes((_OSMO,)) + payload


def answer(command: CTRLCommand, value: str) -> bytes:
    return frame(f"{command.verb}_REPLY {command.id} {command.variable} {value}")


def refusal(command: CTRLCommand, text: str) -> bytes:
    return frame(f"ERROR {command.id} {text}")


class _Frames:
    """Bytes, however cut, to protocols and payloads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        data = self._rest + data if self._rest else data
        frames = []
        at, size = 0, len(data)
        while size - at >= _HEADER_BYTES:
            length = data[at] << 8 | data[at + 1]
            if not 0 < length <= self._bytes_max:
                raise ProtocolError(f"an IPA frame of {length} bytes")
            if data[at + 2] not in (_OSMO, _CCM):
                raise ProtocolError(f"an IPA frame of protocol {data[at + 2]:#04x}, not of CTRL")
            start = at + _HEADER_BYTES
            if size - start < length:
                break
            frames.append((data[at + 2], data[start : start + length]))
            at = start + length
        self._rest = data[at:]
        return frames


class CTRLReplies:
    """A `codec.base.Decoder` for the side that asks: one reply for each request, one for a ping.

    What a server reports of its own accord (TRAP) is dropped.
    """

    def __init__(self) -> None:
        self._frames = _Frames(FRAME_BYTES_MAX)
        self._number = 0
        self._left = 0  #: answers that its request still waits for
        self._answers: list[Answer] = []

    def feed(self, data: bytes) -> list[CTRLReply]:
        replies: list[CTRLReply] = []
        for protocol, payload in self._frames.feed(data):
            if protocol == _OSMO and payload[:1] == _CTRL:
                reply = self._read(payload[1:])
                if reply is not None:
                    replies.append(reply)
            elif protocol == _CCM and payload == PONG[_HEADER_BYTES:]:
                replies.append(CTRLReply(None))
            else:
                raise ProtocolError("an IPA frame that is neither CTRL nor a pong")
        return replies

    def _read(self, line: bytes) -> CTRLReply | None:
        if line.startswith(_TRAP):
            return None
        found = _ANSWER.fullmatch(line)
        if found is None:
            raise ProtocolError("a CTRL frame that is no answer")
        tag = found["id"] or found["error_id"]
        if tag == b"err":
            raise ProtocolError("CTRL could not read a request, and does not say which")
        return self._collect(int(tag) // 100, int(tag) % 100, _answer(found))

    def _collect(self, number: int, left: int, answer: Answer) -> CTRLReply | None:
        if self._answers and (number, left) != (self._number, self._left - 1):
            raise ProtocolError("a CTRL answer out of its turn")
        if left >= COMMANDS_MAX:
            raise ProtocolError("a CTRL answer to no request of ours")
        self._number, self._left = number, left
        self._answers.append(answer)
        if left:
            return None
        reply = CTRLReply(number, tuple(self._answers))
        self._answers.clear()
        return reply


class CTRLCommands:
    """A `codec.base.Decoder` for the side that is asked. A ping comes out as PINGED."""

    def __init__(self) -> None:
        self._frames = _Frames(FRAME_BYTES_MAX)

    def feed(self, data: bytes) -> list[CTRLCommand]:
        commands = []
        for protocol, payload in self._frames.feed(data):
            if protocol == _OSMO and payload[:1] == _CTRL:
                commands.append(parse_command(payload[1:].decode("latin-1")))
            elif protocol == _CCM and payload == PING[_HEADER_BYTES:]:
                commands.append(PINGED)
        return commands  # a real one says nothing to other protocols


def parse_command(line: str) -> CTRLCommand:
    """As an osmo-hlr reads it, down to its words for what is wrong."""
    verb, _, rest = line.partition(" ")
    tag, _, rest = rest.partition(" ")
    if not verb or not tag:
        return CTRLCommand(verb, "err", fault="Request malformed")
    if not (tag.isascii() and tag.isdigit()):
        return CTRLCommand(verb, "err", fault="Invalid message ID number")
    variable, _, value = rest.partition(" ")
    return CTRLCommand(verb, tag, variable, value, _fault(verb, variable, value))


def _fault(verb: str, variable: str, value: str) -> str:
    if verb not in ("GET", "SET"):
        return "Command not supported"
    if not variable or (verb == "SET" and not value):
        return f"{verb} incomplete"
    if verb == "SET" and "\n" in value:
        return "SET with trailing characters"
    return ""


def _check(text: str, alphabet: re.Pattern[str]) -> None:
    if not alphabet.match(text):
        raise UnsafeValue("a CTRL variable or value has a character that could end it")


def _command_frame(command: Command, left: int) -> bytes:
    tag = f"{0:0{_NUMBER_DIGITS}d}{left:02d}"
    line = f"{command.verb} {tag} {command.variable} {command.value}".rstrip()
    if len(line) > COMMAND_BYTES_MAX:
        raise UnsafeValue(f"a CTRL command above {COMMAND_BYTES_MAX} bytes")
    return frame(line)


def _frames(request: bytes) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends."""
    start = 0
    while start < len(request):
        end = start + _HEADER_BYTES + (request[start] << 8 | request[start + 1])
        yield start, end
        start = end


def _variable(frame: bytes) -> str:
    return frame[_VARIABLE_AT:].partition(b" ")[0].decode("ascii")


def _answer(found: re.Match[bytes]) -> Answer:
    if found["error_id"] is not None:
        return Answer("", "", found["error"].decode("ascii", "replace"))
    variable = found["variable"].decode("ascii")
    value = (found["value"] or b"").decode("ascii", "replace")
    if _SECRET.search(variable) and value != "OK":
        value = MASK
    return Answer(variable, value)
