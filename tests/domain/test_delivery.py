"""What an endpoint's answer means, and when a receipt is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.delivery import (
    GIVE_UP_S,
    RETRY_AFTER_S_MAX,
    Endpoint,
    Endpoints,
    Reception,
    delay_s,
    next_try,
    read_status,
)

CHANCES = st.floats(0, 1, exclude_max=True)


@given(CHANCES, st.floats(1e9, 2e9))
def test_a_receipt_is_tried_for_exactly_a_day_and_then_no_more(chance: float, first: float) -> None:
    now: float | None = first
    tries = []
    while now is not None:
        tries.append(now)
        now = next_try(now, since=first, wait_s=delay_s(len(tries), chance))

    assert tries[-1] == first + GIVE_UP_S
    assert tries == sorted(tries)
    assert 30 <= len(tries) <= 70


@given(st.integers(1, 10_000), CHANCES, CHANCES)
def test_delays_grow_to_an_hour_and_differ_by_chance(
    failures: int, chance: float, other: float
) -> None:
    delay = delay_s(failures, chance)

    assert 2.5 <= delay <= 3_600
    assert delay <= 2 * delay_s(failures + 1, other) + 1e-9
    assert delay_s(failures, 0.0) <= delay <= 2 * delay_s(failures, 0.0)


@given(st.integers(100, 599), st.one_of(st.none(), st.floats(-10, 1e7)))
def test_every_status_means_one_thing_and_only_a_2xx_ends_it_well(
    status: int, retry_after_s: float | None
) -> None:
    reply = read_status(status, retry_after_s)

    assert (reply.reception is Reception.TAKEN) == (200 <= status < 300)
    assert (reply.reception is Reception.GONE) == (status == 410)
    assert 0 <= reply.retry_after_s <= RETRY_AFTER_S_MAX


def test_a_redirect_is_a_failure_and_a_bad_receipt_is_not_the_endpoints() -> None:
    assert read_status(307).reception is Reception.FAILED
    assert read_status(422).reception is Reception.REFUSED
    assert read_status(503).reception is Reception.FAILED
    assert read_status(429, 7.0).retry_after_s == 7.0


def test_an_endpoint_is_known_to_its_own_source_only_and_until_a_reload() -> None:
    endpoints = Endpoints([Endpoint("main", "CRM", "http://crm")])

    assert endpoints.knows("CRM", "main")
    assert not endpoints.knows("BOSS", "main")

    endpoints.configure([])
    assert not endpoints.knows("CRM", "main")
