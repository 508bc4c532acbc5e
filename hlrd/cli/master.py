"""`hlrd master`: who may stop and resume the users of a province."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from hlrd.cli import columns
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.follow import Shown, follow_in_a_line
from hlrd.cli.person import Operator
from hlrd.domain.master import Master

master: Final = typer.Typer(
    no_args_is_help=True, help=f"The state master of each province (docs/state-master.md). {OWNER}"
)

_PATH: Final = "/v1/state-masters"
_UNLISTED_SHOWN: Final = 100
_PART_LINES: Final = 50_000
_PART_BYTES: Final = 8 * 2**20
_COUNTS: Final = (
    "compared", "equal", "different", "repairs", "busy", "outdated", "unknown",
)  # fmt: skip

Province = Annotated[str, typer.Argument(help="Its company code, as 200.")]
Detach = Annotated[bool, typer.Option(help="Do not follow the switch.")]


@master.command()
def show(province: Annotated[str | None, typer.Argument()] = None, url: Url = URL) -> None:
    """Who is master, and how far a switch is; of all provinces that have another than the usual."""
    client = Client(url)
    if province is not None:
        return _print([client.get(_path(province))])
    found = client.get(_PATH)
    _print(found["provinces"])
    return print(f"every other province: {found['usual']}")


@master.command()
def switch(
    province: Province, to: Master, operator: Operator, detach: Detach = False, url: Url = URL
) -> None:
    """Let the changes of state under way be carried out, then switch."""
    client = Client(url)
    body = {"master": to.value, "operator_id": operator}
    _follow(client, client.post(f"{_path(province)}/switch", body), detach=detach)


@master.command()
def cancel(province: Province, operator: Operator, url: Url = URL) -> None:
    """The master stays."""
    _print([Client(url).post(f"{_path(province)}/cancel", {"operator_id": operator})])


@master.command()
def reconcile(
    province: Province,
    file: Annotated[Path, typer.Argument(help="One user a line, as JSON.")],
    operator: Operator,
    repair: Annotated[bool, typer.Option(help="Make right what differs.")] = False,
    url: Url = URL,
) -> None:
    """Compare the reasons that hlrd holds with those of the master."""
    client, sums = Client(url), Counter[str]()
    query = {"operator_id": operator, "repair": "yes" if repair else "no"}
    table = Table("user", "hlrd", "master", "repair")
    listed: set[str] = set()
    for part in _parts(file):
        found = client.post_lines(f"{_path(province)}/reconcile", query, part)
        listed.update(_named_in(part))
        sums.update({name: found[name] for name in _COUNTS})
        for one in found["differences"]:
            told = (_reasons(one["hlrd"]), _reasons(one["master"]))
            table.add_row(one["user_id"], *told, one["order_id"] or one["refused"] or "")
    if table.rows:
        columns.show(table)
    print(", ".join(f"{sums[name]:,} {name}" for name in _COUNTS))
    unlisted = sorted(_stopped(client, province) - listed)
    if unlisted:
        shown = " ".join(unlisted[:_UNLISTED_SHOWN])
        print(f"{len(unlisted):,} unlisted: stopped here, and not in the list: {shown}")


@master.command()
def export(province: Province, url: Url = URL) -> None:
    """Print every user that hlrd has reasons for, one a line."""
    Client(url).download(f"{_path(province)}/users.ndjson", sys.stdout.buffer)


def _stopped(client: Client, province: str) -> set[str]:
    with TemporaryFile() as file:
        client.download(f"{_path(province)}/users.ndjson", file)
        file.seek(0)
        return {str(orjson.loads(line)["user_id"]) for line in file}


def _named_in(part: bytes) -> Iterator[str]:
    """The daemon has read it already."""
    return (str(orjson.loads(line)["user_id"]) for line in part.splitlines() if line.strip())


def _parts(file: Path) -> Iterator[bytes]:
    """Each small enough for one request; none of an empty file."""
    part: list[bytes] = []
    size = 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                if part and (len(part) == _PART_LINES or size + len(line) > _PART_BYTES):
                    yield b"".join(part)
                    part, size = [], 0
                part.append(line)
                size += len(line)
    except OSError as error:
        raise CallFailed(f"cannot read {file}: {error.strerror}") from error
    if part:
        yield b"".join(part)


def _follow(client: Client, one: Shown, *, detach: bool) -> None:
    ended = follow_in_a_line(
        one,
        lambda: client.get(_path(one["province"])),
        is_over=lambda now: now["next"] is None or detach,
        line=lambda now: f"{now['open']:,} orders left, {now['fallout']:,} of them in fallout",
    )
    if ended is None:
        Console().print("the switch goes on; hlrd master show says how far it is")
    else:
        _print([ended])


def _path(province: str) -> str:
    return f"{_PATH}/{path_of(province)}"


def _print(found: Iterable[Mapping[str, Any]]) -> None:
    names = ("province", "name", "master", "next", "configured")
    counts = (Column("open", justify="right"), Column("fallout", justify="right"))
    table = Table(*names, *counts, "operator", "since")
    for one in found:
        told = (*names, "open", "fallout", "operator_id", "since")
        table.add_row(*("" if one[name] is None else str(one[name]) for name in told))
    columns.show(table)


def _reasons(named: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(f"{one['reason']}:{one['level']}" for one in named) or "none"
