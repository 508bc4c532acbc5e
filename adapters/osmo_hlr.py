"""An osmo-hlr by its control interface CTRL (`docs/ne/osmo_hlr.md`).

One task is one request of a few commands, executed in order and answered together. What a refusal
means is in `adapters/replies/osmo_hlr.toml`.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from msgspec.structs import replace

from hlrd.codec import ipa
from hlrd.codec.ipa import Answer, Command, CTRLReplies, CTRLReply
from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import CardKey, international
from hlrd.domain.operation import Operation, Task
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.suspension import Level
from hlrd.ne.adapter import Account, AccountError, Adapter
from hlrd.ne.replies import Asked, Replies

DEPTH_MAX: Final = 64
"""Measured: 16 requests under way make 4,061 creations/s, 64 make 4,564."""

_DEPTH: Final = "16"
_OP: Final = "op"
_KEY_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}\Z")
_TRANSPORT_KEY: Final = re.compile(r"k4\.([1-9][0-9]{0,2})\Z")
_TRANSPORT_KEY_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{48}|[0-9A-Fa-f]{64})\Z")
_COMP128: Final = {f"COMP128_{number}": f"comp128v{number}" for number in (1, 2, 3)}

_ADD_KEY: Final = Operation.ADD_KEY
_ADD_SUBSCRIBER: Final = Operation.ADD_SUBSCRIBER
_SET_BARRING: Final = Operation.SET_BARRING
_REMOVE_SUBSCRIBER: Final = Operation.REMOVE_SUBSCRIBER
_REMOVE_KEY: Final = Operation.REMOVE_KEY
_CHANGE_CARD: Final = Operation.CHANGE_CARD
_CHANGE_NUMBER: Final = Operation.CHANGE_NUMBER
_FIND_NUMBER: Final = Operation.FIND_NUMBER
_BY_NUMBER: Final = frozenset({_CHANGE_CARD, _FIND_NUMBER})
"""Read back by the number, which stays as it is."""

_SERVICE: Final[Mapping[Level, tuple[str, str]]] = {
    Level.NONE: ("1", "1"),
    Level.ONE_WAY: ("1", "0"),
    Level.TWO_WAY: ("0", "0"),
}
"""cs-enabled and ps-enabled. Outgoing calls alone cannot be barred here: one way takes the data."""

_NO_NUMBER: Final = "none"
_NO_SUCH: Final = "No such subscriber."
_GIVER: Final = 3
"""Of the commands of a change of card, the one that takes the number off the old record."""

_ABSENT: Final = Outcome(Verdict.ABSENT)
_APPLIED: Final = Outcome(Verdict.APPLIED)
_OK: Final = "OK"  #: answers a SET that was carried out, but for that of _CREATE: the record's id
_CREATE: Final = "subscriber.create"
_DONE: Final = Outcome(Verdict.DONE, _OK)


class KeyUnfit(HlrdError):
    """A card's key cannot be given in clear, as osmo-hlr wants it; the text says what is amiss."""


class OsmoHLR(Adapter[CTRLReply]):
    dialect = "osmo_hlr"
    operations = frozenset(
        {
            _ADD_KEY,
            _REMOVE_KEY,
            _ADD_SUBSCRIBER,
            _REMOVE_SUBSCRIBER,
            _SET_BARRING,
            _CHANGE_CARD,
            _CHANGE_NUMBER,
        }
    )
    inquiries = frozenset({_FIND_NUMBER})

    def __init__(self, account: Account, replies: Replies) -> None:
        super().__init__(account, replies)
        self.depth = _depth(account.options)
        self._op, self._ciphers = _secrets(account.secrets)

    def decoder(self) -> CTRLReplies:
        return CTRLReplies()

    def login(self) -> bytes:
        """CTRL has no login. A ping proves what a connect does not: that somebody is at home."""
        return ipa.PING

    def classify_login(self, reply: CTRLReply) -> Outcome:
        return _DONE

    def keepalive(self) -> bytes:
        return ipa.PING

    def encode(self, task: Task, key: CardKey | None) -> bytes:
        return ipa.request(*self._commands(task, key))

    def classify(self, task: Task, reply: CTRLReply) -> Outcome:
        """The first refusal counts: those behind it follow from it."""
        refused = [
            answer.error
            for place, answer in enumerate(reply.answers)
            if answer.error and not _has_nothing_to_give(task, place, answer)
        ]
        if not refused:
            return _DONE
        outcome = self._judge(Asked.COMMAND, task.operation, refused[0])
        if outcome.verdict is Verdict.EXISTS and task.operation is _ADD_KEY:
            return self._met(task, reply, outcome)
        return replace(outcome, is_partial=True) if _is_partial(task, reply) else outcome

    def read_back(self, task: Task) -> bytes | None:
        """None for ADD_KEY: a key could only be read in clear, and loading it anew does no harm."""
        binding = task.binding
        if task.operation is _ADD_KEY:
            return None
        if task.operation in _BY_NUMBER:
            number = international(binding.msisdn)
            return ipa.request(ipa.get(f"subscriber.by-msisdn-{number}.info"))
        return ipa.request(ipa.get(f"subscriber.by-imsi-{binding.imsi}.info"))

    def compare(self, task: Task, reply: CTRLReply) -> Outcome:
        if task.operation is _ADD_KEY:
            return self.classify(task, reply)
        answer = reply.answers[0]
        if answer.error:
            return self._judge(Asked.READ_BACK, task.operation, answer.error)
        return _found(task, _record(answer))

    def numbered(self, request: bytes, number: int) -> bytes:
        return ipa.numbered(request, number)

    def number_of(self, reply: CTRLReply) -> int | None:
        return reply.number

    def echoes(self, request: bytes, reply: CTRLReply) -> bool:
        return ipa.is_echo(request, reply)

    def masked(self, task: Task) -> str:
        if task.operation is _ADD_KEY:
            return f"SET subscriber.create {task.binding.imsi}; SET … aud2g or aud3g {ipa.MASK}"
        if task.operation is _FIND_NUMBER:
            return f"GET subscriber.by-msisdn-{international(task.binding.msisdn)}.info"
        return "; ".join(command.masked() for command in self._commands(task, None))

    def _commands(self, task: Task, key: CardKey | None) -> Sequence[Command]:
        operation, binding = task.operation, task.binding
        subscriber = f"subscriber.by-imsi-{binding.imsi}"
        if operation is _ADD_KEY:
            assert key is not None, "ADD_KEY without its key"
            return (
                ipa.put(_CREATE, binding.imsi),
                ipa.get(f"{subscriber}.msisdn"),
                *(_service(subscriber, task.level) if task.level else ()),
                self._load_key(subscriber, key),
            )
        if operation is _ADD_SUBSCRIBER:
            number = ipa.put(f"{subscriber}.msisdn", international(binding.msisdn))
            return (number, *_service(subscriber, task.level))
        if operation is _SET_BARRING:
            # asked first, since a flag of an unknown subscriber is refused without a reason
            return (ipa.get(f"{subscriber}.msisdn"), *_service(subscriber, task.level))
        if operation is _REMOVE_SUBSCRIBER:
            number = ipa.put(f"{subscriber}.msisdn", _NO_NUMBER)
            return (number, *_service(subscriber, Level.TWO_WAY))
        if operation is _REMOVE_KEY:
            return (ipa.put("subscriber.delete", binding.imsi),)
        return _change(task, subscriber)

    def _load_key(self, subscriber: str, key: CardKey) -> Command:
        ki = self._in_clear(key)
        if key.algorithm in _COMP128:
            return ipa.put(f"{subscriber}.aud2g", f"{_COMP128[key.algorithm]},{ki}")
        if self._op is None:
            raise KeyUnfit("a MILENAGE key needs the operator's constant: [ne.secrets] op")
        return ipa.put(f"{subscriber}.aud3g", f"milenage,{ki},OP,{self._op}")

    def _in_clear(self, key: CardKey) -> str:
        if not key.k4sno:
            return key.value
        cipher = self._ciphers.get(key.k4sno)
        if cipher is None:
            raise KeyUnfit(
                f"the Ki is encrypted under transport key {key.k4sno}:"
                f" [ne.secrets] has no k4.{key.k4sno}"
            )
        return cipher.decryptor().update(bytes.fromhex(key.value)).hex()

    def _met(self, task: Task, reply: CTRLReply, exists: Outcome) -> Outcome:
        """The record was there before its key was loaded (again): of this user, or of another?"""
        holder = next(
            (each.value for each in reply.answers if each.variable.endswith("msisdn")), ""
        )
        refused = [answer.error for answer in reply.answers if answer.error]
        if holder not in ("", _NO_NUMBER, international(task.binding.msisdn)):
            return Outcome(Verdict.DIFFERENT, exists.code, f"the IMSI holds MSISDN {holder}")
        if len(refused) > 1:
            return self._judge(Asked.COMMAND, task.operation, refused[1])
        return _DONE if holder else exists

    def _judge(self, asked: Asked, operation: Operation, error: str) -> Outcome:
        ruling = self.replies.ruling(asked, operation, error)
        return Outcome(ruling.verdict, error, ruling.text, ruling.then, ruling.is_known)


def _change(task: Task, subscriber: str) -> Sequence[Command]:
    """An IMSI names its record for ever: another card is another record, that `addKey` made. It has
    the level of the line before it has the number.
    """
    target = task.details.target
    assert target is not None, f"{task.operation} without its target"
    number = international(target.msisdn)
    if task.operation is _CHANGE_NUMBER:
        return (ipa.put(f"{subscriber}.msisdn", number),)
    assert task.operation is _CHANGE_CARD, f"{task.operation} is none of this dialect"
    record = f"subscriber.by-imsi-{target.imsi}"
    commands = (
        ipa.get(f"{record}.msisdn"),
        *_service(record, task.level),
        ipa.put(f"{subscriber}.msisdn", _NO_NUMBER),
        ipa.put(f"{record}.msisdn", number),
    )

    return commands


def _has_nothing_to_give(task: Task, place: int, answer: Answer) -> bool:
    """The record that gives its number up is gone, and so is the number's hold."""
    is_giver = task.operation is _CHANGE_CARD and place == _GIVER
    return is_giver and answer.error == _NO_SUCH


def _is_partial(task: Task, reply: CTRLReply) -> bool:
    """Whether anything was set before the first refusal. Behind it, flags follow from it; but a
    number that was taken off its record is missed.
    """
    if task.operation is _CHANGE_CARD and any(
        not answer.error for answer in reply.answers[_GIVER : _GIVER + 1]
    ):
        return True
    before = takewhile(lambda answer: not answer.error, reply.answers)
    return any(answer.value == _OK or answer.variable == _CREATE for answer in before)


def _service(subscriber: str, level: Level) -> tuple[Command, Command]:
    cs, ps = _SERVICE[level]
    return ipa.put(f"{subscriber}.cs-enabled", cs), ipa.put(f"{subscriber}.ps-enabled", ps)


def _record(answer: Answer) -> Mapping[str, str]:
    """An `info`: a line for each field, its name and value with a tab between."""
    lines = (line.partition("\t") for line in answer.value.splitlines())
    return {name: value for name, tab, value in lines if tab}


def _found(task: Task, record: Mapping[str, str]) -> Outcome:
    """The record is there. Is it what the task makes of it?"""
    operation = task.operation
    if operation is _REMOVE_KEY:
        return _ABSENT
    if operation is _FIND_NUMBER:
        return Outcome(Verdict.APPLIED, text=f"IMSI {record.get('imsi', 'not shown')}")
    if not {"nam_cs", "nam_ps"} <= record.keys():
        text = "the info of a subscriber has no nam_cs and nam_ps"
        return Outcome(Verdict.PERMANENT, text=text, is_known=False)
    number, service = record.get("msisdn"), (record["nam_cs"], record["nam_ps"])
    if operation is _CHANGE_NUMBER:
        return _compare_change(task, "msisdn", number)
    if operation is _CHANGE_CARD:
        found = _compare_change(task, "imsi", record.get("imsi"))
        return found if service == _SERVICE[task.level] or found is not _APPLIED else _ABSENT
    if operation is _REMOVE_SUBSCRIBER:
        is_gone = number is None and service == _SERVICE[Level.TWO_WAY]
        return _APPLIED if is_gone else _ABSENT
    if operation is _ADD_SUBSCRIBER and number != international(task.binding.msisdn):
        if number is None:
            return _ABSENT
        return Outcome(Verdict.DIFFERENT, text=f"the IMSI holds MSISDN {number}")
    return _APPLIED if service == _SERVICE[task.level] else _ABSENT


def _compare_change(task: Task, name: str, shown: str | None) -> Outcome:
    target, binding = task.details.target, task.binding
    assert target is not None, f"{task.operation} without its target"
    old, new = str(binding.imsi), str(target.imsi)
    if name == "msisdn":
        old, new = international(binding.msisdn), international(target.msisdn)
    if shown == new:
        return _APPLIED
    if shown in (old, None):
        return _ABSENT
    return Outcome(Verdict.DIFFERENT, text=f"the subscriber has {name} {shown}")


def _depth(options: Mapping[str, str]) -> int:
    unknown = sorted(set(options) - {"depth"})
    if unknown:
        raise AccountError(f"options {unknown}: osmo_hlr knows depth")
    text = options.get("depth", _DEPTH)
    if not (text.isascii() and text.isdigit() and 1 < int(text) <= DEPTH_MAX):
        raise AccountError(f"option depth = {text!r}: a number from 2 to {DEPTH_MAX}")
    return int(text)


def _secrets(secrets: Mapping[str, str]) -> tuple[str | None, Mapping[int, Cipher[ECB]]]:
    """The operator's constant, and a cipher for each transport key. No error quotes a value."""
    ciphers: dict[int, Cipher[ECB]] = {}
    for name, value in secrets.items():
        transport_key = _TRANSPORT_KEY.match(name)
        if transport_key is not None and _TRANSPORT_KEY_HEX.match(value):
            # a Ki is one block and random, so it needs no chaining; so do card makers deliver it
            ciphers[int(transport_key[1])] = Cipher(AES(bytes.fromhex(value)), ECB())
        elif name != _OP or not _KEY_HEX.match(value):
            raise AccountError(
                f"secret {name}: osmo_hlr knows op (32 hex digits)"
                " and k4.<number> (32, 48 or 64 hex digits)"
            )
    return secrets.get(_OP), ciphers
