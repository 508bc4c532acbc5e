"""Command templates (脚本) of a product: literal text and typed placeholders, nothing else. Pure.

    MOD GPRS:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"

A placeholder stands for an identity of the user (IDENTITIES), for an APN, or for a parameter that
the product declares with the values it may take. No value holds a delimiter of any dialect, so
whatever is filled in, the command keeps the shape that was checked when the product was published.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hlrd import limits
from hlrd.domain.errors import HlrdError
from hlrd.domain.identity import Binding, international

APN: Final = "apn"
IDENTITIES: Final = ("imsi", "msisdn", "isdn", "iccid")
"""Of the user: `msisdn` in the national form, `isdn` behind the country code."""

PARAMETER_PATTERN: Final = r"\A[a-z][a-z0-9_]{0,31}\Z"
VALUE_PATTERN: Final = r"\A[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?\Z"
"""What any placeholder may stand for; an APN is of this form as well."""

_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
APN_PATTERN: Final = rf"\A(?=.{{1,100}}\Z){_LABEL}(?:\.{_LABEL})*\Z"
"""TS 23.003, 9.1: labels between dots, 100 characters at most."""

_VALUE: Final = re.compile(VALUE_PATTERN)
_APN: Final = re.compile(APN_PATTERN)
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_UNFIT: Final = re.compile(r"[^ -~]|[{}]")


class ScriptError(HlrdError):
    """A template, or a value for it, is not usable. `column` counts from 1; 0 for no place."""

    def __init__(self, column: int, text: str) -> None:
        super().__init__(f"column {column}: {text}" if column else text)
        self.column = column
        self.text = text


@dataclass(frozen=True, slots=True)
class Script:
    """literal, placeholder, literal, placeholder, …, literal."""

    text: str
    literals: tuple[str, ...]  #: one more than names; perhaps empty
    names: tuple[str, ...]

    def column_of(self, place: int) -> int:
        """Of the placeholder number `place`, from 0."""
        before = self.literals[: place + 1]
        names = self.names[:place]
        return sum(map(len, before)) + sum(len(name) + 2 for name in names) + 1

    def refuse_unknown(self, declared: Collection[str]) -> None:
        """Raises ScriptError for a placeholder that neither the user nor the product has."""
        for place, name in enumerate(self.names):
            if name not in IDENTITIES and name != APN and name not in declared:
                known = ", ".join([*IDENTITIES, APN, *sorted(declared)])
                text = f"placeholder {{{name}}} is none of {known}"
                raise ScriptError(self.column_of(place), text)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every value in its place, each checked again. Raises ScriptError."""
        filled = [self.literals[0]]
        for place, name in enumerate(self.names):
            value = values.get(name, "")
            if not fits(name, value):
                raise ScriptError(self.column_of(place), f"no value fit for {{{name}}}")
            filled += value, self.literals[place + 1]
        return "".join(filled)


@lru_cache(maxsize=limits.SCRIPTS_PARSED_MAX)
def parse(text: str) -> Script:
    """Raises ScriptError with the column of what is wrong."""
    if not text or len(text) > limits.SCRIPT_CHARS_MAX:
        raise ScriptError(0, f"a script has 1 to {limits.SCRIPT_CHARS_MAX} characters")
    parts = _PLACEHOLDER.split(text)
    literals, names = tuple(parts[::2]), tuple(parts[1::2])
    script = Script(text, literals, names)
    for place, literal in enumerate(literals):
        found = _UNFIT.search(literal)
        if found:
            start = script.column_of(place) - len(literal)
            raise ScriptError(start + found.start(), _why(found[0]))
    return script


def values_of(binding: Binding, attributes: Mapping[str, str]) -> dict[str, str]:
    """What a script may name: the user's identities, and the attributes that the order chose."""
    return {
        **attributes,
        "imsi": binding.imsi,
        "msisdn": binding.msisdn,
        "isdn": international(binding.msisdn),
        "iccid": binding.iccid,
    }


def fits(name: str, value: str) -> bool:
    """Whether `value` may stand for `{name}`."""
    return (_APN if name == APN else _VALUE).match(value) is not None


def _why(character: str) -> str:
    if character in "{}":
        return "a brace that is of no placeholder such as {imsi}"
    return f"character {ord(character):#x} is not printable ASCII"
