"""What to post and when: an open model, where load does not wait for answers.

Each batch has an intended time, and latency counts from it, also while the batch itself waits for a
connection. A closed loop would slow down with the system and hide the very delays it should show.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final

from hdrh.histogram import HdrHistogram

from loadtest.settings import POOL, PROVINCE

_LATENCY_US_MAX: Final = 3_600_000_000
_PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class Batch:
    due_s: float  #: after the start of the run
    orders: Sequence[tuple[str, bytes]]  #: order id and JSON


def member_activations(count: int, *, run: str, first_user: int) -> Iterator[tuple[str, bytes]]:
    """Order ids and bodies; `run` keeps the ids of two runs on one journal apart."""
    for number in range(count):
        order_id = f"{run}-{number:08d}"
        body = (
            f'{{"type":"MEMBER_ACTIVATE","order_id":"{order_id}","province":"{PROVINCE}",'
            f'"operator_id":"loadtest","user_id":"{first_user + number}","ec_code":"EC{run}",'
            f'"pool":"{POOL}"}}'
        )
        yield order_id, body.encode()


def batches(
    orders: Iterable[tuple[str, bytes]], *, size: int, orders_per_s: float | None, seed: int
) -> Iterator[Batch]:
    """Poisson arrivals of whole batches at that mean rate; all due at 0 where none is given."""
    random = Random(seed)
    due_s = 0.0
    left = iter(orders)
    while cut := list(islice(left, size)):
        if orders_per_s is not None:
            due_s += random.expovariate(orders_per_s / size)
        yield Batch(due_s, cut)


class Latency:
    """Percentiles of a high-dynamic-range histogram, three digits exact."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _LATENCY_US_MAX, 3)

    def record(self, seconds: float) -> None:
        self._histogram.record_value(min(max(1, round(seconds * 1e6)), _LATENCY_US_MAX))

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def summary_ms(self) -> dict[str, float]:
        """`p50`, `p90`, `p99`, `p99.9` and `max`."""
        found = {
            f"p{percentile:g}": self._histogram.get_value_at_percentile(percentile) / 1e3
            for percentile in _PERCENTILES
        }
        return {**found, "max": self._histogram.get_max_value() / 1e3}
