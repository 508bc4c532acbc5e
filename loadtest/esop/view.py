"""What the support system of a province shows of its records."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from loadtest.esop.core import Support
from loadtest.esop.records import Line, Order

_OWN: Final = "own"
_LINES_SHOWN_MAX: Final = 100
"""Of one order; `lines_by_state` counts them all."""


def order(core: Support, order: Order) -> dict[str, Any]:
    lines = [core.lines[one] for one in order.lines]
    return {
        "id": order.id,
        "act": order.act,
        "ec_code": order.ec_code,
        "is_closed": order.is_closed,
        "lines_by_state": Counter(str(line.state) for line in lines),
        "lines": [_line(line) for line in lines[:_LINES_SHOWN_MAX]],
    }


def customer(core: Support, code: str) -> dict[str, Any]:
    held = [one for (ec, _), one in core.businesses.items() if ec == code]
    standings = Counter(str(member.standing) for member in core.members_of(code))
    return {
        **msgspec.to_builtins(core.customers[code]),
        "businesses": msgspec.to_builtins(held),
        "members_by_standing": standings,
    }


def members(
    core: Support, code: str, listed: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Our own as this system has them, with what hlrd lists of each; then the partners'."""
    own: dict[str, Mapping[str, Any]] = {}
    partners: list[Mapping[str, Any]] = []
    for one in listed:
        if one["origin"] == _OWN:
            own[one["user_id"]] = one
        else:
            partners.append(one)
    told = [
        {"origin": _OWN, **msgspec.to_builtins(member), "hlrd": own.get(member.user_id)}
        for member in core.members_of(code)
    ]
    return [*told, *partners]


def counts(core: Support) -> dict[str, Any]:
    return {
        "customers": len(core.customers),
        "businesses": Counter(str(one.standing) for one in core.businesses.values()),
        "members": Counter(str(one.standing) for one in core.members.values()),
        "orders_open": sum(not one.is_closed for one in core.orders.values()),
        "lines": Counter(str(one.state) for one in core.lines.values()),
    }


def dump(core: Support) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    kinds: tuple[tuple[str, Iterable[Any]], ...] = (
        ("customer", core.customers.values()),
        ("business", core.businesses.values()),
        ("member", core.members.values()),
        ("order", core.orders.values()),
    )
    for name, records in kinds:
        rows += [{"record": name, **msgspec.to_builtins(one)} for one in records]
    return rows + [{"record": "line", **_line(line)} for line in core.lines.values()]


def _line(line: Line) -> dict[str, Any]:
    shown = {
        "order_id": line.order_id,
        "kind": line.kind,
        "state": line.state,
        "id": line.id,
        "code": line.code,
        "text": line.text,
        "given": line.given,
    }
    told = {"rows": len(line.users)} if line.is_file else {"user_id": line.fields.get("user_id")}
    return {**shown, **told}
