"""`hlrd pool history`, `lock`, `unlock` and `recycle`: staff's work on numbers."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from hlrd.cli.client import URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import show
from hlrd.cli.person import Operator

commands: Final = typer.Typer()

Number = Annotated[str, typer.Argument(help="11 or 13 digits.")]
CauseText = Annotated[str, typer.Option("--cause", help="Why, for those who ask later.")]


@commands.command("history")
def history(number: Number, url: Url = URL) -> None:
    """What holds of a number, and what it went through."""
    found = Client(url).get(f"/v1/numbers/{path_of(number)}/history")
    now = {**found["number"], **{name: found[name] for name in found if name not in _NOT_NOW}}
    console = Console()
    for name, value in now.items():
        if value not in (None, False):
            console.print(f"{name}: {value}", highlight=False)
    _show_past(found["past"])


@commands.command("lock")
def lock(number: Number, cause: CauseText, operator: Operator, url: Url = URL) -> None:
    """Take a number out of use. One that is in use stays its user's until he leaves."""
    _work(url, number, "lock", cause, operator)


@commands.command("unlock")
def unlock(number: Number, cause: CauseText, operator: Operator, url: Url = URL) -> None:
    """End a lock: idle again, or in use where it is bound."""
    _work(url, number, "unlock", cause, operator)


@commands.command("recycle")
def recycle(
    operator: Operator,
    number: Annotated[
        str | None, typer.Option("--number", help="This one, whatever its date.")
    ] = None,
    waive_arrears: Annotated[
        bool, typer.Option("--waive-arrears", help="Although its last user owes.")
    ] = False,
    url: Url = URL,
) -> None:
    """Take numbers out of quarantine now: all that are due, or one before its date."""
    if number is not None:
        given = {"operator_id": operator, "waive_arrears": waive_arrears}
        answer = Client(url).post(f"/v1/numbers/{path_of(number)}/recycle", given)
        _show_recycled([answer])
        return
    if waive_arrears:
        raise CallFailed("--waive-arrears is of one --number")
    answer = Client(url).post("/v1/numbers/recycle", {"operator_id": operator})
    for found, count in answer["counts"].items():
        typer.echo(f"{found}: {count:,}")
    if answer["numbers"]:
        _show_recycled(answer["numbers"])


_NOT_NOW: Final = ("number", "past")


def _work(url: str, number: str, what: str, cause: str, operator: str) -> None:
    given = {"cause": cause, "operator_id": operator}
    found = Client(url).post(f"/v1/numbers/{path_of(number)}/{what}", given)
    typer.echo(f"{found['msisdn']}: {found['state']}")


def _show_past(past: Iterable[Mapping[str, Any]]) -> None:
    table = Table("at", "event", "since", "user", "order", "operator", Column("cause"))
    for row in past:
        names = ("at", "event", "since", "user_id", "order_id", "operator_id", "cause")
        table.add_row(*(row[name] or "" for name in names))
    show(table)


def _show_recycled(numbers: Iterable[Mapping[str, Any]]) -> None:
    table = Table("number", "found", "detail")
    for one in numbers:
        table.add_row(one["msisdn"], one["found"], one["detail"])
    show(table)
