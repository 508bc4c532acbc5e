"""Counters and histograms for hot paths, which prometheus-client collects like its own.

Its own take a lock for every change, which one event loop never needs: measured 0.7 us an `inc` and
2 us an `observe`, eleven of which made a tenth of an order's cost. These cost 0.05 and 0.25 us. To
be touched by one thread only.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    """One child of a `Counter`; add to `value`, never subtract."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        self.value += amount


class Counter(Collector):
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._family: Final = (name, documentation, labelnames)
        self._children: dict[tuple[str, ...], Count] = {}
        if not labelnames:
            self.inc = self.labels().inc
        registry.register(self)

    def labels(self, *values: str) -> Count:
        child = self._children.get(values)
        if child is None:
            assert len(values) == len(self._family[2]), "a value for every label"
            child = self._children[values] = Count()
        return child

    def describe(self) -> Iterable[Metric]:
        return [self._empty()]

    def collect(self) -> Iterable[Metric]:
        family = self._empty()
        for values, child in self._children.items():
            family.add_metric(list(map(str, values)), child.value)
        return [family]

    def _empty(self) -> CounterMetricFamily:
        name, documentation, labelnames = self._family
        return CounterMetricFamily(name, documentation, labels=labelnames)


class Distribution:
    """One child of a `Histogram`."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative buckets as the exposition format wants them, and the sum."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True)), self._sum


class Histogram(Collector):
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._family: Final = (name, documentation, labelnames)
        self._bounds: Final = tuple(map(float, buckets))
        self._children: dict[tuple[str, ...], Distribution] = {}
        if not labelnames:
            self.observe = self.labels().observe
        registry.register(self)

    def labels(self, *values: str) -> Distribution:
        child = self._children.get(values)
        if child is None:
            assert len(values) == len(self._family[2]), "a value for every label"
            child = self._children[values] = Distribution(self._bounds)
        return child

    def describe(self) -> Iterable[Metric]:
        return [self._empty()]

    def collect(self) -> Iterable[Metric]:
        family = self._empty()
        for values, child in self._children.items():
            buckets, total = child.told()
            family.add_metric(list(map(str, values)), buckets, total)
        return [family]

    def _empty(self) -> HistogramMetricFamily:
        name, documentation, labelnames = self._family
        return HistogramMetricFamily(name, documentation, labels=labelnames)
