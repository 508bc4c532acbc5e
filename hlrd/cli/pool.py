"""`hlrd pool`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hlrd.cli import files
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import counted, counts

pool: Final = typer.Typer(no_args_is_help=True, help=f"Number pools. {OWNER}")

_NUMBER_STATES: Final = ("idle", "leased", "inUse", "quarantined", "locked")

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


def _show_pools(pools: Iterable[Mapping[str, Any]]) -> None:
    table = Table("pool", *counted(_NUMBER_STATES))
    for one in pools:
        table.add_row(one["name"], *counts(one["numbers"], _NUMBER_STATES))
    Console().print(table)
