"""`hlrd ne`."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.pretty import Pretty
from rich.table import Column, Table

from hlrd.cli import columns
from hlrd.cli.client import OWNER, URL, Client, Url, path_of
from hlrd.cli.moment import moment

ne: Final = typer.Typer(no_args_is_help=True, help=f"Network elements. {OWNER}")

_PATH: Final = "/v1/network-elements"

Name = Annotated[str, typer.Argument(help="Its name in the configuration.")]
Cause = Annotated[str, typer.Option(help="Shown by every order that waits for it.")]
Until = Annotated[
    str, typer.Option(help="2026-12-01T03:00 (Beijing time, or with its offset), or 30m, 2h, 1d.")
]


@ne.command("list")
def list_elements(url: Url = URL) -> None:
    """Every network element with its state, sessions and waiting tasks."""
    _print(Client(url).get(_PATH)["network_elements"])


@ne.command()
def show(name: Name, url: Url = URL) -> None:
    """One network element with all its driver knows."""
    found = Client(url).get(_path(name))
    table = Table("field", "value", show_header=False)
    for field, value in found.items():
        table.add_row(field, Pretty(value) if isinstance(value, dict | list) else _text(value))
    Console().print(table)


@ne.command()
def hold(name: Name, until: Until, cause: Cause, url: Url = URL) -> None:
    """Send it nothing until then; its tasks wait. Sessions log out when idle."""
    body = {"until": moment(until, "--until", ahead=True).isoformat(), "cause": cause}
    _print([Client(url).post(f"{_path(name)}/hold", body)])


@ne.command()
def drain(name: Name, cause: Cause, url: Url = URL) -> None:
    """The same without an end: until it is released."""
    _print([Client(url).post(f"{_path(name)}/drain", {"cause": cause})])


@ne.command()
def release(name: Name, url: Url = URL) -> None:
    """End a hold or a drain: its tasks go on at once."""
    _print([Client(url).post(f"{_path(name)}/release", {})])


def _path(name: str) -> str:
    return f"{_PATH}/{path_of(name)}"


def _print(found: Iterable[Mapping[str, Any]]) -> None:
    names = ("name", "dialect", "address", "state")
    counts = ("sessions", "in flight", "waiting", "breaker")
    table = Table(*names, *(Column(name, justify="right") for name in counts), "why")
    for one in found:
        table.add_row(*(_text(one[name]) for name in names), *_counts(one), _why(one["halt"]))
    columns.show(table)


def _counts(one: Mapping[str, Any]) -> list[str]:
    usable = sum(one["sessions"].get(state, 0) for state in ("idle", "busy", "checking"))
    return [
        f"{usable}/{one['sessions_max']}",
        f"{one['in_flight']:,}",
        f"{one['waiting']:,}",
        one["breaker"]["state"],
    ]


def _why(halt: Mapping[str, Any] | None) -> str:
    if halt is None:
        return ""
    until = halt.get("until")
    return f"{halt['cause']} (until {until})" if until else str(halt["cause"])


def _text(value: object) -> str:
    return "" if value is None else str(value)
