"""`hlrd sim`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from hlrd.cli import files
from hlrd.cli.client import OWNER, URL, Client, Url
from hlrd.cli.columns import counted, counts

sim: Final = typer.Typer(no_args_is_help=True, help=f"SIM lots. {OWNER}")

_CARD_STATES: Final = ("inStock", "leased", "inUse", "scrapped")


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


def _show_lots(lots: Iterable[Mapping[str, Any]]) -> None:
    table = Table(
        Column("lot", overflow="fold"), "vendor", "province", "hlr", *counted(_CARD_STATES)
    )
    for one in lots:
        by_state = counts(one["cards"], _CARD_STATES)
        table.add_row(one["name"], one["vendor"], one["province"], one["hlr"], *by_state)
    Console().print(table)
