"""`hlrd session`."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from hlrd.cli.client import OWNER, URL, Client, Url, path_of
from hlrd.cli.columns import show

session: Final = typer.Typer(
    no_args_is_help=True, help=f"Who is logged in of the source systems. {OWNER}"
)

_PATH: Final = "/v1/sessions"


@session.command("list")
def list_sessions(url: Url = URL) -> None:
    """Every session that is open, and every account with its lock."""
    found = Client(url).get(_PATH)
    names = ("session", "source", "address", "since", "heard_at", "expires_at")
    table = Table(*names)
    for one in found["sessions"]:
        table.add_row(*(one[name] for name in names))
    show(table)
    _print_accounts(found["accounts"])


@session.command()
def close(name: Annotated[str, typer.Argument(help="As `list` shows it.")], url: Url = URL) -> None:
    """End a session. Its orders go on, and its system may log in anew."""
    closed = Client(url).delete(f"{_PATH}/{path_of(name)}")
    print(f"{closed['session']} is closed")


@session.command()
def unlock(user: Annotated[str, typer.Argument(help="Of the account.")], url: Url = URL) -> None:
    """Let an account log in again that wrong passwords have locked."""
    _print_accounts([Client(url).post(f"/v1/accounts/{path_of(user)}/unlock", {})])


def _print_accounts(accounts: Iterable[Mapping[str, Any]]) -> None:
    table = Table("account", "source", Column("sessions", justify="right"), "locked until")
    for one in accounts:
        until = one["locked_until"] or ""
        table.add_row(one["user"], one["source"], str(one["sessions"]), until)
    show(table)
