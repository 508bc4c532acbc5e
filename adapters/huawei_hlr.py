"""An M-HLR that speaks Huawei MML over TCP (`docs/ne/huawei_hlr.md`).

Codes that public material does not give (marked "ours") are those of the emulator; an option
`code.<number> = "<verdict>"` teaches a site's own without a release.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import Form, MMLReplies, MMLReply
from hlrd.domain.identity import IMSI, CardKey, international
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError, Adapter


class Ruling(NamedTuple):
    """What one result code means for one operation."""

    verdict: Verdict
    then: Operation | None = None
    is_known: bool = True


_DONE: Final = Ruling(Verdict.DONE)
_NO_CHANGE: Final = Ruling(Verdict.NO_CHANGE)
_PERMANENT: Final = Ruling(Verdict.PERMANENT)
_TRANSIENT: Final = Ruling(Verdict.TRANSIENT)
_BUSY: Final = Ruling(Verdict.BUSY)
_EXISTS: Final = Ruling(Verdict.EXISTS)
_UNKNOWN: Final = Ruling(Verdict.PERMANENT, is_known=False)

_EVERY: Final[Mapping[int, Ruling]] = {
    0: _DONE,
    1001: _PERMANENT,  # no such command (ours)
    1002: _PERMANENT,  # parameter missing or wrong
    1033: _PERMANENT,  # number threshold exceeded: residue of a ported-out number
    3001: _PERMANENT,  # subscriber not defined
    3005: _PERMANENT,  # ISDN used by another subscriber (ours)
    3006: _PERMANENT,  # already exists
    3037: Ruling(Verdict.FOLLOW_UP, Operation.CANCEL_LOCATION),  # stored, not told to the network
    3048: _PERMANENT,  # Ki not loaded
    3049: _PERMANENT,  # Ki used by a subscriber (ours)
    4005: _BUSY,  # (ours)
    5001: Ruling(Verdict.SESSION),  # not logged in (ours)
    22025: _TRANSIENT,  # a gateway says its NE failed, and not why
    10010505: _TRANSIENT,
}
_BY_OPERATION: Final[Mapping[Operation, Mapping[int, Ruling]]] = {
    Operation.ADD_KEY: {3006: _EXISTS},
    Operation.REMOVE_KEY: {3001: _NO_CHANGE, 3048: _NO_CHANGE},
    Operation.ADD_SUBSCRIBER: {
        3005: Ruling(Verdict.DIFFERENT),  # the number is not clean: it must not be drawn again
        3006: _EXISTS,
        3048: Ruling(Verdict.PREREQUISITE, Operation.ADD_KEY),
    },
    Operation.REMOVE_SUBSCRIBER: {3001: _NO_CHANGE},
    Operation.SET_BARRING: {},
    Operation.CANCEL_LOCATION: {
        3001: _NO_CHANGE,  # the record is gone, and its location with it
        3037: _TRANSIENT,  # the network is still out of reach
    },
}
_ABSENT: Final = Outcome(Verdict.ABSENT)
_OWED: Final = dict.fromkeys(
    (Operation.SET_BARRING, Operation.REMOVE_SUBSCRIBER), Operation.CANCEL_LOCATION
)
"""What a serving node must be told of. A read-back shows the record, and not whether the lost
answer was 3037; telling the node twice does no harm."""

_REMOVALS: Final = frozenset({Operation.REMOVE_KEY, Operation.REMOVE_SUBSCRIBER})
_LOGIN: Final[Mapping[int, Ruling]] = {
    0: _DONE,
    5002: _PERMANENT,  # wrong user or password (ours)
    5003: _BUSY,  # session limit (ours)
    5004: _BUSY,  # maintenance (ours)
}
_WRAPPERS: Final = frozenset({10010505, 22025})
"""A provisioning gateway's own codes; the NE's code stands in the text."""

_SEVERITY: Final = (
    Verdict.DONE,
    Verdict.NO_CHANGE,
    Verdict.APPLIED,
    Verdict.ABSENT,
    Verdict.FOLLOW_UP,
    Verdict.EXISTS,
    Verdict.PREREQUISITE,
    Verdict.BUSY,
    Verdict.TRANSIENT,
    Verdict.SESSION,
    Verdict.PERMANENT,
    Verdict.DIFFERENT,
)
"""Of several codes in one reply the worst counts."""

_TEACHABLE: Final = frozenset(
    {Verdict.NO_CHANGE, Verdict.EXISTS, Verdict.BUSY, Verdict.TRANSIENT, Verdict.SESSION}
    | {Verdict.PERMANENT}
)

_LOCKS: Final[Mapping[Level, Mapping[str, str]]] = {
    Level.NONE: {"IC": "FALSE", "OC": "FALSE", "GPRSLOCK": "FALSE", "EPSLOCK": "FALSE"},
    Level.ONE_WAY: {"IC": "FALSE", "OC": "TRUE", "GPRSLOCK": "FALSE", "EPSLOCK": "FALSE"},
    Level.TWO_WAY: {"IC": "TRUE", "OC": "TRUE", "GPRSLOCK": "TRUE", "EPSLOCK": "TRUE"},
}
"""All four flags each time, so that the level is absolute."""

_OF_THE_IMSI: Final[Mapping[Operation, str]] = {
    Operation.REMOVE_KEY: "RMV KI",
    Operation.REMOVE_SUBSCRIBER: "RMV SUB",
    Operation.CANCEL_LOCATION: "SND CANCELC",
}
"""Commands that need nothing else."""

_QUERIES: Final[Mapping[Operation, str]] = {
    Operation.ADD_KEY: "LST KI",
    Operation.REMOVE_KEY: "LST KI",
    Operation.ADD_SUBSCRIBER: "LST SUB",
    Operation.REMOVE_SUBSCRIBER: "LST SUB",
    Operation.SET_BARRING: "LST LCK",
}
_KEEPALIVE_IMSI: Final = "001010000000000"
"""Nobody's: the test network's. Any reply at all proves life."""

_ADD_KEY: Final = Operation.ADD_KEY  # a member costs ten times as much by way of its class
_ADD_SUBSCRIBER: Final = Operation.ADD_SUBSCRIBER
_SET_BARRING: Final = Operation.SET_BARRING

_MILENAGE: Final = ("opsno", "amfsno")
_OPTIONS: Final = frozenset({"hlrsn", *_MILENAGE})
_SUCCESS: Final = (0,)
_INNER_CODE: Final = re.compile(r"(?:ERR|CODE)(?:\s+IS)?[\s=:]*([0-9]{1,10})", re.IGNORECASE)
_KEY_LIKE: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_KEY_LIKE_LENGTH: Final = 32
_TEXT_LENGTH_MAX: Final = 200


class HuaweiHLR(Adapter[MMLReply]):
    dialect = "huawei_hlr"
    operations = frozenset(_BY_OPERATION)

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        taught = _taught(account.options)
        self._rulings = {
            operation: {**_EVERY, **rulings, **taught}
            for operation, rulings in _BY_OPERATION.items()
        }
        self._rulings_of_query = {
            operation: {**_EVERY, **_missing(operation), **taught} for operation in _QUERIES
        }
        try:
            self._prepare(account)
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error

    def _prepare(self, account: Account) -> None:
        """Every command that will ever be sent, up to the values of its task."""
        options = account.options
        hlrsn = options.get("hlrsn", "1")
        milenage = {name.upper(): options[name] for name in _MILENAGE if name in options}
        self._login = mml.command("LGI", HLRSN=hlrsn, OPNAME=account.user, PWD=account.password)
        self._keepalive = mml.command("LST KI", HLRSN=hlrsn, IMSI=_KEEPALIVE_IMSI)
        self._shown_key = Form("ADD KI", HLRSN=hlrsn, IMSI=None, OPERTYPE="ADD")
        key: dict[str, str | None] = {"HLRSN": hlrsn, "IMSI": None, "OPERTYPE": "ADD"}
        key |= dict.fromkeys(("KIVALUE", "K4SNO", "CARDTYPE", "ALG"))
        self._key = Form("ADD KI", **key)
        self._milenage_key = Form("ADD KI", **key, **milenage)
        self._subscriber = Form(
            "ADD TPLSUB", HLRSN=hlrsn, IMSI=None, ISDN=None, TPLTYPE="NORMAL", TPLID=None
        )
        self._locks = {
            level: Form("MOD LCK", HLRSN=hlrsn, IMSI=None, **locks)
            for level, locks in _LOCKS.items()
        }
        self._of_the_imsi = {
            operation: Form(name, HLRSN=hlrsn, IMSI=None)
            for operation, name in _OF_THE_IMSI.items()
        }
        self._queries = {
            operation: Form(name, HLRSN=hlrsn, IMSI=None) for operation, name in _QUERIES.items()
        }

    def decoder(self) -> MMLReplies:
        return MMLReplies()

    def login(self) -> bytes:
        return self._login

    def classify_login(self, reply: MMLReply) -> Outcome:
        return self._judge(_LOGIN, reply)

    def logout(self) -> bytes:
        return mml.command("LGO")

    def keepalive(self) -> bytes:
        return self._keepalive

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        """The level to be born with is not sent: ADD TPLSUB has no lock, so the plan sends
        SET_BARRING after it.
        """
        operation, binding = task.operation, task.binding
        if operation is _ADD_KEY:
            assert key is not None, "ADD_KEY without its key"
            return self._encode_key(binding.imsi, key)
        if operation is _ADD_SUBSCRIBER:
            isdn = international(binding.msisdn)
            return self._subscriber.fill(binding.imsi, isdn, task.template)
        if operation is _SET_BARRING:
            return self._locks[task.level].fill(binding.imsi)
        return self._of_the_imsi[operation].fill(binding.imsi)

    def _encode_key(self, imsi: IMSI, key: CardKey) -> bytes:
        form = self._milenage_key if key.algorithm == "MILENAGE" else self._key
        return form.fill(imsi, key.value, str(key.k4sno), key.card_type, key.algorithm)

    def classify(self, task: Task, reply: MMLReply) -> Outcome:
        if reply.codes == _SUCCESS:
            return self._succeeded(reply)
        return self._judge(self._rulings[task.operation], reply)

    def read_back(self, task: Task) -> bytes | None:
        query = self._queries.get(task.operation)
        return query.fill(task.binding.imsi) if query else None

    def compare(self, task: Task, reply: MMLReply) -> Outcome:
        if task.operation not in _QUERIES:
            return self.classify(task, reply)
        outcome = self._judge(self._rulings_of_query[task.operation], reply)
        if outcome.verdict is Verdict.DONE:
            return _found(task, reply.values())
        return outcome

    def echoes(self, request: bytes, reply: MMLReply) -> bool:
        return request == reply.echo or mml.is_echo(request, reply.echo)

    def masked(self, task: Task) -> str:
        if task.operation is not Operation.ADD_KEY:
            return self.encode(task, None).decode("ascii")
        shown = self._shown_key.fill(task.binding.imsi).decode("ascii")
        return f'{shown[:-1]},KIVALUE="{mml.MASK}";'

    def _judge(self, rulings: Mapping[int, Ruling], reply: MMLReply) -> Outcome:
        codes = _unwrapped(reply)
        if codes == _SUCCESS:
            return self._succeeded(reply)
        ruling = max(
            (rulings.get(code, _UNKNOWN) for code in codes),
            key=lambda ruling: _SEVERITY.index(ruling.verdict),
        )
        return Outcome(
            ruling.verdict,
            ",".join(map(str, codes)),
            self._safe(reply.text),
            ruling.then,
            all(code in rulings for code in codes),
        )

    def _succeeded(self, reply: MMLReply) -> Outcome:
        ruling = _NO_CHANGE if reply.status == "SUCCESS0002" else _DONE
        return Outcome(ruling.verdict, "0", self._safe(reply.text))

    def _safe(self, text: str) -> str:
        """An NE's text for receipts and people; a careless one quotes the command."""
        if self.account.password:
            text = text.replace(self.account.password, mml.MASK)
        if len(text) >= _KEY_LIKE_LENGTH:
            text = _KEY_LIKE.sub(mml.MASK, text)
        return text[:_TEXT_LENGTH_MAX]


def _unwrapped(reply: MMLReply) -> tuple[int, ...]:
    if _WRAPPERS.isdisjoint(reply.codes):
        return reply.codes
    inner = {int(code) for code in _INNER_CODE.findall(reply.text)} - _WRAPPERS - {0}
    return tuple(sorted(inner)) or reply.codes


def _missing(operation: Operation) -> Mapping[int, Ruling]:
    """A query that finds nothing: what a removal wants, and what an addition lacks."""
    missing = Ruling(Verdict.APPLIED, _OWED.get(operation))
    if operation not in _REMOVALS:
        missing = Ruling(Verdict.ABSENT)
    return {3001: missing, 3048: missing, 3037: _PERMANENT}


def _found(task: Task, values: Mapping[str, str]) -> Outcome:
    """The record is there. Is it what the task makes of it?"""
    match task.operation:
        case Operation.ADD_KEY:
            return Outcome(Verdict.APPLIED)  # an IMSI is one card, and a card has one key
        case Operation.ADD_SUBSCRIBER:
            return _compare_subscriber(task, values)
        case Operation.SET_BARRING:
            return _compare_locks(task, values)
        case _:
            return _ABSENT


def _compare_subscriber(task: Task, values: Mapping[str, str]) -> Outcome:
    wanted = international(task.binding.msisdn)
    isdn = values.get("ISDN")
    if isdn is None:
        return _unreadable("LST SUB", "ISDN")
    if isdn != wanted:
        return Outcome(Verdict.DIFFERENT, text=f"the IMSI holds ISDN {isdn}")
    template = values.get("TPLID", task.template)
    if template != task.template:
        return Outcome(Verdict.DIFFERENT, text=f"the subscriber was made of template {template}")
    return Outcome(Verdict.APPLIED)


def _compare_locks(task: Task, values: Mapping[str, str]) -> Outcome:
    wanted = _LOCKS[task.level]
    absent = [name for name in wanted if name not in values]
    if absent:
        return _unreadable("LST LCK", absent[0])
    holds = all(values[name] == value for name, value in wanted.items())
    return Outcome(Verdict.APPLIED, then=_OWED[task.operation]) if holds else _ABSENT


def _unreadable(query: str, name: str) -> Outcome:
    """No table covers it, so people are to see it."""
    return Outcome(Verdict.PERMANENT, text=f"the reply to {query} has no {name}", is_known=False)


def _taught(options: Mapping[str, str]) -> Mapping[int, Ruling]:
    """The site's own codes."""
    taught = {}
    for name, value in options.items():
        prefix, _, code = name.partition(".")
        if prefix == "code" and code.isascii() and code.isdigit() and value in _TEACHABLE:
            taught[int(code)] = Ruling(Verdict(value))
        elif name not in _OPTIONS:
            raise AccountError(
                f"option {name} = {value!r}: huawei_hlr knows {sorted(_OPTIONS)} and"
                f" code.<number> = one of {sorted(_TEACHABLE)}"
            )
    return MappingProxyType(taught)
