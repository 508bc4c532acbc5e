"""Children of labelled metrics, each looked up once: `labels()` costs ten times what `inc()` does.

The labels come from closed sets, so the caches stay small.
"""

from functools import cache

from prometheus_client import Counter, Histogram

from hlrd import metrics


@cache
def received(kind: str, source: str) -> Counter:
    return metrics.ORDERS_RECEIVED.labels(kind, source)


@cache
def accepted(kind: str) -> Counter:
    return metrics.ORDERS_ACCEPTED.labels(kind)


@cache
def refused(code: str) -> Counter:
    return metrics.ORDERS_REFUSED.labels(code)


@cache
def closed(kind: str, result: str) -> Counter:
    return metrics.ORDERS_CLOSED.labels(kind, result)


@cache
def duration(kind: str) -> Histogram:
    return metrics.ORDER_DURATION.labels(kind)
