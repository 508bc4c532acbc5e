"""What the commands of functions make of a subscriber's record, and whether a query shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hlrd.domain.outcome import Outcome, Verdict

QUERIES: Final[Mapping[str, str]] = {
    "MOD GPRS_CONTEXT": "LST GPRS",
    "MOD OPTGPRS": "LST GPRS",
    "MOD TPLGPRS": "LST GPRS",
    "ADD EPSSUB": "LST EPS",
    "RMV EPSSUB": "LST EPS",
    "MOD EPSDATA": "LST EPS",
    "MOD EPS_CONTEXT": "LST EPS",
    "MOD TPLEPS": "LST EPS",
    "MOD ODB": "LST ODBDAT",
    "MOD ODBIC": "LST ODBDAT",
    "MOD ODBOC": "LST ODBDAT",
    "MOD ODBROAM": "LST ODBDAT",
    "MOD NAM": "LST SUB",
    "MOD CCGLOBAL": "LST SUB",
}
"""By which a command's effect is read back. One that is not here is its own query."""

_NOT_SHOWN: Final = frozenset({"HLRSN", "IMSI", "ISDN", "PROV"})
_TEMPLATES: Final = {"MOD TPLGPRS": "GPRSTPLID", "MOD TPLEPS": "EPSUSERTPLID"}
_NULL: Final = "NULL"

APPLIED: Final = Outcome(Verdict.APPLIED)
ABSENT: Final = Outcome(Verdict.ABSENT)


@dataclass(frozen=True, slots=True)
class Effect:
    """After the command one record holds `thing` and `values`; or, `is_removal`, none the thing."""

    thing: Mapping[str, str | None] = field(default_factory=dict)  #: None: with any value
    values: Mapping[str, str] = field(default_factory=dict)
    is_removal: bool = False

    def found(self, records: Iterable[Mapping[str, str]]) -> Outcome:
        """APPLIED, ABSENT, or DIFFERENT: the thing is there, and is another."""
        there = [record for record in records if _holds(record, self.thing)]
        if self.is_removal:
            return ABSENT if there else APPLIED
        if any(self.values.items() <= record.items() for record in there):
            return APPLIED
        if there and self.thing:
            shown = ",".join(f"{name}={value}" for name, value in there[0].items())
            return Outcome(Verdict.DIFFERENT, text=f"the HLR holds {shown}")
        return ABSENT


def effect_of(name: str, params: Mapping[str, str]) -> Effect:
    """Of a command in QUERIES."""
    provision = params.get("PROV", "")
    if name in _TEMPLATES:
        template = _TEMPLATES[name]
        if provision == "FALSE":
            return Effect({template: None}, is_removal=True)
        return Effect(values={template: params.get("TPLID", "")})
    if name == "RMV EPSSUB":
        return Effect({"EPSUSERTPLID": None}, is_removal=True)
    if name == "ADD EPSSUB":
        return Effect({"EPSUSERTPLID": None}, _shown(params))
    if "CNTXID" in params:
        context = {"CNTXID": params["CNTXID"]}
        if provision.startswith("RMV"):
            return Effect(context, is_removal=True)
        return Effect(context, _shown(params))
    return Effect(values=_shown(params))


def _shown(params: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in params.items() if name not in _NOT_SHOWN}


def _holds(record: Mapping[str, str], thing: Mapping[str, str | None]) -> bool:
    return all(
        record.get(name, _NULL) == value if value is not None else record.get(name, _NULL) != _NULL
        for name, value in thing.items()
    )
