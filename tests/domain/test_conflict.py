"""The conflict matrix, cell by cell as docs/turns.md shows it."""

import pytest

from hlrd.domain.catalogue import KINDS
from hlrd.domain.conflict import BLOCKED, RULINGS, Nature, Ruling

NEW = ("OPEN", "PRODUCT", "SUSPEND", "RESUME", "CHANGE", "TERMINATE")

MATRIX = """
in flight  | OPEN   | PRODUCT | SUSPEND | RESUME   | CHANGE | TERMINATE
OPEN       | refuse | wait    | wait    | wait     | wait   | wait
PRODUCT    | refuse | wait    | wait    | wait     | wait   | wait
SUSPEND    | refuse | wait    | wait    | coalesce | wait   | wait
RESUME     | refuse | wait    | wait    | wait     | wait   | wait
CHANGE     | refuse | wait    | wait    | wait     | refuse | wait
TERMINATE  | refuse | refuse  | noOp    | refuse   | refuse | noOp
fallout    | refuse | wait    | alarm   | alarm    | wait   | wait
"""


def rows() -> list[tuple[str, str, str]]:
    head, *lines = [
        [cell.strip() for cell in line.split("|")] for line in MATRIX.strip().splitlines()
    ]
    assert tuple(head[1:]) == NEW
    return [(line[0], new, cell) for line in lines for new, cell in zip(NEW, line[1:], strict=True)]


@pytest.mark.parametrize(("in_flight", "new", "ruling"), rows())
def test_a_new_order_is_ruled_by_what_is_in_flight(in_flight: str, new: str, ruling: str) -> None:
    nature = Nature[new]
    table = BLOCKED if in_flight == "fallout" else RULINGS[Nature[in_flight]]

    assert table[nature] == Ruling(ruling)


def test_every_nature_of_a_kind_is_ruled_against_every_other() -> None:
    natures = {kind.nature for kind in KINDS}

    assert all(natures <= set(RULINGS[nature]) for nature in natures)
    assert natures <= set(BLOCKED)
