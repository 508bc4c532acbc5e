"""`hlrd pool`."""

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import track
from rich.table import Column, Table

from hlrd.cli import files, number, rangefile
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.columns import counted, counts, show
from hlrd.cli.person import Operator

pool: Final = typer.Typer(no_args_is_help=True, help=f"Number pools. {OWNER}")
pool.add_typer(number.commands)

_STATES: Final = ("idle", "leased", "reserved", "inUse", "quarantined", "locked")
_REPORTED: Final = {
    "idle": "idle 空闲",
    "reserved": "reserved 预占",
    "inUse": "in use 在用",
    "quarantined": "quarantined 冷冻",
    "locked": "locked 封存",
}

Name = Annotated[str, typer.Argument(help="Its name.")]
AnyName = Annotated[str | None, typer.Argument(help="Of this pool alone.")]
File = Annotated[Path, typer.Argument(help="CSV; the first line names the columns.")]
AsCSV = Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")]


@pool.command("create")
def create_pool(name: Name, url: Url = URL) -> None:
    """Create an empty pool."""
    _show_pools([Client(url).post("/v1/pools", {"name": name})])


@pool.command("import")
def import_ranges(name: Name, file: File, url: Url = URL) -> None:
    """Add ranges of numbers: columns first, last, province, hlr (empty: as the routes say).

    The whole file is checked first, and nothing is added while a line of it is wrong. What is there
    already is passed over, so an import that was broken off can be run again.
    """
    client = Client(url)
    pools = client.get("/v1/pools")["pools"]
    found = client.get("/v1/network-elements")
    hlrs = [*found["homes"], *(one["name"] for one in found["network_elements"])]
    checked = rangefile.check(file, name, pools, hlrs)
    if checked.faults:
        errors = rangefile.write_faults(file, checked.faults)
        first = checked.faults[0]
        raise CallFailed(
            f"nothing was imported: {_faults(len(checked.faults))}, all in {errors};"
            f" the first: line {first.line}, {first.column}: {first.reason}"
        )
    path = f"/v1/pools/{path_of(name)}"
    for line in track(checked.new, "ranges", transient=True):
        _add(client, path, file, line)
    rangefile.errors_of(file).unlink(missing_ok=True)  # of an earlier try
    typer.echo(f"ranges added: {len(checked.new)}, there already: {len(checked.present)}")
    _show_pools([client.get(path)])


def _add(client: Client, path: str, file: Path, line: rangefile.Line) -> None:
    span = line.span
    row = {"first": str(span.first), "last": str(span.last)}
    try:
        client.post(f"{path}/ranges", {**row, "province": span.province, "hlr": span.hlr or None})
    except CallFailed as refused:
        raise CallFailed(
            f"{file}, line {line.number}: {refused}; run it again to go on"
        ) from refused


@pool.command("list")
def list_pools(url: Url = URL) -> None:
    """Every pool with its numbers by state."""
    _show_pools(Client(url).get("/v1/pools")["pools"])


@pool.command("show")
def show_pool(name: Name, url: Url = URL) -> None:
    """One pool with its ranges."""
    found = Client(url).get(f"/v1/pools/{path_of(name)}")
    _show_pools([found])
    _show_ranges(found["ranges"])


@pool.command("report")
def report(name: AnyName = None, as_csv: AsCSV = False, url: Url = URL) -> None:
    """Numbers by pool, province, home HLR and length, in each state. Leased ones count as idle."""
    found = Client(url).get("/v1/stock/report", {"pool": name} if name else None)
    rows = [_reported(row) for row in found["rows"]]
    keys = ("pool", "province", "hlr", "digits")
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([(*keys, *_REPORTED), *rows])
        return
    table = Table(*keys, *counted(_REPORTED.values()))
    for row in rows:
        table.add_row(*map(str, row[:4]), *(f"{count:,}" for count in row[4:]))
    show(table)
    typer.echo(f"counted at {found['counted_at']}")


@pool.command("forecast")
def forecast(name: AnyName = None, url: Url = URL) -> None:
    """How long the idle numbers last at today's rate."""
    found = Client(url).get("/v1/stock/forecast", {"pool": name} if name else None)
    columns = ("idle", "drawn today", "yesterday", "a day", "days left", "low water")
    table = Table("pool", "province", *(Column(column, justify="right") for column in columns), "")
    for row in found["rows"]:
        table.add_row(
            row["pool"],
            row["province"],
            *(f"{row[key]:,}" for key in ("idle", "drawn_today", "drawn_yesterday")),
            f"{row['numbers_per_day']:,}",
            *("" if row[key] is None else f"{row[key]:,}" for key in ("days_left", "low_water")),
            "LOW" if row["is_low"] else "",
        )
    show(table)


@pool.command("low-water")
def low_water(
    name: Name,
    numbers: Annotated[int, typer.Argument(help="0 lifts the mark.")],
    url: Url = URL,
) -> None:
    """Say below how many idle numbers of a province the pool is low."""
    Client(url).put(f"/v1/pools/{path_of(name)}/low-water", {"numbers": numbers or None})


@pool.command("share")
def share(
    name: Name,
    province: Annotated[str, typer.Option(help="Company code, as 200.")],
    numbers: Annotated[int, typer.Option(help="How many.")],
    operator: Operator,
    url: Url = URL,
) -> None:
    """Give a province a part of the pool's national ranges (province 000)."""
    given = {"province": province, "numbers": numbers, "operator_id": operator}
    _show_ranges(Client(url).post(f"/v1/pools/{path_of(name)}/shares", given)["shares"])


@pool.command("unshare")
def unshare(
    name: Name,
    first: Annotated[str, typer.Argument(help="Its first number.")],
    operator: Operator,
    url: Url = URL,
) -> None:
    """Make a share national again that its province has not used."""
    path = f"/v1/pools/{path_of(name)}/shares/{path_of(first)}/take-back"
    _show_ranges([Client(url).post(path, {"operator_id": operator})])


@pool.command("shares")
def list_shares(name: Name, url: Url = URL) -> None:
    """The shares of a pool."""
    _show_ranges(Client(url).get(f"/v1/pools/{path_of(name)}/shares")["shares"])


@pool.command("export")
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="To be written.")],
    state: Annotated[str | None, typer.Option(help="Only numbers in this state.")] = None,
    url: Url = URL,
) -> None:
    """Write the numbers of a pool that are bound or held as CSV; the others are idle."""
    query = f"?state={path_of(state)}" if state else ""
    path = f"/v1/pools/{path_of(name)}/numbers.csv{query}"
    files.write(file, lambda content: Client(url).download(path, content))


def _reported(row: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = row["numbers"]
    states = {**numbers, "idle": numbers["idle"] + numbers.get("leased", 0)}
    return (
        row["pool"],
        row["province"],
        row["hlr"],
        row["digits"],
        *(states.get(state, 0) for state in _REPORTED),
    )


def _show_pools(pools: Iterable[Mapping[str, Any]]) -> None:
    table = Table("pool", *counted(_STATES))
    for one in pools:
        table.add_row(one["name"], *counts(one["numbers"], _STATES))
    show(table)


def _show_ranges(ranges: Iterable[Mapping[str, Any]]) -> None:
    table = Table("first", "last", "province", "hlr", "")
    for row in ranges:
        share = "share" if row.get("is_share") else ""
        table.add_row(row["first"], row["last"], row["province"], row["hlr"], share)
    show(table)


def _faults(count: int) -> str:
    return "1 fault" if count == 1 else f"{count} faults"
