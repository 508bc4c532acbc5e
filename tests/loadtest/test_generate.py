from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.orders import MemberActivate, decode
from loadtest.generate import Latency, batches, member_activations


def orders(count: int) -> list[tuple[str, bytes]]:
    return list(member_activations(count, run="T1", first_user=9_000))


def test_a_generated_order_is_one_that_the_daemon_takes() -> None:
    (_, body), (order_id, other) = orders(2)

    first, second = decode(body), decode(other)

    assert isinstance(first, MemberActivate)
    assert second.order_id == order_id
    assert first.order_id != second.order_id
    assert first.user_id != second.user_id


@given(count=st.integers(0, 250), size=st.integers(1, 100))
def test_batches_carry_every_order_once_and_in_order(count: int, size: int) -> None:
    posted = orders(count)

    cut = list(batches(posted, size=size, orders_per_s=1_000.0, seed=1))

    assert [order for batch in cut for order in batch.orders] == posted
    assert all(0 < len(batch.orders) <= size for batch in cut)


def test_an_open_model_keeps_its_rate_and_never_looks_back() -> None:
    cut = list(batches(orders(20_000), size=10, orders_per_s=1_000.0, seed=3))

    due = [batch.due_s for batch in cut]

    assert all(earlier < later for earlier, later in pairwise(due))
    assert due[-1] == pytest.approx(20.0, rel=0.1)


def test_one_seed_gives_one_schedule() -> None:
    def schedule(seed: int) -> list[float]:
        cut = batches(orders(500), size=10, orders_per_s=100.0, seed=seed)
        return [batch.due_s for batch in cut]

    assert schedule(1) == schedule(1)
    assert schedule(1) != schedule(2)


def test_batches_without_a_rate_are_due_at_once() -> None:
    assert {batch.due_s for batch in batches(orders(30), size=10, orders_per_s=None, seed=1)} == {
        0.0
    }


def test_latency_percentiles_are_three_digits_exact() -> None:
    latency = Latency()

    for milliseconds in range(1, 1_001):
        latency.record(milliseconds / 1_000)

    found = latency.summary_ms()
    assert latency.count == 1_000
    assert found["p50"] == pytest.approx(500, rel=0.002)
    assert found["p99"] == pytest.approx(990, rel=0.002)
    assert found["max"] == pytest.approx(1_000, rel=0.002)


def test_a_latency_beyond_all_measure_still_counts() -> None:
    latency = Latency()

    latency.record(1e9)
    latency.record(-1.0)

    assert latency.count == 2
