"""The checker must find every single thing that it looks for, where it was forged to be there."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from loadtest.proof import Bound
from loadtest.storm.book import Book, Kind
from loadtest.storm.checker import FanOut, Network, Tables, check
from tests.loadtest.storm import forged
from tests.loadtest.storm.forged import A, B, C, D, E, iccid, imsi, number, receipt


@dataclass
class World:
    book: Book
    tables: Tables
    network: Network
    fan_outs: tuple[FanOut, ...] = forged.FAN_OUTS

    def found(self) -> set[str]:
        checks = check(self.book, self.tables, self.network, self.fan_outs)
        return {each.what for each in checks if not each.holds}

    def tell(self, **changes: Any) -> None:
        self.tables = replace(self.tables, **changes)

    def wire(self, **changes: Any) -> None:
        self.network = replace(self.network, **changes)

    def line(self, place: int, **changes: Any) -> None:
        lines = list(self.network.lines)
        lines[place] = lines[place]._replace(**changes)
        self.wire(lines=lines)

    def effect(self, verb: str, card: str, times: int) -> None:
        once = Counter(self.network.once)
        once[verb, card] = times
        self.wire(once=once)

    def told(self, order_id: str, **changes: Any) -> None:
        self.book.told[order_id] = self.book.told[order_id]._replace(**changes)


def a_world() -> World:
    return World(forged.a_book(), forged.tables(), forged.network())


def test_nothing_is_found_where_all_is_well() -> None:
    assert a_world().found() == set()


def lose_a_receipt(world: World) -> None:
    del world.book.told["S-6"]


def lose_a_receipt_of_a_child(world: World) -> None:
    del world.book.children[Kind.STOP, E]


def leave_unanswered(world: World) -> None:
    del world.book.accepted_s["S-3"]


def tell_it_twice_differently(world: World) -> None:
    world.book.take(receipt("S-2", Kind.STOP, A, effective_level=0), 9.0)


def tell_of_a_stranger(world: World) -> None:
    world.book.take(receipt("X-1", Kind.STOP, A), 9.0)


def one_receipt_for_two(world: World) -> None:
    world.told("S-2", receipt="r-S-3")


def draw_a_number_twice(world: World) -> None:
    world.told("S-4", msisdn=number(A))


def draw_a_card_twice(world: World) -> None:
    world.told("U-1", imsi=imsi(A), iccid=iccid(A))


def bind_twice(world: World) -> None:
    bindings = list(world.tables.bindings)
    bindings[1] = (B, Bound(number(A), imsi(A), iccid(A)))
    world.tell(bindings=bindings)


def bind_a_stranger(world: World) -> None:
    extra = ("999", Bound(number("999"), imsi("999"), iccid("999")))
    world.tell(bindings=[*world.tables.bindings, extra])


def fall_out(world: World) -> None:
    world.book.take(receipt("S-2", Kind.STOP, A, result="fallout"), 9.0)


def open_two_at_once(world: World) -> None:
    world.line(1, msisdn=number(A))


def a_subscriber_too_many(world: World) -> None:
    stray = world.network.lines[0]._replace(imsi=imsi("999"), msisdn=number("999"))
    world.wire(lines=[*world.network.lines, stray])


def a_second_child(world: World) -> None:
    world.book.take(receipt("B9-105", Kind.STOP, E, effective_level=2), 9.0)


def a_child_of_nobody(world: World) -> None:
    world.book.take(receipt("B8-101", Kind.STOP, A, effective_level=2), 9.0)


PLANTED: dict[str, tuple[Callable[[World], None], str]] = {
    "a lost receipt": (lose_a_receipt, "lost: receipts"),
    "a receipt that only the database lost": (
        lambda world: world.tell(finals={**world.tables.finals, 3: 0}),
        "orders not with one final receipt each",
    ),
    "two final receipts": (
        lambda world: world.tell(finals={**world.tables.finals, 3: 2}),
        "orders not with one final receipt each",
    ),
    "a receipt of a child that only the database lost": (
        lambda world: world.tell(finals={**world.tables.finals, 13: 0}),
        "final receipts in the database",
    ),
    "a lost receipt of a child": (lose_a_receipt_of_a_child, "lost: receipts of children"),
    "a receipt told in two ways": (tell_it_twice_differently, "receipts told in two ways"),
    "a receipt of nobody's order": (tell_of_a_stranger, "receipts of orders that nobody posted"),
    "one receipt for two orders": (one_receipt_for_two, "receipts of two orders"),
    "an order that was not answered": (
        leave_unanswered,
        "orders accepted",
    ),
    "an order that the database forgot": (
        lambda world: world.tell(orders={"S-1": 1}),
        "orders that the database has not",
    ),
    "an order out of nowhere": (
        lambda world: world.tell(orders={**world.tables.orders, "S-99": 99}),
        "orders that nobody posted",
    ),
    "an order that failed": (
        lambda world: world.told("S-2", result="failed"),
        "orders that failed",
    ),
    "a fallout": (fall_out, "orders in fallout"),
    "a second child for one user": (a_second_child, "children that came twice"),
    "a child that nobody asked for": (a_child_of_nobody, "children that nobody asked for"),
    "a child too many in the database": (
        lambda world: world.tell(children=3),
        "children of orders about many",
    ),
    "a number drawn twice": (draw_a_number_twice, "double draws: numbers"),
    "a card drawn twice": (draw_a_card_twice, "double draws: cards"),
    "a number bound twice": (bind_twice, "double draws: bindings"),
    "a card bound twice": (bind_twice, "double draws: cards bound"),
    "a binding of nobody": (bind_a_stranger, "bindings that the receipts contradict"),
    "a number at two subscribers": (open_two_at_once, "double draws: numbers at the HLRs"),
    "a subscriber by another's number": (open_two_at_once, "subscribers by another number"),
    "a number that leaked": (
        lambda world: world.tell(numbers={"idle": 94, "inUse": 5}),
        "numbers leaked",
    ),
    "a card that leaked": (
        lambda world: world.tell(cards={"idle": 3, "inUse": 5, "scrapped": 1}),
        "cards leaked",
    ),
    "a card scrapped for nothing": (
        lambda world: world.tell(cards={"idle": 3, "inUse": 5, "scrapped": 2}),
        "cards scrapped",
    ),
    "a reason that stayed": (
        lambda world: world.tell(reasons={**world.tables.reasons, A: {"ARREARS": 2}}),
        "reasons not as upstream means",
    ),
    "a user told a wrong level": (
        lambda world: world.book.last_level.update({A: 2}),
        "users told another level than meant",
    ),
    "a line that was not freed": (
        lambda world: world.line(0, level=2),
        "lines not barred as meant",
    ),
    "a line barred one-way only": (
        lambda world: world.line(1, level=1),
        "lines not barred as meant",
    ),
    "locks of no level": (lambda world: world.line(1, level=-1), "lines not barred as meant"),
    "a product that is missing": (
        lambda world: world.line(3, has_product=False),
        "lines without the services meant",
    ),
    "a product that nobody has": (
        lambda world: world.line(0, has_product=True),
        "lines without the services meant",
    ),
    "a subscriber that is missing": (
        lambda world: world.wire(lines=world.network.lines[1:]),
        "users without their subscriber",
    ),
    "a subscriber too many": (a_subscriber_too_many, "subscribers without their user"),
    "a subscriber on two HLRs": (
        lambda world: world.wire(lines=[*world.network.lines, world.network.lines[0]]),
        "subscribers on two HLRs",
    ),
    "the old card's key left behind": (
        lambda world: world.wire(keys=[*world.network.keys, imsi(C)]),
        "card keys without their user",
    ),
    "a key on two HLRs": (
        lambda world: world.wire(keys=[*world.network.keys, imsi(A)]),
        "card keys on two HLRs",
    ),
    "a relation that was not paused": (
        lambda world: world.wire(relations={**world.network.relations, number(B): "active"}),
        "relations at the DSMP not as meant",
    ),
    "an opening carried out twice": (
        lambda world: world.effect("ADD TPLSUB", imsi(A), 2),
        "effects that are due once and were not",
    ),
    "a card changed back and forth": (
        lambda world: world.effect("MOD IMSI", imsi(C), 1),
        "effects that are due once and were not",
    ),
    "a line barred again after it had paid": (
        lambda world: world.wire(levels={**world.network.levels, imsi(A): [2, 0, 2, 0]}),
        "lines barred or freed more than meant",
    ),
    "a product given, taken and given": (
        lambda world: world.wire(contexts={imsi(D): [True, False, True]}),
        "products given more than meant",
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_found(planted: str) -> None:
    plant, found = PLANTED[planted]
    world = a_world()

    plant(world)

    assert found in world.found()


def test_a_miscount_of_an_order_about_many_is_found() -> None:
    world = a_world()
    world.fan_outs = (forged.FAN_OUTS[0], replace(forged.FAN_OUTS[1], users_told=0))

    assert world.found() == {"orders about many that miscounted"}


def test_a_receipt_that_comes_again_is_no_other_receipt() -> None:
    world = a_world()
    world.book.take(receipt("S-2", Kind.STOP, A, effective_level=2), 9.0)

    assert world.found() == set()
    assert world.book.repeated == 1


def test_a_stop_and_its_payment_that_were_never_sent_are_well() -> None:
    world = a_world()
    world.wire(levels={imsi(B): [1, 2], imsi(E): [2]})

    assert world.found() == set()
