"""A storm in which all is well, forged: five users and what everybody says of them."""

from collections import Counter
from typing import Any

from hlrd.domain.orders import Source
from loadtest.proof import Bound
from loadtest.storm.book import Book, Kind, Order
from loadtest.storm.checker import FanOut, Line, Network, Tables

A, B, C, D, E = "101", "102", "103", "104", "105"


def number(user: str) -> str:
    return f"1064901000{user}"


def imsi(user: str, card: int = 0) -> str:
    return f"46099010000{card}{user}"


def iccid(user: str, card: int = 0) -> str:
    return f"8986990100000000{card}{user}"


def receipt(order_id: str, kind: Kind, user: str, **more: Any) -> dict[str, Any]:
    said = {
        "id": f"r-{order_id}",
        "order_id": order_id,
        "type": kind,
        "user_id": user,
        "result": "succeeded",
        "msisdn": number(user),
        "imsi": imsi(user),
        "iccid": iccid(user),
        "effective_level": 0,
    }
    return {**said, **more}


def posted(
    book: Book,
    order_id: str,
    kind: Kind,
    user: str,
    place: int,
    *,
    level: int = 0,
    **said: Any,
) -> None:
    """Posted, taken and closed."""
    book.post(Order(order_id, Source.BOSS, kind, user, place, level), float(place))
    book.accept([order_id], place + 0.1)
    book.take(receipt(order_id, kind, user, **said), place + 0.5)


def a_book() -> Book:
    """A was stopped and has paid; B is stopped, and was one-way before; C has another card; D has
    the product; E is a member who was stopped with the enterprise and has his own stop beside it.
    """
    book = Book()
    posted(book, "S-1", Kind.ACTIVATE, A, 1)
    posted(book, "S-2", Kind.STOP, A, 2, level=2, effective_level=2)
    posted(book, "S-3", Kind.PAY, A, 3)
    posted(book, "S-4", Kind.ACTIVATE, B, 1)
    posted(book, "S-5", Kind.REPORT_STOP, B, 2, level=1, effective_level=1)
    posted(book, "S-6", Kind.STOP, B, 3, level=2, effective_level=2)
    posted(book, "S-7", Kind.ACTIVATE, C, 1)
    new: dict[str, Any] = {"imsi": imsi(C, 1), "iccid": iccid(C, 1), "old_imsi": imsi(C)}
    posted(book, "U-1", Kind.REPLACE, C, 2, **new)
    posted(book, "S-8", Kind.OPEN, D, 1)
    posted(book, "S-9", Kind.SUBSCRIBE, D, 2)
    book.take(receipt("B7-1", Kind.ACTIVATE, E), 1.0)
    posted(book, "S-10", Kind.REPORT_STOP, E, 2, level=1, effective_level=1)
    book.take(receipt("B8-105", Kind.STOP, E, effective_level=2), 3.0)
    book.post_of_no_user("S-11")
    book.take({"order_id": "S-11", "type": "EC_SUSPEND_ALL", "result": "succeeded"}, 3.1)
    return book


FAN_OUTS = (
    FanOut("S-12", Kind.ACTIVATE, [E], 1, users_told=1),
    FanOut("S-11", Kind.STOP, [E], 3, 2, users_told=1),
)


def tables() -> Tables:
    own = [f"S-{number}" for number in range(1, 11)] + ["U-1"]
    ids = {order: place for place, order in enumerate(own, 1)}
    cards = dict.fromkeys((A, B, D, E), 0) | {C: 1}
    return Tables(
        orders=ids,
        finals=dict.fromkeys(range(1, 15), 1),
        bindings=[
            (user, Bound(number(user), imsi(user, card), iccid(user, card)))
            for user, card in cards.items()
        ],
        reasons={A: {}, B: {"VOLUNTARY": 1, "ARREARS": 2}, E: {"VOLUNTARY": 1, "ARREARS": 2}},
        children=2,
        numbers={"idle": 95, "inUse": 5},
        numbers_imported=100,
        cards={"idle": 4, "inUse": 5, "scrapped": 1},
        cards_imported=10,
    )


def network() -> Network:
    cards = {A: imsi(A), B: imsi(B), C: imsi(C, 1), D: imsi(D), E: imsi(E)}
    levels = {B: 2, E: 2}
    once = Counter(
        (verb, imsi(user)) for user in (A, B, C, D, E) for verb in ("ADD KI", "ADD TPLSUB")
    )
    once["ADD KI", imsi(C, 1)] = once["MOD IMSI", imsi(C, 1)] = once["RMV KI", imsi(C)] = 1
    return Network(
        lines=[
            Line("hlr1", card, number(user), levels.get(user, 0), user == D)
            for user, card in cards.items()
        ],
        keys=list(cards.values()),
        relations={number(user): "paused" if user in levels else "active" for user in cards},
        once=once,
        levels={imsi(A): [2, 0], imsi(B): [1, 2], imsi(E): [2]},
        contexts={imsi(D): [True]},
    )
