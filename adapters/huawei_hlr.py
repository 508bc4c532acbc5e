"""An M-HLR that speaks Huawei MML over TCP (`docs/ne/huawei_hlr.md`).

What a reply means is in `adapters/replies/huawei_hlr.toml`; how the scripts of products are sent
and read back, in `mml_script` and `mml_effect`.
"""

import re
from collections.abc import Mapping
from typing import Final

from adapters import mml_effect, mml_script
from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import Form, MMLReplies, MMLReply
from hlrd.domain.identity import IMSI, CardKey, international
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.script import Script, ScriptError, values_of
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

_ABSENT: Final = Outcome(Verdict.ABSENT)
_TOLD: Final = Outcome(Verdict.APPLIED, then=Operation.CANCEL_LOCATION)
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

_BARRING: Final[Mapping[str, Mapping[Level, Mapping[str, str]]]] = {
    "lck": {
        Level.NONE: {"IC": "FALSE", "OC": "FALSE", "GPRSLOCK": "FALSE", "EPSLOCK": "FALSE"},
        Level.ONE_WAY: {"IC": "FALSE", "OC": "TRUE", "GPRSLOCK": "FALSE", "EPSLOCK": "FALSE"},
        Level.TWO_WAY: {"IC": "TRUE", "OC": "TRUE", "GPRSLOCK": "TRUE", "EPSLOCK": "TRUE"},
    },
    "odb": {
        Level.NONE: {"ODBIC": "NOBIC", "ODBOC": "NOBOC", "ODBPOS": "NOBPOS"},
        Level.ONE_WAY: {"ODBIC": "NOBIC", "ODBOC": "BAOC", "ODBPOS": "NOBPOS"},
        Level.TWO_WAY: {"ODBIC": "BAIC", "ODBOC": "BAOC", "ODBPOS": "BAPOS"},
    },
}
"""By the option `barring`. All flags each time, so that the level is absolute."""

_BARRED_BY: Final = {"lck": ("MOD LCK", "LST LCK"), "odb": ("MOD ODB", "LST ODBDAT")}

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
    Operation.CHANGE_NUMBER: "LST SUB",
}
_FIND_NUMBER: Final = Operation.FIND_NUMBER
_KEEPALIVE_IMSI: Final = "001010000000000"
"""Nobody's: the test network's. Any reply at all proves life."""

_ADD_KEY: Final = Operation.ADD_KEY  # a member costs ten times as much by way of its class
_ADD_SUBSCRIBER: Final = Operation.ADD_SUBSCRIBER
_SET_BARRING: Final = Operation.SET_BARRING
_CHANGE_CARD: Final = Operation.CHANGE_CARD
_CHANGE_NUMBER: Final = Operation.CHANGE_NUMBER
_FUNCTIONS: Final = frozenset({Operation.ADD_FUNCTION, Operation.REMOVE_FUNCTION})

_ALL_OF: Final = {"LST SUB": {"DETAIL": "TRUE"}}
_MILENAGE: Final = ("opsno", "amfsno")
_OPTIONS: Final = frozenset({"hlrsn", "barring", *_MILENAGE})
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
            _CHANGE_CARD,
            _CHANGE_NUMBER,
            *_FUNCTIONS,
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

    @classmethod
    def check_script(cls, script: Script) -> None:
        mml_script.check(script)

    def _prepare(self, account: Account) -> None:
        """Every command that will ever be sent, up to the values of its task."""
        success = self.replies.codes(Asked.COMMAND)
        self._done, self._no_change = success["0"].verdict, success[_NO_CHANGE].verdict
        options = account.options
        hlrsn = self._hlrsn = options.get("hlrsn", "1")
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
        self._of_the_imsi = {
            operation: Form(name, HLRSN=hlrsn, IMSI=None)
            for operation, name in _OF_THE_IMSI.items()
        }
        self._queries = {
            operation: Form(name, HLRSN=hlrsn, IMSI=None) for operation, name in _QUERIES.items()
        }
        self._effect_queries = {
            query: Form(query, HLRSN=hlrsn, IMSI=None, **_ALL_OF.get(query, {}))
            for query in mml_effect.QUERIES.values()
        }
        self._find_number = Form("LST SUB", HLRSN=hlrsn, ISDN=None)
        self._change_card = Form("MOD IMSI", HLRSN=hlrsn, IMSI=None, NEWIMSI=None)
        self._change_number = Form("MOD ISDN", HLRSN=hlrsn, ISDN=None, NEWISDN=None)
        self._prepare_barring(options.get("barring", "lck"))

    def _prepare_barring(self, way: str) -> None:
        if way not in _BARRING:
            raise AccountError(f"option barring = {way!r}: one of {sorted(_BARRING)}")
        command, query = _BARRED_BY[way]
        self._levels = _BARRING[way]
        self._barring = {
            level: Form(command, HLRSN=self._hlrsn, IMSI=None, **flags)
            for level, flags in self._levels.items()
        }
        self._queries[_SET_BARRING] = Form(query, HLRSN=self._hlrsn, IMSI=None)

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
            return self._barring[task.level].fill(binding.imsi)
        if operation in self._of_the_imsi:
            return self._of_the_imsi[operation].fill(binding.imsi)
        return self._encode_change(task)

    def _encode_key(self, imsi: IMSI, key: CardKey) -> bytes:
        form = self._milenage_key if key.algorithm == "MILENAGE" else self._key
        return form.fill(imsi, key.value, str(key.k4sno), key.card_type, key.algorithm)

    def _encode_change(self, task: Task) -> bytes:
        binding, details = task.binding, task.details
        if task.operation in _FUNCTIONS:
            values = values_of(binding, details.attributes)
            return mml_script.fill(details.script, self._hlrsn, values)
        assert details.target is not None, f"{task.operation} without its target"
        if task.operation is _CHANGE_CARD:
            return self._change_card.fill(binding.imsi, details.target.imsi)
        return self._change_number.fill(
            international(binding.msisdn), international(details.target.msisdn)
        )

    def classify(self, task: Task, reply: MMLReply) -> Outcome:
        if reply.codes == _SUCCESS:
            return self._succeeded(reply)
        return self._judge(Asked.COMMAND, task.operation, reply)

    def read_back(self, task: Task) -> bytes | None:
        operation = task.operation
        query = self._queries.get(operation)
        if query is not None:
            return query.fill(task.binding.imsi)
        if operation is _FIND_NUMBER or operation is _CHANGE_CARD:
            return self._find_number.fill(international(task.binding.msisdn))
        return self._query_function(task) if operation in _FUNCTIONS else None

    def _query_function(self, task: Task) -> bytes:
        """By the script's own query, by that of its command's effect, or by the command itself."""
        details, binding = task.details, task.binding
        if details.query:
            values = values_of(binding, details.attributes)
            return mml_script.fill(details.query, self._hlrsn, values)
        query = mml_effect.QUERIES.get(mml_script.command_of(details.script).name)
        return (
            self._encode_change(task)
            if query is None
            else self._effect_queries[query].fill(binding.imsi)
        )

    def compare(self, task: Task, reply: MMLReply) -> Outcome:
        if task.operation is Operation.CANCEL_LOCATION:
            return self.classify(task, reply)
        outcome = self._judge(Asked.READ_BACK, task.operation, reply)
        if outcome.verdict is not Verdict.DONE:
            return outcome
        if task.operation in _FUNCTIONS:
            return _owing(_compare_function(task, reply, outcome))
        if task.operation is _SET_BARRING:
            return _owing(_compare_flags(self._levels[task.level], reply.values()))
        return _found(task, reply.values())

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
        case Operation.CHANGE_CARD | Operation.CHANGE_NUMBER:
            return _owing(_compare_change(task, values))
        case Operation.FIND_NUMBER:
            return Outcome(Verdict.APPLIED, text=f"IMSI {values.get('IMSI', 'not shown')}")
        case _:
            return _ABSENT


def _owing(outcome: Outcome) -> Outcome:
    return _TOLD if outcome.verdict is Verdict.APPLIED else outcome


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


def _compare_change(task: Task, values: Mapping[str, str]) -> Outcome:
    """The number leads to the new card, or the card to the new number."""
    target = task.details.target
    assert target is not None, f"{task.operation} without its target"
    name, old, new = "IMSI", str(task.binding.imsi), str(target.imsi)
    if task.operation is _CHANGE_NUMBER:
        name, old, new = "ISDN", international(task.binding.msisdn), international(target.msisdn)
    shown = values.get(name)
    if shown is None:
        return _unreadable("LST SUB", name)
    if shown in (old, new):
        return mml_effect.APPLIED if shown == new else _ABSENT
    return Outcome(Verdict.DIFFERENT, text=f"the subscriber has {name} {shown}")


def _compare_flags(wanted: Mapping[str, str], values: Mapping[str, str]) -> Outcome:
    missing = [name for name in wanted if name not in values]
    if missing:
        return _unreadable("the query of the barring", missing[0])
    return mml_effect.APPLIED if wanted.items() <= values.items() else _ABSENT


def _compare_function(task: Task, reply: MMLReply, answered: Outcome) -> Outcome:
    details = task.details
    values = values_of(task.binding, details.attributes)
    if details.query:
        try:
            is_on = mml_script.shows(details.shows, values, reply.records())
        except ScriptError as error:
            return Outcome(Verdict.PERMANENT, text=f"shows: {error}", is_known=False)
        is_wanted = task.operation is Operation.ADD_FUNCTION
        return mml_effect.APPLIED if is_on is is_wanted else _ABSENT
    command = mml_script.command_of(details.script)
    if command.name not in mml_effect.QUERIES:
        return answered  # the command itself, sent again
    effect = mml_effect.effect_of(command.name, command.filled(values))
    return effect.found(reply.records())


def _unreadable(query: str, name: str) -> Outcome:
    """No table covers it, so people are to see it."""
    return Outcome(Verdict.PERMANENT, text=f"the reply to {query} has no {name}", is_known=False)
