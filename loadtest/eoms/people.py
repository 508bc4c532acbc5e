"""The people behind an emulated EOMS: how long they take, and what they say. Seeded chance."""

import math
from random import Random
from typing import Final, NamedTuple

_MEDIAN_DAYS: Final = 0.25
_SPREAD: Final = 2.0
"""Of a log-normal: of ten sheets one is answered within half an hour, and one takes three days."""

_DAYS_MIN: Final = 1e-4  #: some nine seconds: it cannot even be read sooner
_DAYS_MAX: Final = 10.0


class Plan(NamedTuple):
    """What will become of one sheet, in days since it was opened."""

    acknowledged_days: float
    replied_days: float
    is_done: bool


class People:
    def __init__(self, *, done: float, seed: int) -> None:
        """`done`: the share of sheets that can be done."""
        self._done = done
        self._random = Random(seed)

    def plan(self) -> Plan:
        drawn = self._random.lognormvariate(math.log(_MEDIAN_DAYS), _SPREAD)
        replied_days = min(_DAYS_MAX, max(_DAYS_MIN, drawn))
        acknowledged_days = replied_days * self._random.random()
        return Plan(acknowledged_days, replied_days, self._random.random() < self._done)
