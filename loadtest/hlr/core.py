"""What the emulated M-HLR holds and how each command changes it: no socket, clock or chance.

A subscriber needs a key first and a key cannot go before its subscriber; an IMSI and an ISDN are
each held once. Every result code follows from this state.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import Struct

from hlrd.codec import mml
from hlrd.codec.mml import MMLCommand
from loadtest.hlr.checks import (
    Check,
    Params,
    first_wrong,
    is_imsi,
    is_isdn,
    is_ki,
    is_number,
    one_of,
)
from loadtest.hlr.results import (
    EXISTS,
    ISDN_USED,
    KEY_NOT_LOADED,
    KEY_USED,
    NO_CHANGE,
    NOT_A_COMMAND,
    NOT_DEFINED,
    NOT_PROVISIONED,
    OK,
    UNPUSHED,
    Record,
    Result,
    changed,
    shown,
    wrong,
)
from loadtest.hlr.services import CHANGES, DEFAULTS, ODB, Change, Services


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


Dumped: TypeAlias = Key | Subscriber | Services | CancelPending

_PUSHED: Final = frozenset({"MOD LCK", "MOD IMSI", "MOD ISDN", "RMV SUB", "SND CANCELC", *CHANGES})
"""What a serving node must be told of."""

_FLAGS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")
_TRUTH: Final = {"TRUE": True, "FALSE": False}


class HLR:
    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.services: dict[str, Services] = {}
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
            "LST GPRS": self._lst_gprs,
            "LST EPS": self._lst_eps,
            "LST ODBDAT": self._lst_odbdat,
            "MOD IMSI": self._mod_imsi,
            "MOD ISDN": self._mod_isdn,
            "SND CANCELC": self._snd_cancelc,
            **{name: partial(self._serve, change) for name, change in CHANGES.items()},
        }

    def handle(self, command: MMLCommand, *, is_unpushed: bool = False) -> Result:
        """`is_unpushed`: a change is stored, and the serving node cannot be told of it."""
        handler = self._handlers.get(command.name)
        if handler is None:
            return NOT_A_COMMAND
        result = handler(command.params)
        if is_unpushed and result.changed and command.name in _PUSHED:
            self.cancel_pending.add(result.changed)
            return result._replace(code=3037, text=UNPUSHED)
        return result

    def dump(self) -> list[Any]:
        pending = [CancelPending(imsi) for imsi in self.cancel_pending]
        return [
            *self.keys.values(),
            *self.subscribers.values(),
            *self.services.values(),
            *pending,
        ]

    def load(self, records: Sequence["Dumped"]) -> None:
        """What another HLR dumped; in the place of what is here of the same cards. Without the
        values of the keys, which nobody is shown."""
        for record in records:
            match record:
                case Key():
                    self.keys[record.imsi] = record
                case Subscriber():
                    self.subscribers[record.imsi] = record
                    self._imsi_by_isdn[record.isdn] = record.imsi
                case Services():
                    self.services[record.imsi] = record
                case CancelPending():
                    self.cancel_pending.add(record.imsi)

    def _add_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        bad = first_wrong(params, _KEY_PARAMS)
        if bad:
            return wrong(bad)
        if imsi in self.keys:
            return EXISTS
        self.keys[imsi] = Key(imsi, params["K4SNO"], params["CARDTYPE"], params["ALG"])
        self._key_values[imsi] = params["KIVALUE"]
        return changed(imsi)

    def _rmv_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not is_imsi(imsi):
            return wrong("IMSI")
        if imsi not in self.keys:
            return KEY_NOT_LOADED
        if imsi in self.subscribers:
            return KEY_USED
        self._forget_key(imsi)
        return changed(imsi)

    def _lst_ki(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not is_imsi(imsi):
            return wrong("IMSI")
        key = self.keys.get(imsi)
        if key is None:
            return KEY_NOT_LOADED
        return shown(
            {
                "IMSI": imsi,
                "KIVALUE": mml.MASK,
                "K4SNO": key.k4sno,
                "CARDTYPE": key.card_type,
                "ALG": key.algorithm,
            }
        )

    def _add_tplsub(self, params: Params) -> Result:
        bad = first_wrong(params, _SUBSCRIBER_PARAMS)
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
        return changed(imsi)

    def _rmv_sub(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        del self.subscribers[found.imsi]
        del self._imsi_by_isdn[found.isdn]
        self.services.pop(found.imsi, None)
        if params.get("RMVKI") == "TRUE":
            self._forget_key(found.imsi)
        return changed(found.imsi)

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
        return changed(found.imsi) if has_changed else NO_CHANGE

    def _lst_sub(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        record = {**_identity(found), "TPLID": found.template, **_locks(found)}
        if params.get("DETAIL") != "TRUE":
            return shown(record)
        services = self._services_of(found)
        record |= services.settings_of(*DEFAULTS)
        record |= services.gprs_record()
        if services.eps_template:
            record |= services.eps_record()
        contexts = (*services.gprs.values(), *services.eps.values())
        return shown(record, contexts)

    def _lst_lck(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        return shown({**_identity(found), **_locks(found)})

    def _lst_gprs(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        services = self._services_of(found)
        record = {**_identity(found), **services.gprs_record()}
        return shown(record, tuple(services.gprs.values()))

    def _lst_eps(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        services = self._services_of(found)
        if not services.eps_template:
            return NOT_PROVISIONED
        record = {**_identity(found), **services.eps_record()}
        return shown(record, tuple(services.eps.values()))

    def _lst_odbdat(self, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        return shown({**_identity(found), **self._services_of(found).settings_of(*ODB)})

    def _mod_imsi(self, params: Params) -> Result:
        """The subscriber goes to another card. The old card's key stays until it is removed."""
        new = params.get("NEWIMSI", "")
        if not is_imsi(new):
            return wrong("NEWIMSI")
        found = self._find(params)
        if isinstance(found, Result):
            return found
        old = found.imsi
        if new == old:
            return NO_CHANGE
        if new in self.subscribers:
            return EXISTS
        if new not in self.keys:
            return KEY_NOT_LOADED
        self._move(found, new)
        return changed(old)

    def _move(self, found: Subscriber, imsi: str) -> None:
        del self.subscribers[found.imsi]
        services = self.services.pop(found.imsi, None)
        if services is not None:
            services.imsi = imsi
            self.services[imsi] = services
        found.imsi = imsi
        self.subscribers[imsi] = found
        self._imsi_by_isdn[found.isdn] = imsi

    def _mod_isdn(self, params: Params) -> Result:
        new = params.get("NEWISDN", "")
        if not is_isdn(new):
            return wrong("NEWISDN")
        found = self._find(params)
        if isinstance(found, Result):
            return found
        if new == found.isdn:
            return NO_CHANGE
        if new in self._imsi_by_isdn:
            return ISDN_USED
        self._imsi_by_isdn[new] = self._imsi_by_isdn.pop(found.isdn)
        found.isdn = new
        return changed(found.imsi)

    def _serve(self, change: Change, params: Params) -> Result:
        found = self._find(params)
        if isinstance(found, Result):
            return found
        services = self._services_of(found)
        result = change(services, params)
        if result.changed:
            self.services[found.imsi] = services
        return result

    def _services_of(self, subscriber: Subscriber) -> Services:
        return self.services.get(subscriber.imsi) or Services(subscriber.imsi)

    def _snd_cancelc(self, params: Params) -> Result:
        imsi = params.get("IMSI", "")
        if not is_imsi(imsi):
            return wrong("IMSI")
        if imsi in self.cancel_pending:
            self.cancel_pending.discard(imsi)
            return changed(imsi)
        return OK if imsi in self.subscribers else NOT_DEFINED

    def _find(self, params: Params) -> Subscriber | Result:
        """By IMSI or by ISDN."""
        imsi = params.get("IMSI")
        if imsi is None:
            isdn = params.get("ISDN", "")
            if not is_isdn(isdn):
                return wrong("IMSI or ISDN")
            imsi = self._imsi_by_isdn.get(isdn, "")
        elif not is_imsi(imsi):
            return wrong("IMSI")
        return self.subscribers.get(imsi) or NOT_DEFINED

    def _forget_key(self, imsi: str) -> None:
        self.keys.pop(imsi, None)
        self._key_values.pop(imsi, None)


_KEY_PARAMS: Final[Mapping[str, Check]] = {
    "IMSI": is_imsi,
    "OPERTYPE": one_of("ADD"),
    "KIVALUE": is_ki,
    "K4SNO": is_number,
    "CARDTYPE": one_of("SIM", "USIM"),
    "ALG": one_of("COMP128_[123]", "MILENAGE"),
}
_SUBSCRIBER_PARAMS: Final[Mapping[str, Check]] = {
    "IMSI": is_imsi,
    "ISDN": is_isdn,
    "TPLID": is_number,
}


def _identity(subscriber: Subscriber) -> Record:
    return {"IMSI": subscriber.imsi, "ISDN": subscriber.isdn}


def _locks(subscriber: Subscriber) -> Record:
    return {flag: str(getattr(subscriber, flag.lower())).upper() for flag in _FLAGS}
