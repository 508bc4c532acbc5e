"""The messages of all systems and the commands of all elements as one sequence.

Pure: what was recorded goes in, what is drawn comes out. Two runs of one story say the same things,
but for ids and times, and but for what runs side by side: `settled` puts that in one order.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.business.message import Message, Party
from loadtest.business.northbound import KEEP, TAKEN
from loadtest.flow.flow import Legs
from loadtest.flow.site import ANSWER, REQUEST

CLOSING: Final = "订单关闭"
"""All legs of an order are over when its system closes it."""

RELAYS: Final = frozenset({Party.BBOSS, Party.BOSS1, Party.PBOSS})

BLOCK_MAX: Final = 8
"""Messages of a block that is folded when it comes again and again."""

_IDS: Final = re.compile(
    r"(?<![\w.-])(?:[A-Z]-[0-9a-f]{16,}-\d+|(?=[\w.-]*\d{3})[\w.-]+|[A-Za-z]\w*(?:-\d+)+|\d+(?![\w.-]))"
)
_CODE: Final = re.compile(r"-?\d{1,5}")
_IDS_IN_A_ROW: Final = re.compile(r"…(?:\s+…)+")
_ORDER: Final = {str(party): place for place, party in enumerate(Party)}


@dataclass(frozen=True, slots=True)
class Step:
    """A message as it is drawn; `times` in a row, alone or with its neighbours."""

    message: Message
    times: int = 1

    @property
    def label(self) -> str:
        """Without ids, so the same in every run."""
        return f"{self.message.name} {gist(self.message.detail)}".rstrip()


def merge(messages: Iterable[Message], *, kept_by: str = "") -> list[Message]:
    """By time, without early polls and what keeps channels; but for the first that `kept_by` said
    and heard."""
    said, is_kept = [], set[bool]()
    for message in _without_early_polls(sorted(messages, key=lambda each: each.at)):
        if message.name != KEEP:
            said.append(message)
        elif kept_by in (message.sender, message.receiver) and message.is_answer not in is_kept:
            is_kept.add(message.is_answer)
            said.append(message)
    return said


def _without_early_polls(messages: Sequence[Message]) -> list[Message]:
    """How often an element was asked whether a change has ended is chance: the last time tells."""
    polls = [place for place, each in enumerate(messages) if _is_poll(each)]
    newest = {_sides(messages[place]): place for place in polls}
    early = {place for place in polls if newest[_sides(messages[place])] != place}
    early |= {place + 1 for place in early}  # and its answer
    return [each for place, each in enumerate(messages) if place not in early]


def _is_poll(message: Message) -> bool:
    return message.name == REQUEST and message.detail.startswith("GET ")


def _sides(message: Message) -> tuple[str, str, str]:
    return message.sender, message.receiver, message.detail


def settled(messages: Sequence[Message], legs: Legs) -> list[Message]:
    """In the one order of all that differ only by what ran side by side: the messages of two legs,
    and hlrd's word that it took an order beside the commands of that."""
    left, found = list(messages), []
    while left:
        free = [each for place, each in enumerate(left) if _is_free(each, left[:place], legs)]
        chosen = min(free, key=lambda each: _rank(each, legs))
        left.remove(chosen)
        found.append(chosen)
    return found


def fold(messages: Sequence[Message]) -> list[Step]:
    """A message, or a block of a few, that comes again right behind itself is drawn once."""
    steps, place = [], 0
    while place < len(messages):
        length, times = _block(messages, place)
        steps += [Step(each, times) for each in messages[place : place + length]]
        place += length * times
    return steps


def participants(messages: Iterable[Message]) -> list[str]:
    """From the person that asks to the network that does; a province's own system beside its
    like."""
    names = {name for each in messages for name in (each.sender, each.receiver)}
    return sorted(names, key=_place)


def labels(steps: Sequence[Step]) -> list[tuple[str, str, str, int]]:
    """What two runs of a story have in common."""
    return [(step.message.sender, step.message.receiver, step.label, step.times) for step in steps]


def gist(detail: str) -> str:
    """A detail without what is another one in each run: ids, numbers, keys and bodies. A code that
    stands alone is what was answered."""
    if _CODE.fullmatch(detail):
        return detail
    head = detail.split("{", 1)[0]
    verb, colon, rest = head.partition(":")
    if colon and "=" in rest:  # an MML command: its verb says it
        head = verb
    return _IDS_IN_A_ROW.sub("…", _IDS.sub("…", head)).strip()


def _is_free(message: Message, earlier: Sequence[Message], legs: Legs) -> bool:
    return all(_is_beside(message, each, legs) for each in earlier)


def _is_beside(one: Message, other: Message, legs: Legs) -> bool:
    if {one.name, other.name} in ({TAKEN, REQUEST}, {TAKEN, ANSWER}):
        return True
    if TAKEN in (one.name, other.name) and _is_on_its_way_up(one, other):
        return True
    mine, its = _leg(one, legs), _leg(other, legs)
    return mine != its and None not in (mine, its)


def _is_on_its_way_up(one: Message, other: Message) -> bool:
    """They are of different pairs, and one at least has a relay in it."""
    mine, its = {one.sender, one.receiver}, {other.sender, other.receiver}
    return mine != its and bool((mine | its) & RELAYS)


def _leg(message: Message, legs: Legs) -> int | None:
    """None: what waits for all legs, and all for it; as the closing of an order does unless a leg
    names it."""
    what = message.detail.partition(" ")[0]
    named = {message.name, f"{message.sender} {what}", f"{message.receiver} {what}"}
    by_name = (number for number, leg in enumerate(legs) if named & leg)
    sides = {message.sender, message.receiver}
    by_sides = (number for number, leg in enumerate(legs) if sides <= leg and what != CLOSING)
    return next(by_name, next(by_sides, None))


def _rank(message: Message, legs: Legs) -> tuple[bool, int]:
    return message.name != TAKEN, _leg(message, legs) or 0


def _block(messages: Sequence[Message], start: int) -> tuple[int, int]:
    """The shortest block that comes again right behind itself, and how often; else one, once."""
    for length in range(1, BLOCK_MAX + 1):
        times = _times(messages, start, length)
        if times > 1:
            return length, times
    return 1, 1


def _times(messages: Sequence[Message], start: int, length: int) -> int:
    block, times = _keys(messages, start, length), 1
    while len(block) == length and _keys(messages, start + times * length, length) == block:
        times += 1
    return times


def _keys(messages: Sequence[Message], start: int, length: int) -> list[tuple[str, ...]]:
    return [
        (each.sender, each.receiver, each.name, gist(each.detail))
        for each in messages[start : start + length]
    ]


def _place(name: str) -> tuple[int, str]:
    """A participant `ESOP 200` stands where ESOP would."""
    known = next((party for party in _ORDER if name == party or name.startswith(f"{party} ")), None)
    return (len(_ORDER) if known is None else _ORDER[known]), name
