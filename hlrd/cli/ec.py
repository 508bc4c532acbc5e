"""`hlrd ec`: enterprises (集团客户), what they have and who is a member."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from hlrd.cli.client import OWNER, URL, Client, Url, path_of
from hlrd.cli.columns import show as print_table

ec: Final = typer.Typer(no_args_is_help=True, help=f"Enterprises and their members. {OWNER}")

_PATH: Final = "/v1/ecs"
_PAGE: Final = 1_000

Code = Annotated[str, typer.Argument(help="Of the enterprise.")]
Most = Annotated[int, typer.Option("--most", min=1, help="Stop after so many.")]


@ec.command("list")
def list_ecs(most: Most = 1_000, url: Url = URL) -> None:
    """Enterprises, by code."""
    table = Table("code", "name", "lead province", "since", Column("products", justify="right"))
    for row in _rows(Client(url), _PATH, "ecs", most):
        table.add_row(
            row["code"], row["name"], row["lead_province"], row["since"], f"{row['products']:,}"
        )
    print_table(table)


@ec.command()
def show(code: Code, url: Url = URL) -> None:
    """What one enterprise has, in which state, and how many members."""
    found = Client(url).get(f"{_PATH}/{path_of(code)}")
    table = Table("product", "version", "class", "state", "scope", "route", "partners", "since")
    for one in found["products"]:
        table.add_row(
            one["product"],
            str(one["product_version"]),
            f"{one['product_class']}{' straight' if one['straight'] else ''}",
            one["state"],
            one["scope"],
            one["route"],
            ", ".join(one["partner_provinces"]),
            one["since"],
        )
    head = f"{found['code']} {found['name']}: {found['members']:,} members, "
    head += f"{found['partner_members']:,} of partner provinces"
    Console().print(head, markup=False, highlight=False)
    print_table(table)


@ec.command()
def members(code: Code, most: Most = 1_000, url: Url = URL) -> None:
    """Its members: our own by user, then those of partner provinces by number."""
    table = Table("origin", "number", "province", "user", "state", "stopped for", "since")
    path = f"{_PATH}/{path_of(code)}/members"
    for row in _rows(Client(url), path, "members", most):
        table.add_row(
            row["origin"],
            row["msisdn"],
            row["province"],
            row.get("user_id", ""),
            row.get("state", ""),
            ", ".join(row.get("reasons", ())),
            row["since"],
        )
    print_table(table)


def _rows(client: Client, path: str, name: str, most: int) -> Iterator[dict[str, Any]]:
    """Page by page, up to `most`."""
    query: dict[str, str] = {}
    while most > 0:
        page = client.get(path, {**query, "limit": str(min(most, _PAGE))})
        yield from page[name]
        most -= len(page[name])
        if "next" not in page:
            return
        query = {"after": page["next"]}
