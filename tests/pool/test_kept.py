"""Reserved numbers in memory: what is taken by name, refused, dropped and read again."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from hlrd import limits
from hlrd.domain.identity import MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from hlrd.pool.kept import Page
from tests.pool.database import Database, a_lot, a_range

NUMBERS = (1064900000001, 1064900000002)


@pytest.fixture
def allocator() -> Allocator:
    """A number drawn before, so that cards are in memory."""
    allocator = Allocator(Random(1).random)
    database = Database([a_range()], [a_lot()])
    database.start(allocator)
    allocator.draw(pool="iot", province="200", digits=13)
    database.serve(allocator)
    return allocator


def draw(allocator: Allocator, reservation: int = 7) -> Drawn | Pending | Exhausted:
    return allocator.draw_reserved(reservation, province="200", has_cards=False)


def read(allocator: Allocator, numbers: Sequence[int] = NUMBERS) -> None:
    for kept in allocator.kept_wanted():
        homes = [(number, "hlr1") for number in numbers] if kept.id == 7 else []
        allocator.on_page(Page(kept.id, homes, [], is_last=True))


def drawn_all(allocator: Allocator) -> set[int]:
    found: set[int] = set()
    while isinstance(one := draw(allocator), Drawn):
        found.add(int(one.msisdn))
    return found


def test_what_is_named_is_not_drawn_and_comes_back_when_it_is_refused(allocator: Allocator) -> None:
    draw(allocator)
    read(allocator)
    named = MSISDN(str(NUMBERS[0]))
    assert allocator.take(msisdn=named)
    assert drawn_all(allocator) == {NUMBERS[1]}

    allocator.put_back(msisdn=named)

    assert drawn_all(allocator) == {NUMBERS[0]}
    assert draw(allocator) == Exhausted(Lack.RESERVATION)


def test_what_was_refused_twice_is_dropped_once(allocator: Allocator) -> None:
    draw(allocator)
    read(allocator)
    for _ in range(3):
        allocator.take(msisdn=MSISDN(str(NUMBERS[0])))
        allocator.put_back(msisdn=MSISDN(str(NUMBERS[0])))

    allocator.forget_reservation(7)

    draw(allocator)
    read(allocator)
    assert drawn_all(allocator) == set(NUMBERS)


def test_what_is_in_hand_while_its_reservation_is_dropped_and_read_again_is_not_lost(
    allocator: Allocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESERVATIONS_IN_MEMORY_MAX", 1)
    draw(allocator)
    read(allocator)
    first = draw(allocator)
    assert isinstance(first, Drawn)
    draw(allocator, reservation=8)
    draw(allocator)
    read(allocator)
    rest = drawn_all(allocator)

    allocator.put_back(msisdn=first.msisdn, iccid=first.card.iccid)
    assert draw(allocator) is Pending.PENDING
    read(allocator)

    assert rest | drawn_all(allocator) == set(NUMBERS)


def test_what_was_bound_while_a_page_was_under_way_is_not_drawn(allocator: Allocator) -> None:
    draw(allocator)
    wanted = allocator.kept_wanted()
    named = MSISDN(str(NUMBERS[0]))
    allocator.take(msisdn=named)
    allocator.bound(msisdn=named)

    homes = [(number, "hlr1") for number in NUMBERS]
    allocator.on_page(Page(wanted[0].id, homes, [], is_last=True))

    assert drawn_all(allocator) == {NUMBERS[1]}


def test_a_page_that_orders_wait_for_comes_though_homes_changed_meanwhile(
    allocator: Allocator,
) -> None:
    assert draw(allocator) is Pending.PENDING

    allocator.rehome_range(replace(a_range(), hlr="hlr2"))

    read(allocator)
    assert drawn_all(allocator) == set(NUMBERS)
