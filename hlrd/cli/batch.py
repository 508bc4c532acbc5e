"""`hlrd batch`: a file of orders goes up, is followed, paused, cancelled, and its results fetched.

The batch is the daemon's: it goes on whatever becomes of this command.
"""

import uuid
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
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import show as show_table
from hlrd.cli.follow import Shown, fetch, follow
from hlrd.cli.person import Operator
from hlrd.cli.simimport import size_of

batch: Final = typer.Typer(
    no_args_is_help=True, help=f"Batches: files of orders, and all members of an EC. {OWNER}"
)

_PATH: Final = "/v1/batches"
_OVER: Final = ("done", "refused")
_COUNTS: Final = ("rows", "sent", "ok", "failed", "left")
_COLUMNS: Final = ("id", "type", "order_id", "source", "child", "state")
_TYPES: Final = {".csv": "text/csv", ".ndjson": "application/x-ndjson"}

Id = Annotated[str, typer.Argument(help="Of the batch.")]


@batch.command("submit")
def submit(
    file: Annotated[Path, typer.Argument(help="CSV or NDJSON, by its name (docs/batches.md).")],
    *,
    child: Annotated[str, typer.Option(help="The kind of every row, as MEMBER_ACTIVATE.")],
    province: Annotated[str, typer.Option(help="Company code, as 200.")],
    operator: Operator,
    order_id: Annotated[
        str | None, typer.Option(help="Of the batch; absent: a new one. The same is never twice.")
    ] = None,
    common: Annotated[str, typer.Option(help="JSON object: fields of every row.")] = "{}",
    iccids: Annotated[
        str | None, typer.Option(help="FIRST-LAST: the rows get the cards of this range.")
    ] = None,
    priority: Annotated[int, typer.Option(help="Of the rows, 0 to 5.")] = 4,
    partial: Annotated[bool, typer.Option("--partial", help="Go on without bad rows.")] = False,
    charset: Annotated[str, typer.Option(help="utf-8 or gbk.")] = "utf-8",
    detach: Annotated[bool, typer.Option(help="Do not follow the batch.")] = False,
    url: Url = URL,
) -> None:
    """Hand in a file of orders: checked whole, then done row by row."""
    client, console = Client(url), Console()
    query = {
        "order_id": order_id or f"cli-{uuid.uuid4().hex[:24]}",
        "operator_id": operator,
        "province": province,
        "child": child,
        "priority": str(priority),
        "partial": "true" if partial else "false",
        "common": common,
        **_range_of(iccids),
    }
    one = _upload(client, file, query, f"{_type_of(file)}; charset={charset}", console)
    if detach:
        console.print(f"batch {one['id']} goes on; hlrd batch show {one['id']} shows how far it is")
    else:
        _follow(client, one["id"], file, console)


@batch.command("list")
def list_batches(url: Url = URL) -> None:
    """The newest batches."""
    table = Table(*_COLUMNS, *_COUNTS)
    for one in Client(url).get(_PATH)["batches"]:
        table.add_row(*(str(one[name] or "") for name in _COLUMNS), *_counts(one))
    show_table(table)


@batch.command("show")
def show(id: Id, url: Url = URL) -> None:
    """How far one is, until it is over."""
    _follow(Client(url), id, None, Console())


@batch.command("pause")
def pause(id: Id, operator: Operator, url: Url = URL) -> None:
    """Hand in no more rows for now."""
    _order(url, id, "pause", operator)


@batch.command("resume")
def resume(id: Id, operator: Operator, url: Url = URL) -> None:
    """Go on with one that was paused."""
    _order(url, id, "resume", operator)


@batch.command("cancel")
def cancel(id: Id, operator: Operator, url: Url = URL) -> None:
    """Hand in no more rows for good; those under way are carried out."""
    _order(url, id, "cancel", operator)


@batch.command("results")
def results(
    id: Id,
    file: Annotated[Path | None, typer.Option(help="Where to; absent: batch-ID.results.")] = None,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="Not CSV.")] = False,
    url: Url = URL,
) -> None:
    """What became of every row so far: row, user, number, card, result, code."""
    form = "ndjson" if ndjson else "csv"
    target = file or Path(f"batch-{id}.results.{form}")
    fetch(Client(url), f"{_PATH}/{path_of(id)}/results?format={form}", target)
    Console().print(f"{target} has the results")


@batch.command("errors")
def errors(
    id: Id,
    file: Annotated[
        Path | None, typer.Option(help="Where to; absent: batch-ID.errors.csv.")
    ] = None,
    url: Url = URL,
) -> None:
    """Every fault of the file by line, column and reason."""
    target = file or Path(f"batch-{id}.errors.csv")
    fetch(Client(url), f"{_PATH}/{path_of(id)}/errors", target)
    Console().print(f"{target} has the faults")


def _upload(
    client: Client, file: Path, query: Mapping[str, str], type_: str, console: Console
) -> dict[str, Any]:
    bar = Progress(
        TextColumn("upload"), BarColumn(), DownloadColumn(), console=console, transient=True
    )
    with bar:
        task = bar.add_task("upload", total=size_of(file))
        answer: dict[str, Any] = client.upload(
            _PATH, query, file, lambda sent: bar.update(task, completed=sent), content_type=type_
        )
    return answer


def _follow(client: Client, id: str, file: Path | None, console: Console) -> None:
    one = _until_over(client, id, console)
    if one is None:
        console.print(f"batch {id} goes on; hlrd batch show {id} shows how far it is")
        return
    if one["state"] == "done":
        counts = f"{one['ok']:,} succeeded, {one['failed']:,} failed, {one['left']:,} left"
        mark = f" ({one['mark']})" if one["mark"] else ""
        console.print(f"batch {id}: {counts}{mark}; hlrd batch results {id} fetches every row")
        return
    said = f"nothing was handed in: {one['code']}: {one['cause']}"
    if one["faults"]:
        target = Path(f"batch-{id}.errors.csv") if file is None else Path(f"{file}.errors.csv")
        fetch(client, f"{_PATH}/{path_of(id)}/errors", target)
        said += f"\n{target} names every fault by line, column and reason"
    raise CallFailed(said)


def _until_over(client: Client, id: str, console: Console) -> Shown | None:
    def look() -> Shown:
        one: Shown = client.get(f"{_PATH}/{path_of(id)}")
        return one

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, said="")
        return follow(
            look(),
            look,
            is_over=lambda one: one["state"] in _OVER,
            tell=lambda one: bar.update(task, **_bar_of(one)),
        )


def _bar_of(one: Mapping[str, Any]) -> dict[str, Any]:
    is_checked = one["rows"] is not None
    return {
        "description": one["state"],
        "total": one["rows"],
        "completed": one["ok"] + one["failed"] if is_checked else one["checked"],
        "said": f"{one['failed']:,} failed" if one["failed"] else "",
    }


def _order(url: str, id: str, what: str, operator: str) -> None:
    who = f"operator_id={path_of(operator)}"
    one = Client(url).post(f"{_PATH}/{path_of(id)}/{what}?{who}", {})
    Console().print(f"batch {id} is {one['state']}")


def _counts(one: Mapping[str, Any]) -> list[str]:
    return ["" if one[name] is None else f"{one[name]:,}" for name in _COUNTS]


def _range_of(iccids: str | None) -> dict[str, str]:
    if iccids is None:
        return {}
    first, _, last = iccids.partition("-")
    return {"iccid_first": first, "iccid_last": last}


def _type_of(file: Path) -> str:
    found = _TYPES.get(file.suffix.lower())
    if found is None:
        raise CallFailed(f"{file} must be named {' or '.join(_TYPES)}")
    return found
