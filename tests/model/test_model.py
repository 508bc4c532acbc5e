import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings

from hlrd.domain.catalogue import KINDS
from tests.model.making import MAKERS, NOT_OF_USERS
from tests.model.mutants import MUTANTS, WITNESSES
from tests.model.reference import OTHER_EFFECTS, OTHER_RULES, USER_RULES
from tests.model.run import Run
from tests.model.steps import Sequence, sequences

ASKED: Final = int(os.environ.get("MODEL_SEQUENCES", "0"))
"""More than usual, and others each time: `MODEL_SEQUENCES=20000 pytest tests/model`."""

SEQUENCES: Final = ASKED or 2_000
CHUNKS: Final = 4
SEQUENCES_FOR_A_MUTANT: Final = 5_000
"""At most. What hypothesis draws changes with every constant of the tree, so there is room."""
SEQUENCES_TO_COUNT: Final = 1_000
TRIES_TO_COUNT: Final = 6

MEANT: Final = {f"{kind.name} succeeded" for kind in KINDS} | {
    "NO_CHANGE", "NOT_SUSPENDED_FOR_REASON", "SUPERSEDED", "COALESCED", "DUPLICATE_OF",
    "PREDECESSOR_MISSING", "read back", "absent", "applied", "repeated", "cancelled", "chased",
    "fallen due", "DUPLICATE_CONFLICT", "resend", "skip", "finish", "cancel", "STEP_SKIPPED",
    "FORCED", "OVERTAKEN", "NOT_STATE_MASTER", "MEMBER_ACTIVATE failed", "SIM_REPLACE failed",
    "NUMBER_CHANGE failed", "MEMBER_PRODUCT_SUBSCRIBE failed", "BATCH failed",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def checked(
    sequences_of: int,
    *,
    number: int | None,
    is_shrunk: bool = True,
    on_end: Callable[[Run], None] = lambda run: None,
) -> Callable[[], None]:
    """`number`: the same sequences each time; None: others."""
    phases = (Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,)

    @settings(
        max_examples=sequences_of,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    @given(sequences)
    def holds(sequence: Sequence) -> None:
        run = Run(sequence)
        run.run()
        on_end(run)

    return holds if number is None else seed(number)(holds)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_network_and_database_are_as_the_model_means_after_any_sequence(chunk: int) -> None:
    checked(SEQUENCES // CHUNKS, number=None if ASKED else chunk)()


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in WITNESSES])
def test_the_model_finds_an_engine_that_breaks_a_rule(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[name](monkeypatch)

    with pytest.raises(AssertionError):
        checked(SEQUENCES_FOR_A_MUTANT, number=7, is_shrunk=False)()


@pytest.mark.parametrize("name", WITNESSES)
def test_a_sequence_goes_right_unless_the_engine_breaks_its_rule(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sequence in WITNESSES[name]:
        Run(sequence).run()
    MUTANTS[name](monkeypatch)

    assert any(goes_wrong(sequence) for sequence in WITNESSES[name])


def goes_wrong(sequence: Sequence) -> bool:
    try:
        Run(sequence).run()
    except AssertionError:
        return True
    return False


@pytest.mark.timeout(300)  # what is rare takes a few thousand sequences
def test_the_sequences_meet_what_they_are_meant_to() -> None:
    met: Counter[str] = Counter()

    def count(run: Run) -> None:
        met.update(run.watch.seen)
        for id, closing in run.database.final.items():
            receipt = orjson.loads(closing.receipt)
            met.update(
                [f"{run.database.orders[id].kind} {closing.state}", *receipt.get("marks", ())]
            )

    missing = MEANT
    for number in range(TRIES_TO_COUNT):
        checked(SEQUENCES_TO_COUNT, number=number, is_shrunk=False, on_end=count)()
        missing = MEANT - met.keys()
        if not missing:
            break
    assert not missing, "never happens"


def test_every_kind_of_the_catalogue_has_its_rule_in_the_model() -> None:
    kinds = {kind.name for kind in KINDS}

    assert set(MAKERS) == kinds
    assert set(USER_RULES) | set(OTHER_RULES) == kinds
    assert set(OTHER_RULES) == set(OTHER_EFFECTS) == NOT_OF_USERS
