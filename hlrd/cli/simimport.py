"""`hlrd sim import` and `hlrd sim imports`: a vendor's file goes up, and its import is followed.

The import is the daemon's: it goes on whatever becomes of this command.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)
from rich.table import Table

from hlrd.cli.client import URL, CallFailed, Client, Url, path_of
from hlrd.cli.follow import Shown, fetch, follow
from hlrd.cli.person import Operator
from hlrd.cli.sim import sim

__all__ = ["sim"]

_IMPORTS: Final = "/v1/sim-imports"
_OVER: Final = ("done", "refused")
_COLUMNS: Final = ("id", "state", "lot", "province", "hlr", "rows", "checked", "loaded", "faults")


@sim.command("import")
def import_lot(
    file: Annotated[Path, typer.Argument(help="The card vendor's file (docs/pool.md).")],
    *,
    province: Annotated[str, typer.Option(help="Company code, as 200.")],
    hlr: Annotated[
        str | None, typer.Option(help="The home HLR's name; absent: as the routes say.")
    ] = None,
    operator: Operator,
    detach: Annotated[bool, typer.Option(help="Do not follow the import.")] = False,
    url: Url = URL,
) -> None:
    """Add a lot of cards, all or none. Repeating it is harmless, and follows what goes on."""
    client, console = Client(url), Console()
    query = {"province": province, "operator_id": operator} | ({"hlr": hlr} if hlr else {})
    id = _upload(client, file, query, console)
    if id is None:
        console.print(f"{file} was imported before; hlrd sim list shows its lot")
    elif detach:
        console.print(f"import {id} goes on; hlrd sim imports {id} shows how far it is")
    else:
        _follow(client, id, file, console)


@sim.command("imports")
def imports(
    id: Annotated[str | None, typer.Argument(help="One of them, to be followed.")] = None,
    url: Url = URL,
) -> None:
    """The newest imports, or how far one is, until it is over."""
    client, console = Client(url), Console()
    if id is not None:
        return _follow(client, id, None, console)
    table = Table(*_COLUMNS, "cause")
    for one in client.get(_IMPORTS)["imports"]:
        table.add_row(*(_text(one[name]) for name in _COLUMNS), one["cause"] or "")
    return console.print(table)


@sim.command("cancel")
def cancel(
    id: Annotated[str, typer.Argument(help="Of the import.")],
    operator: Operator,
    url: Url = URL,
) -> None:
    """Stop an import; what was loaded of it is removed."""
    Client(url).delete(f"{_IMPORTS}/{path_of(id)}", {"operator_id": operator})
    Console().print(f"import {id} is being taken back")


def _upload(client: Client, file: Path, query: Mapping[str, str], console: Console) -> str | None:
    """The id of the import; None if this file is in stock already."""
    bar = Progress(
        TextColumn("upload"), BarColumn(), DownloadColumn(), console=console, transient=True
    )
    with bar:
        task = bar.add_task("upload", total=size_of(file))
        answer = client.upload(
            "/v1/sim-lots", query, file, lambda sent: bar.update(task, completed=sent)
        )
    id: str | None = answer.get("id")
    return id


def _follow(client: Client, id: str, file: Path | None, console: Console) -> None:
    one = _until_over(client, id, console)
    if one is None:
        console.print(f"import {id} goes on; hlrd sim imports {id} shows how far it is")
        return
    if one["state"] == "done":
        console.print(f"lot {one['lot']}: {one['loaded']:,} cards are in stock")
        return
    said = f"nothing was imported: {one['cause']}"
    if one["faults"]:
        said += f"\n{_write_errors(client, id, file)} names every fault by line, column and reason"
    raise CallFailed(said)


def _until_over(client: Client, id: str, console: Console) -> Shown | None:
    def look() -> Shown:
        one: Shown = client.get(f"{_IMPORTS}/{path_of(id)}")
        return one

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
    ) as bar:
        tasks = {name: bar.add_task(name, total=None, left="") for name in ("checked", "loaded")}
        return follow(
            look(),
            look,
            is_over=lambda one: one["state"] in _OVER,
            tell=lambda one: _show_progress(bar, tasks, one),
        )


def _show_progress(bar: Progress, tasks: Mapping[str, TaskID], one: Mapping[str, Any]) -> None:
    left = "" if one["left_s"] is None else f"about {one['left_s']:,.0f} s left"
    for name, task in tasks.items():
        shown = left if (name == "checked") == (one["state"] == "checking") else ""
        bar.update(task, total=one["rows"], completed=one[name], left=shown)


def _write_errors(client: Client, id: str, file: Path | None) -> Path:
    errors = Path(f"import-{id}.errors.csv") if file is None else Path(f"{file}.errors.csv")
    fetch(client, f"{_IMPORTS}/{path_of(id)}/errors", errors)
    return errors


def size_of(file: Path) -> int:
    """Of a file that is to be uploaded."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise CallFailed(f"cannot read {file}: {error.strerror}") from error
    if not size:
        raise CallFailed(f"{file} is empty")
    return size


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "")
