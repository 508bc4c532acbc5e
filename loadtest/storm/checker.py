"""The independent checker of a storm: the clients' own book against receipts, the daemon's tables
and every element's dump. Pure.

It knows nothing of the code of hlrd, and can fail for each thing that it looks for
(tests/loadtest/storm).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hlrd.domain.orders import Source
from loadtest.proof import Bound, Check
from loadtest.storm import intent
from loadtest.storm.book import OPENINGS, SUCCEEDED, Book, Kind, Order, Told
from loadtest.storm.intent import Wanted

_EXAMPLES_MAX: Final = 3


class Line(NamedTuple):
    """A subscriber as its HLR has it."""

    hlr: str
    imsi: str
    msisdn: str
    level: int  #: -1: locks that are of no level
    has_product: bool


@dataclass(frozen=True, slots=True)
class FanOut:
    """An order that others carry out: one child of a kind for each of its users."""

    order_id: str
    kind: Kind
    users: Collection[str]
    place: int
    level: int = 0
    users_told: int = 0  #: in its receipt: children that succeeded


@dataclass(frozen=True, slots=True)
class Tables:
    """The daemon's database."""

    orders: Mapping[str, int]  #: hlrd's id by upstream's, of orders that upstream posted
    finals: Mapping[int, int]  #: final receipts by hlrd's id
    bindings: Sequence[tuple[str, Bound]]  #: with their user
    reasons: Mapping[str, Mapping[str, int]]  #: by user, of those who have some
    children: int  #: orders that hlrd posted itself
    numbers: Mapping[str, int] = field(default_factory=dict)  #: of the pool, by state
    numbers_imported: int = 0
    cards: Mapping[str, int] = field(default_factory=dict)  #: by state
    cards_imported: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """The elements, as they hold things in the end, and what each of them did."""

    lines: Sequence[Line]
    keys: Sequence[str]  #: IMSIs
    relations: Mapping[str, str]  #: state of the base relation, by MSISDN
    once: Mapping[tuple[str, str], int]  #: verb and IMSI, of what is done once
    levels: Mapping[str, Sequence[int]]  #: that each IMSI was set to, one after the other
    contexts: Mapping[str, Sequence[bool]]


def check(
    book: Book, tables: Tables, network: Network, fan_outs: Sequence[FanOut] = ()
) -> list[Check]:
    meant = _meant(book, fan_outs)
    wanted = _wanted(meant)
    due = len(book.posted_s) + len(book.of_no_user) + sum(len(each.users) for each in fan_outs)
    return [
        *_orders(book, tables),
        Check("final receipts in the database", sum(tables.finals.values()), due),
        *(_children(book, tables, fan_outs) if fan_outs else ()),
        *_users(wanted, book, tables),
        *_draws(meant, tables, network),
        *_network(wanted, network),
        *_effects(wanted, network),
    ]


def _orders(book: Book, tables: Tables) -> list[Check]:
    accepted = book.accepted_s
    finals = {order: tables.finals.get(id, 0) for order, id in tables.orders.items()}
    return [
        _counted("orders accepted", accepted, book.posted_s),
        _none("orders that the database has not", accepted.keys() - tables.orders.keys()),
        _none("orders that nobody posted", tables.orders.keys() - book.orders.keys()),
        _counted("final receipts that came", book.told, accepted),
        _none("lost: receipts", accepted.keys() - book.told.keys()),
        _none("receipts told in two ways", book.contradictions),
        _none("orders not with one final receipt each", _not_one(finals)),
        _none("receipts of orders that nobody posted", book.strangers),
        _none("receipts of two orders", _twice(told.receipt for told in book.told.values())),
        _none("orders that failed", _failed(book.told)),
        _none("orders in fallout", book.fallouts),
    ]


def _children(book: Book, tables: Tables, fan_outs: Sequence[FanOut]) -> list[Check]:
    """One child for each user of a fan-out, no more, and each with its receipt."""
    due = {(str(each.kind), user) for each in fan_outs for user in each.users}
    found = {key: told for key, told in book.children.items() if told}
    many = [key for key, told in found.items() if len(told) > 1]
    told_all = {order: told for own in found.values() for order, told in own.items()}
    return [
        Check("children of orders about many", tables.children, len(due)),
        _none("lost: receipts of children", due - found.keys()),
        _none("children that nobody asked for", found.keys() - due),
        _none("children that came twice", many),
        _none("children that failed", _failed(told_all)),
        _none(
            "orders about many that miscounted",
            [each.order_id for each in fan_outs if each.users_told != len(each.users)],
        ),
    ]


def _users(wanted: Mapping[str, Wanted], book: Book, tables: Tables) -> list[Check]:
    bound = dict(tables.bindings)
    wrong = [
        user
        for user, each in wanted.items()
        if (each.msisdn, each.imsi, each.iccid) != _identity(bound.get(user))
    ]
    reasons = [u for u, each in wanted.items() if each.reasons != tables.reasons.get(u, {})]
    levels = [u for u, each in wanted.items() if book.last_level.get(u, 0) != each.level]
    return [
        Check("users", len(tables.bindings), len(wanted)),
        _none("bindings that the receipts contradict", [*wrong, *(bound.keys() - wanted.keys())]),
        _none("reasons not as upstream means", reasons),
        _none("users told another level than meant", levels),
    ]


def _draws(
    meant: Mapping[str, tuple[Order, Told]], tables: Tables, network: Network
) -> list[Check]:
    """By what upstream was told, by the tables, and over all HLRs together."""
    opened = [told for order, told in meant.values() if order.kind in OPENINGS]
    replaced = [told for order, told in meant.values() if order.kind is Kind.REPLACE]
    given = [*opened, *replaced]
    bound = [each for _, each in tables.bindings]
    return [
        _none("double draws: numbers", _twice(told.msisdn for told in opened)),
        _none(
            "double draws: cards",
            [*_twice(told.imsi for told in given), *_twice(told.iccid for told in given)],
        ),
        _none("double draws: bindings", _twice(each.msisdn for each in bound)),
        _none("double draws: cards bound", _twice(each.imsi for each in bound)),
        _none("double draws: numbers at the HLRs", _twice(line.msisdn for line in network.lines)),
        _leaked("numbers leaked", tables.numbers, len(bound), tables.numbers_imported),
        _leaked("cards leaked", tables.cards, len(bound), tables.cards_imported),
        Check("cards scrapped", tables.cards.get("scrapped", 0), len(replaced)),
    ]


def _leaked(what: str, states: Mapping[str, int], bound: int, imported: int) -> Check:
    """Everything imported is in one state, and what is in use is bound."""
    amiss = abs(imported - sum(states.values())) + abs(states.get("inUse", 0) - bound)
    return Check(what, amiss, 0, [f"{state}: {count}" for state, count in states.items()])


def _network(wanted: Mapping[str, Wanted], network: Network) -> list[Check]:
    lines = {line.imsi: line for line in network.lines}
    users = {each.imsi: each for each in wanted.values()}
    both = [(users[imsi], lines[imsi]) for imsi in users.keys() & lines.keys()]
    return [
        Check("subscribers on the HLRs", len(network.lines), len(wanted)),
        _none("users without their subscriber", users.keys() - lines.keys()),
        _none("subscribers without their user", lines.keys() - users.keys()),
        _none("subscribers on two HLRs", _twice(line.imsi for line in network.lines)),
        _none(
            "subscribers by another number",
            [f"{u.user} {line}" for u, line in both if u.msisdn != line.msisdn],
        ),
        _none(
            "lines not barred as meant",
            [f"{u.user} {u.level} {line}" for u, line in both if u.level != line.level],
        ),
        _none(
            "lines without the services meant",
            [f"{u.user} {line}" for u, line in both if u.has_product != line.has_product],
        ),
        _none("card keys without their user", set(network.keys) ^ users.keys()),
        _none("card keys on two HLRs", _twice(network.keys)),
        _none("relations at the DSMP not as meant", _relations(wanted, network)),
    ]


def _effects(wanted: Mapping[str, Wanted], network: Network) -> list[Check]:
    due: Counter[tuple[str, str]] = Counter()
    for each in wanted.values():
        due.update(each.once)
    amiss = [
        f"{verb} {imsi}"
        for verb, imsi in due.keys() | network.once.keys()
        if due[verb, imsi] != network.once.get((verb, imsi), 0)
    ]
    return [
        _none("effects that are due once and were not", amiss),
        _none("lines barred or freed more than meant", _astray(wanted, network.levels, "levels")),
        _none("products given more than meant", _astray(wanted, network.contexts, "contexts")),
    ]


def _astray(
    wanted: Mapping[str, Wanted], done: Mapping[str, Sequence[int]], path: str
) -> list[str]:
    return [
        user
        for user, each in wanted.items()
        if not intent.is_part_of(
            [step for imsi in each.imsis for step in done.get(imsi, ())], getattr(each, path)
        )
    ]


def _meant(book: Book, fan_outs: Sequence[FanOut]) -> dict[str, tuple[Order, Told]]:
    """What succeeded, by order id, children of fan-outs among it; what failed is found as such."""
    meant = {order_id: (book.orders[order_id], told) for order_id, told in book.told.items()}
    for each in fan_outs:
        for user in each.users:
            for order_id, told in book.children.get((each.kind, user), {}).items():
                order = Order(order_id, Source.BOSS, each.kind, user, each.place, each.level)
                meant[order_id] = (order, told)
    return {id: (order, told) for id, (order, told) in meant.items() if told.result == SUCCEEDED}


def _wanted(meant: Mapping[str, tuple[Order, Told]]) -> dict[str, Wanted]:
    own: dict[str, list[tuple[Order, Told]]] = defaultdict(list)
    for order, told in meant.values():
        own[order.user].append((order, told))
    return {user: intent.of(user, orders) for user, orders in own.items()}


def _identity(bound: Bound | None) -> tuple[str, str, str] | None:
    return None if bound is None else (bound.msisdn, bound.imsi, bound.iccid)


def _relations(wanted: Mapping[str, Wanted], network: Network) -> list[str]:
    due = {each.msisdn: "paused" if each.level else "active" for each in wanted.values()}
    return [
        f"{msisdn} {network.relations.get(msisdn)}"
        for msisdn in due.keys() | network.relations.keys()
        if due.get(msisdn) != network.relations.get(msisdn)
    ]


def _not_one(finals: Mapping[str, int]) -> list[str]:
    return [f"{order} x{count}" for order, count in finals.items() if count != 1]


def _failed(told: Mapping[str, Told]) -> list[str]:
    return [order for order, each in told.items() if each.result != SUCCEEDED]


def _counted(what: str, found: Collection[str], wanted: Collection[str]) -> Check:
    return Check(what, len(found), len(wanted))


def _none(what: str, wrong: Iterable[object]) -> Check:
    examples = sorted(str(each) for each in wrong)
    return Check(what, len(examples), 0, examples[:_EXAMPLES_MAX])


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
