"""What an emulator remembers of the commands it served, for tests and proofs.

The log is a ring. Effects are counted per (command, subject) only when switched on, so that a test
can assert that each command took effect once.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

LOG_COMMANDS_MAX: Final = 10_000
"""Commands kept for `/log`; at about 300 bytes each, 3 MB."""

EFFECTS_MAX: Final = 3_000_000
"""Pairs counted for `/effects`: a million users with three commands each, about 500 MB."""


class Served(Struct, frozen=True):
    """One command as people may see it: keys and passwords masked."""

    number: int
    command: str
    code: str
    fault: str = ""
    at: float = 0.0  #: monotonic seconds of this machine, thus comparable between its processes


class Effect(Struct, frozen=True):
    command: str
    subject: str
    count: int


Entry = tuple[int, Any, str, str, float]
"""Number, command as it came in, result code, fault, time: a `Served` before it is one."""


class Record:
    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()  #: by name, whatever came of them
        self.codes: Counter[str] = Counter()  #: by result code
        self.faults: Counter[str] = Counter()
        self.held_s = 0.0  #: for which commands with a latency were in service, summed up
        self.counts_effects = False
        self.effects_left_out = 0
        self._effects: Counter[tuple[str, str]] = Counter()
        self._ring: deque[Entry] = deque(maxlen=LOG_COMMANDS_MAX)
        self._number = 0

    def served(self, name: str, command: Any, code: str, fault: str = "") -> None:
        """`command` may hold a secret: the emulator writes it out, masked, when it is read."""
        self._number += 1
        self.commands[name] += 1
        self.codes[code] += 1
        self._ring.append((self._number, command, code, fault, time.monotonic()))
        if fault:
            self.faults[fault] += 1

    def took_effect(self, name: str, subject: str) -> None:
        """`subject` is what the command changed: an IMSI, a relation."""
        if not self.counts_effects:
            return
        key = (name, subject)
        if key in self._effects or len(self._effects) < EFFECTS_MAX:
            self._effects[key] += 1
        else:
            self.effects_left_out += 1

    def count_effects(self, on: bool) -> None:
        """Switch the counting on from zero, or off."""
        self.counts_effects = on
        self.effects_left_out = 0
        self._effects.clear()

    def log(self, after: int = 0) -> list[Entry]:
        return [entry for entry in self._ring if entry[0] > after]

    def effects(self, above: int = 0) -> Iterator[Effect]:
        """Those that happened more than `above` times; `above=1` gives the repeats."""
        for (command, subject), count in list(self._effects.items()):
            if count > above:
                yield Effect(command, subject, count)
