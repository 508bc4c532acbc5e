"""Which of two addresses is used: the one that answers, and the primary when both do."""

from hypothesis import given
from hypothesis import strategies as st

from hlrd.ne.addresses import FAILOVER_FAULTS, Address, Addresses

PRIMARY, STANDBY = Address("a", 1), Address("b", 2)


def two() -> Addresses:
    return Addresses(PRIMARY, STANDBY, failback_s=60.0)


def on_standby() -> Addresses:
    addresses = two()
    for _ in range(FAILOVER_FAULTS):
        addresses.failed(PRIMARY, 0.0)
    return addresses


def test_without_a_standby_there_is_nowhere_to_turn() -> None:
    addresses = Addresses(PRIMARY, None, failback_s=60.0)

    assert not any(addresses.failed(PRIMARY, 0.0) for _ in range(10))
    assert addresses.current is PRIMARY
    assert not addresses.looks_back(1e9)


def test_failures_in_a_row_turn_to_the_other_one_and_back() -> None:
    addresses = two()

    assert not addresses.failed(PRIMARY, 0.0)
    assert addresses.failed(PRIMARY, 0.0)
    assert addresses.current is STANDBY
    assert [addresses.failed(STANDBY, 0.0) for _ in range(2)] == [False, True]
    assert addresses.current is PRIMARY


def test_a_success_between_them_starts_the_count_anew() -> None:
    addresses = two()

    addresses.failed(PRIMARY, 0.0)
    addresses.opened(PRIMARY, 0.0, is_only=True)

    assert not addresses.failed(PRIMARY, 0.0)


def test_what_fails_elsewhere_does_not_count() -> None:
    addresses = on_standby()

    assert not any(addresses.failed(PRIMARY, 0.0) for _ in range(10))
    assert addresses.current is STANDBY


def test_on_the_standby_the_primary_is_looked_at_once_a_period() -> None:
    addresses = on_standby()

    seen = [second for second in range(200) if addresses.looks_back(float(second))]

    assert seen == [60, 120, 180]


def test_the_primary_is_turned_to_as_soon_as_it_answers() -> None:
    addresses = on_standby()

    assert addresses.opened(PRIMARY, 60.0, is_only=False)
    assert addresses.current is PRIMARY
    assert not addresses.looks_back(1e9)


@given(st.lists(st.sampled_from(["fail", "open only", "open beside"]), max_size=40))
def test_the_standby_is_turned_to_only_when_nothing_else_is_open(events: list[str]) -> None:
    addresses = two()

    for event in events:
        before = addresses.current
        if event == "fail":
            addresses.failed(before, 0.0)
        elif addresses.opened(STANDBY, 0.0, is_only=event == "open only"):
            assert (before, event) == (PRIMARY, "open only")
        assert addresses.current in (PRIMARY, STANDBY)
