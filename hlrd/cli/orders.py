"""`hlrd order`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.pretty import Pretty
from rich.table import Column, Table

from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import show as show_table
from hlrd.domain.orders import Source

order: Final = typer.Typer(no_args_is_help=True, help=f"Work orders. {OWNER}")

_FIELDS: Final = (
    "id", "source", "order_id", "type", "state", "user_id", "operator_id", "priority",
    "accepted_at", "closed_at",
)  # fmt: skip


@order.command("show")
def show(
    id: Annotated[str | None, typer.Argument(help="hlrd's own id.")] = None,
    order_id: Annotated[str | None, typer.Option(help="Upstream's id instead.")] = None,
    source: Annotated[Source | None, typer.Option(help="Upstream's name, with --order-id.")] = None,
    url: Url = URL,
) -> None:
    """An order with its resources, tasks, commands and receipts."""
    if (id is None) == (order_id is None):
        raise CallFailed("give hlrd's id, or --order-id (and --source), and not both")
    client = Client(url)
    if id is not None:
        return _print(client.get(f"/v1/work-orders/{path_of(id)}"))
    query = {"order_id": str(order_id), **({"source": source.value} if source else {})}
    return _print(client.get("/v1/work-orders", query))


@order.command("cancel")
def cancel(
    id: Annotated[str, typer.Argument(help="hlrd's own id.")],
    url: Url = URL,
) -> None:
    """Call an order off (撤单). Only before its first command."""
    _print(_act(id, "cancel", url))


@order.command("chase")
def chase(
    id: Annotated[str, typer.Argument(help="hlrd's own id.")],
    url: Url = URL,
) -> None:
    """Urge an open order on (催单), with those of its user that go before it."""
    _print(_act(id, "chase", url))


@order.command("kinds")
def kinds(url: Url = URL) -> None:
    """Every kind of order, and how it is asked for."""
    names = ("kind", "chinese", "route", "sources", "priority", "direction")
    table = Table(*names)
    for one in Client(url).get("/v1/order-kinds")["kinds"]:
        told = {**one, "sources": " ".join(one["sources"])}
        table.add_row(*(_text(told[name]) for name in names))
    show_table(table)


def _act(id: str, act: str, url: str) -> Any:
    return Client(url).post(f"/v1/work-orders/{path_of(id)}/{act}", {})


def _print(found: Mapping[str, Any]) -> None:
    console = Console()
    console.print(_facts(found))
    console.print(_tasks(found["tasks"]))
    if found["waits"]:
        why = ", ".join(f"{name} {value}" for name, value in found["waits"].items())
        console.print("waits:", why, markup=False, highlight=False)
    for task in found["tasks"]:
        if task.get("waits"):
            why = ", ".join(f"{name} {value}" for name, value in task["waits"].items())
            console.print(f"{task['operation']} waits:", why, markup=False, highlight=False)
        if task.get("request"):
            console.print(f"{task['operation']}:", task["request"], markup=False, highlight=False)
    for receipt in found["receipts"]:
        console.print("receipt", Pretty(receipt))


def _facts(found: Mapping[str, Any]) -> Table:
    table = Table("field", "value", show_header=False)
    for field in _FIELDS:
        table.add_row(field, _text(found[field]))
    for field, value in (found["resources"] or {}).items():
        table.add_row(field, _text(value))
    return table


def _tasks(tasks: Sequence[Mapping[str, Any]]) -> Table:
    names = ("operation", "ne", "state", "intent", "at", "ms", "verdict", "code")
    table = Table(*(Column(name, overflow="fold") for name in names))
    for task in tasks:
        heads = [_text(task.get(name)) for name in ("operation", "ne", "state")]
        for command in task.get("commands") or [{}]:
            sent = ("intent", "at", "elapsed_ms", "verdict", "code")
            table.add_row(*heads, *(_text(command.get(name)) for name in sent))
            heads = ["", "", ""]
    return table


def _text(value: object) -> str:
    return "" if value is None else str(value)
