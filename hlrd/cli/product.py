"""`hlrd product`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from hlrd.cli import columns, files
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.person import named_by_token

product: Final = typer.Typer(no_args_is_help=True, help=f"Products. {OWNER}")

_PATH: Final = "/v1/products"
_WAIT_S: Final = 30

Name = Annotated[str, typer.Argument(help="Its id.")]
File = Annotated[Path, typer.Argument(help="JSON: product, product_version, name, services, …")]
Publisher = Annotated[
    str,
    typer.Option(
        "--operator",
        default_factory=lambda: named_by_token("OPS"),
        help="Who publishes it; default: whom the token names, or OPS.",
    ),
]
Again = Annotated[
    str | None, typer.Option("--order-id", help="To ask again what became of a publication.")
]


@product.command("list")
def list_products(url: Url = URL) -> None:
    """Every version of every product."""
    _print(Client(url).get(_PATH)["products"])


@product.command()
def show(name: Name, url: Url = URL) -> None:
    """The versions of one product, with their services and scripts."""
    versions = Client(url).get(f"{_PATH}/{path_of(name)}")["versions"]
    _print(versions)
    for version in versions:
        _print_services(version)


@product.command()
def publish(file: File, operator: Publisher, order_id: Again = None, url: Url = URL) -> None:
    """Publish a version, and wait until it is active or refused."""
    told = _header(order_id or uuid4().hex, operator) | _read(file)
    answer = Client(url).post("/v1/work-orders", told, {"Prefer": f"wait={_WAIT_S}"})
    receipt = answer.get("receipt")
    named = f"{told.get('product')} version {told.get('product_version')}"
    if receipt is None:
        typer.echo(f"{named}: {answer['state']}; hlrd order show {answer['id']} says how it goes")
    elif receipt["result"] != "succeeded":
        raise CallFailed(f"{named} stays staged: {_why(receipt)}")
    else:
        typer.echo(f"{named} is active")


def _header(order_id: str, operator: str) -> dict[str, Any]:
    return {"order_id": order_id, "province": "000", "operator_id": operator}


def _read(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(files.read(file))
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CallFailed(f"{file} is not one JSON object")
    return {**document, "type": "PRODUCT_PUBLISH"}


def _why(receipt: Mapping[str, Any]) -> str:
    words = (receipt.get(name) for name in ("ne", "ne_code", "ne_text", "code", "text"))
    return " ".join(str(word) for word in words if word)


def _print(versions: Sequence[Mapping[str, Any]]) -> None:
    names = ("product", "version", "name", "state", "since", "services", "platforms")
    table = Table(*names, Column("users", justify="right"))
    for one in versions:
        table.add_row(
            one["product"],
            str(one["product_version"]),
            one["name"],
            one["state"],
            one["since"],
            ", ".join(service["name"] for service in one["services"]),
            ", ".join(one["platforms"]),
            "" if one["users"] is None else f"{one['users']:,}",
        )
    columns.show(table)


def _print_services(version: Mapping[str, Any]) -> None:
    console = Console()
    for service in version["services"]:
        head = f"{version['product']} {version['product_version']} {service['name']}"
        console.print(f"{head} ({service['kind']})", markup=False, highlight=False)
        for name, values in service.get("parameters", {}).items():
            console.print(f"  {name}: {', '.join(values)}", markup=False, highlight=False)
        for one in service.get("scripts", []):
            for way in ("add", "remove", "query"):
                if one.get(way):
                    console.print(
                        f"  {one['dialect']} {way}: {one[way]}", markup=False, highlight=False
                    )
