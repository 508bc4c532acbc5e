"""Ericsson CAI over TCP, both sides: `GET:HLRSUB:IMSI,001010000000001;` and its `RESP:0:…;`.

    Enter command: LOGIN:hlrd:secret;
    RESP:0;
    Enter command: GET:HLRSUB:IMSI,001010000000001;
    RESP:0:MSISDN,861064900000001:IMSI,001010000000001:PROFILE,1;
    Enter command:

A reply begins with `RESP:` and ends with its semicolon; a banner, prompts and blanks around it
count for nothing. A request may have `TRANSID,<id>` behind its verb, which its reply repeats.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hlrd import limits
from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

PORT: Final = 3300
PROMPT: Final = b"Enter command: "

COMMAND_BYTES_MAX: Final = 4 * 2**10
"""One command. The longest honest one stays under 500 bytes."""

BANNER_BYTES_MAX: Final = 4 * 2**10
"""What a gateway may say before its first prompt."""

MASK: Final = "****"
SECRETS: Final = frozenset({"EKI", "KI"})
TRANSACTION: Final = "TRANSID"
TRANSACTION_PATTERN: Final = "[0-9A-Za-z]{1,64}"

VERBS: Final = ("CREATE", "SET", "DELETE", "GET")


@dataclass(slots=True)
class CAIReply:
    code: str  #: 0 is success; without leading zeros
    transaction: str  #: the TRANSID of its request, if that had one
    body: bytes = field(default=b"", repr=False)

    def values(self) -> dict[str, str]:
        """The attributes. One that has several values, as `BAIC,1,0,TS10`, keeps their commas."""
        return {
            name.decode("ascii"): value.decode("latin-1").strip()
            for name, value in _ATTRIBUTE.findall(self.body)
        }

    def text(self) -> str:
        """What stands in place of attributes, for people; mostly nothing."""
        return "" if _ATTRIBUTE.search(self.body) else self.body.decode("latin-1").strip(": \r\n")


@dataclass(slots=True)
class CAICommand:
    """One command as it came in. `name` is empty when it breaks the grammar."""

    name: str  #: `CREATE:HLRSUB`, `LOGIN`, `LOGOUT`
    transaction: str
    params: Mapping[str, str] = field(repr=False)  #: in order; the first names the object
    text: bytes = field(repr=False)  #: as received, with its semicolon

    def key(self) -> tuple[str, str]:
        """What the command is about: `("IMSI", "001010000000001")`."""
        return next(iter(self.params.items()), ("", ""))


_QUOTABLE: Final = rb'(?:[^;"\x00-\x08\x0e-\x1f]++|"[^"]*+")*+'
_GAP: Final = re.compile(rb"(?:\s++|Enter command:)*+")
_REPLY: Final = re.compile(
    rb"RESP:\s*+(?:TRANSID,([0-9A-Za-z]{1,64})\s*+:\s*+)?([0-9]{1,10})(?![0-9])\s*+"
    rb"((?::" + _QUOTABLE + rb")?);"
)
_TO_SEMICOLON: Final = re.compile(rb'(?:[^;"]++|"[^"]*+")*+;')
_ATTRIBUTE: Final = re.compile(rb':\s*([A-Za-z][A-Za-z0-9_-]*)\s*,((?:[^:;"]|"[^"]*")*)')
_BEGINNINGS: Final = (b"Enter command:", b"RESP:")
_BEGUN: Final = re.compile(rb"Enter command:|RESP:")
_BANNER: Final = re.compile(rb"[\t\r\n -~]*+")
_NO_CAI: Final = "neither a prompt nor a reply of CAI where one begins"


class CAIReplies:
    """The client's decoder. Replies come out the same however TCP cuts them."""

    def __init__(self) -> None:
        self._pending = b""
        self._has_begun = False  #: the banner is over

    def feed(self, data: bytes) -> list[CAIReply]:
        if self._pending:
            data = self._pending + data
            if b";" not in data and self._pending.startswith(b"RESP:"):
                self._keep(data)
                return []
        at = 0 if self._has_begun else self._beginning(data)
        if at < 0:
            self._pending = data
            return []
        return self._take(data, at)

    def _take(self, data: bytes, at: int) -> list[CAIReply]:
        replies: list[CAIReply] = []
        while True:
            gap = _GAP.match(data, at)
            at = at if gap is None else gap.end()
            found = _REPLY.match(data, at)
            if found is None:
                break
            _bound(found.end() - at)
            replies.append(_reply(found))
            at = found.end()
        self._pending = b""
        if at < len(data):
            self._keep(data[at:])
        return replies

    def _beginning(self, data: bytes) -> int:
        """Where the banner is over in `data`, which is all that came so far; below 0 if nowhere."""
        begun = _BEGUN.search(data)
        banner = data if begun is None else data[: begun.start()]
        if len(banner) > BANNER_BYTES_MAX or not _BANNER.fullmatch(banner):
            raise ProtocolError(_NO_CAI)
        self._has_begun = begun is not None
        return -1 if begun is None else begun.start()

    def _keep(self, rest: bytes) -> None:
        """`rest` must be able to become a reply or a prompt."""
        if not any(rest.startswith(each[: len(rest)]) for each in _BEGINNINGS):
            raise ProtocolError(_NO_CAI)
        if rest.startswith(b"RESP:") and _TO_SEMICOLON.match(rest):
            raise ProtocolError("a CAI reply without a code")
        _bound(len(rest))
        self._pending = rest


def _bound(size: int) -> None:
    if size > limits.FRAME_BYTES_MAX:
        raise ProtocolError(f"a CAI reply is longer than {limits.FRAME_BYTES_MAX} bytes")


def _reply(found: "re.Match[bytes]") -> CAIReply:
    transaction, code, body = found.groups()
    return CAIReply(str(int(code)), (transaction or b"").decode("ascii"), body)


_WORD: Final = "[A-Za-z][A-Za-z0-9_-]{0,31}"
_SAFE: Final = r"[!#-+\--9<-~]"  #: printable ASCII but `"`, `,`, `:`, `;` and blank
_PARAM: Final = rf"{_WORD}(?:,{_SAFE}*+)*+"
_COMMAND: Final = re.compile(
    rf"\s*+({'|'.join(VERBS)}):(?:TRANSID,({TRANSACTION_PATTERN}):)?({_WORD})"
    rf"((?::{_PARAM})*+)\s*+;".encode(),
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(rf"\s*+LOGIN:({_SAFE}+):({_SAFE}+)\s*+;".encode(), re.IGNORECASE)
_CREDENTIAL: Final = re.compile(rf"{_SAFE}+")
_LOGOUT: Final = re.compile(rb"\s*+LOGOUT\s*+;", re.IGNORECASE)


class CAICommands:
    """The server's decoder: commands in order, however they are glued or split."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[CAICommand]:
        """Raises ProtocolError before more than COMMAND_BYTES_MAX of one command is kept."""
        if self._pending:
            data = self._pending + data
        commands: list[CAICommand] = []
        at = 0
        while True:
            found = _TO_SEMICOLON.match(data, at)
            if found is None:
                break
            _bound_command(found.end() - at)
            commands.append(parse_command(found[0].strip()))
            at = found.end()
        self._pending = data[at:].lstrip()
        _bound_command(len(self._pending))
        return commands


def _bound_command(size: int) -> None:
    if size > COMMAND_BYTES_MAX:
        raise ProtocolError(f"a CAI command is longer than {COMMAND_BYTES_MAX} bytes")


def parse_command(text: bytes) -> CAICommand:
    """`text` to its semicolon. A command that breaks the grammar comes back without a name."""
    found = _COMMAND.fullmatch(text)
    if found is not None:
        return _command(found, text)
    login = _LOGIN.fullmatch(text)
    if login is not None:
        user, password = (each.decode("ascii") for each in login.groups())
        return CAICommand("LOGIN", "", {"USER": user, "PASSWORD": password}, text)
    return CAICommand("LOGOUT" if _LOGOUT.fullmatch(text) else "", "", {}, text)


def _command(found: "re.Match[bytes]", text: bytes) -> CAICommand:
    verb, transaction, kind, rest = (
        (group or b"").decode("ascii") for group in found.group(1, 2, 3, 4)
    )
    parts = [part.partition(",") for part in rest.split(":")[1:]]
    params = {name.upper(): value for name, _, value in parts}
    if len(params) != len(parts):
        return CAICommand("", "", {}, text)  # which of two values counts is not defined
    return CAICommand(f"{verb.upper()}:{kind.upper()}", transaction, params, text)


_FIT: Final = {
    "IMSI": "[0-9]{6,15}",
    "NIMSI": "[0-9]{6,15}",
    "MSISDN": "[0-9]{5,15}",
    "NMSISDN": "[0-9]{5,15}",
    "EKI": "[0-9A-Fa-f]{32}",
    TRANSACTION: TRANSACTION_PATTERN,
}
_OTHERS_FIT: Final = "[A-Za-z0-9_.-]{1,100}(?:,[A-Za-z0-9_.-]{1,100}){0,15}"


class Form:
    """A command that is made again and again: its text and its check once, then only filled in.

    One match of the finished text checks every value. No alphabet holds a delimiter, so a text that
    matches has those of the form and no others, and each value stands in its own place.
    """

    __slots__ = ("_is_sound", "_text", "name")

    def __init__(
        self, name: str, params: Mapping[str, str | None], *, has_transaction: bool = False
    ) -> None:
        """None stands for a value that `fill` is given, the transaction before all.

        Raises UnsafeValue.
        """
        self.name = name
        verb, _, kind = name.partition(":")
        whole = {TRANSACTION: None, **params} if has_transaction else params
        texts = {key: "%s" if value is None else value for key, value in whole.items()}
        fits = {
            key: _fit(key) if value is None else re.escape(value) for key, value in whole.items()
        }
        self._text = _written(verb, kind, texts)
        self._is_sound = re.compile(_written(verb, kind, fits)).fullmatch
        for key, value in params.items():
            if value is not None and not re.fullmatch(_fit(key), value):
                raise _unsafe(key, name)

    def fill(self, *values: str) -> bytes:
        text = self._text % values
        if not self._is_sound(text):
            raise UnsafeValue(f"a value for {self.name} has characters that CAI cannot carry")
        return text.encode("ascii")


def command(name: str, params: Mapping[str, str], *, transaction: str = "") -> bytes:
    """The whole command. Raises UnsafeValue for a value outside its own narrow alphabet."""
    form = Form(name, params, has_transaction=bool(transaction))
    return form.fill(transaction) if transaction else form.fill()


def login(user: str, password: str) -> bytes:
    """Raises UnsafeValue."""
    if not (_CREDENTIAL.fullmatch(user) and _CREDENTIAL.fullmatch(password)):
        raise UnsafeValue("a user or password that CAI cannot carry")
    return f"LOGIN:{user}:{password};".encode("ascii")


LOGOUT: Final = b"LOGOUT;"


def _written(verb: str, kind: str, params: Mapping[str, str]) -> str:
    parts = [f"{key},{value}" for key, value in params.items()]
    if TRANSACTION in params:
        return ":".join([verb, parts[0], kind, *parts[1:]]) + ";"
    return ":".join([verb, kind, *parts]) + ";"


def _fit(key: str) -> str:
    return _FIT.get(key, _OTHERS_FIT)


def _unsafe(key: str, name: str) -> UnsafeValue:
    return UnsafeValue(f"the value of {key} for {name} has characters that CAI cannot carry")


_SECRET_VALUE: Final = re.compile(
    rf"\b({'|'.join(sorted(SECRETS))})(\s*,\s*)[^:;\s]*", re.IGNORECASE
)
_PASSWORD: Final = re.compile(r"(\bLOGIN\s*:[^:;]*:)[^;]*", re.IGNORECASE)


def masked(text: str) -> str:
    """A command as people may see it, well-formed or not."""
    return _PASSWORD.sub(rf"\1{MASK}", _SECRET_VALUE.sub(rf"\1\2{MASK}", text))


def answer(code: int, values: Mapping[str, str], transaction: str = "") -> bytes:
    """One reply and the prompt behind it."""
    repeated = [f"{TRANSACTION},{transaction}"] if transaction else []
    shown = [f"{name},{value}" for name, value in values.items()]
    return ":".join(["RESP", *repeated, str(code), *shown]).encode("ascii") + b";\r\n" + PROMPT
