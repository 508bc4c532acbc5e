"""How a reservation gets its numbers and cards: drawn, of a grade, or given by name."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final, Protocol

from hlrd import limits
from hlrd.domain.errors import BadRequest, Conflict, NotFound, Refusal
from hlrd.domain.identity import MSISDN, Card
from hlrd.pool.allocator import Allocator
from hlrd.pool.draw import Exhausted, Lack, Pending, Picked
from hlrd.pool.grade import Grades
from hlrd.pool.permutation import Permutation, order_key
from hlrd.pool.reservation import Asked
from hlrd.store import reservations as store
from hlrd.store.connection import Connection
from hlrd.store.reservations import Given, Home

_LOOKS_MIN: Final = 64
_LOOKS_MAX: Final = 8_192  # candidates of a grade looked at in one query
_CANDIDATES_MAX: Final = 2_000_000  # of a grade, before it is held to be exhausted


class Do(Protocol):
    """`Link.stubbornly`, in turns."""

    async def __call__(self, work: Callable[[Connection], Awaitable[Any]], /) -> Any: ...


class Filling:
    def __init__(
        self, do: Do, *, allocator: Allocator, grades: Grades, new_secret: Callable[[], bytes]
    ) -> None:
        self._do = do
        self._allocator = allocator
        self._grades = grades
        self._new_secret = new_secret
        self._leased = asyncio.Event()

    def leased(self) -> None:
        self._leased.set()

    async def check(self, asked: Asked) -> None:
        """What can be refused before anything is written."""
        if asked.grade is not None and asked.grade not in self._grades:
            known = ", ".join(self._grades.names) or "none"
            raise BadRequest("GRADE_UNKNOWN", f"the configured grades: {known}", "grade")

    async def fill(self, reservation: int, asked: Asked) -> int:
        """How many numbers are reserved: all that were asked for, or fewer if that is allowed."""
        if asked.numbers:
            granted, lack = await self._fill_given(reservation, asked)
        elif asked.grade is not None:
            granted, lack = await self._fill_graded(reservation, asked)
        else:
            granted, lack = await self._fill_drawn(reservation, asked)
        if granted == asked.count or (granted and asked.is_partial):
            return granted
        assert lack is not None
        raise lack

    # Drawn at random.

    async def _fill_drawn(self, reservation: int, asked: Asked) -> tuple[int, Refusal | None]:
        granted = 0
        while granted < asked.count:
            self._leased.clear()
            picked, end = self._pick(asked, min(limits.RESERVATION_SLICE, asked.count - granted))
            if picked:
                granted += await self._hold(reservation, picked)
            elif isinstance(end, Exhausted):
                return granted, _exhausted(end, asked)
            else:
                await self._wait()
        return granted, None

    def _pick(self, asked: Asked, count: int) -> tuple[list[Picked], Pending | Exhausted | None]:
        picked: list[Picked] = []
        while len(picked) < count:
            one = self._allocator.pick(
                pool=asked.pool,
                province=asked.province,
                digits=asked.digits,
                hlr=asked.hlr,
                lot=asked.lot,
                with_card=asked.with_cards,
            )
            if not isinstance(one, Picked):
                return picked, one
            picked.append(one)
        return picked, None

    async def _wait(self) -> None:
        """For the next lease, or for long enough that things may have changed."""
        try:
            async with asyncio.timeout(limits.LEASE_LOOK_S):
                await self._leased.wait()
        except TimeoutError:
            return

    # Of a grade.

    async def _fill_graded(self, reservation: int, asked: Asked) -> tuple[int, Refusal | None]:
        """Random ones of all that are idle: a walk through a random order of all there are."""
        assert asked.grade is not None
        homes: list[Home] = await self._do(lambda c: store.homes(c, asked))
        if not homes:
            return 0, _exhausted(Exhausted(Lack.NUMBERS), asked)
        granted = 0
        for numbers in self._candidates(asked.grade, homes):
            taken: set[int] = await self._do(partial(store.taken, numbers=numbers))
            idle = [number for number in numbers if number not in taken]
            wanted = _at_home(idle, homes)
            count, lack = await self._hold_named(reservation, asked, wanted, granted)
            granted += count
            if lack is not None or granted == asked.count:
                return granted, lack
        text = f"no more idle numbers of grade {asked.grade} in pool {asked.pool}"
        return granted, Conflict("GRADE_EXHAUSTED", text, "grade")

    def _candidates(self, grade: str, homes: Sequence[Home]) -> Iterator[list[int]]:
        found = self._grades.candidates(grade, [(home.first, home.last) for home in homes])
        if not len(found):
            return
        order = Permutation(order_key(self._new_secret(), 0), len(found))
        place, looks = 0, _LOOKS_MIN
        while place < min(len(found), _CANDIDATES_MAX):
            count = min(looks, len(found) - place)
            yield [found[index] for index in order.interval(place, count)]
            place, looks = place + count, min(2 * looks, _LOOKS_MAX)

    # Given by name.

    async def _fill_given(self, reservation: int, asked: Asked) -> tuple[int, Refusal | None]:
        numbers = [int(number) for number in asked.numbers]
        known: list[Given] = await self._do(lambda c: store.given(c, numbers))
        wanted: list[tuple[int, Home]] = []
        lack: Refusal | None = None
        for place, (number, given) in enumerate(zip(numbers, known, strict=True)):
            refusal = _unfit(given, asked, place)
            lack = lack or refusal
            if refusal is None and given.range_id is not None:
                wanted.append((number, Home(given.range_id, number, number, given.hlr)))
        if lack is not None and not asked.is_partial:
            return 0, lack
        granted, late = await self._hold_named(reservation, asked, wanted, 0)
        text = "one of the numbers was taken a moment ago"
        return granted, lack or late or Conflict("NUMBER_TAKEN", text, "numbers")

    async def _hold_named(
        self, reservation: int, asked: Asked, wanted: Sequence[tuple[int, Home]], before: int
    ) -> tuple[int, Refusal | None]:
        """Of these as many as are still wanted and can be taken; each with its card."""
        granted = 0
        left = list(reversed(wanted))
        while left and before + granted < asked.count:
            picked: list[Picked] = []
            end: Pending | Exhausted | None = None
            self._leased.clear()
            while left and len(picked) < min(
                limits.RESERVATION_SLICE, asked.count - before - granted
            ):
                one = self._take(asked, *left[-1])
                if isinstance(one, Pending | Exhausted) and one != _TAKEN:
                    end = one
                    break
                left.pop()
                if isinstance(one, Picked):
                    picked.append(one)
            if picked:
                granted += await self._hold(reservation, picked)
            elif isinstance(end, Exhausted):
                return granted, _exhausted(end, asked)
            elif end is not None:
                await self._wait()
        return granted, None

    def _take(self, asked: Asked, number: int, home: Home) -> Picked | Pending | Exhausted:
        if not self._allocator.take(msisdn=MSISDN(str(number))):
            return _TAKEN
        if not asked.with_cards:
            return Picked(number, home.range_id, None)
        card = self._allocator.pick_card(province=asked.province, hlr=home.hlr, lot=asked.lot)
        if isinstance(card, Card):
            return Picked(number, home.range_id, card.iccid)
        self._allocator.put_back(msisdn=MSISDN(str(number)))
        return card

    # Durable.

    async def _hold(self, reservation: int, picked: Sequence[Picked]) -> int:
        held: store.Held = await self._do(lambda c: store.hold(c, reservation, picked))
        allocator = self._allocator
        for one in picked:
            settle = allocator.held if one.number in held.numbers else allocator.drop
            settle(msisdn=MSISDN(str(one.number)))
            if one.iccid is not None:
                settle = allocator.held if one.iccid in held.cards else allocator.drop
                settle(iccid=one.iccid)
        return len(held.numbers)


_TAKEN: Final = Exhausted(Lack.NUMBER_TAKEN)


def _at_home(numbers: Sequence[int], homes: Sequence[Home]) -> list[tuple[int, Home]]:
    ordered = sorted(homes, key=attrgetter("first"))
    return [
        (number, ordered[bisect_right(ordered, number, key=attrgetter("first")) - 1])
        for number in numbers
    ]


def _unfit(given: Given, asked: Asked, place: int) -> Refusal | None:
    field = f"numbers[{place}]"
    if given.range_id is None:
        return BadRequest("NUMBER_UNKNOWN", "the number is in no imported range", field)
    if given.pool != asked.pool:
        return BadRequest("NUMBER_OF_OTHER_POOL", f"the number is of pool {given.pool}", field)
    if given.province != asked.province:
        return BadRequest("NUMBER_OF_OTHER_PROVINCE", "the number's province differs", field)
    if asked.hlr not in (None, given.hlr):
        return BadRequest("HOME_HLR_DIFFERS", f"the number's home is {given.hlr}", field)
    if not given.is_idle:
        return Conflict(
            "NUMBER_NOT_IDLE", "the number is in use, reserved, resting or locked", field
        )
    return None


def _exhausted(end: Exhausted, asked: Asked) -> Refusal:
    where = f"{asked.digits}-digit numbers of province {asked.province}"
    match end.what:
        case Lack.POOL:
            return NotFound("POOL_UNKNOWN", f"there is no pool {asked.pool}", "pool")
        case Lack.LOT:
            text = f"no lot of that name in {asked.province} has such a home HLR"
            return Conflict("LOT_UNKNOWN", text, "lot")
        case Lack.CARDS:
            text = f"too few cards in stock whose home HLR has idle {where}"
            return Conflict("STOCK_EXHAUSTED", text, "with_cards")
        case _:
            return Conflict("POOL_EXHAUSTED", f"pool {asked.pool} has too few idle {where}", "pool")
