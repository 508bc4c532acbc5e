"""The checker must find every single thing that it looks for, in diaries and tables that were
forged to have it; one that cannot proves nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.torture.checker import Binding, Course, Tables, check, counted, overlaps
from loadtest.torture.diary import Act, Entry, Event
from loadtest.torture.story import Hold, Story, told

NOW = 100.0


def reservation(
    key: str, numbers: Sequence[str], *, at: float, ttl_s: float = 3600.0, id: str = ""
) -> list[Entry]:
    given = {"reservation": id or f"r{key}", "numbers": numbers}
    return [
        Entry(at, Event.SENT, Act.RESERVE, key, ttl_s=ttl_s),
        Entry(at + 1, Event.ANSWERED, Act.RESERVE, key, 201, **given),  # type: ignore[arg-type]
    ]


def cancelled(key: str, *, at: float) -> list[Entry]:
    return [
        Entry(at + after, event, Act.CANCEL, f"{key}-cancel", reservation=f"r{key}")
        for after, event in ((0, Event.SENT), (1, Event.ANSWERED))
    ]


def chosen(key: str, numbers: Sequence[str], *, at: float) -> list[Entry]:
    about = {"reservation": f"r{key}", "numbers": numbers}
    return [
        Entry(at + after, event, Act.CHOOSE, f"{key}-choose", **about)  # type: ignore[arg-type]
        for after, event in ((0, Event.SENT), (1, Event.ANSWERED))
    ]


def extended(key: str, *, at: float, ttl_s: float, event: Event = Event.ANSWERED) -> list[Entry]:
    return [
        Entry(at + after, each, Act.EXTEND, f"{key}-extend", reservation=f"r{key}", ttl_s=ttl_s)
        for after, each in ((0, Event.SENT), (1, event))
    ]


def opened(
    order: str, msisdn: str, iccid: str, *, at: float, of: str = "", result: str = "succeeded"
) -> list[Entry]:
    user = f"u{order}"
    return [
        Entry(at, Event.SENT, Act.OPEN, order, user=user, reservation=of),
        Entry(at + 1, Event.ANSWERED, Act.OPEN, order, 202, user=user, msisdn=msisdn, iccid=iccid),
        Entry(at + 2, Event.RECEIPT, Act.OPEN, order, user=user, result=result),
    ]


def terminated(order: str, *, at: float) -> list[Entry]:
    name, user = f"{order}-end", f"u{order}"
    return [
        Entry(at, Event.SENT, Act.TERMINATE, name, user=user),
        Entry(at + 1, Event.ANSWERED, Act.TERMINATE, name, 202, user=user),
        Entry(at + 2, Event.RECEIPT, Act.TERMINATE, name, user=user, result="succeeded"),
    ]


def diaries() -> list[Entry]:
    """Ten numbers n0 to n9 that came and went, each owner after the other."""
    return [
        *reservation("a", ["n0", "n1", "n2"], at=0),
        *cancelled("a", at=10),
        *reservation("b", ["n0", "n1"], at=20),  # stands, with n1 opened
        *opened("o1", "n1", "k1", at=30, of="rb"),  # stands
        *opened("o2", "n2", "k2", at=30),
        *terminated("o2", at=40),
        *opened("o3", "n3", "k3", at=30, result="failed"),
        *opened("o4", "n2", "k3", at=50),  # stands, by the card that was rolled back
        *reservation("c", ["n4", "n5", "n6"], at=30),
        *chosen("c", ["n4"], at=40),
        *reservation("d", ["n5"], at=50, ttl_s=10),  # expires
        *reservation("e", ["n3", "n5", "n6", "n7"], at=110),  # the pool is drawn empty
    ]


def tables() -> Tables:
    return Tables(
        numbers=frozenset(f"n{number}" for number in range(10)),
        bindings=[Binding("n1", "k1", "uo1"), Binding("n2", "k3", "uo4")],
        orders=dict.fromkeys(("o1", "o2", "o3", "o4", "o2-end"), True),
        reservations={key: f"r{key}" for key in "abcde"},
        reserved=[
            ("n0", "rb"),
            ("n4", "rc"),
            *((number, "re") for number in ("n3", "n5", "n6", "n7")),
        ],
        graded=frozenset({"n8", "n9"}),
        cards=frozenset({"k1", "k2", "k3"}),
        scrapped=frozenset({"k2"}),
        subscribers=frozenset({"n1", "n2"}),
    )


def found(entries: Iterable[Entry], rows: Tables, course: Course | None = None) -> set[str]:
    checks = check(told(entries), rows, course or Course(), NOW)
    return {each.what for each in checks if not each.holds}


def test_nothing_is_found_where_all_is_well() -> None:
    assert found(diaries(), tables()) == set()


def more(*entries: Sequence[Entry]) -> list[Entry]:
    return [*diaries(), *(entry for each in entries for entry in each)]


def without(*ids: str) -> list[Entry]:
    return [entry for entry in diaries() if entry.id not in ids]


GOOD = tables()
PLANTED: dict[str, tuple[list[Entry], Tables, str]] = {
    "a number is reserved for two at once": (
        more(reservation("x", ["n0"], at=5), cancelled("x", at=8)),
        replace(GOOD, reservations={**GOOD.reservations, "x": "rx"}),
        "doubles: numbers of two owners at once",
    ),
    "a number in service is reserved for another": (
        more(reservation("x", ["n2"], at=33), cancelled("x", at=36)),
        replace(GOOD, reservations={**GOOD.reservations, "x": "rx"}),
        "doubles: numbers of two owners at once",
    ),
    "a chosen number is reserved for another": (
        more(reservation("x", ["n4"], at=60), cancelled("x", at=62)),
        replace(GOOD, reservations={**GOOD.reservations, "x": "rx"}),
        "doubles: numbers of two owners at once",
    ),
    "a number is given to two users": (
        more(opened("x", "n1", "k2", at=60), terminated("x", at=70)),
        replace(GOOD, orders={**GOOD.orders, "x": True, "x-end": True}),
        "doubles: numbers of two owners at once",
    ),
    "a card that was live is given again": (
        more(opened("x", "n9", "k2", at=60), terminated("x", at=70)),
        replace(GOOD, orders={**GOOD.orders, "x": True, "x-end": True}),
        "doubles: cards of two owners, or live again",
    ),
    "a number is bound twice": (
        diaries(),
        replace(GOOD, bindings=[*GOOD.bindings, GOOD.bindings[0]]),
        "doubles: numbers twice in the database",
    ),
    "a number is bound and reserved": (
        diaries(),
        replace(GOOD, reserved=[*GOOD.reserved, ("n1", "rb")]),
        "doubles: numbers twice in the database",
    ),
    "a card is bound twice": (
        diaries(),
        replace(GOOD, bindings=[*GOOD.bindings, Binding("n9", "k1", "uo2")]),
        "doubles: cards twice in the database",
    ),
    "a card is in use and scrapped": (
        diaries(),
        replace(GOOD, scrapped=GOOD.scrapped | {"k1"}),
        "doubles: cards scrapped and in use",
    ),
    "a number cannot be drawn any more": (
        [entry for entry in diaries() if entry.id != "e"]
        + reservation("e", ["n3", "n5", "n6"], at=110),
        replace(GOOD, reserved=[row for row in GOOD.reserved if row[0] != "n7"]),
        "leaks: numbers",
    ),
    "a card cannot be drawn any more": (
        diaries(),
        replace(GOOD, cards=GOOD.cards | {"k4"}),
        "leaks: cards",
    ),
    "a number is locked though the HLR is clean": (
        diaries(),
        replace(GOOD, graded=frozenset({"n8"}), locked=frozenset({"n9"})),
        "leaks: numbers that nobody locked",
    ),
    "a card that was rolled back is scrapped": (
        without("o4"),
        replace(GOOD, scrapped=frozenset({"k2", "k3"})),
        "leaks: cards scrapped that were never live",
    ),
    "a hold names a lease that is no more": (
        diaries(),
        replace(GOOD, stranded=1),
        "leaks: rows that wait for nothing",
    ),
    "a number is drawn that was never imported": (
        diaries(),
        replace(GOOD, numbers=GOOD.numbers - {"n1"}),
        "numbers of no range",
    ),
    "a binding is left of a user that never was": (
        without("o1"),
        replace(GOOD, orders={key: True for key in GOOD.orders if key != "o1"}),
        "bindings of users that nobody knows",
    ),
    "an acknowledged order is not in the database": (
        diaries(),
        replace(GOOD, orders={key: True for key in GOOD.orders if key != "o3"}),
        "lost: orders acknowledged",
    ),
    "an acknowledged termination is not in the database": (
        diaries(),
        replace(GOOD, orders={key: True for key in GOOD.orders if key != "o2-end"}),
        "lost: orders acknowledged",
    ),
    "an order has no receipt in the database": (
        diaries(),
        replace(GOOD, orders={**GOOD.orders, "o2": False}),
        "lost: orders without their receipt",
    ),
    "a receipt never came": (
        [e for e in diaries() if (e.id, e.event) != ("o3", Event.RECEIPT)],
        GOOD,
        "lost: orders without their receipt",
    ),
    "an acknowledged reservation is not in the database": (
        diaries(),
        replace(GOOD, reservations={key: f"r{key}" for key in "acde"}),
        "lost: reservations acknowledged",
    ),
    "a reservation in force has lost a number": (
        diaries(),
        replace(GOOD, reserved=[("n0", "re"), *GOOD.reserved[1:]]),
        "lost: numbers of reservations in force",
    ),
    "a user in service has another number": (
        diaries(),
        replace(GOOD, bindings=[Binding("n9", "k1", "uo1"), GOOD.bindings[1]]),
        "lost: users in service",
    ),
    "an HLR has a number that nobody has": (
        diaries(),
        replace(GOOD, subscribers=GOOD.subscribers | {"n9"}),
        "users that the HLRs contradict",
    ),
    "a user in service is on no HLR": (
        diaries(),
        replace(GOOD, subscribers=frozenset({"n1"})),
        "users that the HLRs contradict",
    ),
    "a repeat is answered by other numbers": (
        more(reservation("a", ["n0", "n1", "n9"], at=2)),
        GOOD,
        "requests answered in two ways",
    ),
    "a repeated order is answered by another number": (
        more(opened("o1", "n9", "k1", at=40)),
        GOOD,
        "requests answered in two ways",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    entries, rows, what = PLANTED[fault]

    assert what in found(entries, rows)


@pytest.mark.parametrize(
    ("course", "what"),
    [
        (Course(late=["n7"]), "leaks: numbers that wanted another start"),
        (Course(sums=["12.0: 9 of 10"]), "moments when the sum was not the pool"),
        (Course(failures=["reserve a: INTERNAL"]), "requests answered by 500"),
        (Course(fallouts=["o9"]), "orders in fallout"),
    ],
)
def test_what_went_wrong_on_the_way_is_told(course: Course, what: str) -> None:
    assert found(diaries(), tables(), course) == {what}


@pytest.mark.parametrize(("answer", "doubles"), [(Event.ANSWERED, 1), (Event.REFUSED, 0)])
def test_a_reservation_lasts_longer_only_when_that_was_answered(
    answer: Event, doubles: int
) -> None:
    entries = [
        *reservation("a", ["n"], at=0, ttl_s=5),
        *extended("a", at=4, ttl_s=60, event=answer),
        *reservation("b", ["n"], at=10),
    ]

    assert len(list(overlaps(told(entries).numbers()))) == doubles


def test_an_owner_after_another_is_no_double() -> None:
    entries = [
        *reservation("a", ["n"], at=0),
        *cancelled("a", at=5),
        *reservation("b", ["n"], at=5),
    ]

    assert list(overlaps(told(entries).numbers())) == []


def test_what_was_let_go_of_without_an_answer_may_be_anothers_at_once() -> None:
    entries = [
        *reservation("a", ["n"], at=0),
        cancelled("a", at=5)[0],
        *reservation("b", ["n"], at=5),
    ]

    assert list(overlaps(told(entries).numbers())) == []


def test_an_answer_that_came_after_the_expiry_is_certain_of_nothing() -> None:
    sent, answered = reservation("a", ["n"], at=0, ttl_s=2)
    late = replace_at(answered, 8)

    assert told([sent, late, *reservation("b", ["n"], at=5)]).numbers().keys() == {"n"}
    assert list(overlaps(told([sent, late, *reservation("b", ["n"], at=5)]).numbers())) == []


def replace_at(entry: Entry, at: float) -> Entry:
    return Entry(
        at, entry.event, entry.act, entry.id, reservation=entry.reservation, numbers=entry.numbers
    )


def test_each_number_is_counted_once_in_and_once_out() -> None:
    allocations, releases = counted(told(diaries()), NOW)

    # a 3, b 2, o2, o3, o4 1 each, c 3, d 1; o1 has a number of b, and e came too late
    assert allocations == 3 + 2 + 3 + 3 + 1
    # a 3, o2 and o3 1 each, c 2, d 1
    assert releases == 3 + 2 + 2 + 1


def test_a_number_that_is_rolled_back_from_a_reservation_is_let_go_of_once() -> None:
    entries = [
        *reservation("a", ["n", "m"], at=0),
        *opened("o", "n", "k", at=10, of="ra", result="failed"),
        *cancelled("a", at=20),
    ]

    assert counted(told(entries), NOW) == (2, 2)


Holds = list[tuple[int, int]]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), max_size=12))
def test_an_overlap_is_found_exactly_where_two_times_share_a_moment(spans: Holds) -> None:
    holds = [Hold(start, start + length, str(n)) for n, (start, length) in enumerate(spans)]

    is_double = any(a.start < b.end and b.start < a.end for a, b in combinations(holds, 2))

    assert bool(list(overlaps({"n": holds}))) == is_double


@given(st.permutations(["o1", "o2", "o3", "a", "b"]))
def test_the_diaries_may_be_read_in_any_order(order: list[str]) -> None:
    """Each client's own entries stay in theirs, as in a file."""
    by_client: dict[str, Callable[[], list[Entry]]] = {
        "o1": lambda: opened("o1", "n1", "k1", at=30),
        "o2": lambda: [*opened("o2", "n2", "k2", at=30), *terminated("o2", at=40)],
        "o3": lambda: opened("o3", "n3", "k3", at=30, result="failed"),
        "a": lambda: [*reservation("a", ["n4"], at=0), *cancelled("a", at=10)],
        "b": lambda: [*reservation("b", ["n5"], at=0), *chosen("b", ["n5"], at=10)],
    }

    def story(names: Sequence[str]) -> Story:
        return told(entry for name in names for entry in by_client[name]())

    assert story(order) == story(sorted(by_client))
