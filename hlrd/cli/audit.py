"""`hlrd audit`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Column, Table

from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url
from hlrd.cli.columns import show as show_table
from hlrd.cli.moment import moment

audit: Final = typer.Typer(no_args_is_help=True, help=f"The audit trail. {OWNER}")

_PATH: Final = "/v1/audit"


@audit.command()
def show(
    *,
    subject: Annotated[str | None, typer.Option(help="As number:1064900000001 or ne:hlr1.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    action: Annotated[str | None, typer.Option(help="As number.lock.")] = None,
    order: Annotated[int | None, typer.Option(help="hlrd's id of the order.")] = None,
    since: Annotated[
        str | None, typer.Option(help="2026-12-01T03:00, or 2h ago: 2h. Beijing time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    url: Url = URL,
) -> None:
    """What was done, the newest first."""
    asked = {"subject": subject, "actor": actor, "action": action}
    query = {name: value for name, value in asked.items() if value is not None}
    if order is not None:
        query["order"] = str(order)
    if since is not None:
        query["since"] = moment(since, "--since", ahead=False).isoformat()
    found = Client(url).get(_PATH, {**query, "limit": str(limit)})
    if posted := found.get("posted"):
        print(_posted(posted))
    names = ("at", "actor", "source", "action", "subject", "order", "before", "after")
    table = Table(Column("row", justify="right"), *names)
    for row in found["rows"]:
        table.add_row(str(row["row"]), *(_text(row[name]) for name in names))
    show_table(table)


@audit.command()
def head(url: Url = URL) -> None:
    """Print the end of the chain: keep it where nobody of the database can change it."""
    print(Client(url).get(_PATH + "/head")["head"])


@audit.command()
def verify(
    head: Annotated[str | None, typer.Option(help="What `head` printed once.")] = None,
    url: Url = URL,
) -> None:
    """Walk the whole chain. Ends with 1 and names the first row that is not as it was written."""
    query = {} if head is None else {"head": head}
    found: Mapping[str, Any] = Client(url).get(_PATH + "/verify", query)
    if found["fault"] is not None:
        raise CallFailed(f"the audit trail is broken at row {found['fault']['row']}: {_why(found)}")
    kept = "" if head is None else ", and goes on from the head that was kept"
    print(f"{found['rows']:,} rows, each as it was written{kept}; head {found['head']}")


def _posted(order: Mapping[str, Any]) -> str:
    by = f" by session {order['session']}" if order["session"] else ""
    what = f"{order['type']} {order['order_id']}"
    return f"{what} of {order['source']}, operator {order['operator_id']}, at {order['at']}{by}"


def _why(found: Mapping[str, Any]) -> str:
    return f"{found['fault']['text']}. The {found['rows']:,} rows before it are whole."


def _text(value: object) -> str:
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return "" if value is None else str(value)
