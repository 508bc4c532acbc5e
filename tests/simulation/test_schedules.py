import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.faults import MOST, NONE
from tests.simulation.mutants import MUTANTS
from tests.simulation.schedule import Schedule

ROOT = Path(__file__).parents[2]
SEEDS = 2_000
CHUNKS = 8
SEEDS_FOR_A_MUTANT = 3_000


def fails(seed: int) -> bool:
    try:
        Schedule(seed).run()
    except Exception:
        return True
    return False


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_under_every_schedule(chunk: int) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        try:
            Schedule(seed).run()
        except Exception as error:
            error.add_note(f"again: python -m tests.simulation --seed {seed}")
            raise


@pytest.mark.parametrize("name", MUTANTS)
def test_an_engine_with_a_fault_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)

    found_at = next((seed for seed in range(SEEDS_FOR_A_MUTANT) if fails(seed)), None)

    assert found_at is not None, f"{name} passes {SEEDS_FOR_A_MUTANT} schedules"


def test_one_seed_is_one_run() -> None:
    first, second = Schedule(11, faults=MOST), Schedule(11, faults=MOST)

    first.run()
    second.run()

    assert first.world.now == second.world.now
    assert first.promises.seen == second.promises.seen
    assert first.database.receipts == second.database.receipts


def test_without_faults_every_schedule_runs_without_a_read_back() -> None:
    for seed in range(100):
        schedule = Schedule(seed, faults=NONE)

        schedule.run()

        assert schedule.promises.is_happy
        assert not schedule.promises.seen["read back"]


def test_the_schedules_meet_what_they_are_meant_to() -> None:
    met = sum((_seen(seed) for seed in range(300)), start=_seen(300))

    for event in (
        "crash", "drain", "unparked", "resent", "read back", "inDoubt", "absent", "applied",
        "prerequisite", "followUp", "clash of number", "clash of card", "nothing left", "repeated",
        "an order waits for a number",
        "DUPLICATE_CONFLICT", "POOL_EXHAUSTED", "JOURNAL_BEHIND", "QUEUE_FULL", "USER_QUEUE_FULL",
        "SUPERSEDED", "COALESCED", "DUPLICATE_OF", "fallen due", "cancelled", "chased",
        "ORDER_BEGUN", "CONFLICT_IN_FLIGHT", "USER_NUMBER_MISMATCH", "DRAINING", "NUMBER_TAKEN",
    ):  # fmt: skip
        assert met[event], f"{event} never happens"


def _seen(seed: int) -> Counter[str]:
    schedule = Schedule(seed)
    schedule.run()
    return schedule.promises.seen


def test_one_seed_is_one_run_in_every_process() -> None:
    """Nothing may hang on the order of a set of texts."""
    told = {_told_by_another_process(hash_seed) for hash_seed in ("1", "2")}

    assert len(told) == 1


def _told_by_another_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "40"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()[-1]
