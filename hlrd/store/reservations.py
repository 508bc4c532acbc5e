"""Reservations in the database: made, filled, read, changed, released."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from hlrd import limits
from hlrd.domain.identity import ICCID
from hlrd.pool.draw import Picked
from hlrd.pool.kept import Kept, Page
from hlrd.pool.reservation import Asked
from hlrd.store.connection import Connection, Record
from hlrd.store.queries import query
from hlrd.store.record import ReservationRow, ReservedNumber
from hlrd.store.rows import card_of

_BEGIN: Final = query("begin_fenced")
_ADD: Final = query("reservation_add")
_OPEN: Final = query("reservation_open")
_DROP: Final = query("reservation_drop")
_FILLING: Final = query("reservations_filling")
_ONE: Final = query("reservation")
_BY_KEY: Final = query("reservation_by_key")
_BEFORE: Final = query("reservations_before")
_NUMBERS: Final = query("reservation_numbers")
_LEFT: Final = query("reservation_left")
_CARDS_LEFT: Final = query("reservation_cards_left")
_HOLD_NUMBERS: Final = query("reservation_hold_numbers")
_HOLD_CARDS: Final = query("reservation_hold_cards")
_RELEASE_NUMBERS: Final = query("reservation_release_numbers")
_RELEASE_CARDS: Final = query("reservation_release_cards")
_EXTEND: Final = query("reservation_extend")
_CANCEL: Final = query("reservation_cancel")
_CHOOSE: Final = query("reservation_choose")
_OVER: Final = query("reservations_over")
_RELEASED: Final = query("reservation_released")
_HOMES: Final = query("reservation_homes")
_GIVEN: Final = query("reservation_given")
_NAMED: Final = query("reservation_named")
_TAKEN: Final = query("reservation_taken")

_ALL: Final = limits.RESERVATION_NUMBERS_MAX


class Stored(NamedTuple):
    id: int
    content_hash: bytes
    state: str


class Home(NamedTuple):
    """A range that numbers may come from."""

    range_id: int
    first: int
    last: int
    hlr: str


class Given(NamedTuple):
    """What the database knows of a number that is to be reserved by name."""

    range_id: int | None  #: None: in no range
    pool: str
    province: str
    hlr: str
    is_idle: bool


class Held(NamedTuple):
    numbers: Collection[int]
    cards: Collection[ICCID]


# Making and filling.


async def add(connection: Connection, asked: Asked) -> int | None:
    """None if the key was used before, or there is no such pool."""
    found: int | None = await connection.fetchval(
        _ADD,
        asked.source,
        asked.key,
        asked.content_hash,
        asked.operator_id,
        asked.pool,
        asked.province,
        asked.digits,
        asked.hlr,
        asked.grade,
        asked.with_cards,
        asked.count,
        asked.ttl_s,
    )
    return found


async def by_key(connection: Connection, source: str, key: str) -> Stored | None:
    row = await connection.fetchrow(_BY_KEY, source, key)
    return None if row is None else Stored(*row)


async def hold(connection: Connection, reservation: int, picked: Sequence[Picked]) -> Held:
    """What of it is reserved now: all but what another has, whatever memory says."""
    numbers = [one.number for one in picked]
    iccids = [one.iccid for one in picked if one.iccid is not None]
    await connection.execute(_BEGIN)
    rows = await connection.fetch(
        _HOLD_NUMBERS, reservation, numbers, [one.range_id for one in picked]
    )
    cards = await connection.fetch(_HOLD_CARDS, reservation, iccids) if iccids else []
    await connection.execute("COMMIT")
    return Held({row["msisdn"] for row in rows}, {row["iccid"] for row in cards})


async def hold_cards(
    connection: Connection, reservation: int, iccids: Sequence[ICCID]
) -> Collection[ICCID]:
    """Which of these cards are reserved now."""
    await connection.execute(_BEGIN)
    cards = await connection.fetch(_HOLD_CARDS, reservation, iccids)
    await connection.execute("COMMIT")
    return {row["iccid"] for row in cards}


async def open_(connection: Connection, reservation: int, granted: int, ttl_s: int) -> None:
    await connection.execute(_OPEN, reservation, granted, ttl_s)


async def drop(connection: Connection, reservation: int) -> None:
    await connection.execute(_DROP, reservation)


async def filling(connection: Connection) -> list[int]:
    return [row["id"] for row in await connection.fetch(_FILLING)]


async def homes(connection: Connection, asked: Asked) -> list[Home]:
    rows = await connection.fetch(_HOMES, asked.pool, asked.province, asked.digits, asked.hlr)
    return [Home(*row) for row in rows]


async def given(connection: Connection, numbers: Sequence[int]) -> list[Given]:
    rows = await connection.fetch(_GIVEN, numbers)
    return [
        Given(
            row["range_id"],
            row["pool"],
            row["province"],
            row["hlr"],
            not row["is_bound"] and row["state"] in (None, "free"),
        )
        for row in rows
    ]


async def taken(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Which of these are bound, or held by somebody."""
    return {row["msisdn"] for row in await connection.fetch(_TAKEN, numbers)}


# Reading.


async def read(
    connection: Connection, reservation: int, source: str | None
) -> ReservationRow | None:
    """Of this source, or of any."""
    row = await connection.fetchrow(_ONE, reservation, source)
    return None if row is None else _row_of(row)


async def read_before(
    connection: Connection, source: str | None, before: int, limit: int
) -> list[ReservationRow]:
    """The newest first."""
    return [_row_of(row) for row in await connection.fetch(_BEFORE, before, source, limit)]


async def read_numbers(
    connection: Connection, reservation: int, after: int, limit: int
) -> list[ReservedNumber]:
    rows = await connection.fetch(_NUMBERS, reservation, after, limit)
    return [ReservedNumber(str(row["msisdn"]), row["hlr"], row["user_id"]) for row in rows]


async def read_page(connection: Connection, kept: Kept) -> Page:
    """What orders may draw next."""
    limit = limits.LEASE_NUMBERS
    numbers = await connection.fetch(_LEFT, kept.id, kept.last_number, limit)
    cards = await connection.fetch(_CARDS_LEFT, kept.id, kept.last_card, limit)
    return Page(
        kept.id,
        [(row["msisdn"], row["hlr"]) for row in numbers],
        [card for row in cards if (card := card_of(row))],
        is_last=len(numbers) < limit and len(cards) < limit,
    )


# Changing.


async def extend(connection: Connection, reservation: int, ttl_s: int) -> bool:
    """False: it is not open any more."""
    return await connection.fetchval(_EXTEND, reservation, ttl_s) is not None


async def cancel(connection: Connection, reservation: int) -> bool:
    """False: it is not open any more. What it holds is to be released."""
    return await connection.fetchval(_CANCEL, reservation) is not None


async def choose(
    connection: Connection, reservation: int, numbers: Sequence[int], ttl_s: int
) -> list[int] | None:
    """Keep these numbers and as many cards of their homes, and let go of the rest, all at once.
    Nothing is changed if it has not all of them any more: those it lacks; None: it is not open.
    """
    await connection.execute(_BEGIN)
    is_open = await connection.fetchval(_CHOOSE, reservation, len(numbers), ttl_s) is not None
    rows = await connection.fetch(_NAMED, reservation, numbers)
    hlrs = {row["msisdn"]: row["hlr"] for row in rows}
    lacking = [number for number in numbers if number not in hlrs]
    if not is_open or lacking:
        await connection.execute("ROLLBACK")
        return lacking if is_open else None
    await connection.execute(_RELEASE_NUMBERS, reservation, numbers, _ALL, True)
    await connection.execute(_RELEASE_CARDS, reservation, _json(Counter(hlrs.values())), _ALL)
    await connection.execute("COMMIT")
    return []


async def over(connection: Connection) -> list[int]:
    """Reservations that ended and still hold something."""
    return [row["id"] for row in await connection.fetch(_OVER)]


async def release_some(connection: Connection, reservation: int, *, is_noted: bool) -> int:
    """How many numbers and cards are idle again; 0 when no order could still lack one."""
    numbers = await connection.fetch(
        _RELEASE_NUMBERS, reservation, [], limits.RESERVATION_SLICE, is_noted
    )
    cards = await connection.fetch(_RELEASE_CARDS, reservation, "{}", 10 * limits.RESERVATION_SLICE)
    return len(numbers) + len(cards)


async def released(connection: Connection, reservation: int) -> None:
    await connection.execute(_RELEASED, reservation)


def _row_of(row: Record) -> ReservationRow:
    fields: dict[str, Any] = dict(row)
    del fields["content_hash"]
    return ReservationRow(**{**fields, "id": str(row["id"])})


def _json(value: Mapping[str, int]) -> str:
    return orjson.dumps(value).decode()
