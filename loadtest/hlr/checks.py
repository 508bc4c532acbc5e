"""What the parameters of commands may hold."""

import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Final

Params = Mapping[str, str]
Check = Callable[[str], object]

is_imsi: Final = re.compile(r"[0-9]{15}").fullmatch
is_isdn: Final = re.compile(r"[0-9]{5,15}").fullmatch
is_ki: Final = re.compile(r"[0-9A-Fa-f]{32}").fullmatch
is_number: Final = re.compile(r"[0-9]{1,5}").fullmatch
is_context: Final = re.compile(r"[1-9]|[1-4][0-9]|50").fullmatch
is_apn: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,98}[A-Za-z0-9])?").fullmatch


def is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def one_of(*words: str) -> Check:
    return re.compile("|".join(words)).fullmatch


def first_wrong(params: Params, checks: Mapping[str, Check]) -> str | None:
    """The first name whose value is missing or not fit."""
    for name, check in checks.items():
        if not check(params.get(name, "")):
            return name
    return None


def given(params: Params, checks: Mapping[str, Check]) -> dict[str, Check]:
    """The checks of what is given at all."""
    return {name: check for name, check in checks.items() if name in params}
