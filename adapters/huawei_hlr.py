"""An M-HLR that speaks Huawei MML over TCP (`docs/ne/huawei_hlr.md`).

What a reply means is in `adapters/replies/huawei_hlr.toml`.
"""

import re
from collections.abc import Mapping
from typing import Final

from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import Form, MMLReplies, MMLReply
from hlrd.domain.identity import IMSI, CardKey, international
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

_ABSENT: Final = Outcome(Verdict.ABSENT)
_OWED: Final = dict.fromkeys(
    (Operation.SET_BARRING, Operation.REMOVE_SUBSCRIBER), Operation.CANCEL_LOCATION
)
"""What a serving node must be told of. A read-back shows the record, and not whether the lost
answer was 3037; telling the node twice does no harm."""

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
    Verdict.IN_DOUBT,
    Verdict.PERMANENT,
    Verdict.DIFFERENT,
)
"""Of several codes in one reply the worst counts."""

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
_FIND_NUMBER: Final = Operation.FIND_NUMBER
_KEEPALIVE_IMSI: Final = "001010000000000"
"""Nobody's: the test network's. Any reply at all proves life."""

_ADD_KEY: Final = Operation.ADD_KEY  # a member costs ten times as much by way of its class
_ADD_SUBSCRIBER: Final = Operation.ADD_SUBSCRIBER
_SET_BARRING: Final = Operation.SET_BARRING

_MILENAGE: Final = ("opsno", "amfsno")
_OPTIONS: Final = frozenset({"hlrsn", *_MILENAGE})
_SUCCESS: Final = (0,)
_NO_CHANGE: Final = "SUCCESS0002"
_INNER_CODE: Final = re.compile(r"(?:ERR|CODE)(?:\s+IS)?[\s=:]*([0-9]{1,10})", re.IGNORECASE)
_KEY_LIKE: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_KEY_LIKE_LENGTH: Final = 32
_TEXT_LENGTH_MAX: Final = 200


class HuaweiHLR(Adapter[MMLReply]):
    dialect = "huawei_hlr"
    operations = frozenset(
        {
            Operation.ADD_KEY,
            Operation.REMOVE_KEY,
            Operation.ADD_SUBSCRIBER,
            Operation.REMOVE_SUBSCRIBER,
            Operation.SET_BARRING,
            Operation.CANCEL_LOCATION,
        }
    )

    inquiries = frozenset({_FIND_NUMBER})

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        unknown = sorted(set(account.options) - _OPTIONS)
        if unknown:
            raise AccountError(f"options {unknown}: huawei_hlr knows {sorted(_OPTIONS)}")
        try:
            self._prepare(account)
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error

    def _prepare(self, account: Account) -> None:
        """Every command that will ever be sent, up to the values of its task."""
        success = self.replies.codes(Asked.COMMAND)
        self._done, self._no_change = success["0"].verdict, success[_NO_CHANGE].verdict
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
        self._find_number = Form("LST SUB", HLRSN=hlrsn, ISDN=None)

    def decoder(self) -> MMLReplies:
        return MMLReplies()

    def login(self) -> bytes:
        return self._login

    def classify_login(self, reply: MMLReply) -> Outcome:
        return self._judge(Asked.LOGIN, None, reply)

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
        return self._judge(Asked.COMMAND, task.operation, reply)

    def read_back(self, task: Task) -> bytes | None:
        if task.operation is _FIND_NUMBER:
            return self._find_number.fill(international(task.binding.msisdn))
        query = self._queries.get(task.operation)
        return query.fill(task.binding.imsi) if query else None

    def compare(self, task: Task, reply: MMLReply) -> Outcome:
        if task.operation not in _QUERIES and task.operation is not _FIND_NUMBER:
            return self.classify(task, reply)
        outcome = self._judge(Asked.READ_BACK, task.operation, reply)
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

    def _judge(self, asked: Asked, operation: Operation | None, reply: MMLReply) -> Outcome:
        codes = _unwrapped(reply)
        if codes == _SUCCESS:
            return self._succeeded(reply)
        text = self._safe(reply.text)
        rulings = [self.replies.ruling(asked, operation, str(code), text) for code in codes]
        worst = max(rulings, key=lambda ruling: _SEVERITY.index(ruling.verdict))
        return Outcome(
            worst.verdict,
            ",".join(map(str, codes)),
            text or worst.text,
            worst.then,
            all(ruling.is_known for ruling in rulings),
        )

    def _succeeded(self, reply: MMLReply) -> Outcome:
        verdict = self._no_change if reply.status == _NO_CHANGE else self._done
        return Outcome(verdict, "0", self._safe(reply.text))

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


def _found(task: Task, values: Mapping[str, str]) -> Outcome:
    """The record is there. Is it what the task makes of it?"""
    match task.operation:
        case Operation.ADD_KEY:
            return Outcome(Verdict.APPLIED)  # an IMSI is one card, and a card has one key
        case Operation.ADD_SUBSCRIBER:
            return _compare_subscriber(task, values)
        case Operation.SET_BARRING:
            return _compare_locks(task, values)
        case Operation.FIND_NUMBER:
            return Outcome(Verdict.APPLIED, text=f"IMSI {values.get('IMSI', 'not shown')}")
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
