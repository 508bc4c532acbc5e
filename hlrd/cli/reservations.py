"""`hlrd pool reserve` and what follows: reservations by hand, for staff and for trying out."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from hlrd.cli.client import URL, Client, Url, path_of
from hlrd.cli.columns import show
from hlrd.cli.person import Operator

reservation: Final = typer.Typer(no_args_is_help=True)

_PATH: Final = "/v1/reservations"
_OFFERED: Final = 10
_OFFER_TTL_S: Final = 300

Id = Annotated[str, typer.Argument(help="Of the reservation.")]
Province = Annotated[str, typer.Option(help="Company code, as 200.")]
Pool = Annotated[str, typer.Option("--pool", help="Name of the pool.")]
Digits = Annotated[int, typer.Option(help="11 or 13.")]
HLR = Annotated[str | None, typer.Option("--hlr", help="Numbers of this home HLR only.")]
Grade = Annotated[str | None, typer.Option(help="Vanity numbers of this grade.")]
Key = Annotated[str | None, typer.Option(help="Of an earlier try, so that nothing comes twice.")]
TTL = Annotated[int, typer.Option("--ttl", help="Seconds that it lasts.")]


@reservation.command("reserve")
def reserve(
    *,
    province: Province,
    operator: Operator,
    count: Annotated[int | None, typer.Option(help="Numbers to draw at random.")] = None,
    number: Annotated[list[str] | None, typer.Option(help="This very number; repeat it.")] = None,
    name: Pool = "iot",
    digits: Digits = 13,
    hlr: HLR = None,
    grade: Grade = None,
    cards: Annotated[bool, typer.Option("--cards", help="With a card for each number.")] = False,
    lot: Annotated[str | None, typer.Option(help="That the cards come from.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Fewer are better than none.")] = False,
    ttl_s: TTL = 1_800,
    key: Key = None,
    url: Url = URL,
) -> None:
    """Keep numbers, drawn or given, until orders confirm them or the time is over."""
    wanted = {
        "operator_id": operator,
        "province": province,
        "pool": name,
        "count": count,
        "numbers": number or None,
        "digits": digits,
        "hlr": hlr,
        "grade": grade,
        "with_cards": cards,
        "lot": lot,
        "ttl_s": ttl_s,
        "partial": partial,
    }
    _show(_post(url, wanted, key))


@reservation.command("offer")
def offer(
    *,
    province: Province,
    operator: Operator,
    name: Pool = "iot",
    digits: Digits = 13,
    hlr: HLR = None,
    grade: Grade = None,
    url: Url = URL,
) -> None:
    """A page of numbers for a customer to choose from, kept for five minutes."""
    wanted = {
        "operator_id": operator,
        "province": province,
        "pool": name,
        "count": _OFFERED,
        "digits": digits,
        "hlr": hlr,
        "grade": grade,
        "ttl_s": _OFFER_TTL_S,
        "partial": True,
    }
    _show(_post(url, wanted, None))


@reservation.command("choose")
def choose(
    reservation: Id,
    number: Annotated[list[str], typer.Argument(help="The numbers to keep.")],
    ttl_s: TTL = 1_800,
    url: Url = URL,
) -> None:
    """Keep these numbers of a reservation, and let the others go at once."""
    wanted = {"numbers": number, "ttl_s": ttl_s}
    _show(Client(url).post(f"{_PATH}/{path_of(reservation)}/choose", wanted))


@reservation.command("reservations")
def list_reservations(
    reservation: Annotated[str | None, typer.Argument(help="One, with its numbers.")] = None,
    url: Url = URL,
) -> None:
    """The newest reservations, or one with its numbers."""
    if reservation is None:
        _show_all(Client(url).get(_PATH)["reservations"])
    else:
        _show(Client(url).get(f"{_PATH}/{path_of(reservation)}"))


@reservation.command("extend")
def extend(reservation: Id, ttl_s: TTL, url: Url = URL) -> None:
    """Let a reservation end later."""
    _show(Client(url).post(f"{_PATH}/{path_of(reservation)}/extend", {"ttl_s": ttl_s}))


@reservation.command("cancel")
def cancel(reservation: Id, url: Url = URL) -> None:
    """Let go of what no order has confirmed."""
    _show(Client(url).delete(f"{_PATH}/{path_of(reservation)}"))


def _post(url: str, wanted: Mapping[str, object], key: str | None) -> Any:
    sent = {name: value for name, value in wanted.items() if value is not None}
    return Client(url).post_once(_PATH, sent, key or str(uuid.uuid4()))


def _show(one: Mapping[str, Any]) -> None:
    _show_all([one])
    console = Console()
    for row in one["numbers"]:
        console.print(row["msisdn"], row["hlr"], row["user_id"] or "")
    if "next" in one:
        console.print(f"… and more than these {len(one['numbers'])}")


def _show_all(rows: Iterable[Mapping[str, Any]]) -> None:
    table = Table("id", "source", "state", "pool", "grade", "granted", "confirmed", "until", "key")
    for row in rows:
        confirmed = "" if row["confirmed"] is None else f"{row['confirmed']:,}"
        granted = f"{row['granted']:,} of {row['asked']:,}"
        shown = (row["id"], row["source"], row["state"], row["pool"], row["grade"] or "")
        table.add_row(*shown, granted, confirmed, row["expires_at"], row["key"])
    show(table)
