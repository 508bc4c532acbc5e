"""Faults: seeded, honest in their rates, and refused when they make no sense."""

from collections import Counter
from statistics import quantiles

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import faults
from loadtest.faults import Chance, Fault, Faults, Latency, Once, Profile


def drawn(profile: Profile, *, seed: int, commands: int) -> list[Fault | None]:
    play = Faults(profile, seed=seed)
    return [play.befalls("ADD KI", 0.0) for _ in range(commands)]


@given(st.integers(0, 2**32))
def test_a_seed_gives_one_run(seed: int) -> None:
    profile = Profile(chance=Chance(withhold=0.3, busy=0.3))

    assert drawn(profile, seed=seed, commands=50) == drawn(profile, seed=seed, commands=50)


def test_each_fault_comes_as_often_as_its_chance_says() -> None:
    profile = Profile(chance=Chance(withhold=0.05, busy=0.02, cut_after=0.2))

    happened = Counter(drawn(profile, seed=1, commands=20_000))

    assert happened[Fault.WITHHOLD] == pytest.approx(1_000, rel=0.15)
    assert happened[Fault.BUSY] == pytest.approx(400, rel=0.2)
    assert happened[Fault.CUT_AFTER] == pytest.approx(4_000, rel=0.1)
    assert set(happened) == {None, Fault.WITHHOLD, Fault.BUSY, Fault.CUT_AFTER}


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_can_be_made_certain(fault: Fault) -> None:
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in fault)
    profile = faults.decode(msgspec.json.encode({"chance": {name: 1.0}}))

    assert drawn(profile, seed=0, commands=3) == [fault] * 3


def test_a_one_shot_befalls_the_next_command_of_its_name_once() -> None:
    once = [Once(Fault.CUT_AFTER, "RMV SUB"), Once(Fault.HANG)]
    play = Faults(Profile(once=once))

    befell = [play.befalls(name, 0.0) for name in ("ADD KI", "ADD KI", "RMV SUB", "RMV SUB")]

    assert befell == [Fault.HANG, None, Fault.CUT_AFTER, None]
    assert play.is_calm


def test_only_a_one_shot_by_name_befalls_a_login() -> None:
    play = Faults(Profile(once=[Once(Fault.HANG), Once(Fault.CUT_BEFORE, "LGI")]))

    assert play.befalls_login("LGI") is Fault.CUT_BEFORE
    assert play.befalls_login("LGI") is None
    assert play.once_left == [Once(Fault.HANG)]


def test_above_its_rate_an_emulator_is_busy_until_time_passes() -> None:
    play = Faults(Profile(commands_per_s=10.0))

    burst = [play.befalls("X", 100.0) for _ in range(12)]
    later = [play.befalls("X", 100.2) for _ in range(3)]

    assert burst == [None] * 10 + [Fault.BUSY] * 2
    assert later == [None, None, Fault.BUSY]


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=60), st.floats(1.0, 50.0))
def test_no_interval_lets_more_through_than_burst_and_rate(gaps: list[float], rate: float) -> None:
    play = Faults(Profile(commands_per_s=rate))
    now = taken = 0.0
    for gap in gaps:
        now += gap
        taken += play.befalls("X", now) is None

    assert taken <= rate + now * rate + 1


def test_log_normal_latency_has_the_percentiles_it_was_given() -> None:
    play = Faults(Profile(latency=Latency(0.018, 0.120)), seed=5)

    cuts = quantiles((play.latency_s("X") for _ in range(20_000)), n=100)

    assert cuts[49] == pytest.approx(0.018, rel=0.05)
    assert cuts[98] == pytest.approx(0.120, rel=0.15)


def test_a_table_gives_a_command_its_own_latency() -> None:
    play = Faults(Profile(latency=Latency(0.02), latency_by_command={"ADD KI": Latency(0.154)}))

    assert (play.latency_s("ADD KI"), play.latency_s("RMV KI")) == (0.154, 0.02)
    assert not play.is_calm


def test_nothing_asked_for_is_nothing_done() -> None:
    play = Faults(faults.decode("{}"))

    assert play.is_calm
    assert not play.refuses_login()


def test_a_new_profile_takes_hold_at_once_and_whole() -> None:
    play = Faults(Profile(refuse_logins=True, chance=Chance(busy=1.0)))

    play.put(Profile(latency=Latency(0.5)))

    assert play.befalls("X", 0.0) is None
    assert play.latency_s("X") == 0.5
    assert not play.refuses_login()


@pytest.mark.parametrize(
    ("document", "blamed"),
    [
        ('{"chance": {"withold": 0.1}}', "withold"),
        ('{"chance": {"busy": 1.1}}', r"\$\.chance\.busy"),
        ('{"chance": {"busy": 0.6, "hang": 0.6}}', "more than 1"),
        ('{"latency": {"p50_s": -1}}', r"\$\.latency\.p50_s"),
        ('{"latency": {"p50_s": 2, "p99_s": 1}}', "p50_s <= p99_s"),
        ('{"latency": {"p99_s": 1}}', "p50_s <= p99_s"),
        ('{"commands_per_s": 0}', r"\$\.commands_per_s"),
        ('{"once": [{"fault": "explode"}]}', r"\$\.once"),
        ("{", "truncated"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_by_field(document: str, blamed: str) -> None:
    with pytest.raises(msgspec.MsgspecError, match=blamed):
        faults.decode(document)
