"""The independent checker: the clients' diaries against the tables of the database. Pure.

It knows nothing of the code of hlrd: what it reads is what clients wrote down themselves, and rows
that plain SQL gave. It can fail for each thing that it looks for (tests/loadtest/torture).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from loadtest.proof import Check
from loadtest.torture.story import SUCCEEDED, Hold, Story

_EXAMPLES_MAX = 5


class Binding(NamedTuple):
    msisdn: str
    iccid: str
    user: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The database after the campaign, when the pool is drawn empty and nothing moves."""

    numbers: AbstractSet[str]  #: of the pool that was drawn empty
    bindings: Sequence[Binding]
    orders: Mapping[str, bool]  #: by upstream's id: whether it has its final receipt
    reservations: Mapping[str, str]  #: id by the client's key
    reserved: Sequence[tuple[str, str]]  #: number and reservation id, of reservations in force
    numbers_elsewhere: AbstractSet[str] = frozenset()  #: of other pools
    graded: AbstractSet[str] = frozenset()  #: numbers that are never drawn at random
    locked: AbstractSet[str] = frozenset()
    cards: AbstractSet[str] = frozenset()  #: every card that was imported
    scrapped: AbstractSet[str] = frozenset()
    subscribers: AbstractSet[str] = frozenset()  #: numbers that the HLRs have a record of
    stranded: int = 0  #: rows that wait for something that is no more


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen while the campaign ran."""

    sums: Sequence[str] = ()  #: moments at which the states did not sum up to the pool
    late: Sequence[str] = ()  #: numbers that could be drawn only after one more start
    failures: Sequence[str] = ()  #: requests that were answered by 500
    fallouts: Sequence[str] = ()  #: orders


def check(story: Story, tables: Tables, course: Course, now: float) -> list[Check]:
    """`now` is when the clients had stopped; what nobody let go of before must stand."""
    return [
        *_doubles(story, tables),
        *_leaks(story, tables, course),
        *_lost(story, tables, now),
        *_others(story, course),
    ]


def _doubles(story: Story, tables: Tables) -> list[Check]:
    reserved = [number for number, _ in tables.reserved]
    bound = [row.msisdn for row in tables.bindings]
    return [
        _none("doubles: numbers of two owners at once", overlaps(story.numbers())),
        _none("doubles: cards of two owners, or live again", overlaps(story.cards())),
        _none("doubles: numbers twice in the database", _twice([*bound, *reserved])),
        _none("doubles: cards twice in the database", _twice(row.iccid for row in tables.bindings)),
        _none("doubles: cards scrapped and in use", tables.scrapped & _iccids(tables)),
    ]


def _leaks(story: Story, tables: Tables, course: Course) -> list[Check]:
    """The pool was drawn empty: what nobody has now, nobody can ever get."""
    taken = _bound(tables) | {number for number, _ in tables.reserved}
    return [
        _none("leaks: numbers", tables.numbers - taken - tables.graded),
        _none("leaks: numbers that nobody locked", tables.locked),
        _none("leaks: cards", tables.cards - tables.scrapped - _iccids(tables)),
        _none("leaks: cards scrapped that were never live", tables.scrapped - _live(story)),
        _none("leaks: numbers that wanted another start", course.late),
        Check("leaks: rows that wait for nothing", tables.stranded, 0),
        _none("numbers of no range", taken - tables.numbers - tables.numbers_elsewhere),
        _none("bindings of users that nobody knows", _strangers(story, tables)),
    ]


def _lost(story: Story, tables: Tables, now: float) -> list[Check]:
    acknowledged = [each.order_id for each in story.openings.values() if each.is_acknowledged]
    acknowledged += story.terminations
    unclosed = [order for order in acknowledged if not tables.orders.get(order, True)]
    return [
        _none("lost: orders acknowledged", [id for id in acknowledged if id not in tables.orders]),
        _none("lost: orders without their receipt", [*unclosed, *_without_receipt(story)]),
        _none("lost: reservations acknowledged", _reservations_lost(story, tables)),
        _none("lost: numbers of reservations in force", _numbers_lost(story, tables, now)),
        _none("lost: users in service", _users_lost(story, tables)),
        _none("users that the HLRs contradict", tables.subscribers ^ _bound(tables)),
    ]


def _others(story: Story, course: Course) -> list[Check]:
    return [
        _none("requests answered in two ways", story.contradictions),
        _none("moments when the sum was not the pool", course.sums),
        _none("requests answered by 500", course.failures),
        _none("orders in fallout", course.fallouts),
    ]


def overlaps(holds: Mapping[str, Sequence[Hold]]) -> Iterator[str]:
    """Two owners of one thing whose certain times have a moment in common."""
    for thing, times in holds.items():
        if len(times) > 1:
            yield from _overlaps_of(thing, sorted(times))


def _overlaps_of(thing: str, times: Sequence[Hold]) -> Iterator[str]:
    longest = times[0]
    for hold in times[1:]:
        if hold.start < longest.end:
            yield f"{thing}: {longest.owner} and {hold.owner}"
        longest = max(longest, hold, key=lambda each: each.end)


def _live(story: Story) -> set[str]:
    return {each.iccid for each in story.openings.values() if each.result == SUCCEEDED}


def _strangers(story: Story, tables: Tables) -> list[str]:
    return [row.user for row in tables.bindings if row.user not in story.by_user]


def _without_receipt(story: Story) -> list[str]:
    open_ = [o.order_id for o in story.openings.values() if o.is_acknowledged and not o.result]
    left = [user for user in story.terminations.values() if not story.by_user[user].terminated]
    return open_ + left


def _reservations_lost(story: Story, tables: Tables) -> list[str]:
    return [
        each.key for each in story.acknowledged() if tables.reservations.get(each.key) != each.id
    ]


def _numbers_lost(story: Story, tables: Tables, now: float) -> list[str]:
    standing = set(tables.reserved)
    return [
        f"{number} of reservation {each.id}"
        for each in story.acknowledged()
        for number in each.standing(now)
        if (number, each.id) not in standing
    ]


def _users_lost(story: Story, tables: Tables) -> list[str]:
    there = set(tables.bindings)
    return [
        each.user
        for each in story.openings.values()
        if each.is_standing and Binding(each.msisdn, each.iccid, each.user) not in there
    ]


def counted(story: Story, now: float) -> tuple[int, int]:
    """Durable allocations and releases of numbers until `now`, each as a client was told of it.

    A number that goes from a reservation to its user is allocated once.
    """
    allocations = releases = 0
    for each in story.acknowledged():
        if each.answered_at > now:
            continue
        allocations += len(each.numbers)
        releases += sum(
            _is_let_go(each.until(number), each.opened, number, now) for number in each.numbers
        )
    for opening in story.openings.values():
        if opening.answered_at <= now:
            allocations += opening.reservation == ""
            releases += opening.result == "failed" or opening.terminated == SUCCEEDED
    return allocations, releases


def _is_let_go(until: float, opened: Mapping[str, float], number: str, now: float) -> bool:
    return until <= now and number not in opened


def _iccids(tables: Tables) -> set[str]:
    return {row.iccid for row in tables.bindings}


def _bound(tables: Tables) -> set[str]:
    return {row.msisdn for row in tables.bindings}


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _none(what: str, wrong: Iterable[str]) -> Check:
    found = sorted(wrong)
    return Check(what, len(found), 0, found[:_EXAMPLES_MAX])
