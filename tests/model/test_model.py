import logging
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings

from hlrd.domain.catalogue import KINDS
from tests.model.making import MAKERS, NOT_OF_USERS
from tests.model.reference import OTHER_EFFECTS, OTHER_RULES, USER_RULES
from tests.model.run import Run
from tests.model.steps import Sequence, sequences

ASKED: Final = int(os.environ.get("MODEL_SEQUENCES", "0"))
"""More than usual, and others each time: `MODEL_SEQUENCES=20000 pytest tests/model`."""

SEQUENCES: Final = ASKED or 1_200
CHUNKS: Final = 4
met: Final[Counter[str]] = Counter()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_network_and_database_are_as_the_model_means_after_any_sequence(chunk: int) -> None:
    @seed(chunk)
    @settings(
        max_examples=SEQUENCES // CHUNKS,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(sequences)
    def holds(sequence: Sequence) -> None:
        run = Run(sequence)
        run.run()
        met.update(run.watch.seen)

    holds()


def test_every_kind_of_the_catalogue_has_its_rule_in_the_model() -> None:
    kinds = {kind.name for kind in KINDS}

    assert set(MAKERS) == kinds
    assert set(USER_RULES) | set(OTHER_RULES) == kinds
    assert set(OTHER_RULES) == set(OTHER_EFFECTS) == NOT_OF_USERS
