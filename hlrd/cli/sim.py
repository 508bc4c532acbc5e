"""`hlrd sim`: lots and cards. Their import is in `simimport.py`."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from hlrd.cli.client import OWNER, URL, Client, Url, path_of
from hlrd.cli.columns import counted, counts, show
from hlrd.cli.person import Operator

sim: Final = typer.Typer(no_args_is_help=True, help=f"SIM lots and cards. {OWNER}")

_CARD_STATES: Final = ("inStock", "leased", "reserved", "inUse", "scrapped")
_CARD_FIELDS: Final = (
    "iccid", "imsi", "state", "lot", "province", "hlr", "msisdn", "user_id", "cause",
)  # fmt: skip

ICCID = Annotated[str, typer.Argument(help="The card's number, 19 or 20 characters.")]


@sim.command("list")
def list_lots(url: Url = URL) -> None:
    """Every lot with its cards by state."""
    table = Table(
        Column("lot", overflow="fold"), "vendor", "province", "hlr", *counted(_CARD_STATES)
    )
    for one in Client(url).get("/v1/sim-lots")["lots"]:
        by_state = counts(one["cards"], _CARD_STATES)
        table.add_row(one["name"], one["vendor"], one["province"], one["hlr"], *by_state)
    show(table)


@sim.command("show")
def show_card(iccid: ICCID, url: Url = URL) -> None:
    """One card: state, lot, who has it, why it was scrapped. Never its key."""
    _show(Client(url).get(f"/v1/sim-cards/{path_of(iccid)}"), _CARD_FIELDS)


@sim.command("scrap")
def scrap_card(
    iccid: ICCID,
    cause: Annotated[str, typer.Option(help="Why: damaged, lost.")],
    operator: Operator,
    url: Url = URL,
) -> None:
    """Take a card that nobody has out of the stock, for good."""
    body = {"cause": cause, "operator_id": operator}
    _show(Client(url).post(f"/v1/sim-cards/{path_of(iccid)}/scrap", body), _CARD_FIELDS)


@sim.command("export")
def export_lot(
    lot: Annotated[str, typer.Argument(help="Its name.")],
    file: Annotated[Path | None, typer.Option("--to", help="Else standard output.")] = None,
    url: Url = URL,
) -> None:
    """The cards of a lot as CSV: ICCID, IMSI, state, number. Never a key."""
    client, path = Client(url), f"/v1/sim-lots/{path_of(lot)}/cards.csv"
    if file is None:
        client.download(path, sys.stdout.buffer)
        return
    with file.open("wb") as content:
        client.download(path, content)


def _show(found: Mapping[str, Any], fields: Iterable[str]) -> None:
    table = Table(show_header=False)
    for name in fields:
        if found.get(name) is not None:
            table.add_row(name, str(found[name]))
    show(table)
