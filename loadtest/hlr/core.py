"""What the emulated M-HLR holds and how each command changes it: no socket, clock or chance.

A subscriber needs a key first and a key cannot go before its subscriber; an IMSI and an ISDN are
each held once. Every result code follows from this state.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand

Params = Mapping[str, str]


class Result(NamedTuple):
    """One answer, before it is framed."""

    code: int
    text: str
    changed: str = ""  #: the IMSI whose record is now another, if any
    body: tuple[str, ...] = ()


class Key(Struct, tag="key", tag_field="record", gc=False):
    """What is shown of a card's key."""

    imsi: str
    k4sno: str
    card_type: str
    algorithm: str


class Subscriber(Struct, tag="subscriber", tag_field="record", gc=False):
    imsi: str
    isdn: str
    template: str
    ic: bool = False
    oc: bool = False
    gprslock: bool = False
    epslock: bool = False


class CancelPending(Struct, tag="cancelPending", tag_field="record"):
    """Stored but not told to the serving node: SND CANCELC is owed."""

    imsi: str


SUCCESS: Final = "SUCCESS0001:Operation is successful"
OK: Final = Result(0, SUCCESS)
NO_CHANGE: Final = Result(0, "SUCCESS0002:Operation is successful, but there is no data to update")
NOT_A_COMMAND: Final = Result(1001, "ERR1001:The command does not exist or is misspelt")
NOT_DEFINED: Final = Result(3001, "ERR3001:The subscriber is not defined")
ISDN_USED: Final = Result(3005, "ERR3005:The ISDN is used by another subscriber")
EXISTS: Final = Result(3006, "ERR3006:The record already exists")
KEY_NOT_LOADED: Final = Result(3048, "ERR3048:The Ki is not loaded")
KEY_USED: Final = Result(3049, "ERR3049:The Ki is used by a subscriber")
BUSY: Final = Result(4005, "ERR4005:The system is busy")
REFUSED: Final = Result(1033, "ERR1033:The number threshold is exceeded")
NOT_LOGGED_IN: Final = Result(5001, "ERR5001:Not logged in")
WRONG_ACCOUNT: Final = Result(5002, "ERR5002:Wrong user name or password")
TOO_MANY_SESSIONS: Final = Result(5003, "ERR5003:Too many sessions")
IN_MAINTENANCE: Final = Result(5004, "ERR5004:The system is in maintenance")
_UNPUSHED: Final = "ERR3037:Stored, but the serving node was not reached; send cancel location"

_IMSI: Final = re.compile(r"[0-9]{15}").fullmatch
_ISDN: Final = re.compile(r"[0-9]{5,15}").fullmatch
_KI: Final = re.compile(r"[0-9A-Fa-f]{32}").fullmatch
_NUMBER: Final = re.compile(r"[0-9]{1,5}").fullmatch
_ALGORITHM: Final = re.compile(r"COMP128_[123]|MILENAGE").fullmatch
_CARD_TYPE: Final = re.compile(r"U?SIM").fullmatch
_PUSHED: Final = frozenset({"MOD LCK", "RMV SUB", "SND CANCELC"})
"""What a serving node must be told of."""

_FLAGS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")
_TRUTH: Final = {"TRUE": True, "FALSE": False}


def wrong(name: str) -> Result:
    return Result(1002, f"ERR1002:Parameter {name} is missing or wrong")


class HLR:
    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.cancel_pending: set[str] = set()
        self._key_values: dict[str, str] = {}
        self._imsi_by_isdn: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Params], Result]] = {
            "ADD KI": self._add_ki,
            "RMV KI": self._rmv_ki,
            "LST KI": self._lst_ki,
            "ADD TPLSUB": self._add_tplsub,
            "RMV SUB": self._rmv_sub,
            "LST SUB": self._lst_sub,
            "MOD LCK": self._mod_lck,
            "LST LCK": self._lst_lck,
            "SND CANCELC": self._snd_cancelc,
        }

    def handle(self, command: MMLCommand, *, is_unpushed: bool = False) -> Result:
        """`is_unpushed`: a change is stored, and the serving node cannot be told of it."""
        handler = self._handlers.get(command.name)
        if handler is None:
            return NOT_A_COMMAND
        result = handler(command.params)
        if is_unpushed and result.changed and command.name in _PUSHED:
            self.cancel_pending.add(result.changed)
            return result._replace(code=3037, text=_UNPUSHED)
        return result

    def dump(self) -> list[Any]:
        pending = [CancelPending(imsi) for imsi in self.cancel_pending]
        return [*self.keys.values(), *self.subscribers.values(), *pending]

    def _add_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        bad = _first_wrong(params, _KEY_PARAMS)
        if bad:
            return wrong(bad)
        if imsi in self.keys:
            return EXISTS
        self.keys[imsi] = Key(imsi, params["K4SNO"], params["CARDTYPE"], params["ALG"])
        self._key_values[imsi] = params["KIVALUE"]
        return Result(0, SUCCESS, imsi)

    def _rmv_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not _IMSI(imsi):
            return wrong("IMSI")
        if imsi not in self.keys:
            return KEY_NOT_LOADED
        if imsi in self.subscribers:
            return KEY_USED
        self._forget_key(imsi)
        return Result(0, SUCCESS, imsi)

    def _lst_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not _IMSI(imsi):
            return wrong("IMSI")
        key = self.keys.get(imsi)
        if key is None:
            return KEY_NOT_LOADED
        return _shown(
            IMSI=imsi,
            KIVALUE=mml.MASK,
            K4SNO=key.k4sno,
            CARDTYPE=key.card_type,
            ALG=key.algorithm,
        )

    def _add_tplsub(self, params: Params) -> Result:
        bad = _first_wrong(params, _SUBSCRIBER_PARAMS)
        if bad:
            return wrong(bad)
        imsi, isdn = params["IMSI"], params["ISDN"]
        if imsi in self.subscribers:
            return EXISTS
        if isdn in self._imsi_by_isdn:
            return ISDN_USED
        if imsi not in self.keys:
            return KEY_NOT_LOADED
        self.subscribers[imsi] = Subscriber(imsi, isdn, params["TPLID"])
        self._imsi_by_isdn[isdn] = imsi
        return Result(0, SUCCESS, imsi)

    def _rmv_sub(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        del self.subscribers[found.imsi]
        del self._imsi_by_isdn[found.isdn]
        if params.get("RMVKI") == "TRUE":
            self._forget_key(found.imsi)
        return Result(0, SUCCESS, found.imsi)

    def _mod_lck(self, params: Params) -> Result:
        given = [flag for flag in _FLAGS if flag in params]
        bad = next((flag for flag in given if params[flag] not in _TRUTH), None)
        if bad or not given:
            return wrong(bad or "IC, OC, GPRSLOCK or EPSLOCK")
        found = self._find(params)
        if isinstance(found, Result):
            return found
        has_changed = False
        for flag in given:
            locks = _TRUTH[params[flag]]
            if getattr(found, flag.lower()) is not locks:
                setattr(found, flag.lower(), locks)
                has_changed = True
        return Result(0, SUCCESS, found.imsi) if has_changed else NO_CHANGE

    def _lst_sub(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        return _shown(IMSI=found.imsi, ISDN=found.isdn, TPLID=found.template, **_locks(found))

    def _lst_lck(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        return _shown(IMSI=found.imsi, ISDN=found.isdn, **_locks(found))

    def _snd_cancelc(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not _IMSI(imsi):
            return wrong("IMSI")
        if imsi in self.cancel_pending:
            self.cancel_pending.discard(imsi)
            return Result(0, SUCCESS, imsi)
        return OK if imsi in self.subscribers else NOT_DEFINED

    def _find(self, params: Params) -> Subscriber | Result:
        """By IMSI or by ISDN."""
        imsi = params.get("IMSI")
        if imsi is None:
            isdn = params.get("ISDN", "")
            if not _ISDN(isdn):
                return wrong("IMSI or ISDN")
            imsi = self._imsi_by_isdn.get(isdn, "")
        elif not _IMSI(imsi):
            return wrong("IMSI")
        return self.subscribers.get(imsi) or NOT_DEFINED

    def _forget_key(self, imsi: str) -> None:
        self.keys.pop(imsi, None)
        self._key_values.pop(imsi, None)


_Check = Callable[[str], "re.Match[str] | None"]
_KEY_PARAMS: Final[Mapping[str, _Check]] = {
    "IMSI": _IMSI,
    "OPERTYPE": re.compile("ADD").fullmatch,
    "KIVALUE": _KI,
    "K4SNO": _NUMBER,
    "CARDTYPE": _CARD_TYPE,
    "ALG": _ALGORITHM,
}
_SUBSCRIBER_PARAMS: Final[Mapping[str, _Check]] = {"IMSI": _IMSI, "ISDN": _ISDN, "TPLID": _NUMBER}


def _first_wrong(params: Params, checks: Mapping[str, _Check]) -> str | None:
    for name, check in checks.items():
        if not check(params.get(name, "")):
            return name
    return None


def _shown(**values: str) -> Result:
    return Result(0, SUCCESS, body=tuple(mml.table(values)))


def _locks(subscriber: Subscriber) -> dict[str, str]:
    return {flag: str(getattr(subscriber, flag.lower())).upper() for flag in _FLAGS}
