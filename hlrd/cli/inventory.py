"""`hlrd pool` and `hlrd sim`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from hlrd.cli import files
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of

pool: Final = typer.Typer(no_args_is_help=True, help=f"Number pools. {OWNER}")
sim: Final = typer.Typer(no_args_is_help=True, help=f"SIM lots. {OWNER}")

_NUMBER_STATES: Final = ("idle", "leased", "inUse", "quarantined", "locked")
_CARD_STATES: Final = ("inStock", "leased", "inUse", "scrapped")

Name = Annotated[str, typer.Argument(help="Its name.")]
File = Annotated[Path, typer.Argument(help="CSV; the first line names the columns.")]


@pool.command("create")
def create_pool(name: Name, url: Url = URL) -> None:
    """Create an empty pool."""
    _show_pools([Client(url).post("/v1/pools", {"name": name})])


@pool.command("import")
def import_ranges(name: Name, file: File, url: Url = URL) -> None:
    """Add ranges of numbers: columns first, last, province, hlr."""
    client = Client(url)
    for line, row in enumerate(track(files.ranges(file), "ranges", transient=True), 2):
        try:
            client.post(f"/v1/pools/{path_of(name)}/ranges", row)
        except CallFailed as refused:
            before = "; the lines before it are imported" if line > 2 else ""
            raise CallFailed(f"{file}, line {line}{before}: {refused}") from refused
    _show_pools([client.get(f"/v1/pools/{path_of(name)}")])


@pool.command("list")
def list_pools(url: Url = URL) -> None:
    """Every pool with its numbers by state."""
    _show_pools(Client(url).get("/v1/pools")["pools"])


@pool.command("show")
def show_pool(name: Name, url: Url = URL) -> None:
    """One pool with its ranges."""
    found = Client(url).get(f"/v1/pools/{path_of(name)}")
    _show_pools([found])
    table = Table("first", "last", "province", "hlr")
    for row in found["ranges"]:
        table.add_row(row["first"], row["last"], row["province"], row["hlr"])
    Console().print(table)


@sim.command("import")
def import_lot(
    file: Annotated[Path, typer.Argument(help="The card vendor's file (docs/pool.md).")],
    province: Annotated[str, typer.Option(help="Company code, as 200.")],
    hlr: Annotated[str, typer.Option(help="The home HLR's name in the configuration.")],
    url: Url = URL,
) -> None:
    """Add a lot of cards, all or none. Repeating it is harmless."""
    query = {"province": province, "hlr": hlr}
    _show_lots([Client(url).post_csv("/v1/sim-lots", query, files.read(file))])


@sim.command("list")
def list_lots(url: Url = URL) -> None:
    """Every lot with its cards by state."""
    _show_lots(Client(url).get("/v1/sim-lots")["lots"])


def _show_pools(pools: Iterable[Mapping[str, Any]]) -> None:
    table = Table("pool", *_counted(_NUMBER_STATES))
    for one in pools:
        table.add_row(one["name"], *_counts(one["numbers"], _NUMBER_STATES))
    Console().print(table)


def _show_lots(lots: Iterable[Mapping[str, Any]]) -> None:
    table = Table(
        Column("lot", overflow="fold"), "vendor", "province", "hlr", *_counted(_CARD_STATES)
    )
    for one in lots:
        counts = _counts(one["cards"], _CARD_STATES)
        table.add_row(one["name"], one["vendor"], one["province"], one["hlr"], *counts)
    Console().print(table)


def _counts(by_state: Mapping[str, int], states: Iterable[str]) -> list[str]:
    return [f"{by_state.get(state, 0):,}" for state in states]


def _counted(states: Iterable[str]) -> list[Column]:
    return [Column(state, justify="right") for state in states]
