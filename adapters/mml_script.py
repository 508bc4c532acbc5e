"""Command templates of products (`domain.script`) in MML: checked when the product is published,
made a form once, and read back by what they say of themselves.

    MOD GPRS_CONTEXT:IMSI={imsi},PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hlrd import limits
from hlrd.codec import mml
from hlrd.codec.base import UnsafeValue
from hlrd.codec.mml import Form
from hlrd.domain import script
from hlrd.domain.script import Script, ScriptError

Records = Iterable[Mapping[str, str]]

_USER: Final = {"IMSI": "{imsi}", "ISDN": "{isdn}"}
_NOT_A_PRODUCTS: Final = frozenset({"HLRSN", *mml.SECRETS})
_OF_THE_USERS_LIFE: Final = frozenset(
    {"ADD KI", "RMV KI", "ADD TPLSUB", "RMV SUB", "MOD IMSI", "MOD ISDN", "MOD LCK"}
)
_VERBS: Final = frozenset({"ADD", "RMV", "MOD", "SET", "LST", "DSP"})
_QUOTED_NAME: Final = re.compile(r'([A-Za-z][A-Za-z0-9_]*)\s*=\s*"')


@dataclass(frozen=True, slots=True)
class Command:
    """A script taken apart. A value is literal text, or one placeholder."""

    name: str
    values: Mapping[str, str]
    quoted: frozenset[str]

    def form(self, hlrsn: str) -> Form:
        literals = {
            name: None if _is_placeholder(value) else value for name, value in self.values.items()
        }
        return Form(self.name, self.quoted, HLRSN=hlrsn, **literals)

    def placeholders(self) -> list[str]:
        return [value[1:-1] for value in self.values.values() if _is_placeholder(value)]

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        return {
            name: values.get(value[1:-1], "") if _is_placeholder(value) else value
            for name, value in self.values.items()
        }


def check(parsed: Script) -> None:
    """Raises ScriptError unless it is one command about its own user, and none that the user's life
    goes by.
    """
    command = _taken_apart(parsed)
    verb, _, noun = command.name.partition(" ")
    if verb not in _VERBS or not noun or command.name in _OF_THE_USERS_LIFE:
        raise ScriptError(1, f"{command.name} is not for a product to send")
    for name in sorted(_NOT_A_PRODUCTS & command.values.keys()):
        raise ScriptError(_column(parsed, name), f"{name} is not for a product to say")
    named = {name: command.values[name] for name in _USER if name in command.values}
    if len(named) != 1 or not named.items() <= _USER.items():
        raise ScriptError(1, "it names its user by either IMSI={imsi} or ISDN={isdn}")
    try:
        command.form("1")
    except UnsafeValue as error:
        raise ScriptError(1, str(error)) from error


@lru_cache(maxsize=limits.SCRIPTS_PARSED_MAX)
def command_of(text: str) -> Command:
    """Raises ScriptError."""
    parsed = script.parse(text)
    check(parsed)
    return _taken_apart(parsed)


@lru_cache(maxsize=limits.SCRIPTS_PARSED_MAX)
def form_of(text: str, hlrsn: str) -> Form:
    return command_of(text).form(hlrsn)


def fill(text: str, hlrsn: str, values: Mapping[str, str]) -> bytes:
    """The whole command, every value checked again. Raises ScriptError or UnsafeValue."""
    names = command_of(text).placeholders()
    chosen = [values.get(name, "") for name in names]
    for name, value in zip(names, chosen, strict=True):
        if not script.fits(name, value):
            raise ScriptError(0, f"no value fit for {{{name}}}")
    return form_of(text, hlrsn).fill(*chosen)


@lru_cache(maxsize=limits.SCRIPTS_PARSED_MAX)
def _shown_of(text: str) -> Command:
    return _taken_apart(script.parse(f"LST SHOWN:{text.strip().removesuffix(';')}"))


def shows(text: str, values: Mapping[str, str], records: Records) -> bool:
    """Whether one record holds all of `NAME=VALUE,…`; of an empty text: always."""
    if not text:
        return True
    wanted = _shown_of(text).filled(values).items()
    return any(wanted <= record.items() for record in records)


def _taken_apart(parsed: Script) -> Command:
    text = parsed.text.strip().removesuffix(";")
    command = mml.parse_command(f"{text};".encode("ascii"))
    if not command.name:
        raise ScriptError(1, "not one MML command: VERB OBJECT:NAME=VALUE,…")
    whole = [value for value in command.params.values() if _is_placeholder(value)]
    if len(whole) != len(parsed.names):
        raise ScriptError(_first_partial(parsed, command.params), "a placeholder is a whole value")
    quoted = frozenset(name.upper() for name in _QUOTED_NAME.findall(text))
    return Command(command.name, command.params, quoted)


def _first_partial(parsed: Script, params: Mapping[str, str]) -> int:
    for place, name in enumerate(parsed.names):
        if f"{{{name}}}" not in params.values():
            return parsed.column_of(place)
    return 1


def _is_placeholder(value: str) -> bool:
    return value[:1] == "{" and value.find("}") == len(value) - 1


def _column(parsed: Script, name: str) -> int:
    return parsed.text.upper().find(name) + 1
