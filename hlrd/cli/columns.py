"""Tables with a column for each state."""

from collections.abc import Iterable, Mapping

from rich.table import Column


def counts(by_state: Mapping[str, int], states: Iterable[str]) -> list[str]:
    return [f"{by_state.get(state, 0):,}" for state in states]


def counted(states: Iterable[str]) -> list[Column]:
    return [Column(state, justify="right") for state in states]
