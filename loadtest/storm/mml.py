"""The commands of the emulated HLRs, as far as a checker must read them: by their text alone, and
not by the codec of hlrd. Pure.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"!?(?:@\S+ )?([A-Z]+ [A-Z0-9_]+):")
_VALUE: Final = re.compile(r'(\w+)="?([^",;]*)"?')
_FLAGS: Final = ("IC", "OC", "GPRSLOCK", "EPSLOCK")
_LEVELS: Final = {
    ("FALSE", "FALSE", "FALSE", "FALSE"): 0,
    ("FALSE", "TRUE", "FALSE", "FALSE"): 1,
    ("TRUE", "TRUE", "TRUE", "TRUE"): 2,
}
_ONCE: Final = frozenset({"ADD KI", "ADD TPLSUB", "RMV KI", "RMV SUB", "MOD IMSI"})
LOCK: Final = "MOD LCK"
CONTEXT: Final = "MOD GPRS_CONTEXT"


class Effect(NamedTuple):
    verb: str
    imsi: str  #: of a change of the card the new one
    value: int = 0  #: level, or 1 for a context that is added


@dataclass(slots=True)
class Effects:
    """Of a whole history, one command after the other."""

    once: Counter[tuple[str, str]] = field(default_factory=Counter)
    levels: dict[str, list[int]] = field(default_factory=dict)
    contexts: dict[str, list[bool]] = field(default_factory=dict)

    def take(self, commands: Iterable[str]) -> None:
        for command in commands:
            found = effect(command)
            if found is None:
                continue
            if found.verb == LOCK:
                self.levels.setdefault(found.imsi, []).append(found.value)
            elif found.verb == CONTEXT:
                self.contexts.setdefault(found.imsi, []).append(bool(found.value))
            else:
                self.once[found.verb, found.imsi] += 1


def effect(command: str) -> Effect | None:
    """None: a query, a login, or of no interest."""
    name = _NAME.match(command)
    if name is None:
        return None
    verb = name[1]
    if verb not in _ONCE and verb not in (LOCK, CONTEXT):
        return None
    values = dict(_VALUE.findall(command))
    if verb == LOCK:
        return Effect(verb, values.get("IMSI", ""), level([values.get(flag) for flag in _FLAGS]))
    if verb == CONTEXT:
        return Effect(verb, values.get("IMSI", ""), int(values.get("PROV") == "ADDPDPCNTX"))
    return Effect(verb, values.get("NEWIMSI") or values.get("IMSI", ""))


def level(flags: Iterable[str | None]) -> int:
    """-1: flags that are of no level."""
    return _LEVELS.get(tuple(flags), -1)  # type: ignore[arg-type]
