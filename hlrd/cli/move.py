"""`hlrd ne move`: a segment of numbers or cards goes from one HLR to another.

The move is the daemon's: it goes on whatever becomes of this command.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from hlrd.cli import columns
from hlrd.cli.client import URL, CallFailed, Client, Url, path_of
from hlrd.cli.follow import Shown, follow_in_a_line
from hlrd.cli.ne import ne
from hlrd.cli.person import Operator
from hlrd.domain.routing import Identity

__all__ = ["ne"]

_PATH: Final = "/v1/segment-moves"
_GOES_ON: Final = ("draining", "switching", "verifying", "returning")
_SAID: Final = {
    "drained": "nothing of it is in flight: move its data, then hlrd ne move switch {id}",
    "unproven": "{to} does not have all: mend it and hlrd ne move verify {id},"
    " or hlrd ne move return {id}",
    "done": "its orders go on at {to}; write the route down in the configuration",
    "returned": "its orders go on at {from}",
}

Id = Annotated[str, typer.Argument(help="Of the move.")]

move: Final = typer.Typer(help="Move a segment to another HLR (docs/operations.md).")
ne.add_typer(move, name="move")


@move.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    *,
    prefix: Annotated[str | None, typer.Option(help="Of the numbers, or IMSIs.")] = None,
    old: Annotated[str | None, typer.Option("--from", help="The HLR it is at.")] = None,
    new: Annotated[str | None, typer.Option("--to", help="The HLR it goes to.")] = None,
    operator: Operator,
    kind: Annotated[Identity, typer.Option(help="What the prefix is of.")] = Identity.MSISDN,
    sample: Annotated[
        int | None, typer.Option(help="Subscribers to ask the new HLR for; absent: all.")
    ] = None,
    detach: Annotated[bool, typer.Option(help="Do not follow the move.")] = False,
    url: Url = URL,
) -> None:
    """From now on its orders wait; the move is followed until a person must act."""
    if context.invoked_subcommand is not None:
        return
    if prefix is None or old is None or new is None:
        raise CallFailed("--prefix, --from and --to are wanted")
    body = {
        "kind": kind.value,
        "prefix": prefix,
        "from": old,
        "to": new,
        "operator_id": operator,
        "sample": sample,
    }
    client = Client(url)
    _follow(client, client.post(_PATH, body), detach=detach)


@move.command("list")
def list_moves(url: Url = URL) -> None:
    """The newest moves."""
    table = Table("id", "segment", "from", "to", "state", "since", "operator")
    for one in Client(url).get(_PATH)["moves"]:
        segment = f"{one['kind']} {one['prefix']}*"
        told = (one["from"], one["to"], one["state"], one["changed_at"], one["operator_id"])
        table.add_row(one["id"], segment, *told)
    columns.show(table)


@move.command()
def show(id: Id, url: Url = URL) -> None:
    """One move, and what the new HLR does not have."""
    _show(Client(url).get(_path(id)))


@move.command()
def switch(id: Id, operator: Operator, url: Url = URL) -> None:
    """The data is at the new HLR: switch over, and verify."""
    _order(id, "switch", operator, url)


@move.command()
def verify(id: Id, operator: Operator, url: Url = URL) -> None:
    """Ask the new HLR once more."""
    _order(id, "verify", operator, url)


@move.command("return")
def turn_back(id: Id, operator: Operator, url: Url = URL) -> None:
    """Every home as before; the orders go on at the old HLR."""
    _order(id, "return", operator, url)


def _order(id: str, verb: str, operator: str, url: str) -> None:
    client = Client(url)
    _follow(client, client.post(f"{_path(id)}/{verb}", {"operator_id": operator}), detach=False)


def _path(id: str) -> str:
    return f"{_PATH}/{path_of(id)}"


def _follow(client: Client, one: Shown, *, detach: bool) -> None:
    id = one["id"]
    ended = follow_in_a_line(
        one,
        lambda: client.get(_path(id)),
        is_over=lambda now: now["state"] not in _GOES_ON or detach,
        line=_progress,
    )
    if ended is None:
        Console().print(f"move {id} goes on; hlrd ne move show {id} shows how far it is")
    else:
        _show(ended)


def _progress(one: Mapping[str, Any]) -> str:
    return (
        f"move {one['id']} {one['state']}: {one['running']:,} orders under way,"
        f" {one['waiting']:,} users wait, {one['switched']:,} bindings switched,"
        f" {one['verified']['asked']:,} asked for"
    )


def _show(one: Mapping[str, Any]) -> None:
    console = Console()
    console.print(_progress(one), markup=False, highlight=False)
    found = one["verified"]
    if found["missing"] or found["silent"]:
        table = Table("msisdn", "cause")
        for example in found["examples"]:
            table.add_row(example["msisdn"], example["cause"])
        console.print(table)
        console.print(f"{found['missing']:,} missing, {found['silent']:,} without a clear word")
    if one["state"] in _SAID:
        console.print(_SAID[one["state"]].format(**one), markup=False, highlight=False)
