"""What `hlrd.tally` exposes is what prometheus-client itself would, to the letter."""

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from hlrd import tally

BUCKETS = (0.5, 1.0, 2.5)


def page(registry: CollectorRegistry) -> list[str]:
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if "_created" not in line]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5))))
def test_a_counter_is_exposed_as_prometheus_would(changes: list[tuple[str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counted = tally.Counter("x_total", "Help.", ["label"], registry=ours)
    expected = prometheus_client.Counter("x_total", "Help.", ["label"], registry=theirs)

    for label, amount in changes:
        counted.labels(label).inc(amount)
        expected.labels(label).inc(amount)

    assert page(ours) == page(theirs)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 4.0])))
def test_a_histogram_is_exposed_as_prometheus_would(amounts: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    observed = tally.Histogram("x_seconds", "Help.", ["label"], buckets=BUCKETS, registry=ours)
    expected = prometheus_client.Histogram(
        "x_seconds", "Help.", ["label"], buckets=BUCKETS, registry=theirs
    )

    for amount in amounts:
        observed.labels("a").observe(amount)
        expected.labels("a").observe(amount)

    assert page(ours) == page(theirs)


def test_without_labels_the_series_is_there_from_the_start() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally.Counter("x_total", "Help.", registry=ours)
    tally.Histogram("y_seconds", "Help.", buckets=BUCKETS, registry=ours)
    prometheus_client.Counter("x_total", "Help.", registry=theirs)
    prometheus_client.Histogram("y_seconds", "Help.", buckets=BUCKETS, registry=theirs)

    assert page(ours) == page(theirs)
