"""What a draw gives, when it waits, when it is refused, and when a lease may end."""

from random import Random

import pytest

from hlrd import limits
from hlrd.domain.identity import ICCID, MSISDN
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Drawn, Exhausted, Lack, Pending
from hlrd.pool.lease import CardGrant, NumberGrant, What
from tests.pool.database import FREE, Database, Hold, a_card, a_lot, a_range, answer


@pytest.fixture(autouse=True)
def _small_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_NUMBERS", 8)
    monkeypatch.setattr(limits, "LEASE_LOW_WATER", 4)
    monkeypatch.setattr(limits, "LEASE_BAGS_MAX", 1)


def a_node(database: Database) -> Allocator:
    allocator = Allocator(Random(1).random)
    database.start(allocator)
    return allocator


def draw(allocator: Allocator, **more: object) -> Drawn | Pending | Exhausted:
    wanted = {"pool": "iot", "province": "200", "digits": 13} | more
    return allocator.draw(**wanted)  # type: ignore[arg-type]


def draw_served(allocator: Allocator, database: Database, **more: object) -> Drawn | Exhausted:
    drawn = draw(allocator, **more)
    if drawn is Pending.PENDING:
        database.serve(allocator)
        drawn = draw(allocator, **more)
    assert not isinstance(drawn, Pending)
    return drawn


def bind(allocator: Allocator, database: Database, drawn: Drawn | Exhausted) -> None:
    assert isinstance(drawn, Drawn)
    assert database.bind(int(drawn.msisdn), drawn.card.iccid)
    allocator.bound(msisdn=drawn.msisdn, iccid=drawn.card.iccid)


# Waiting and refusing.


def test_the_first_draw_waits_for_a_lease_and_wishes_for_one() -> None:
    database = Database([a_range()], [a_lot()])
    allocator = a_node(database)
    assert not allocator.has_wishes

    assert draw(allocator) is Pending.PENDING

    wishes = allocator.wishes()
    assert [(wish.what, wish.fresh) for wish in wishes] == [(What.NUMBERS, 8), (What.CARDS, 8)]
    assert allocator.wishes() == []
    assert draw(allocator) is Pending.PENDING
    assert not allocator.has_wishes


def test_a_new_lease_is_wished_for_before_the_old_one_is_used_up() -> None:
    database = Database([a_range()], [a_lot()])
    allocator = a_node(database)

    for _ in range(60):
        bind(allocator, database, draw_served(allocator, database))
        database.serve(allocator)
        assert sum(allocator.numbers_in_memory().values()) >= limits.LEASE_LOW_WATER - 1


@pytest.mark.parametrize(
    ("more", "lack"),
    [
        ({"pool": "nobody's"}, Lack.POOL),
        ({"province": "100"}, Lack.NUMBERS),
        ({"digits": 11}, Lack.NUMBERS),
        ({"lot": "nobody's"}, Lack.LOT),
        ({"lot": "lot2"}, Lack.LOT),  # of another province
    ],
)
def test_a_draw_that_nothing_can_ever_match_is_refused(more: dict[str, object], lack: Lack) -> None:
    allocator = a_node(Database([a_range()], [a_lot(1), a_lot(2, province="100")]))

    assert draw(allocator, **more) == Exhausted(lack)

    assert not allocator.has_wishes


def test_no_card_of_the_numbers_hlr_is_a_lack_of_cards() -> None:
    allocator = a_node(Database([a_range(hlr="hlr1")], [a_lot(hlr="hlr2")]))

    assert draw(allocator) == Exhausted(Lack.CARDS)
    assert draw(allocator, lot="lot1") == Exhausted(Lack.NUMBERS)


@pytest.mark.parametrize(("size", "quantity", "lack"), [(20, 3, "cards"), (3, 20, "numbers")])
def test_an_exhausted_draw_says_what_is_lacking_and_holds_nothing(
    size: int, quantity: int, lack: str
) -> None:
    database = Database([a_range(size=size)], [a_lot(quantity=quantity)])
    allocator = a_node(database)
    for _ in range(3):
        bind(allocator, database, draw_served(allocator, database))

    assert draw_served(allocator, database) == Exhausted(Lack(lack))

    in_memory = sum(allocator.numbers_in_memory().values()) + allocator.cards_in_memory()
    leased = sum(len(database.of_lease(lease)) for lease in database.leases)
    assert in_memory == leased


def test_the_last_number_is_given_and_a_recycled_one_after_it() -> None:
    database = Database([a_range(size=1)], [a_lot()])
    allocator = a_node(database)
    first = draw_served(allocator, database)
    bind(allocator, database, first)
    assert draw_served(allocator, database) == Exhausted(Lack.NUMBERS)
    assert isinstance(first, Drawn)

    database.release(int(first.msisdn), FREE)
    database.counts(allocator)

    again = draw_served(allocator, database)
    assert isinstance(again, Drawn)
    assert again.msisdn == first.msisdn


def test_counts_read_while_a_lease_is_under_way_do_not_make_a_pool_look_empty() -> None:
    database = Database([a_range(size=5)], [a_lot()])
    allocator = a_node(database)
    draw(allocator)
    leases = [(wish, database.grant(wish)) for wish in allocator.wishes()]

    database.counts(allocator)  # after the update, before its answer: nothing is left unleased

    assert draw(allocator) is Pending.PENDING
    for wish, grant in leases:
        answer(allocator, wish, grant)
    assert isinstance(draw(allocator), Drawn)


def test_a_lease_of_which_everything_was_bound_already_is_followed_by_another() -> None:
    database = Database([a_range(size=100)], [a_lot()])
    order = database.holdings[What.NUMBERS, 1].items
    database.bind(*order[:99])
    allocator = a_node(database)

    drawn = draw_served(allocator, database)

    assert isinstance(drawn, Drawn)
    assert int(drawn.msisdn) == order[99]


# Home HLR, lots, named items.


def test_number_and_card_are_of_one_hlr_and_province() -> None:
    ranges = [a_range(i, 1064900000000 + 1000 * i, size=60, hlr=f"hlr{i}") for i in (1, 2, 3)]
    database = Database(ranges, [a_lot(i, 60, hlr=f"hlr{i}") for i in (1, 2, 3)])
    allocator = a_node(database)
    used = set()

    for _ in range(120):
        drawn = draw_served(allocator, database)
        bind(allocator, database, drawn)
        database.serve(allocator)
        assert isinstance(drawn, Drawn)
        used.add(drawn.card.hlr)
        home = next(row for row in ranges if row.first <= int(drawn.msisdn) <= row.last)
        assert (home.hlr, home.province) == (drawn.card.hlr, drawn.card.province)

    assert used == {"hlr1", "hlr2", "hlr3"}


def test_an_hlr_with_numbers_and_no_card_is_left_out() -> None:
    ranges = [a_range(1, hlr="hlr1", size=1000), a_range(2, 1064900005000, hlr="hlr2", size=4)]
    database = Database(ranges, [a_lot(1, 2, hlr="hlr1"), a_lot(2, hlr="hlr2")])
    allocator = a_node(database)

    homes = []
    while isinstance(drawn := draw_served(allocator, database), Drawn):
        bind(allocator, database, drawn)
        homes.append(drawn.card.hlr)

    assert sorted(homes) == ["hlr1"] * 2 + ["hlr2"] * 4
    assert drawn == Exhausted(Lack.CARDS)


def test_a_named_lot_gives_the_card() -> None:
    database = Database([a_range()], [a_lot(1), a_lot(2)])
    allocator = a_node(database)

    drawn = draw_served(allocator, database, lot="lot2")

    assert isinstance(drawn, Drawn)
    assert drawn.card in [a_card(database.lots[1], row) for row in range(100)]


def test_a_lot_is_used_up_before_the_next_and_comes_first_again_when_a_card_returns() -> None:
    database = Database([a_range()], [a_lot(1, 9), a_lot(2, 9)])
    allocator = a_node(database)
    drawn = []
    for _ in range(12):
        drawn.append(draw_served(allocator, database))
        database.serve(allocator)
    lots = [one.card.iccid[5:9] for one in drawn if isinstance(one, Drawn)]
    assert lots == ["0001"] * 9 + ["0002"] * 3

    assert isinstance(drawn[0], Drawn)
    allocator.put_back(msisdn=drawn[0].msisdn, iccid=drawn[0].card.iccid)

    again = draw_served(allocator, database)
    assert isinstance(again, Drawn)
    assert again.card == drawn[0].card


def test_a_named_card_gets_a_number_of_its_hlr_and_is_not_drawn_by_another() -> None:
    ranges = [a_range(1, hlr="hlr1"), a_range(2, 1064900005000, hlr="hlr2")]
    database = Database(ranges, [a_lot(1, 4, hlr="hlr1"), a_lot(2, 4, hlr="hlr2")])
    allocator = a_node(database)
    draw_served(allocator, database, lot="lot2")
    card = a_card(database.lots[1], 3)
    if card.iccid in allocator._cards.in_hand:  # drawn just now
        card = a_card(database.lots[1], 2)

    drawn = allocator.draw_for(card, pool="iot", digits=13)

    assert isinstance(drawn, Drawn)
    assert drawn.card is card
    assert int(drawn.msisdn) in range(ranges[1].first, ranges[1].last + 1)
    assert allocator.draw_for(card, pool="iot", digits=13) == Exhausted(Lack.CARD_TAKEN)
    others = [draw_served(allocator, database, lot="lot2") for _ in range(3)]
    assert others[-1] == Exhausted(Lack.CARDS)
    assert card not in [one.card for one in others if isinstance(one, Drawn)]


def test_taking_a_number_or_a_card_twice_is_refused_and_holds_neither() -> None:
    allocator = a_node(Database([a_range()], [a_lot()]))
    msisdn, iccid = MSISDN("1064900000007"), ICCID("8986A000100000000003")
    assert allocator.take(msisdn=msisdn)

    assert not allocator.take(msisdn=msisdn, iccid=iccid)

    assert allocator.take(iccid=iccid)


def test_what_was_named_before_it_was_leased_is_not_drawn() -> None:
    database = Database([a_range(size=3)], [a_lot()])
    allocator = a_node(database)
    named = MSISDN("1064900000001")
    assert allocator.take(msisdn=named)

    drawn = [draw_served(allocator, database) for _ in range(3)]

    assert {one.msisdn for one in drawn if isinstance(one, Drawn)} == {
        "1064900000000",
        "1064900000002",
    }
    allocator.put_back(msisdn=named)
    last = draw_served(allocator, database)
    assert isinstance(last, Drawn)
    assert last.msisdn == named


def test_what_was_bound_by_name_while_its_lease_was_under_way_is_not_drawn() -> None:
    ranges = [a_range(1, size=4), a_range(2, 1064900005000, size=4)]
    database = Database(ranges, [a_lot()])
    allocator = a_node(database)
    draw(allocator)
    grants = [(wish, database.grant(wish)) for wish in allocator.wishes()]
    for number, (wish, grant) in zip((1064900000001, 1064900000002), grants, strict=False):
        msisdn = MSISDN(str(number))  # read as free by the lease of the first range
        assert allocator.take(msisdn=msisdn)
        assert database.bind(number)
        allocator.bound(msisdn=msisdn)
        answer(allocator, wish, grant)
    for wish, grant in grants[2:]:
        answer(allocator, wish, grant)

    drawn = [draw_served(allocator, database) for _ in range(7)]

    assert len({one.msisdn for one in drawn if isinstance(one, Drawn)}) == 6
    assert all(int(one.msisdn) not in database.bound for one in drawn if isinstance(one, Drawn))


@pytest.mark.parametrize("end", ["bound", "put_back", "drop"])
def test_letting_go_of_what_is_not_in_hand_is_a_bug_of_ours(end: str) -> None:
    allocator = a_node(Database([a_range()], [a_lot()]))

    with pytest.raises(AssertionError):
        getattr(allocator, end)(msisdn=MSISDN("1064900000007"))


# Ends of items and of leases.


def test_a_number_that_was_put_back_is_drawn_again_but_not_at_once() -> None:
    database = Database([a_range(size=8)], [a_lot(quantity=8)])
    allocator = a_node(database)
    first = draw_served(allocator, database)
    assert isinstance(first, Drawn)
    allocator.put_back(msisdn=first.msisdn, iccid=first.card.iccid)

    following = [draw_served(allocator, database) for _ in range(8)]

    numbers = [one.msisdn for one in following if isinstance(one, Drawn)]
    assert len(set(numbers)) == 8
    assert numbers[-1] == first.msisdn


def test_a_dropped_number_is_never_offered_again() -> None:
    database = Database([a_range(size=4)], [a_lot()])
    allocator = a_node(database)
    first = draw_served(allocator, database)
    assert isinstance(first, Drawn)
    database.bind(int(first.msisdn))  # by another
    allocator.drop(msisdn=first.msisdn)
    allocator.put_back(iccid=first.card.iccid)

    numbers = [draw_served(allocator, database) for _ in range(4)]

    assert numbers[3] == Exhausted(Lack.NUMBERS)
    assert first.msisdn not in [one.msisdn for one in numbers if isinstance(one, Drawn)]


def test_a_lease_is_settled_when_its_last_item_is_bound() -> None:
    database = Database([a_range(size=4)], [a_lot(quantity=4)])
    allocator = a_node(database)
    drawn = [draw_served(allocator, database) for _ in range(4)]
    for one in drawn[:3]:
        bind(allocator, database, one)
    assert allocator.settled() == []

    bind(allocator, database, drawn[3])

    settled = allocator.settled()
    assert [(lease.what, lease.returned) for lease in settled] == [
        (What.NUMBERS, ()),
        (What.CARDS, ()),
    ]
    assert allocator.settled() == []


def test_an_item_that_comes_back_for_ever_does_not_keep_its_lease_open_for_ever() -> None:
    """A number and a card are refused whenever they come: they go to the free list."""
    database = Database([a_range(size=400)], [a_lot(quantity=400)])
    allocator = a_node(database)
    unlucky = draw_served(allocator, database)
    assert isinstance(unlucky, Drawn)
    allocator.put_back(msisdn=unlucky.msisdn, iccid=unlucky.card.iccid)
    opened = []

    for _ in range(300):
        drawn = draw_served(allocator, database)
        assert isinstance(drawn, Drawn)
        bind_unless(allocator, database, drawn, unlucky)
        database.serve(allocator)
        opened.append(len(database.leases))

    assert max(opened) <= 12
    assert min(database.leases) > 20, "the oldest leases are still open"
    assert database.is_free(int(unlucky.msisdn))
    assert list(database.lost()) == []


def test_an_overdue_lease_ends_when_what_is_in_hand_comes_back() -> None:
    database = Database([a_range(size=400)], [a_lot(quantity=400)])
    allocator = a_node(database)
    held, unlucky = [draw_served(allocator, database) for _ in range(2)]
    assert isinstance(held, Drawn)
    assert isinstance(unlucky, Drawn)
    oldest = set(database.leases)
    allocator.put_back(msisdn=unlucky.msisdn, iccid=unlucky.card.iccid)
    for _ in range(100):
        drawn = draw_served(allocator, database)
        assert isinstance(drawn, Drawn)
        bind_unless(allocator, database, drawn, unlucky)
        database.serve(allocator)
    assert oldest <= set(database.leases)

    allocator.put_back(msisdn=held.msisdn, iccid=held.card.iccid)

    returned = [set(lease.returned) for lease in allocator.settled()]
    assert returned == [
        {int(held.msisdn), int(unlucky.msisdn)},
        {held.card.iccid, unlucky.card.iccid},
    ]


def bind_unless(allocator: Allocator, database: Database, drawn: Drawn, unlucky: Drawn) -> None:
    """Bind what was drawn, but put the unlucky number and card back whenever they come."""
    if drawn.msisdn == unlucky.msisdn:
        allocator.put_back(msisdn=drawn.msisdn)
    else:
        assert database.bind(int(drawn.msisdn))
        allocator.bound(msisdn=drawn.msisdn)
    if drawn.card == unlucky.card:
        allocator.put_back(iccid=drawn.card.iccid)
    else:
        assert database.bind(drawn.card.iccid)
        allocator.bound(iccid=drawn.card.iccid)


def test_items_named_and_put_back_again_and_again_take_no_more_memory() -> None:
    database = Database([a_range()], [a_lot()])
    allocator = a_node(database)
    drawn = draw_served(allocator, database)
    assert isinstance(drawn, Drawn)
    before = _values(allocator)

    for _ in range(1_000):
        allocator.put_back(msisdn=drawn.msisdn, iccid=drawn.card.iccid)
        assert allocator.take(msisdn=drawn.msisdn, iccid=drawn.card.iccid)

    assert _values(allocator) <= 2 * before + 2 * limits.LEASE_LOW_WATER
    draws = [draw_served(allocator, database) for _ in range(20)]
    assert len({one.msisdn for one in draws if isinstance(one, Drawn)} - {drawn.msisdn}) == 20


def test_a_card_that_is_bound_or_returned_is_kept_in_memory_no_longer() -> None:
    database = Database([a_range(size=400)], [a_lot(quantity=400)])
    allocator = a_node(database)
    unlucky = draw_served(allocator, database)
    assert isinstance(unlucky, Drawn)
    allocator.put_back(msisdn=unlucky.msisdn, iccid=unlucky.card.iccid)

    for _ in range(150):
        drawn = draw_served(allocator, database)
        assert isinstance(drawn, Drawn)
        bind_unless(allocator, database, drawn, unlucky)
        database.serve(allocator)

    assert len(allocator._leased_cards) == allocator.cards_in_memory()


def test_a_returned_card_that_is_bound_by_name_before_its_lease_ends_is_no_trouble() -> None:
    database = Database([a_range(size=400)], [a_lot(quantity=400)])
    allocator = a_node(database)
    unlucky = draw_served(allocator, database)
    assert isinstance(unlucky, Drawn)
    iccid = unlucky.card.iccid
    allocator.put_back(msisdn=unlucky.msisdn, iccid=iccid)
    for _ in range(150):  # serving wishes, but ending no lease
        drawn = draw_served(allocator, database)
        assert isinstance(drawn, Drawn)
        bind_unless(allocator, database, drawn, unlucky)
        for wish in allocator.wishes():
            answer(allocator, wish, database.grant(wish))

    assert allocator.take(iccid=iccid)
    assert database.bind(iccid)
    allocator.bound(iccid=iccid)

    assert any(iccid in lease.returned for lease in allocator.settled())


# Recovery and import.


def test_a_new_node_takes_over_what_the_dead_one_had_leased_and_not_bound() -> None:
    database = Database([a_range(size=8)], [a_lot(quantity=8)])
    dead = a_node(database)
    bound = [draw_served(dead, database) for _ in range(5)]
    for one in bound[:3]:
        bind(dead, database, one)

    allocator = a_node(database)

    drawn = [draw_served(allocator, database) for _ in range(6)]
    assert drawn[5] == Exhausted(Lack.NUMBERS)
    gone = {one.msisdn for one in bound[:3] if isinstance(one, Drawn)}
    again = {one.msisdn for one in drawn if isinstance(one, Drawn)}
    assert len(again) == 5
    assert again.isdisjoint(gone)


def test_a_recovered_lease_that_is_all_bound_is_settled_at_once() -> None:
    allocator = a_node(Database([a_range()], [a_lot()]))

    allocator.on_recovered(NumberGrant(7, 1, 50, 0, []))
    allocator.on_recovered(CardGrant(8, 1, 50, 0, []))

    assert [lease.lease_id for lease in allocator.settled()] == [7, 8]


def test_an_item_of_two_leases_is_given_once_whatever_the_database_says() -> None:
    allocator = a_node(Database([a_range()], [a_lot()]))
    cards = [a_card(a_lot(), row) for row in range(8)]
    allocator.on_recovered(CardGrant(1, 1, 0, 0, cards))

    allocator.on_recovered(NumberGrant(2, 1, 0, 0, [1064900000000, 1064900000001]))
    allocator.on_recovered(NumberGrant(3, 1, 0, 0, [1064900000001, 1064900000002]))

    drawn = [draw(allocator) for _ in range(4)]
    assert {one.msisdn for one in drawn[:3] if isinstance(one, Drawn)} == {
        "1064900000000",
        "1064900000001",
        "1064900000002",
    }
    assert drawn[3] == Exhausted(Lack.NUMBERS)


def test_a_range_that_is_imported_while_running_is_drawn_from() -> None:
    database = Database([a_range(1, size=8)], [a_lot()])
    allocator = a_node(database)
    for _ in range(8):
        bind(allocator, database, draw_served(allocator, database))
    assert draw_served(allocator, database) == Exhausted(Lack.NUMBERS)

    row = a_range(2, 1064900005000, size=8)
    database.import_range(row)
    allocator.add_range(row)

    drawn = draw_served(allocator, database)
    assert isinstance(drawn, Drawn)
    assert int(drawn.msisdn) >= row.first


def test_a_lot_that_is_imported_while_running_is_drawn_from() -> None:
    database = Database([a_range()], [])
    allocator = a_node(database)
    assert draw(allocator) == Exhausted(Lack.CARDS)

    database.import_lot(a_lot())
    allocator.add_lot(a_lot())

    assert isinstance(draw_served(allocator, database), Drawn)


def test_a_recycled_number_shares_a_lease_with_fresh_ones() -> None:
    database = Database([a_range(size=100)], [a_lot()])
    order = database.holdings[What.NUMBERS, 1].items
    database.holdings[What.NUMBERS, 1].counter = 50
    database.holds.update({item: Hold(FREE) for item in order[:50]})
    allocator = a_node(database)

    draw(allocator)

    wish = next(wish for wish in allocator.wishes() if wish.what is What.NUMBERS)
    assert (wish.fresh, wish.recycled) == (4, 4)


def test_a_round_of_leases_is_drawn_from_when_all_of_it_is_there() -> None:
    """Else the range whose answer comes first would be drawn from first."""
    ranges = [a_range(1), a_range(2, 1064900005000)]
    database = Database(ranges, [a_lot()])
    allocator = a_node(database)
    draw(allocator)
    wishes = allocator.wishes()
    late = next(wish for wish in wishes if wish.what is What.NUMBERS)

    for wish in wishes:
        if wish is not late:
            answer(allocator, wish, database.grant(wish))
    assert draw(allocator) is Pending.PENDING

    answer(allocator, late, database.grant(late))
    assert isinstance(draw(allocator), Drawn)


# Cost.


def test_a_pool_of_a_billion_numbers_takes_no_more_memory_than_one_of_ten_thousand() -> None:
    small, large = Allocator(Random(1).random), Allocator(Random(1).random)
    for allocator, size in ((small, 10**4), (large, 10**9)):
        allocator.add_range(a_range(first=1064000000000, size=size))
        allocator.add_lot(a_lot(quantity=size))
        draw(allocator)

    assert [wish.fresh for wish in large.wishes()] == [wish.fresh for wish in small.wishes()]
    assert _values(large) == _values(small)


def test_a_used_up_lot_is_not_looked_at_again() -> None:
    database = Database([a_range(size=400)], [a_lot(id, 4) for id in range(1, 41)])
    allocator = a_node(database)
    for _ in range(150):
        bind(allocator, database, draw_served(allocator, database))
        database.serve(allocator)

    draw(allocator)

    rack = allocator._racks["200", "hlr1"]
    assert rack._first >= 36


def _values(allocator: Allocator) -> int:
    """Items that the allocator keeps, all in all."""
    ledgers = (allocator._numbers, allocator._cards)
    shelves = [shelf for ledger in ledgers for _, shelf in ledger._places.values()]
    return sum(len(s.idle) + len(s._bag) + len(s._next_bag) + len(s.sources) for s in shelves)
