"""When hlrd itself keeps from an NE: by a person's word, or in a window planned in the settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class HaltKind(StrEnum):
    HOLD = "hold"  #: by a person, until a time or a release
    DRAIN = "drain"  #: by a person, until a release: the NE is to be taken away
    BLACKOUT = "blackout"  #: planned in the settings


@dataclass(frozen=True, slots=True)
class Halt:
    kind: HaltKind
    cause: str
    since: datetime
    until: datetime | None = None  #: None: until the release

    def is_on(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


class Halts:
    """Those of one NE. A person's own goes before a blackout."""

    __slots__ = ("blackouts", "standing")

    def __init__(self, blackouts: Iterable[Halt] = ()) -> None:
        self.standing: Halt | None = None
        self.blackouts: Final = tuple(blackouts)

    def at(self, now: datetime) -> Halt | None:
        """The one in force."""
        if self.standing is not None and self.standing.is_on(now):
            return self.standing
        return next((halt for halt in self.blackouts if halt.is_on(now)), None)
