"""`hlrd receipt`: where receipts are sent, how that goes, and sending them again."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.pretty import Pretty
from rich.table import Table

from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import show as print_table
from hlrd.cli.moment import moment
from hlrd.cli.person import Operator

_ENDPOINTS: Final = "/v1/receipt-endpoints"

receipt: Final = typer.Typer(
    no_args_is_help=True, help=f"Receipts on their way (docs/receipts.md). {OWNER}"
)

Order = Annotated[str, typer.Argument(help="hlrd's own id of the order.")]
Endpoint = Annotated[str, typer.Option(help="Its name in the settings.")]
When = Annotated[
    str | None,
    typer.Option(help="2026-12-01T03:00 (Beijing time, or with its offset), or 2h, 1d ago."),
]


@receipt.command()
def endpoints(url: Url = URL) -> None:
    """Every endpoint, and how it is."""
    columns = ("endpoint", "source", "url", "state", "failing since", "pending", "dead", "oldest s")
    table = Table(*columns)
    for one in Client(url).get(_ENDPOINTS)["endpoints"]:
        name = f"{one['name']} (default)" if one["is_default"] else one["name"]
        since = one["failing_since"] or ""
        counts = (f"{one['pending']:,}", f"{one['dead']:,}", f"{one['oldest_age_s']:.0f}")
        table.add_row(name, one["source"], one["url"], one["state"], since, *counts)
    print_table(table)


@receipt.command("list")
def list_deliveries(
    endpoint: Endpoint,
    *,
    pending: Annotated[
        bool, typer.Option("--pending", help="What waits for its next try; else what is dead.")
    ] = False,
    after: Annotated[int, typer.Option(min=0, help="Past this cursor.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    url: Url = URL,
) -> None:
    """What an endpoint did not take, the oldest first."""
    query = {
        "state": "pending" if pending else "dead",
        "after": str(after),
        "limit": str(limit),
    }
    page = Client(url).get(f"{_path(endpoint)}/deliveries", query)
    columns = ("cursor", "order", "upstream's", "type", "user", "closed", "tries", "next", "said")
    table = Table(*columns)
    for one in page["deliveries"]:
        fields = ("cursor", "id", "order_id", "type", "user_id", "closed_at", "failures")
        told = (str(one[field]) for field in fields)
        table.add_row(*told, one["due_at"] or "", one["said"])
    print_table(table)


@receipt.command()
def show(order: Order, url: Url = URL) -> None:
    """The receipts of an order, and how the delivery of each goes."""
    found = Client(url).get(f"/v1/receipts/{path_of(order)}")
    console = Console()
    console.print("endpoint:", found["endpoint"] or "none: its receipts are fetched", markup=False)
    for one in found["receipts"]:
        console.print(_delivery(one["delivery"]), Pretty(one["receipt"]))


@receipt.command()
def redeliver(
    order: Annotated[str | None, typer.Argument(help="hlrd's own id: all its receipts.")] = None,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Of this endpoint instead …")] = None,
    cursor: Annotated[list[int] | None, typer.Option(help="… these, as `list` shows them,")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="… all that are dead,")] = False,
    since: When = None,
    until: When = None,
    operator: Operator,
    url: Url = URL,
) -> None:
    """Send receipts again: of one order; or of an endpoint some, all dead ones, all of a time."""
    if (order is None) == (endpoint is None):
        raise CallFailed("give the id of an order, or --endpoint, and not both")
    client = Client(url)
    body: dict[str, Any] = {"operator_id": operator}
    if order is not None:
        if cursor or dead or since or until:
            raise CallFailed("--cursor, --dead, --since and --until go with --endpoint")
        path = f"/v1/receipts/{path_of(order)}"
    else:
        path = _path(str(endpoint))
        body |= {"dead": dead, "receipts": cursor or None}
        body |= {"since": _moment(since, "--since"), "until": _moment(until, "--until")}
    count = client.post(f"{path}/redeliver", body)["receipts"]
    typer.echo(f"{count:,} receipts go again")


def _path(endpoint: str) -> str:
    return f"{_ENDPOINTS}/{path_of(endpoint)}"


def _moment(text: str | None, option: str) -> str | None:
    return None if text is None else moment(text, option, ahead=False).isoformat()


def _delivery(delivery: Mapping[str, Any] | None) -> str:
    if delivery is None:
        return "fetched only:"
    told = str(delivery["state"])
    if delivery["failures"]:
        told += f" after {delivery['failures']} failures ({delivery['said']})"
    if delivery["due_at"]:
        told += f", next try {delivery['due_at']}"
    return told + ":"
