"""Tables, some with a column for each state."""

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Console
from rich.table import Column, Table

_WIDTH_MAX: Final = 1_000


def counts(by_state: Mapping[str, int], states: Iterable[str]) -> list[str]:
    return [f"{by_state.get(state, 0):,}" for state in states]


def counted(states: Iterable[str]) -> list[Column]:
    return [Column(state, justify="right") for state in states]


def show(table: Table) -> None:
    """As wide as it is, on a narrow screen too: half of a number would be read as another."""
    console = Console()
    wanted = console.measure(table, options=console.options.update_width(_WIDTH_MAX)).maximum
    Console(width=max(console.width, wanted)).print(table)
