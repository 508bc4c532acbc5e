"""What a subscriber of the emulated M-HLR has beyond its number and locks: packet contexts in two
and in four generations, operator barring, access mode, charging.
"""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from loadtest.hlr.checks import (
    Check,
    Params,
    first_wrong,
    given,
    is_address,
    is_apn,
    is_context,
    is_number,
    one_of,
)
from loadtest.hlr.results import (
    EXISTS,
    NO_CHANGE,
    NOT_PROVISIONED,
    Record,
    Result,
    changed,
    wrong,
)

DEFAULTS: Final[Mapping[str, str]] = {
    "NAM": "BOTH",
    "CHARGE_GLOBAL": "NORMAL",
    "ODBIC": "NOBIC",
    "ODBOC": "NOBOC",
    "ODBROAM": "NOBAR",
    "ODBPOS": "NOBPOS",
}
_WORDS: Final[Mapping[str, Check]] = {
    "NAM": one_of("BOTH", "MSC", "SGSN"),
    "CHARGE_GLOBAL": one_of("NORMAL", "PREPAID"),
    "ODBIC": one_of("NOBIC", "BAIC", "BICROAM"),
    "ODBOC": one_of("NOBOC", "BAOC", "BOIC", "BOICEXHC"),
    "ODBROAM": one_of("NOBAR", "BROHPLMN", "BROHPLMNC"),
    "ODBPOS": one_of("NOBPOS", "BAPOS"),
}
ODB: Final = ("ODBIC", "ODBOC", "ODBROAM", "ODBPOS")

_ADDRESS: Final[Mapping[str, Check]] = {
    "IPV4ADDIND": one_of("STATIC", "DYNAMIC"),
    "IPV4ADD": is_address,
}
_PDP: Final[Mapping[str, Check]] = {"APN": is_apn, "QOSTPLID": is_number, **_ADDRESS}
_PDP_OF_TEMPLATE: Final[Mapping[str, Check]] = {
    "APNTPLID": is_number,
    "QOSTPLID": is_number,
    **_ADDRESS,
}
_PDN: Final[Mapping[str, Check]] = {
    "APN": is_apn,
    "APNTPLID": is_number,
    "EPSQOSTPLID": is_number,
    **_ADDRESS,
}
_EPS_DATA: Final[Mapping[str, Check]] = {
    "AMBRMAXREQUL": one_of("[0-9]{1,10}"),
    "AMBRMAXREQDL": one_of("[0-9]{1,10}"),
    "CHARGE": one_of("NORMAL", "PREPAID"),
}

Context = dict[str, str]


class Services(Struct, tag="services", tag_field="record", omit_defaults=True):
    """Kept only of subscribers that were given some."""

    imsi: str
    settings: dict[str, str] = {}  #: that are not as in DEFAULTS
    gprs_template: str = ""
    gprs: dict[str, Context] = {}  #: by CNTXID
    eps_template: str = ""  #: empty: no subscription of the fourth generation
    eps_data: dict[str, str] = {}
    eps: dict[str, Context] = {}

    def settings_of(self, *names: str) -> Record:
        return {name: self.settings.get(name, DEFAULTS[name]) for name in names}

    def gprs_record(self) -> Record:
        return {"GPRSTPLID": self.gprs_template} if self.gprs_template else {}

    def eps_record(self) -> Record:
        return {"EPSUSERTPLID": self.eps_template, **self.eps_data}


Change = Callable[[Services, Params], Result]


def _set(*names: str) -> Change:
    checks = {name: _WORDS[name] for name in names}

    def change(services: Services, params: Params) -> Result:
        wanted = given(params, checks)
        bad = first_wrong(params, wanted) or (None if wanted else " or ".join(names))
        if bad:
            return wrong(bad)
        if all(services.settings_of(name)[name] == params[name] for name in wanted):
            return NO_CHANGE
        services.settings.update((name, params[name]) for name in wanted)
        return changed(services.imsi)

    return change


def _context(
    contexts: dict[str, Context], params: Params, kind: str, fields: Mapping[str, Check]
) -> Result | None:
    """None when `contexts` changed. `kind` is PDP or PDN, in the words of PROV."""
    number, provision = params.get("CNTXID", ""), params.get("PROV")
    bad = first_wrong(params, {"CNTXID": is_context, **given(params, fields)})
    if bad:
        return wrong(bad)
    if provision == f"RMV{kind}CNTX":
        return None if contexts.pop(number, None) else NOT_PROVISIONED
    if provision != f"ADD{kind}CNTX":
        return wrong("PROV")
    if not ("APN" in params and "APN" in fields) and "APNTPLID" not in given(params, fields):
        return wrong("APN or APNTPLID")
    if params.get("IPV4ADDIND") == "STATIC" and "IPV4ADD" not in params:
        return wrong("IPV4ADD")
    if number in contexts:
        return EXISTS
    contexts[number] = {"CNTXID": number, **{n: params[n] for n in given(params, fields)}}
    return None


def _gprs_context(services: Services, params: Params) -> Result:
    return _context(services.gprs, params, "PDP", _PDP) or changed(services.imsi)


def _opt_gprs(services: Services, params: Params) -> Result:
    return _context(services.gprs, params, "PDP", _PDP_OF_TEMPLATE) or changed(services.imsi)


def _eps_context(services: Services, params: Params) -> Result:
    if not services.eps_template:
        return NOT_PROVISIONED
    return _context(services.eps, params, "PDN", _PDN) or changed(services.imsi)


def _template(params: Params, held: str) -> Result | str:
    """The template that PROV and TPLID leave."""
    bad = first_wrong(params, {"PROV": one_of("TRUE", "FALSE")})
    if bad is None and params["PROV"] == "TRUE":
        bad = first_wrong(params, {"TPLID": is_number})
    if bad:
        return wrong(bad)
    wanted = params["TPLID"] if params["PROV"] == "TRUE" else ""
    return NO_CHANGE if wanted == held else wanted


def _tpl_gprs(services: Services, params: Params) -> Result:
    wanted = _template(params, services.gprs_template)
    if isinstance(wanted, Result):
        return wanted
    services.gprs_template = wanted
    return changed(services.imsi)


def _tpl_eps(services: Services, params: Params) -> Result:
    """A template brings the fourth generation and, taken away, all of it goes."""
    wanted = _template(params, services.eps_template)
    if isinstance(wanted, Result):
        return wanted
    return _give_eps(services, wanted)


def _add_eps(services: Services, params: Params) -> Result:
    bad = first_wrong(params, {"EPSUSERTPLID": is_number})
    if bad:
        return wrong(bad)
    return EXISTS if services.eps_template else _give_eps(services, params["EPSUSERTPLID"])


def _rmv_eps(services: Services, params: Params) -> Result:
    return _give_eps(services, "") if services.eps_template else NOT_PROVISIONED


def _give_eps(services: Services, template: str) -> Result:
    services.eps_template = template
    if not template:
        services.eps_data.clear()
        services.eps.clear()
    return changed(services.imsi)


def _eps_data(services: Services, params: Params) -> Result:
    wanted = given(params, _EPS_DATA)
    bad = first_wrong(params, wanted) or (None if wanted else " or ".join(_EPS_DATA))
    if bad:
        return wrong(bad)
    if not services.eps_template:
        return NOT_PROVISIONED
    values = {name: params[name] for name in wanted}
    if services.eps_data | values == services.eps_data:
        return NO_CHANGE
    services.eps_data |= values
    return changed(services.imsi)


CHANGES: Final[Mapping[str, Change]] = {
    "MOD NAM": _set("NAM"),
    "MOD CCGLOBAL": _set("CHARGE_GLOBAL"),
    "MOD ODB": _set(*ODB),
    "MOD ODBIC": _set("ODBIC"),
    "MOD ODBOC": _set("ODBOC"),
    "MOD ODBROAM": _set("ODBROAM"),
    "MOD GPRS_CONTEXT": _gprs_context,
    "MOD OPTGPRS": _opt_gprs,
    "MOD TPLGPRS": _tpl_gprs,
    "ADD EPSSUB": _add_eps,
    "RMV EPSSUB": _rmv_eps,
    "MOD EPSDATA": _eps_data,
    "MOD EPS_CONTEXT": _eps_context,
    "MOD TPLEPS": _tpl_eps,
}
"""By the name of their command. A serving node must be told of each."""
