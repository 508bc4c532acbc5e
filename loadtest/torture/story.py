"""What the diaries say, put together: each reservation and each opening from its first request to
its end. Pure.

A **certain time** runs from the moment a client was told that something is its own to the moment it
first asked to let go of it. The truth may begin earlier and end later, never the other way round.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.torture.diary import Act, Entry, Event

NEVER: Final = float("inf")
SUCCEEDED: Final = "succeeded"


class Hold(NamedTuple):
    """A number or card that was `owner`'s for certain."""

    start: float
    end: float
    owner: str


@dataclass(slots=True)
class Reservation:
    key: str
    expires_at: float  #: at the earliest
    id: str = ""
    numbers: tuple[str, ...] = ()
    answered_at: float = NEVER
    cancelled_at: float = NEVER  #: asked for
    is_cancelled: bool = False  #: and told so
    extended_at: float = NEVER  #: asked for
    chosen_at: float = NEVER
    kept: frozenset[str] = frozenset()
    is_chosen: bool = False
    opened: dict[str, float] = field(default_factory=dict)  #: asked for, by number

    @property
    def ends_at(self) -> float:
        return min(self.expires_at, self.cancelled_at)

    def until(self, number: str) -> float:
        """The end of the certain time of one of its numbers."""
        end = min(self.ends_at, self.opened.get(number, NEVER))
        return end if number in self.kept else min(end, self.chosen_at)

    def standing(self, now: float) -> list[str]:
        """The numbers that it must still have."""
        return [number for number in self.numbers if self.until(number) > now]


@dataclass(slots=True)
class Opening:
    """One user, from activation to termination."""

    order_id: str
    user: str
    sent_at: float
    reservation: str = ""
    msisdn: str = ""
    iccid: str = ""
    answered_at: float = NEVER
    result: str = ""
    terminated_at: float = NEVER  #: asked for
    terminated: str = ""  #: result of the termination's receipt

    @property
    def is_acknowledged(self) -> bool:
        return self.answered_at < NEVER

    @property
    def is_standing(self) -> bool:
        """The user must still be there."""
        return self.result == SUCCEEDED and self.terminated_at == NEVER


@dataclass(slots=True)
class Story:
    reservations: dict[str, Reservation] = field(default_factory=dict)  #: by key
    openings: dict[str, Opening] = field(default_factory=dict)  #: by order id
    terminations: dict[str, str] = field(default_factory=dict)  #: acknowledged: order id and user
    contradictions: list[str] = field(default_factory=list)  #: one request, two answers
    by_user: dict[str, Opening] = field(default_factory=dict)
    by_id: dict[str, Reservation] = field(default_factory=dict)

    def acknowledged(self) -> Iterator[Reservation]:
        return (each for each in self.reservations.values() if each.answered_at < NEVER)

    def numbers(self) -> dict[str, list[Hold]]:
        """The certain times of every number."""
        holds: defaultdict[str, list[Hold]] = defaultdict(list)
        for each in self.acknowledged():
            for number in each.numbers:
                hold = Hold(each.answered_at, each.until(number), f"reservation {each.id}")
                if hold.start < hold.end:
                    holds[number].append(hold)
        for opening in self._kept():
            owner = f"user {opening.user}"
            holds[opening.msisdn].append(Hold(opening.answered_at, opening.terminated_at, owner))
        return holds

    def cards(self) -> dict[str, list[Hold]]:
        """A card that was live never comes back, so its time has no end."""
        holds: defaultdict[str, list[Hold]] = defaultdict(list)
        for each in self._kept():
            holds[each.iccid].append(Hold(each.answered_at, NEVER, f"user {each.user}"))
        return holds

    def _kept(self) -> Iterator[Opening]:
        """An opening that failed let go at a moment nobody was told: it is certain of nothing."""
        return (each for each in self.openings.values() if each.result == SUCCEEDED)


def told(entries: Iterable[Entry]) -> Story:
    """`entries` of each client in their order; the clients one after the other, or mixed."""
    story = Story()
    for entry in entries:
        if entry.event not in _TELLS_NOTHING:
            _TELL[entry.act](story, entry)
    for opening in story.openings.values():
        reservation = story.by_id.get(opening.reservation)
        if reservation is not None and opening.msisdn:
            reservation.opened[opening.msisdn] = opening.sent_at
    return story


def _reserve(story: Story, entry: Entry) -> None:
    known = story.reservations.setdefault(
        entry.id, Reservation(entry.id, expires_at=entry.at + entry.ttl_s)
    )
    if entry.event is not Event.ANSWERED:
        return
    numbers = tuple(entry.numbers)
    if known.answered_at < NEVER:
        if (known.id, sorted(known.numbers)) != (entry.reservation, sorted(numbers)):
            story.contradictions.append(f"reservation {entry.id}")
        return
    known.id, known.numbers, known.answered_at = entry.reservation, numbers, entry.at
    story.by_id[entry.reservation] = known


def _choose(story: Story, entry: Entry) -> None:
    known = story.by_id[entry.reservation]
    if entry.event is Event.SENT:
        known.chosen_at = min(known.chosen_at, entry.at)
        known.kept = frozenset(entry.numbers)
    known.is_chosen = known.is_chosen or entry.event is Event.ANSWERED


def _extend(story: Story, entry: Entry) -> None:
    """It counts when it was answered: then the reservation was in force all the time."""
    known = story.by_id[entry.reservation]
    if entry.event is Event.SENT:
        known.extended_at = min(known.extended_at, entry.at)
    elif entry.event is Event.ANSWERED:
        known.expires_at = max(known.expires_at, known.extended_at + entry.ttl_s)


def _cancel(story: Story, entry: Entry) -> None:
    known = story.by_id[entry.reservation]
    if entry.event is Event.SENT:
        known.cancelled_at = min(known.cancelled_at, entry.at)
    known.is_cancelled = known.is_cancelled or entry.event is Event.ANSWERED


def _open(story: Story, entry: Entry) -> None:
    known = story.openings.get(entry.id)
    if known is None:
        known = Opening(entry.id, entry.user, entry.at, entry.reservation)
        story.openings[entry.id] = story.by_user[entry.user] = known
    if entry.event is Event.RECEIPT:
        known.result = entry.result
    if entry.event is not Event.ANSWERED or not entry.msisdn:
        known.answered_at = min(known.answered_at, _answered(entry))
        return
    if known.msisdn and (known.msisdn, known.iccid) != (entry.msisdn, entry.iccid):
        story.contradictions.append(f"order {entry.id}")
    known.msisdn, known.iccid = entry.msisdn, entry.iccid
    known.answered_at = min(known.answered_at, entry.at)


def _terminate(story: Story, entry: Entry) -> None:
    opening = story.by_user[entry.user]
    if entry.event is Event.SENT:
        opening.terminated_at = min(opening.terminated_at, entry.at)
    elif entry.event is Event.ANSWERED:
        story.terminations[entry.id] = entry.user
    elif entry.event is Event.RECEIPT:
        opening.terminated = entry.result


def _answered(entry: Entry) -> float:
    return entry.at if entry.event is Event.ANSWERED else NEVER


_TELLS_NOTHING: Final = (Event.REFUSED, Event.LOST)
_TELL: Final = {
    Act.RESERVE: _reserve,
    Act.CHOOSE: _choose,
    Act.EXTEND: _extend,
    Act.CANCEL: _cancel,
    Act.OPEN: _open,
    Act.TERMINATE: _terminate,
}
