"""Tables that the rest of the tree reads: complete, closed and in agreement with each other."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from hlrd import limits
from hlrd.domain import lifecycle
from hlrd.domain.catalogue import BY_NAME, BY_SHAPE, KINDS, Direction
from hlrd.domain.conflict import RULINGS, Nature, Ruling
from hlrd.domain.lifecycle import (
    BULK,
    CARD,
    EC,
    IMPORT,
    MOVE,
    NUMBER,
    ORDER,
    PRODUCT,
    SHEET,
    TASK,
    USER,
    BulkEvent,
    BulkState,
    CardEvent,
    CardState,
    ECEvent,
    ECState,
    IllegalTransition,
    ImportEvent,
    ImportState,
    MoveEvent,
    MoveState,
    NumberEvent,
    NumberState,
    OrderEvent,
    OrderState,
    ProductEvent,
    ProductState,
    SheetEvent,
    SheetState,
    TaskEvent,
    TaskState,
    UserEvent,
    UserState,
    advance,
)
from hlrd.domain.orders import Source

TABLES: list[tuple[Mapping[Any, Any], type[StrEnum], type[StrEnum]]] = [
    (ORDER, OrderState, OrderEvent),
    (TASK, TaskState, TaskEvent),
    (USER, UserState, UserEvent),
    (NUMBER, NumberState, NumberEvent),
    (CARD, CardState, CardEvent),
    (IMPORT, ImportState, ImportEvent),
    (PRODUCT, ProductState, ProductEvent),
    (MOVE, MoveState, MoveEvent),
    (EC, ECState, ECEvent),
    (BULK, BulkState, BulkEvent),
    (SHEET, SheetState, SheetEvent),
]


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_every_pair_is_a_row_or_illegal(
    table: Mapping[Any, Any], states: type[StrEnum], events: type[StrEnum]
) -> None:
    for state, event in product(states, events):
        if (state, event) in table:
            assert advance(table, state, event) is table[state, event]
        else:
            with pytest.raises(IllegalTransition):
                advance(table, state, event)


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_every_state_is_reached_and_every_event_used(
    table: Mapping[Any, Any], states: type[StrEnum], events: type[StrEnum]
) -> None:
    reached = {next(iter(states))} | set(table.values())

    assert set(states) - reached == set()
    assert {event for _, event in table} == set(events)


def test_an_order_ends_and_only_a_person_takes_it_out_of_fallout() -> None:
    leaving = {state for state, _ in ORDER}

    ended = {OrderState.SUCCEEDED, OrderState.FAILED, OrderState.CANCELLED}
    assert set(OrderState) - leaving == ended
    assert [event for state, event in ORDER if state is OrderState.FALLOUT] == [OrderEvent.RELEASED]


def test_a_task_in_doubt_goes_nowhere_but_to_its_read_back() -> None:
    ways = {event: after for (state, event), after in TASK.items() if state is TaskState.IN_DOUBT}

    assert ways == {TaskEvent.WRITTEN: TaskState.READING}


def test_a_card_that_was_live_never_returns_to_stock() -> None:
    assert CARD[CardState.IN_USE, CardEvent.TERMINATED] is CardState.SCRAPPED
    assert not [event for state, event in CARD if state is CardState.SCRAPPED]


def test_a_number_leaves_use_for_idle_only_when_the_hlr_is_clean() -> None:
    assert NUMBER[NumberState.IN_USE, NumberEvent.ROLLED_BACK] is NumberState.IDLE
    assert NUMBER[NumberState.IN_USE, NumberEvent.ROLL_BACK_UNPROVEN] is NumberState.LOCKED
    assert NUMBER[NumberState.IN_USE, NumberEvent.TERMINATED] is NumberState.QUARANTINED


def test_every_cell_of_the_conflict_table_is_ruled() -> None:
    assert {(a, b) for a, row in RULINGS.items() for b in row} == set(product(Nature, Nature))
    taken = {nature for nature, row in RULINGS.items() if row[Nature.OPEN] is Ruling.WAIT}
    assert taken == {Nature.MEMBER, Nature.REPAIR}  # the opening goes first, or was repaired
    assert RULINGS[Nature.TERMINATE][Nature.RESUME] is Ruling.REFUSE
    assert RULINGS[Nature.SUSPEND][Nature.RESUME] is Ruling.COALESCE


_BACKWARD = frozenset({
    "PRODUCT_PUBLISH", "PRODUCT_SUBSCRIBE", "EC_PRODUCT_SUBSCRIBE", "MEMBER_PRODUCT_SUBSCRIBE",
    "PARTNER_PRODUCT_PUBLISH", "PARTNER_MEMBER_IMPORT", "BATCH",
})  # fmt: skip
"""Beside openings, and changes up to their turning point."""


def test_the_catalogue_knows_every_kind_once_by_the_name_on_the_wire() -> None:
    assert len(BY_NAME) == len(BY_SHAPE) == len(KINDS)
    for kind in KINDS:
        assert kind.shape.__struct_config__.tag == kind.name
        assert kind.priority in range(limits.PRIORITIES)
        assert Source.OPS in kind.sources
        goes_back = kind.opens_user or kind.nature is Nature.CHANGE or kind.name in _BACKWARD
        assert (kind.direction is Direction.BACKWARD) == goes_back


def test_only_the_master_of_state_moves_it() -> None:
    natures = {kind.nature for kind in KINDS if kind.is_state_change}

    assert natures == {Nature.SUSPEND, Nature.RESUME}


def test_the_tables_are_in_this_file_alone() -> None:
    assert {table for table in vars(lifecycle) if table.isupper()} == {
        "ORDER", "TASK", "USER", "NUMBER", "CARD", "IMPORT", "PRODUCT", "MOVE", "BATCH", "BULK",
        "DELIVERY", "EC", "SHEET", "S", "E", "T",
    }  # fmt: skip
