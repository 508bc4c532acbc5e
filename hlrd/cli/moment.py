"""Moments as people type them."""

from datetime import datetime, timedelta
from typing import Final

from hlrd.cli.client import CallFailed
from hlrd.domain.orders import BEIJING

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, option: str, *, ahead: bool) -> datetime:
    """A moment with its offset (Beijing time where it has none), or a length as 30m, 2h, 1d from
    now: `ahead`, or back. CallFailed names `option`."""
    if text[:-1].isdecimal() and text[-1:] in _UNITS:
        length = timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        now = datetime.now(BEIJING)
        return now + length if ahead else now - length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CallFailed(f"{option} {text}: neither a time nor a length such as 30m") from None
    return found if found.tzinfo else found.replace(tzinfo=BEIJING)
