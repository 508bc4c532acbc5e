"""At rest: network elements and database hold what the model means, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from hlrd.domain.batch import RowState
from hlrd.domain.lifecycle import BatchState, ECState, NumberState
from tests.model.making import NOT_OF_USERS, PLATFORM, services_of
from tests.model.network import PLATFORMS, RELAYS, TEMPLATES, TOLD
from tests.model.reference import (
    ACTIVE,
    IDLE,
    IN_USE,
    OPENINGS,
    PRE_TERMINATED,
    SCRAPPED,
    TERMINATED,
    Document,
    Line,
    Reference,
    agree,
)
from tests.simulation.database import HLRS
from tests.simulation.turns import NEEDLESS

if TYPE_CHECKING:
    from tests.model.run import Run


def check(run: Run) -> None:
    _check_receipts(run)
    run.reference.check_taken_back()
    _check_hlrs(run)
    _check_relations(run)
    _check_platforms(run)
    _check_users(run)
    _check_numbers(run)
    _check_cards(run)
    _check_groups(run)
    _check_products(run)
    _check_fan_outs(run)


def is_known_of(number: str, elements: Mapping[str, Any]) -> bool:
    """Whether a number that is free has a record left anywhere."""
    at_hlr = any(one.msisdn == number for hlr in HLRS for one in elements[hlr].subscribers.values())
    at_dsmp = any(key.split()[0] == number for key in elements["dsmp"].relations)
    at_platforms = any(key[0] == number for name in PLATFORMS for key in elements[name].members)
    return (
        at_hlr
        or at_dsmp
        or at_platforms
        or any(number in elements[name].reports for name in RELAYS)
    )


def same(found: object, wanted: object, what: str) -> None:
    agree(found == wanted, f"{what}: found {found}, meant {wanted}")


# Receipts.


def _check_receipts(run: Run) -> None:
    """One final one for each order, in the order of each user's."""
    database = run.database
    same(sorted(database.final), sorted(database.orders), "orders that ended")
    final = Counter(one.order_id for one in database.receipts if one.is_final)
    agree(max(final.values(), default=1) == 1, f"two final receipts: {final}")
    last: defaultdict[str, int] = defaultdict(int)
    for id, closing in database.final.items():
        order, told = orjson.loads(database.orders[id].payload), orjson.loads(closing.receipt)
        is_moved = order["seq"] is not None or order["accept_time"] or database.is_dated(id)
        is_moved = is_moved or order["type"] in OPENINGS
        is_needless = bool(NEEDLESS & set(told.get("marks", ()))) or closing.state == "cancelled"
        if not (is_moved or is_needless) and "user_id" in order:
            agree(last[closing.user_id] < id, f"{id} ends behind {last[closing.user_id]}")
            last[closing.user_id] = id


# The network.


def _lines(run: Run) -> list[Line]:
    unsure = run.reference.unsure_numbers
    return [
        line
        for line in run.reference.lines.values()
        if line.number and line.number not in unsure and line.imsi not in run.reference.unsure_cards
    ]


def _check_hlrs(run: Run) -> None:
    unsure, cards = run.reference.unsure_numbers, run.reference.unsure_cards
    for name in HLRS:
        mine = [line for line in _lines(run) if line.hlr == name]
        wanted = {
            line.imsi: (line.number, line.level, _functions(line), TEMPLATES[line.services])
            for line in mine
        }
        hlr = run.elements[name]
        found = {
            imsi: (one.msisdn, int(one.level), one.functions, one.template)
            for imsi, one in hlr.subscribers.items()
            if one.msisdn not in unsure and imsi not in cards
        }
        same(found, wanted, f"subscribers of {name}")
        same(hlr.keys - cards, {line.imsi for line in mine}, f"keys of {name}")


def _services(line: Line) -> list[Any]:
    return [
        service
        for product, (version, _) in line.products.items()
        for service in services_of(product, version)
    ]


def _functions(line: Line) -> set[str]:
    return {service.name for service in _services(line) if service.scripts}


def _check_relations(run: Run) -> None:
    wanted = {
        f"{line.number} {service}".strip(): "paused" if line.level else "active"
        for line in _lines(run)
        for service in ("", *(s.relation.sp_service_id for s in _services(line) if s.relation))
    }
    found = {
        key: state
        for key, state in run.elements["dsmp"].relations.items()
        if key.split()[0] not in run.reference.unsure_numbers
    }
    same(found, wanted, "relations")


def _check_platforms(run: Run) -> None:
    reference = run.reference
    unsure = reference.unsure_numbers
    for name in PLATFORMS:
        wanted = {
            (line.number, product): "paused" if line.level else "active"
            for line in _lines(run)
            for product, (_, ec) in line.products.items()
            if name in _told_of(run, product, ec)
        }
        element = run.elements[name]
        members = {key: one for key, one in element.members.items() if key[0] not in unsure}
        same(members, wanted, f"members at {name}")
        ecs = {
            key for key in reference.told_ecs if name in TOLD[reference.ecs[key]["product_class"]]
        }
        doubted = reference.unsure_ecs
        same(element.ecs - doubted, ecs - doubted, f"enterprises at {name}")
    _check_relays(run)


def _told_of(run: Run, product: str, ec: str) -> set[str]:
    own = {PLATFORM} if product == "A" else set()
    return own | set(TOLD[{"A": 1, "B": 2, "N": 3}[product]]) if ec else own


def _check_relays(run: Run) -> None:
    """Who was opened as reported is not reported again, unless he has another card or number."""
    reports = {line.number: line.imsi for line in _lines(run) if line.ec and line.is_reported}
    found = {
        number: imsi
        for number, imsi in run.elements["boss1"].reports.items()
        if number not in run.reference.unsure_numbers
    }
    same(found, reports, "members that headquarters knows")
    same(run.elements["bboss"].reports, {}, "members across provinces")
    products = {
        (line.number, product): "active"
        for line in _lines(run)
        for product, (_, ec) in line.products.items()
        if ec
    }
    known = {
        key: state
        for key, state in run.elements["boss1"].members.items()
        if key[0] not in run.reference.unsure_numbers
    }
    same(known, products, "products of members that headquarters knows")


# The database.


def _check_users(run: Run) -> None:
    database, reference = run.database, run.reference
    bound = {
        user: (msisdn, database.bindings[msisdn].imsi, database.bindings[msisdn].iccid)
        for user, msisdn in database.by_user.items()
    }
    wanted = {
        user: (line.number, line.imsi, line.card)
        for user, line in reference.lines.items()
        if line.number
    }
    same(bound, wanted, "bindings")
    for name, line in reference.lines.items():
        user = database.user(name)  # type: ignore[arg-type]
        assert user is not None, f"user {name} is not stored"
        same(_STAGES[user.state], line.stage, f"stage of {name}")
        reasons = {str(reason): int(level) for reason, level in user.reasons.items()}
        same(reasons, line.reasons, f"reasons of {name}")
        held = {one.product: (one.version, one.ec_code) for one in user.products}
        same(held, line.products, f"products of {name}")
        same(user.member.ec_code if user.member else "", line.ec, f"enterprise of {name}")


_STAGES: Final = {"active": ACTIVE, "preTerminated": PRE_TERMINATED, "terminated": TERMINATED}


def _check_numbers(run: Run) -> None:
    for number in run.numbers:
        fact = run.database._number_fact(int(number))
        assert fact is not None
        state = "idle" if fact.state is NumberState.LEASED else str(fact.state)
        same(state, str(run.reference.numbers.get(number, IDLE)), f"number {number}")
        if state == IDLE:
            agree(not is_known_of(number, run.elements), f"{number} is idle, and not forgotten")


def _check_cards(run: Run) -> None:
    database = run.database
    for iccid, meant in run.reference.cards.items():
        hold = database.card_holds.get(iccid)  # type: ignore[arg-type]
        state = IN_USE if iccid in database.by_iccid else hold.state if hold else IDLE
        same(IDLE if state == "free" else state, meant, f"card {iccid}")
    in_stock = {card.imsi for iccid, card in database.cards.items() if _is_in_stock(run, iccid)}
    for name in HLRS:
        left = in_stock & run.elements[name].keys
        agree(not left, f"cards in stock that {name} has keys of: {left}")


def _is_in_stock(run: Run, iccid: str) -> bool:
    return run.reference.cards.get(iccid, IDLE) not in (IN_USE, SCRAPPED)


def _check_groups(run: Run) -> None:
    tables, reference = run.database.groups, run.reference
    states = {key: one.state for key, one in tables.subscriptions.items()}
    same(states, dict.fromkeys(reference.ecs, ECState.ACTIVE), "products of enterprises")
    members = {user: one.ec_code for user, one in tables.members.items()}
    same(members, {name: one.ec for name, one in reference.lines.items() if one.ec}, "members")
    same(tables.partners, reference.partners, "members of other provinces")
    stops = defaultdict(dict)
    for ec, reason, level in run.database.batches.stops():
        stops[ec][str(reason)] = int(level)
    wanted = {ec: found for ec, found in reference.stops.items() if found}
    same(dict(stops), wanted, "stops of enterprises")


def _check_products(run: Run) -> None:
    states = run.database.product_states
    active = {id: version for (id, version), state in states.items() if state == "active"}
    same(active, run.reference.active, "active products")


def _check_fan_outs(run: Run) -> None:
    """Every member was met, once."""
    for batch in run.database.batches.batches.values():
        agree(batch.state is BatchState.DONE, f"batch {batch.id} is {batch.state}")
        rows = run.database.batches.rows[batch.id].values()
        open_rows = [one for one in rows if one.state is RowState.SENT]
        agree(not open_rows, f"batch {batch.id} has open rows: {open_rows}")
        met = Counter(
            record.user_id
            for record in run.database.orders.values()
            if record.order_id.startswith(f"B{batch.id}-")
        )
        if not batch.is_of_file:
            agree(max(met.values(), default=1) == 1, f"batch {batch.id} met twice: {met}")
    for order, id, members in run.fan_outs:
        rows = {one.user_id for one in run.database.batches.rows[id].values()}
        stayed = {user for user in members if run.reference.lines[user].ec == order.ec_code}
        mark = run.database.batches.batches[id].mark
        agree(bool(mark) or stayed <= rows, f"batch {id} has missed {stayed - rows}")


# Refusals.


def _line(reference: Reference, order: Document) -> Line | None:
    return reference.lines.get(order.get("user_id", ""))


def _is_terminated(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and line.stage == TERMINATED


def _is_pre_terminated(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and line.stage == PRE_TERMINATED


def _has_other_number(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and line.number != order["msisdn"]


def _is_no_member(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and line.ec != order["ec_code"]


def _is_held_otherwise(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and order["product"] in line.products


def _is_stopped(reference: Reference, order: Document) -> bool:
    line = _line(reference, order)
    return line is not None and line.level > 0


REFUSALS: Final[Mapping[str, Callable[[Reference, Document], bool]]] = {
    "USER_UNKNOWN": lambda reference, order: _line(reference, order) is None,
    "USER_EXISTS": lambda reference, order: _line(reference, order) is not None,
    "USER_TERMINATED": _is_terminated,
    "USER_PRE_TERMINATED": _is_pre_terminated,
    "USER_NUMBER_MISMATCH": _has_other_number,
    "NOT_A_MEMBER": _is_no_member,
    "PRODUCT_HELD": _is_held_otherwise,
    "LINE_STOPPED": _is_stopped,
    "NOT_STATE_MASTER": lambda reference, order: order["source"] == "CRM",
    "CONFLICT_IN_FLIGHT": lambda reference, order: order["type"] in NOT_OF_USERS,
}
"""When each is true, of a user whose orders have all ended."""
