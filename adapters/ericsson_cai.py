"""An HLR behind an Ericsson gateway that speaks CAI over TCP (`docs/ne/ericsson_cai.md`).

What a reply means is in `adapters/replies/ericsson_cai.toml`.
"""

import re
from collections.abc import Mapping
from typing import Final

from hlrd.codec import cai
from hlrd.codec.base import UnsafeValue
from hlrd.codec.cai import CAICommand, CAIReplies, CAIReply, Form
from hlrd.domain.identity import ALGORITHMS, Binding, CardKey, international
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.script import Script, ScriptError, parse, values_of
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

HLR: Final = "HLRSUB"
AUC: Final = "AUCSUB"

_ADD_KEY: Final = Operation.ADD_KEY  # a member costs ten times as much by way of its class
_REMOVE_KEY: Final = Operation.REMOVE_KEY
_ADD_SUBSCRIBER: Final = Operation.ADD_SUBSCRIBER
_REMOVE_SUBSCRIBER: Final = Operation.REMOVE_SUBSCRIBER
_SET_BARRING: Final = Operation.SET_BARRING
_CHANGE_CARD: Final = Operation.CHANGE_CARD
_CHANGE_NUMBER: Final = Operation.CHANGE_NUMBER
_FIND_NUMBER: Final = Operation.FIND_NUMBER
_FUNCTIONS: Final = frozenset({Operation.ADD_FUNCTION, Operation.REMOVE_FUNCTION})
_KEYS: Final = frozenset({_ADD_KEY, _REMOVE_KEY})
_CHANGES: Final = frozenset({_CHANGE_CARD, _CHANGE_NUMBER})

_BARRINGS: Final[Mapping[Level, Mapping[str, str]]] = {
    Level.NONE: {"OBO": "0", "OBI": "0", "NAM": "0"},
    Level.ONE_WAY: {"OBO": "1", "OBI": "0", "NAM": "0"},
    Level.TWO_WAY: {"OBO": "1", "OBI": "1", "NAM": "1"},
}
"""Outgoing calls, incoming calls, packet data: all of it each time, so the level is absolute."""

_NOT_SHOWN: Final = "0"
"""What an attribute is that a reply leaves out."""

_A3A8: Final = {name: str(number) for number, name in enumerate(ALGORITHMS)}
_OPTIONS: Final = frozenset({"transid", *(f"a3a8.{name.lower()}" for name in ALGORITHMS)})
_INDEX: Final = re.compile(r"[0-9]{1,3}\Z")
_KEEPALIVE_IMSI: Final = "001010000000000"
"""Nobody's: the test network's. Any reply at all proves life."""

_SENT: Final = re.compile(
    rb"[A-Z]+:(?:TRANSID,(?P<transaction>[0-9A-Za-z]+):)?[A-Z]+:(?P<name>[A-Z]+),(?P<value>[^:;]+)"
)
_CHANGING: Final = ("CREATE", "SET", "DELETE")
_SAMPLE: Final = "x0x"
_SAMPLES: Final = {"imsi": "001010000000001", "isdn": "861064900000001"}
"""What a script is checked with. Of other placeholders only the place matters."""

_SAMPLES_OF_THE_USER: Final = (("IMSI", _SAMPLES["imsi"]), ("MSISDN", _SAMPLES["isdn"]))
_ABSENT: Final = Outcome(Verdict.ABSENT)
_APPLIED: Final = Outcome(Verdict.APPLIED)
_KEY_LIKE: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_TEXT_LENGTH_MAX: Final = 200


class EricssonCAI(Adapter[CAIReply]):
    dialect = "ericsson_cai"
    operations = frozenset(
        {
            *_KEYS,
            _ADD_SUBSCRIBER,
            _REMOVE_SUBSCRIBER,
            _SET_BARRING,
            *_CHANGES,
            *_FUNCTIONS,
        }
    )
    inquiries = frozenset({_FIND_NUMBER})

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        self._a3a8, self._has_transaction = _options(account.options)
        try:
            self._login = cai.login(account.user, account.password)
        except UnsafeValue as error:
            raise AccountError(f"{account.host}:{account.port}: {error}") from error
        self._done = replies.codes(Asked.COMMAND)["0"].verdict
        self._key = self._form(f"CREATE:{AUC}", "IMSI", "EKI", "KIND", "A3A8IND")
        self._subscriber = self._form(f"CREATE:{HLR}", "MSISDN", "IMSI", "PROFILE")
        self._barrings = {
            level: self._form(f"SET:{HLR}", "IMSI", **barring)
            for level, barring in _BARRINGS.items()
        }
        self._removals = {
            _REMOVE_KEY: self._form(f"DELETE:{AUC}", "IMSI"),
            _REMOVE_SUBSCRIBER: self._form(f"DELETE:{HLR}", "IMSI"),
        }
        self._change_card = self._form(f"SET:{HLR}", "MSISDN", "NIMSI")
        self._change_number = self._form(f"SET:{HLR}", "IMSI", "NMSISDN")
        self._find_key = self._form(f"GET:{AUC}", "IMSI")
        self._find_card = self._form(f"GET:{HLR}", "IMSI")
        self._find_number = self._form(f"GET:{HLR}", "MSISDN")
        self._keepalive = Form(f"GET:{HLR}", {"IMSI": None}).fill(_KEEPALIVE_IMSI)

    @classmethod
    def check_script(cls, script: Script) -> None:
        filled = script.literals[0]
        for name, literal in zip(script.names, script.literals[1:], strict=True):
            filled += _SAMPLES.get(name, _SAMPLE) + literal
        try:
            said = _command(filled)
        except UnsafeValue as error:
            raise ScriptError(1, str(error)) from error
        values = [each for value in said.params.values() for each in value.split(",")]
        for place, name in enumerate(script.names):
            if values.count(_SAMPLES.get(name, _SAMPLE)) < _alike(script, name):
                raise ScriptError(script.column_of(place), f"{{{name}}} is not a whole value")
        if said.key() not in _SAMPLES_OF_THE_USER:
            raise ScriptError(1, "a script of CAI begins with IMSI,{imsi} or MSISDN,{isdn}")

    def _form(self, name: str, *filled: str, **fixed: str) -> Form:
        params = {**dict.fromkeys(filled), **fixed}
        return Form(name, params, has_transaction=self._has_transaction)

    def _fill(self, form: Form, task: Task, *values: str) -> bytes:
        if self._has_transaction:
            return form.fill(task.transaction, *values)
        return form.fill(*values)

    def decoder(self) -> CAIReplies:
        return CAIReplies()

    def login(self) -> bytes:
        return self._login

    def classify_login(self, reply: CAIReply) -> Outcome:
        return self._judge(Asked.LOGIN, None, reply)

    def logout(self) -> bytes:
        return cai.LOGOUT

    def keepalive(self) -> bytes:
        return self._keepalive

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        """The level to be born with is not sent: a profile has none, so the plan sends SET_BARRING
        after it.
        """
        operation, binding = task.operation, task.binding
        if operation is _ADD_KEY:
            assert key is not None, "ADD_KEY without its key"
            algorithm = self._a3a8[key.algorithm]
            return self._fill(self._key, task, binding.imsi, key.value, str(key.k4sno), algorithm)
        if operation is _ADD_SUBSCRIBER:
            isdn = international(binding.msisdn)
            return self._fill(self._subscriber, task, isdn, binding.imsi, task.template)
        if operation is _SET_BARRING:
            return self._fill(self._barrings[task.level], task, binding.imsi)
        if operation in _CHANGES:
            return self._change(task)
        if operation in _FUNCTIONS:
            return self._function(task)
        return self._fill(self._removals[operation], task, binding.imsi)

    def _change(self, task: Task) -> bytes:
        """The record is named by what stays as it is, so that a repeat finds it too."""
        target = task.details.target
        assert target is not None, "a change without what it changes to"
        isdn = international(target.msisdn)
        if task.operation is _CHANGE_CARD:
            return self._fill(self._change_card, task, isdn, target.imsi)
        return self._fill(self._change_number, task, task.binding.imsi, isdn)

    def _function(self, task: Task) -> bytes:
        said = _scripted(task)
        transaction = task.transaction if self._has_transaction else ""
        return cai.command(said.name, said.params, transaction=transaction)

    def classify(self, task: Task, reply: CAIReply) -> Outcome:
        if reply.code == "0":
            return Outcome(self._done, "0")
        return self._judge(Asked.COMMAND, task.operation, reply)

    def read_back(self, task: Task) -> bytes:
        operation, binding = task.operation, task.binding
        if operation is _FIND_NUMBER or operation is _CHANGE_CARD:
            return self._fill(self._find_number, task, international(binding.msisdn))
        if operation in _KEYS:
            return self._fill(self._find_key, task, binding.imsi)
        if operation in _FUNCTIONS:
            return self._find_function(task)
        return self._fill(self._find_card, task, binding.imsi)

    def _find_function(self, task: Task) -> bytes:
        said = _scripted(task)
        name, value = said.key()
        kind = said.name.partition(":")[2]
        transaction = task.transaction if self._has_transaction else ""
        return cai.command(f"GET:{kind}", {name: value}, transaction=transaction)

    def compare(self, task: Task, reply: CAIReply) -> Outcome:
        outcome = self._judge(Asked.READ_BACK, task.operation, reply)
        if outcome.verdict is Verdict.DONE:
            return _found(task, reply.values())
        return outcome

    def echoes(self, request: bytes, reply: CAIReply) -> bool:
        """By TRANSID where the gateway repeats it; else a reply that names an object must name the
        one that was asked for.
        """
        sent = _SENT.match(request)
        if sent is None:
            return True
        if sent["transaction"] is not None:
            return reply.transaction == sent["transaction"].decode("ascii")
        if not reply.body:
            return True
        shown = reply.values().get(sent["name"].decode("ascii"))
        return shown is None or shown == sent["value"].decode("ascii")

    def masked(self, task: Task) -> str:
        if task.operation is _ADD_KEY:
            shown = {"IMSI": task.binding.imsi, "EKI": cai.MASK}
            return f"CREATE:{AUC}:" + ":".join(f"{name},{value}" for name, value in shown.items())
        if task.operation is _FIND_NUMBER:
            return self.read_back(task).decode("ascii")
        return self.encode(task, None).decode("ascii")

    def _judge(self, asked: Asked, operation: Operation | None, reply: CAIReply) -> Outcome:
        text = self._safe(reply.text())
        ruling = self.replies.ruling(asked, operation, reply.code, text)
        shown = text or ruling.text
        return Outcome(ruling.verdict, reply.code, shown, ruling.then, ruling.is_known)

    def _safe(self, text: str) -> str:
        """A gateway's text for receipts and people; a careless one quotes the command."""
        if text and self.account.password:
            text = text.replace(self.account.password, cai.MASK)
        return _KEY_LIKE.sub(cai.MASK, text)[:_TEXT_LENGTH_MAX]


def _options(options: Mapping[str, str]) -> tuple[Mapping[str, str], bool]:
    """The gateway's numbers of the algorithms, and whether it knows TRANSID."""
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise AccountError(f"options {unknown}: ericsson_cai knows {sorted(_OPTIONS)}")
    transid = options.get("transid", "off")
    if transid not in ("on", "off"):
        raise AccountError(f"option transid = {transid!r}: on or off")
    a3a8 = {name: options.get(f"a3a8.{name.lower()}", _A3A8[name]) for name in ALGORITHMS}
    wrong = sorted(name for name, index in a3a8.items() if not _INDEX.match(index))
    if wrong:
        raise AccountError(f"options a3a8.* of {wrong}: a number of up to 3 digits each")
    return a3a8, transid == "on"


def _command(text: str) -> CAICommand:
    """Raises UnsafeValue unless `text` is one command that changes something."""
    said = cai.parse_command(f"{text.strip().removesuffix(';')};".encode("ascii"))
    if said.name.partition(":")[0] not in _CHANGING or said.transaction:
        raise UnsafeValue("a script of CAI is one CREATE, SET or DELETE")
    cai.command(said.name, said.params)
    return said


def _alike(script: Script, name: str) -> int:
    """Placeholders for which the same sample stands."""
    if name in _SAMPLES:
        return script.names.count(name)
    return sum(each not in _SAMPLES for each in script.names)


def _scripted(task: Task) -> CAICommand:
    """The command of a function's script, which may be about its own user only."""
    binding, details = task.binding, task.details
    said = _command(parse(details.script).fill(values_of(binding, details.attributes)))
    if said.key() not in (("IMSI", binding.imsi), ("MSISDN", international(binding.msisdn))):
        raise UnsafeValue("a script of CAI begins with the IMSI or MSISDN of its user")
    return said


def _found(task: Task, values: Mapping[str, str]) -> Outcome:
    """The record is there. Is it what the task makes of it?"""
    operation = task.operation
    if operation is _ADD_KEY:
        return _APPLIED  # an IMSI is one card, and a card has one key
    if operation is _SET_BARRING:
        return _compare(_BARRINGS[task.level], values)
    if operation in _FUNCTIONS:
        return _compare_function(_scripted(task), values)
    if operation is _FIND_NUMBER:
        return Outcome(Verdict.APPLIED, text=f"IMSI {values.get('IMSI', 'not shown')}")
    if operation is _ADD_SUBSCRIBER or operation in _CHANGES:
        return _compare_subscriber(task, values)
    return _ABSENT


def _compare(wanted: Mapping[str, str], values: Mapping[str, str]) -> Outcome:
    holds = all(values.get(name, _NOT_SHOWN) == value for name, value in wanted.items())
    return _APPLIED if holds else _ABSENT


def _compare_function(said: CAICommand, values: Mapping[str, str]) -> Outcome:
    verb = said.name.partition(":")[0]
    if verb == "DELETE":
        return _ABSENT
    name, _ = said.key()
    wanted = {key: value for key, value in said.params.items() if key != name}
    outcome = _compare(wanted, values)
    if verb == "CREATE" and outcome is _ABSENT:
        return Outcome(Verdict.DIFFERENT, text="the object exists with other attributes")
    return outcome


def _compare_subscriber(task: Task, values: Mapping[str, str]) -> Outcome:
    wanted = task.details.target or task.binding
    holder = values.get("IMSI", wanted.imsi), values.get("MSISDN")
    if holder[1] is None:
        text = f"the reply to GET:{HLR} has no MSISDN"
        return Outcome(Verdict.PERMANENT, text=text, is_known=False)
    if holder == _holder(wanted):
        return _compare_profile(task, values)
    if holder == _holder(task.binding):
        return _ABSENT
    text = f"IMSI {holder[0]} holds MSISDN {holder[1]}"
    return Outcome(Verdict.DIFFERENT, text=text)


def _holder(binding: Binding) -> tuple[str, str]:
    return binding.imsi, international(binding.msisdn)


def _compare_profile(task: Task, values: Mapping[str, str]) -> Outcome:
    profile = values.get("PROFILE", task.template)
    if task.operation is _ADD_SUBSCRIBER and profile != task.template:
        return Outcome(Verdict.DIFFERENT, text=f"the subscriber was made of profile {profile}")
    return _APPLIED
