"""`hlrd fallout`: orders that need a person (docs/fallout.md)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from hlrd.cli import columns
from hlrd.cli.client import OWNER, URL, CallFailed, Client, Url, path_of
from hlrd.cli.follow import Shown, follow_in_a_line
from hlrd.cli.person import Operator

_PATH: Final = "/v1/fallout"
_ACTS: Final = "/v1/fallout/acts"

fallout: Final = typer.Typer(no_args_is_help=True, help=f"Orders that need a person. {OWNER}")

Id = Annotated[str, typer.Argument(help="Of the order, hlrd's own.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the act, up to 200 characters.")]
NE = Annotated[str | None, typer.Option(help="Where they are stuck.")]
Code = Annotated[str | None, typer.Option(help="What was said there: the NE's own code.")]
Province = Annotated[str | None, typer.Option(help="That sent them.")]
Kind = Annotated[str | None, typer.Option("--type", help="MEMBER_ACTIVATE, …")]
OlderThan = Annotated[float | None, typer.Option(help="Seconds since they fell out.")]
Detach = Annotated[bool, typer.Option(help="Do not follow the act.")]


@fallout.command("list")
def list_orders(
    *,
    ne: NE = None,
    code: Code = None,
    province: Province = None,
    kind: Kind = None,
    older_than_s: OlderThan = None,
    limit: Annotated[int, typer.Option(help="Orders at most.")] = 100,
    counts: Annotated[bool, typer.Option(help="By NE and code instead.")] = False,
    url: Url = URL,
) -> None:
    """The orders that wait for a person, and how many wait behind each."""
    client = Client(url)
    if counts:
        return _show_counts(client.get(_PATH + "/counts")["counts"])
    query = {**_filter(ne, code, province, kind, older_than_s), "limit": str(limit)}
    page = client.get(_PATH, {name: str(value) for name, value in query.items()})
    _show_orders(page["orders"])
    if page["next"] is not None:
        typer.echo(f"more follow; there are --counts, or raise --limit above {limit}")
    return None


@fallout.command()
def show(id: Id, url: Url = URL) -> None:
    """One order: where it is stuck, what may be done, and what was done."""
    found = Client(url).get(f"{_PATH}/{path_of(id)}")
    table = Table("field", "value", show_header=False)
    for name, value in found.items():
        if name not in ("amendments", "sheets"):
            table.add_row(name, _text(value))
    console = Console()
    console.print(table)
    for one in found["amendments"]:
        console.print("changed", one["at"], one["operator_id"], one["reason"], markup=False)
        console.print(orjson.dumps(one["order"]).decode(), markup=False, highlight=False)
    for sheet in found["sheets"]:
        told = (sheet["number"], sheet["state"], sheet["answer"], sheet["text"])
        console.print("sheet", *told, markup=False, highlight=False)


@fallout.command()
def resend(id: Id, *, operator: Operator, reason: Reason, url: Url = URL) -> None:
    """Run it again from a read-back of every task (重发)."""
    _act(id, "resend", operator, reason, url)


@fallout.command()
def skip(id: Id, *, operator: Operator, reason: Reason, url: Url = URL) -> None:
    """The failed step counts as done; go on behind it (强制通过)."""
    _act(id, "skip", operator, reason, url)


@fallout.command()
def finish(id: Id, *, operator: Operator, reason: Reason, url: Url = URL) -> None:
    """It counts as carried out, and nothing more of it is sent (人工竣工)."""
    _act(id, "finish", operator, reason, url)


@fallout.command()
def cancel(id: Id, *, operator: Operator, reason: Reason, url: Url = URL) -> None:
    """Undo what is done, in reverse, and fail it (撤单)."""
    _act(id, "cancel", operator, reason, url)


@fallout.command("to-eoms")
def to_eoms(id: Id, *, operator: Operator, reason: Reason, url: Url = URL) -> None:
    """Open a sheet at the EOMS; what people answer is the next act."""
    _act(id, "to-eoms", operator, reason, url)


@fallout.command()
def change(
    id: Id,
    *,
    values: Annotated[
        list[str], typer.Option("--set", help="field=value, once for each; field= takes it out.")
    ],
    operator: Operator,
    reason: Reason,
    url: Url = URL,
) -> None:
    """Give fields other values and resend it; `show` names the fields that may be changed."""
    body = {"operator_id": operator, "reason": reason, "set": dict(map(_value, values))}
    _told(Client(url).post(f"{_PATH}/{path_of(id)}/change", body))


# Many at once.


@fallout.command("resend-all")
def resend_all(
    *,
    code: Annotated[str, typer.Option(help="What was said: the NE's own code.")],
    operator: Operator,
    reason: Reason,
    ne: NE = None,
    province: Province = None,
    kind: Kind = None,
    older_than_s: OlderThan = None,
    url: Url = URL,
) -> None:
    """Propose to resend all with a code; another person confirms it."""
    chosen = _filter(ne, code, province, kind, older_than_s)
    _propose("resend", chosen, operator, reason, url)


@fallout.command()
def propose(
    act: Annotated[str, typer.Argument(help="resend, skip, finish, cancel or toEoms.")],
    *,
    operator: Operator,
    reason: Reason,
    ne: NE = None,
    code: Code = None,
    province: Province = None,
    kind: Kind = None,
    older_than_s: OlderThan = None,
    url: Url = URL,
) -> None:
    """Propose an act on many orders; another person confirms it."""
    _propose(act, _filter(ne, code, province, kind, older_than_s), operator, reason, url)


@fallout.command()
def confirm(
    id: Annotated[str, typer.Argument(help="Of the proposal.")],
    *,
    operator: Operator,
    detach: Detach = False,
    url: Url = URL,
) -> None:
    """Have a proposal of somebody else carried out, and follow it."""
    client = Client(url)
    path = f"{_ACTS}/{path_of(id)}"
    _follow(client, client.post(f"{path}/confirm", {"operator_id": operator}), detach=detach)


@fallout.command()
def stop(
    id: Annotated[str, typer.Argument(help="Of the bulk act.")],
    *,
    operator: Operator,
    url: Url = URL,
) -> None:
    """Withdraw a proposal, or end a bulk act; what was let go by it goes on."""
    body = {"operator_id": operator}
    _show_act(Client(url).post(f"{_ACTS}/{path_of(id)}/stop", body))


@fallout.command()
def acts(url: Url = URL) -> None:
    """The newest proposals and bulk acts."""
    table = Table("id", "act", "filter", "state", "orders", "released", "proposed", "confirmed")
    for one in Client(url).get(_ACTS)["acts"]:
        chosen = " ".join(f"{name}={value}" for name, value in one["filter"].items())
        told = (one["state"], f"{one['count']:,}", f"{one['released']:,}")
        who = (one["proposed_by"], _text(one["confirmed_by"]))
        table.add_row(one["id"], one["act"], chosen, *told, *who)
    columns.show(table)


def _act(id: str, verb: str, operator: str, reason: str, url: str) -> None:
    body = {"operator_id": operator, "reason": reason}
    _told(Client(url).post(f"{_PATH}/{path_of(id)}/{verb}", body))


def _told(answer: Mapping[str, Any]) -> None:
    waiting = answer["waiting"]
    behind = f", and {waiting:,} order{'s' * (waiting > 1)} behind it" if waiting else ""
    typer.echo(f"order {answer['id']}: {answer['act']}{behind}")


def _propose(act: str, chosen: Mapping[str, Any], operator: str, reason: str, url: str) -> None:
    body = {"operator_id": operator, "reason": reason, "act": act, "filter": chosen}
    one = Client(url).post(_ACTS, body)
    sample = ", ".join(order["id"] for order in one["sample"])
    typer.echo(f"{one['count']:,} orders, among them {sample}")
    typer.echo(
        f"another person, until {one['expires_at']}: hlrd fallout confirm {one['id']} --operator …"
    )


def _follow(client: Client, one: Shown, *, detach: bool) -> None:
    id = one["id"]
    ended = follow_in_a_line(
        one,
        lambda: client.get(f"{_ACTS}/{path_of(id)}"),
        is_over=lambda now: now["state"] != "running" or detach,
        line=_progress,
    )
    if ended is None:
        Console().print(f"it goes on; hlrd fallout stop {id} ends it")
    else:
        _show_act(ended)


def _show_act(one: Mapping[str, Any]) -> None:
    Console().print(_progress(one), markup=False, highlight=False)


def _progress(one: Mapping[str, Any]) -> str:
    return (
        f"act {one['id']} ({one['act']}) {one['state']}: {one['released']:,} of {one['count']:,}"
        f" let go, {one['refused']:,} not open to it, {one['under_way']:,} under way,"
        f" {one['again']:,} fell out again"
    )


def _filter(
    ne: str | None,
    code: str | None,
    province: str | None,
    kind: str | None,
    older_than_s: float | None,
) -> dict[str, Any]:
    named = {"ne": ne, "code": code, "province": province, "type": kind}
    found: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    return found if older_than_s is None else {**found, "older_than_s": older_than_s}


def _value(text: str) -> tuple[str, object]:
    """JSON where it reads as such, else text; nothing takes the field out."""
    name, equals, value = text.partition("=")
    if not equals:
        raise CallFailed(f"--set {text}: wanted is field=value")
    if not value:
        return name, None
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _show_orders(found: Sequence[Mapping[str, Any]]) -> None:
    table = Table("id", "type", "user", "ne", "operation", "code", "text", "since", "behind", "now")
    for one in found:
        where = (one["ne"], one["operation"], one["ne_code"], one["ne_text"])
        now = one["released_as"] or (f"sheet {one['sheet']}" if one["sheet"] else "")
        user = _text(one["user_id"])
        told = (one["since"], f"{one['waiting']:,}", now)
        table.add_row(one["id"], one["type"], user, *where, *told)
    columns.show(table)


def _show_counts(found: Sequence[Mapping[str, Any]]) -> None:
    table = Table("ne", "class", "code", "orders", "idle", "behind", "oldest")
    for one in found:
        numbers = (f"{one[name]:,}" for name in ("orders", "idle", "waiting"))
        table.add_row(one["ne"], one["ne_class"], one["ne_code"], *numbers, one["oldest"])
    columns.show(table)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
