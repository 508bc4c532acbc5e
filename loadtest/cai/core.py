"""What the emulated HLR behind CAI holds and how each command changes it: no socket, clock, chance.

A subscriber needs a key first and a key cannot go before its subscriber; an IMSI and an MSISDN are
each held once. Every code follows from this state.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from adapters.ericsson_cai import AUC
from adapters.ericsson_cai import HLR as HLR_CLASS
from hlrd.codec.cai import CAICommand

Params = Mapping[str, str]
_NOTHING: Final[Params] = {}


class Result(NamedTuple):
    """One answer, before it is framed."""

    code: int
    values: Params = _NOTHING
    changed: str = ""  #: the IMSI whose record is now another, if any


class Key(Struct, tag="key", tag_field="record", gc=False):
    """What is shown of a card's key; nothing more is kept."""

    imsi: str
    kind: str  #: index of the transport key
    a3a8ind: str


class Subscriber(Struct, tag="subscriber", tag_field="record"):
    imsi: str
    isdn: str
    profile: str
    attributes: dict[str, str] = {}  #: those that are not 0


OK: Final = Result(0)
EXISTS: Final = Result(301)
NOT_LOGGED_IN: Final = Result(1001)
WRONG: Final = Result(1102)
REFUSED: Final = Result(1103)
WRONG_ACCOUNT: Final = Result(1104)
TOO_MANY_SESSIONS: Final = Result(1105)
IN_MAINTENANCE: Final = Result(1106)
BUSY: Final = Result(4005)
NOT_DEFINED: Final = Result(13001)
NO_KEY: Final = Result(13002)
MSISDN_USED: Final = Result(13003)
KEY_USED: Final = Result(13004)
IMSI_USED: Final = Result(13005)

_CHECKS: Final[Mapping[str, str]] = {
    "IMSI": "[0-9]{15}",
    "MSISDN": "[0-9]{5,15}",
    "EKI": "[0-9A-Fa-f]{32}",
    "KIND": "[0-9]{1,3}",
    "A3A8IND": "[0-9]{1,3}",
    "PROFILE": "[0-9]{1,5}",
}
_KEY_PARAMS: Final = ("IMSI", "EKI", "KIND", "A3A8IND")
_SUBSCRIBER_PARAMS: Final = ("MSISDN", "IMSI", "PROFILE")

_ATTRIBUTES: Final = re.compile(
    r"(?:OBO|OBI|OBR|OBP|OSB[1-4]|NAM|CAT|CSP|PDPCP|EPSP|OICK|STYPE|TICK|RSA|TS(?:11|2[12]|62)"
    r"|BS(?:26|3G)|CLI[PR]|HOLD|MPTY|CFU|CFB|CFNRC|CFNRY|BAOC|BAIC|BOIC|BICRO)\Z"
)
_VALUE: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")


class HLR:
    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self._imsi_by_isdn: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Params], Result]] = {
            f"CREATE:{AUC}": self._create_key,
            f"DELETE:{AUC}": self._delete_key,
            f"GET:{AUC}": self._get_key,
            f"CREATE:{HLR_CLASS}": self._create_subscriber,
            f"SET:{HLR_CLASS}": self._set_subscriber,
            f"DELETE:{HLR_CLASS}": self._delete_subscriber,
            f"GET:{HLR_CLASS}": self._get_subscriber,
        }

    def handle(self, command: CAICommand) -> Result:
        handler = self._handlers.get(command.name)
        return WRONG if handler is None else handler(command.params)

    def dump(self) -> list[Any]:
        return [*self.keys.values(), *self.subscribers.values()]

    def _create_key(self, params: Params) -> Result:
        if not _fit(params, _KEY_PARAMS):
            return WRONG
        imsi = params["IMSI"]
        if imsi in self.keys:
            return EXISTS
        self.keys[imsi] = Key(imsi, params["KIND"], params["A3A8IND"])
        return Result(0, changed=imsi)

    def _delete_key(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if imsi not in self.keys:
            return NO_KEY if _fit(params, ("IMSI",)) else WRONG
        if imsi in self.subscribers:
            return KEY_USED
        del self.keys[imsi]
        return Result(0, changed=imsi)

    def _get_key(self, params: Params) -> Result:
        key = self.keys.get(params.get("IMSI", ""))
        if key is None:
            return NO_KEY if _fit(params, ("IMSI",)) else WRONG
        return Result(0, {"IMSI": key.imsi, "KIND": key.kind, "A3A8IND": key.a3a8ind})

    def _create_subscriber(self, params: Params) -> Result:
        if not _fit(params, _SUBSCRIBER_PARAMS):
            return WRONG
        imsi, isdn = params["IMSI"], params["MSISDN"]
        if imsi in self.subscribers:
            return EXISTS
        if isdn in self._imsi_by_isdn:
            return MSISDN_USED
        if imsi not in self.keys:
            return NO_KEY
        self.subscribers[imsi] = Subscriber(imsi, isdn, params["PROFILE"])
        self._imsi_by_isdn[isdn] = imsi
        return Result(0, changed=imsi)

    def _delete_subscriber(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        del self.subscribers[found.imsi]
        del self._imsi_by_isdn[found.isdn]
        return Result(0, changed=found.imsi)

    def _get_subscriber(self, params: Params) -> Result:
        """The attributes that were asked for, or all."""
        found = self._find(params)
        if isinstance(found, Result):
            return found
        held = {"MSISDN": found.isdn, "IMSI": found.imsi, "PROFILE": found.profile}
        held |= found.attributes
        asked = list(params)[1:]
        if not asked:
            return Result(0, held)
        shown = [next(iter(params)), *asked]
        return Result(0, {name: held.get(name, "0") for name in shown})

    def _set_subscriber(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        changes = dict(list(params.items())[1:])
        if "NIMSI" in changes:
            return self._change_card(found, changes)
        if "NMSISDN" in changes:
            return self._change_number(found, changes)
        return _set(found, changes)

    def _change_card(self, found: Subscriber, changes: Params) -> Result:
        imsi = changes["NIMSI"]
        if len(changes) > 1 or not re.fullmatch(_CHECKS["IMSI"], imsi):
            return WRONG
        if imsi == found.imsi:
            return OK
        if imsi in self.subscribers:
            return IMSI_USED
        if imsi not in self.keys:
            return NO_KEY
        del self.subscribers[found.imsi]
        found.imsi = self._imsi_by_isdn[found.isdn] = imsi
        self.subscribers[imsi] = found
        return Result(0, changed=imsi)

    def _change_number(self, found: Subscriber, changes: Params) -> Result:
        isdn = changes["NMSISDN"]
        if len(changes) > 1 or not re.fullmatch(_CHECKS["MSISDN"], isdn):
            return WRONG
        if isdn == found.isdn:
            return OK
        if isdn in self._imsi_by_isdn:
            return MSISDN_USED
        del self._imsi_by_isdn[found.isdn]
        found.isdn = isdn
        self._imsi_by_isdn[isdn] = found.imsi
        return Result(0, changed=found.imsi)

    def _find(self, params: Params) -> Subscriber | Result:
        """By IMSI or by MSISDN, whichever comes first."""
        name, value = next(iter(params.items()), ("", ""))
        if name not in ("IMSI", "MSISDN") or not _fit(params, (name,)):
            return WRONG
        imsi = value if name == "IMSI" else self._imsi_by_isdn.get(value, "")
        return self.subscribers.get(imsi) or NOT_DEFINED


def _set(found: Subscriber, changes: Params) -> Result:
    if not changes or not all(map(_is_attribute, changes, changes.values())):
        return WRONG
    before = found.attributes
    after = {name: value for name, value in {**before, **changes}.items() if value != "0"}
    found.attributes = after
    return OK if after == before else Result(0, changed=found.imsi)


def _is_attribute(name: str, value: str) -> bool:
    return bool(_ATTRIBUTES.match(name) and _VALUE.match(value))


def _fit(params: Params, names: tuple[str, ...]) -> bool:
    return all(re.fullmatch(_CHECKS[name], params.get(name, "")) for name in names)
